"""Retry: is a sync that failed tried again, and when? And how soon is what somebody else changed put back again?

What counts as a failed attempt: something that was asked for was answered with no. The API server, an admission
webhook or the project refused an object, a hook failed, an object of an earlier wave turned out broken, a deletion
was refused. After ``limit`` retries the sync has failed and is shown so. Of an automated one what was refused is still
looked at now and then (`agents.pacing`): what somebody repairs in the cluster is enough, where Argo CD waits for a new
commit or a person.

What does not count: not being answered. A network that is down, an API server that is overloaded or restarting, a
kind or namespace that is only about to exist, are waited out, however long it takes and without using up retries: a
cluster that was away for a weekend converges when it is back. (Argo CD counts these too, and gives up.)

Source: argo.md 2.2; app_types.go, RetryStrategy.NextRetryAt.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from fleet.errors import FleetError, NotReady, Transient
from fleet.model.assignment import Operation, RetryPolicy, Section

AUTOMATED = RetryPolicy(limit=5)
"""Of automated syncs without a policy."""
NEVER = RetryPolicy(limit=0)
"""Of syncs that a person asked for without one."""
RETRY_LIMIT = "retryLimit"

HEAL_FIRST = timedelta(seconds=2)
HEAL_FACTOR = 3
HEAL_LONGEST = timedelta(seconds=300)
HEAL_COOLDOWN = timedelta(seconds=330)
"""After this long without a change by somebody else the next one is put back at once again."""

_MOST_DOUBLINGS = 64
_MOST = 10**9
"""Seconds, some thirty years, and how often the first wait: more make no difference, and no date."""


def policy_for(section: Section, operation: Operation | None = None) -> RetryPolicy:
    """Return the policy of a sync: the operation's own limit, the Application's policy, or Argo CD's default."""
    if operation is not None and operation.arguments.get("dryRun") is True:
        return NEVER
    asked = operation is not None and operation.arguments.get("automated") is not True
    policy = section.retry or (NEVER if asked else AUTOMATED)
    limit = operation.arguments.get(RETRY_LIMIT) if operation is not None else None
    if isinstance(limit, int) and not isinstance(limit, bool):
        return msgspec.structs.replace(policy, limit=limit)
    return policy


def is_attempt(error: FleetError) -> bool:
    """Tell whether a sync that ended with this error has used up an attempt; see the module's text."""
    return not isinstance(error, (Transient, NotReady))


def wait_before(policy: RetryPolicy, retries: int) -> timedelta:
    """Return how long to wait before the next try, after so many retries: ``wait`` before the first one."""
    grown = max(0, min(_MOST, policy.factor ** min(retries, _MOST_DOUBLINGS)))
    return timedelta(seconds=max(0.0, min(policy.max_wait, policy.wait * grown, _MOST)))


def next_try(policy: RetryPolicy, retries: int, failed_at: datetime) -> datetime | None:
    """Return when a sync that failed after so many retries is tried again; None: it is not."""
    if 0 <= policy.limit <= retries:
        return None
    return failed_at + wait_before(policy, retries)


def heal_wait(heals: int) -> timedelta:
    """Return how long to wait before something is put back that was put back so many times lately."""
    if heals <= 0:
        return timedelta()
    grown: int = HEAL_FACTOR ** min(heals - 1, 10)
    return min(HEAL_LONGEST, HEAL_FIRST * grown)

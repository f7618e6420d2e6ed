"""What the words of a reason, phase or state say about health.

Controllers write them in CamelCase; a word decides, not the whole text: "ReconcileFailed" is *reconcile, failed*.
"""

from __future__ import annotations

import re

from fleet.model.report import Health

_WORKING = frozenset(
    ("pending", "progress", "progressing", "inprogress", "creating", "waiting", "wait", "reconciling", "initializing",
     "initialising", "initiating", "starting", "updating", "upgrading", "provisioning", "installing", "deploying",
     "scheduled", "scheduling", "deleting", "terminating", "restarting", "scaling", "migrating",
     "stopping", "setting", "applying", "building", "issuing", "not", "cloning", "importing", "import", "rolling",
     "queued", "restoring", "reconfiguring", "syncing", "new", "yellow", "switchover", "missing", "no", "does",
     "unprovisioned", "requested", "configuring", "promoting", "awaiting", "allocating", "attaching", "booting",
     "connecting", "detaching", "downloading", "draining", "expanding", "finalizing", "finalising", "joining",
     "launching", "loading", "mounting", "planning", "preparing", "processing", "pulling", "rebooting", "rebuilding",
     "recovering", "registering", "replicating", "resizing", "validating", "verifying", "bootstrap", "bootstrapping",
     "outofsync", "partial", "partially", "realizing", "unbound", "unready")
)  # fmt: skip
_FAILED = frozenset(
    (
        "failed",
        "failure",
        "error",
        "errors",
        "errored",
        "failing",
        "degraded",
        "invalid",
        "err",
        "broken",
        "unhealthy",
        "lost",
        "denied",
        "disconnected",
        "rejected",
        "stalled",
        "exceeded",
        "reached",
        "fail",
        "red",
        "disabled",
        "conflict",
        "terminal",
        "unavailable",
        "mismatch",
        "aborted",
        "forbidden",
        "unauthorized",
        "conflicted",
        "mismatched",
        "backoff",
        "blocked",
        "cancelled",
        "canceled",
        "corrupted",
        "crash",
        "crashed",
        "evicted",
        "expired",
        "faulted",
        "incompatible",
        "killed",
        "misconfigured",
        "noncompliant",
        "offline",
        "timed",
        "timeout",
        "unreachable",
        "unrecoverable",
        "unsupported",
        "violated",
    )
)
_WEAK = frozenset(("unavailable",))
"""Words that name a failure only where no work goes on."""  # fmt: skip
_FINE = frozenset(
    ("ready", "healthy", "running", "active", "available", "bound", "succeeded", "success", "successful", "complete",
     "completed", "deployed", "created", "exists", "ok", "green", "established", "synced", "installed", "up",
     "applied", "provisioned", "issued", "open", "done", "accepted", "admitted", "attached", "compliant", "connected",
     "enabled", "finished", "initialized", "initialised", "joined", "loaded", "online", "operational", "passed",
     "bootstrapped", "programmed", "realized", "reconciled", "registered", "started", "synchronized", "synchronised", "validated", "verified")
)  # fmt: skip
_PAUSED = frozenset(
    (
        "paused",
        "suspended",
        "hibernated",
        "hibernating",
        "halted",
        "frozen",
        "stopped",
        "poweroff",
        "poweredoff",
    )
)
_MISSING = frozenset(("notfound",))
_UNKNOWN = frozenset(("unknown",))
_DENIALS = frozenset(("no", "not", "without"))
_TELLS = re.compile(
    r"\b(error|errors|failed|fails|failure|cannot|could not|can't|unable|denied|invalid|forbidden|no \w+ could)\b",
    re.IGNORECASE,
)
_STARTS = re.compile(r"\W*(error|failed|failure)\b", re.IGNORECASE)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")


def words_of(text: str) -> frozenset[str]:
    """Split at capitals and everything that is no letter, in lower case."""
    return frozenset(word.lower() for word in _WORD.findall(text))


def is_on_its_way(reason: str) -> bool:
    """Whether a reason for not being ready is work that goes on, rather than a failure."""
    words = words_of(reason)
    return bool(words & (_WORKING | _UNKNOWN | {"running"})) and not words & _FAILED


def says_failure(text: str, *, is_working: bool = False) -> bool:
    """Whether a reason names a failure, and does not deny it (``NoErrors``).

    While work goes on, what is merely not available is none.
    """
    words = words_of(text)
    failed = words & _FAILED - (_WEAK if is_working else frozenset())
    return bool(failed) and not words & _DENIALS


def tells_failure(message: str) -> bool:
    """Whether a sentence tells of a failure."""
    return bool(_TELLS.search(message))


def starts_with_failure(message: str) -> bool:
    """Whether a sentence is an error message."""
    return bool(_STARTS.match(message))


def says_pause(text: str) -> bool:
    """Whether a text says that somebody paused it."""
    return bool(words_of(text) & _PAUSED)


def says_fine(text: str) -> bool:
    """Whether a text says that work is done."""
    words = words_of(text)
    return bool(words & _FINE) and not words & (_WORKING | _UNKNOWN | _FAILED)


def word_health(text: str) -> Health | None:
    """Judge a phase or state; None for words that say nothing known."""
    words = words_of(text) | {"".join(text.lower().split())}
    for known, health in (
        (_MISSING, Health.MISSING),
        (_UNKNOWN, Health.UNKNOWN),
        (_FAILED, Health.DEGRADED),
        (_PAUSED, Health.SUSPENDED),
        (_WORKING, Health.PROGRESSING),
        (_FINE, Health.HEALTHY),
    ):
        if words & known:
            return health
    return None

"""Report: the whole status of one cluster, sent as changed parts with the digest of the whole.

Wire types (msgspec), like `fleet.model.assignment`. The digest of the whole is over the sorted pairs
(target, digest of its status); a hub that computes another one answers "send all".
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Sync(StrEnum):
    SYNCED = "Synced"
    OUT_OF_SYNC = "OutOfSync"
    UNKNOWN = "Unknown"


class Health(StrEnum):
    """Argo CD's words, best first."""

    HEALTHY = "Healthy"
    SUSPENDED = "Suspended"
    PROGRESSING = "Progressing"
    MISSING = "Missing"
    DEGRADED = "Degraded"
    UNKNOWN = "Unknown"


class Phase(StrEnum):
    """What the agent is doing with a target."""

    IDLE = "Idle"
    WAITING = "Waiting"
    APPLYING = "Applying"
    PRUNING = "Pruning"
    DELETING = "Deleting"
    FAILED = "Failed"


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """Whether dependents may go on, for the assigned digest."""

    ready: bool
    message: str = ""


class ObjectStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An object that is not Synced and Healthy; the rest is only counted."""

    ref: str
    """``group/Kind:namespace/name``."""
    sync: Sync = Sync.SYNCED
    health: Health | None = None
    message: str = ""


class ResourceResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an operation did with one object."""

    ref: str
    """``group/Kind:namespace/name``."""
    status: str
    """Synced, SyncFailed, Pruned or PruneSkipped; of a hook Running, Succeeded or Failed."""
    phase: str = "Sync"
    """PreSync, Sync, PostSync or SyncFail."""
    hook: bool = False
    message: str = ""


class OperationResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How an operation stands: one that somebody asked for, or an automated sync (``auto-`` and a digest)."""

    id: str
    phase: str
    """Running, Terminating, Succeeded, Failed, Error or Expired."""
    message: str = ""
    kind: str = "sync"
    artifact: str = ""
    """What it brings the target to."""
    started_at: str = ""
    finished_at: str = ""
    retries: int = 0
    resources: tuple[ResourceResult, ...] = ()
    """Hooks and failures first, at most 50."""


class TargetStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    target: str
    """Application name."""
    sync: Sync = Sync.UNKNOWN
    health: Health = Health.UNKNOWN
    phase: Phase = Phase.IDLE
    assigned: str = ""
    """Artifact digest of the assignment this status speaks about."""
    applied: str = ""
    """Artifact digest last applied completely."""
    ready: Ready = Ready(ready=False)
    waiting_for: tuple[str, ...] = ()
    """References (``depends-on`` texts) not satisfied yet, each with what is missing."""
    message: str = ""
    reason: str = ""
    """A FleetError's reason when phase is Failed."""
    objects: int = 0
    problems: tuple[ObjectStatus, ...] = ()
    """At most 20."""
    operation: OperationResult | None = None


class ClusterFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the agent sees of its cluster; never feeds a selector."""

    uid: str
    kube_version: str = ""
    api_versions: tuple[str, ...] = ()
    """``group/version`` and ``group/version/Kind``, sorted, as Helm's Capabilities want them."""
    agent_version: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    sequence: int
    epoch: int
    generation: int
    """The assignment the agent works on."""
    facts: ClusterFacts
    changed: tuple[TargetStatus, ...] = ()
    removed: tuple[str, ...] = ()
    """Targets that are gone from the cluster since the last report."""
    complete: bool = False
    """``changed`` is everything there is."""
    digest: str = ""
    """Of the whole status after this report."""


class ReportAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    send_all: bool = False

"""Status of a target, from what is known of its objects. It never claims more than was done.

Synced needs that the assigned artifact was applied completely and that nothing differs; an object that cannot be
judged makes it Unknown. Health is the worst of the objects that have a rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fleet.errors import FleetError
from fleet.health.result import MISSING, HealthResult, aggregate, is_ignored, is_uncounted_child
from fleet.model.assignment import Section
from fleet.model.identity import ObjectRef
from fleet.model.report import (
    Health,
    ObjectStatus,
    OperationResult,
    Phase,
    Ready,
    Sync,
    TargetStatus,
)
from fleet.sync.desired import Desired
from fleet.sync.manifest import Manifest

MAX_PROBLEMS = 20

HealthIndex = Mapping[ObjectRef, HealthResult | None]
"""Live objects by name: their health, None for kinds without a rule. Absent: not in the cluster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What the agent is doing with a target, and what came of it."""

    phase: Phase = Phase.IDLE
    applied: str = ""
    """Artifact digest last applied completely (`Inventory.applied`)."""
    ready: Ready | None = None
    """Result of the target's ready-when, for the assigned digest; None where it has none."""
    waiting_for: tuple[str, ...] = ()
    message: str = ""
    error: FleetError | None = None
    operation: OperationResult | None = None


def target_status(
    section: Section,
    desired: Desired | None,
    out_of_sync: Mapping[ObjectRef, str] | None,
    health: HealthIndex,
    progress: Progress,
) -> TargetStatus:
    """Put a target's status together; ``out_of_sync`` is what still differs (`Plan.out_of_sync`).

    None: the assigned objects are not known, or nobody could look at them.
    """
    is_known = desired is not None and out_of_sync is not None
    desired = desired or Desired(target=section.target, artifact=section.artifact)
    out_of_sync = out_of_sync or {}
    judged = {item.ref: _health_of(item, health) for item in desired.manifests if item.tracked}
    sync = sync_of(section, desired, out_of_sync, progress.applied)
    # what cannot be judged (a kind that is not served, a rule of the project) is not there either
    absent = [MISSING] * len(desired.problems)
    overall = aggregate([*judged.values(), *absent]) if section.artifact else Health.MISSING
    if not is_known:
        sync = Sync.UNKNOWN if sync is Sync.SYNCED else sync
        overall = Health.UNKNOWN
    problems = _problems(desired, out_of_sync, judged)
    error = progress.error
    return TargetStatus(
        target=section.target,
        sync=sync,
        health=overall,
        phase=progress.phase,
        assigned=section.artifact,
        applied=progress.applied,
        ready=progress.ready or _ready(sync, overall),
        waiting_for=progress.waiting_for,
        message=str(error) if error else progress.message,
        reason=error.reason if error else "",
        objects=len(judged),
        problems=problems[:MAX_PROBLEMS],
        operation=progress.operation,
    )


def sync_of(
    section: Section, desired: Desired, out_of_sync: Mapping[ObjectRef, str], applied: str
) -> Sync:
    """Decide the one word."""
    if not section.artifact or desired.problems:
        return Sync.UNKNOWN
    if out_of_sync or applied != section.artifact:
        return Sync.OUT_OF_SYNC
    return Sync.SYNCED


def _health_of(manifest: Manifest, health: HealthIndex) -> HealthResult | None:
    if is_ignored(manifest.body):
        return None
    found = health.get(manifest.ref, MISSING)
    return None if is_uncounted_child(manifest.ref.group, manifest.ref.kind, found) else found


def _ready(sync: Sync, health: Health) -> Ready:
    is_ready = sync is Sync.SYNCED and health is Health.HEALTHY
    return Ready(ready=is_ready, message="" if is_ready else f"{sync.value}, {health.value}")


def _problems(
    desired: Desired,
    out_of_sync: Mapping[ObjectRef, str],
    judged: Mapping[ObjectRef, HealthResult | None],
) -> tuple[ObjectStatus, ...]:
    """Objects that are not Synced and Healthy: what cannot be judged first, then the sickest, then by name."""
    found = [problem.status() for problem in desired.problems]
    ranks = list(Health)
    sick = {ref for ref, result in judged.items() if result and result.status is not Health.HEALTHY}

    def rank(ref: ObjectRef) -> tuple[int, ObjectRef]:
        result = judged.get(ref)
        return (-ranks.index(result.status) if result else 0), ref

    for ref in sorted(sick | set(out_of_sync), key=rank):
        result = judged.get(ref)
        found.append(
            ObjectStatus(
                ref=str(ref),
                sync=Sync.OUT_OF_SYNC if ref in out_of_sync else Sync.SYNCED,
                health=result.status if result else None,
                message=out_of_sync.get(ref) or (result.message if result else ""),
            )
        )
    return tuple(found)

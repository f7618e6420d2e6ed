"""Steps: what a plan consists of, and the sequence of what is to be done.

Place by place (phase and wave), and before each everything of the earlier ones is healthy. At one place: what leaves is
deleted, then objects are applied and hooks started kind by kind, a kind in parallel; then what was deleted has to be
gone, and hooks have to be through. The agent carries the steps out; it decides nothing that is decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from fleet.model.identity import ObjectRef
from fleet.model.report import Health
from fleet.sync import order
from fleet.sync.hooks import HookTask
from fleet.sync.manifest import CRD, Manifest
from fleet.sync.phases import SyncPhase


class Verb(StrEnum):
    """What a step does with its objects, all of them in parallel."""

    APPLY = "apply"
    WAIT_HEALTHY = "wait until healthy"
    PRUNE = "prune"
    WAIT_GONE = "wait until gone"
    START_HOOKS = "start hooks"
    WAIT_HOOKS = "wait for hooks"


class Reason(StrEnum):
    """Why an object is applied or deleted."""

    CREATE = "not there yet"
    CHANGE = "manifest changed"
    ADOPT = "not recorded yet"
    MISSING = "was deleted"
    DRIFT = "was changed by somebody else"
    LEFT = "left the artifact"
    REMOVED = "its application left the cluster"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One object to apply (with its manifest) or to delete."""

    ref: ObjectRef
    reason: Reason
    manifest: Manifest | None = None
    uid: str = ""
    """When deleting: only an object with this UID; empty = look at its tracking annotation first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Things that may happen at the same time; the next step starts when all are done."""

    verb: Verb
    phase: SyncPhase = SyncPhase.SYNC
    wave: int = 0
    changes: tuple[Change, ...] = ()
    """For apply and prune."""
    refs: tuple[ObjectRef, ...] = ()
    """For waiting."""
    hooks: tuple[HookTask, ...] = ()

    @property
    def place(self) -> order.Place:
        """Its phase and wave."""
        return self.phase.rank, self.wave

    @property
    def title(self) -> str:
        """Its phase and wave for people."""
        return f"{self.phase.value} wave {self.wave}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """One object to delete."""

    ref: ObjectRef
    wave: int
    uid: str = ""
    is_asked: bool = False
    """Its deletion was asked for already."""
    is_last: bool = False
    """It goes after everything else of the sync."""


def sequence(
    changes: Iterable[Change],
    hooks: Iterable[HookTask],
    deletions: Mapping[order.Place, Sequence[Deletion]],
    waiting: Mapping[ObjectRef, order.Place],
) -> Iterator[Step]:
    """Order what is to be done; ``waiting`` names the objects that later places wait for, with their own."""
    keyed: list[tuple[order.Key, Change | HookTask]] = [
        (change.manifest.key, change) for change in changes if change.manifest
    ]
    keyed += [(task.key, task) for task in hooks]
    groups = order.groups(keyed)
    waited = (-1, 0)
    for place in sorted(groups.keys() | deletions.keys()):
        earlier = tuple(sorted(ref for ref, at in waiting.items() if waited <= at < place))
        if earlier:
            yield _step(Verb.WAIT_HEALTHY, place, refs=earlier)
        waited = place
        yield from _stage(place, groups.get(place, []), deletions.get(place, ()))


def removal(deletions: Iterable[Deletion]) -> Iterator[Step]:
    """Order a whole removal: the highest wave first, and the next when it is gone."""
    waves: dict[int, list[Deletion]] = {}
    for deletion in deletions:
        waves.setdefault(deletion.wave, []).append(deletion)
    for wave in sorted(waves, reverse=True):
        for part in _parts(waves[wave]):
            yield from _prune((SyncPhase.SYNC.rank, wave), part, Reason.REMOVED)
            yield _gone((SyncPhase.SYNC.rank, wave), part)


def _stage(
    place: order.Place,
    groups: Sequence[Sequence[Change | HookTask]],
    deletions: Iterable[Deletion],
) -> Iterator[Step]:
    parts = list(_parts(deletions))
    if parts:
        yield from _prune(place, parts[0], Reason.LEFT)
    started: list[HookTask] = []
    for number, group in enumerate(groups):
        changes = tuple(item for item in group if isinstance(item, Change))
        tasks = tuple(item for item in group if isinstance(item, HookTask))
        if changes:
            yield _step(Verb.APPLY, place, changes=changes)
        crds = tuple(item.ref for item in changes if (item.ref.group, item.ref.kind) == CRD)
        if crds and number < len(groups) - 1:
            yield _step(Verb.WAIT_HEALTHY, place, refs=crds)
        if tasks:
            yield _step(Verb.START_HOOKS, place, hooks=tasks)
            started += tasks
    for number, part in enumerate(parts):
        if number:
            yield from _prune(place, part, Reason.LEFT)
        yield _gone(place, part)
    if started:
        yield _step(Verb.WAIT_HOOKS, place, hooks=tuple(started))


def _parts(deletions: Iterable[Deletion]) -> Iterator[list[Deletion]]:
    """CRDs and namespaces after the rest of theirs."""
    ordered = sorted(deletions, key=lambda item: order.prune_key(item.ref, item.wave))
    for late in (False, True):
        part = [item for item in ordered if order.is_late(item.ref) is late]
        if part:
            yield part


def _prune(place: order.Place, part: Sequence[Deletion], reason: Reason) -> Iterator[Step]:
    changes = tuple(
        Change(ref=item.ref, reason=reason, uid=item.uid) for item in part if not item.is_asked
    )
    if changes:
        yield _step(Verb.PRUNE, place, changes=changes)


def _gone(place: order.Place, part: Sequence[Deletion]) -> Step:
    return _step(Verb.WAIT_GONE, place, refs=tuple(item.ref for item in part))


def _step(
    verb: Verb,
    place: order.Place,
    *,
    changes: tuple[Change, ...] = (),
    refs: tuple[ObjectRef, ...] = (),
    hooks: tuple[HookTask, ...] = (),
) -> Step:
    phase = tuple(SyncPhase)[place[0]]
    return Step(verb=verb, phase=phase, wave=place[1], changes=changes, refs=refs, hooks=hooks)


@dataclass(frozen=True, slots=True)
class WaitResult:
    """How a waiting step stands: done when nothing is left; failed when waiting will not help."""

    left: tuple[ObjectRef, ...]
    failed: tuple[ObjectRef, ...] = ()

    @property
    def is_done(self) -> bool:
        """Whether the next step may start."""
        return not self.left

    @property
    def has_failed(self) -> bool:
        """Whether everything that is left is broken: as long as something is on its way, it is waited for."""
        return bool(self.left) and self.left == self.failed


def wait_healthy(step: Step, health: Mapping[ObjectRef, Health | None]) -> WaitResult:
    """Judge a WAIT_HEALTHY step: objects without a rule (None) are fine, absent ones are not there yet."""
    left, failed = [], []
    for ref in step.refs:
        status = health.get(ref, Health.MISSING)
        if status not in (None, Health.HEALTHY):
            left.append(ref)
        if status is Health.DEGRADED:
            failed.append(ref)
    return WaitResult(tuple(left), tuple(failed))

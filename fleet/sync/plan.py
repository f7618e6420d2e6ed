"""Plan: the steps from what is there to what shall be, each with its reason. Empty when nothing has to be done.

Applying goes wave by wave, within a wave kind by kind, within a kind in parallel; before a later wave everything of
the earlier ones must be healthy. Deleting comes last, in mirrored order. What differs but may not be changed is
named in ``out_of_sync``. The agent carries the steps out; it decides nothing that is decided here.

Deleting is special. It needs all of: a record in a confirmed inventory, absence from an artifact every object of
which could be read, permission, no wish to be kept, and a live object that is provably ours. And where nothing at
all would stay, explicit permission for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby

from fleet.model.identity import ObjectRef
from fleet.model.report import Health
from fleet.sync import order
from fleet.sync.desired import Desired
from fleet.sync.drift import LiveObject
from fleet.sync.inventory import Entry, Inventory
from fleet.sync.manifest import CRD, Manifest, parse_tracking_id
from fleet.sync.policy import Permission

LiveIndex = Mapping[ObjectRef, LiveObject]
"""The objects that carry our label, by name; one that is missing here is not there or does not carry it."""


class Verb(StrEnum):
    """What a step does with its objects, all of them in parallel."""

    APPLY = "apply"
    WAIT_HEALTHY = "wait until healthy"
    PRUNE = "prune"
    WAIT_GONE = "wait until gone"


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
    wave: int = 0
    changes: tuple[Change, ...] = ()
    """For apply and prune."""
    refs: tuple[ObjectRef, ...] = ()
    """For waiting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do for one target, in order, and what is known without doing anything."""

    steps: tuple[Step, ...] = ()
    out_of_sync: Mapping[ObjectRef, str] = field(default_factory=dict)
    """Every object that differs now, with the reason; what the steps repair is among them."""
    equal: tuple[tuple[Manifest, str, str], ...] = ()
    """Objects that a full comparison found as desired: give to `Inventory.found_equal`."""
    forget: tuple[ObjectRef, ...] = ()
    """Entries whose object is another's now: give to `Inventory.without`."""
    refused: str = ""
    """Why something that was permitted is not planned: a guard's text for the user."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.steps

    @property
    def leaves_differences(self) -> bool:
        """Whether something stays out of sync even when all steps succeed."""
        planned = {change.ref for step in self.steps for change in step.changes}
        return bool(self.refused) or any(ref not in planned for ref in self.out_of_sync)


def plan(
    desired: Desired,
    inventory: Inventory,
    live: LiveIndex,
    permission: Permission,
    *,
    claimed: Mapping[ObjectRef, str] | None = None,
) -> Plan:
    """Decide what to do; ``claimed`` names objects that other targets' current artifacts contain."""
    planner = _Planner(desired, inventory, live, permission, claimed or {})
    return planner.plan()


def to_compare(desired: Desired, inventory: Inventory, live: LiveIndex) -> tuple[Manifest, ...]:
    """Name the objects whose state only a full comparison tells (`fleet.sync.compare.matches`).

    Set `LiveObject.matches` for them before planning; without it they count as different.
    """
    found = []
    for manifest in desired.manifests:
        entry, there = inventory.entries.get(manifest.ref), live.get(manifest.ref)
        if there is None or there.matches is not None or not manifest.tracked:
            continue
        if entry is None or not entry.body:
            found.append(manifest)
        elif entry.body != manifest.digest:
            if not manifest.ignore.is_static:
                found.append(manifest)
        elif entry.fields != there.fields and manifest.ignore:
            found.append(manifest)
    return tuple(found)


def plan_removal(
    inventory: Inventory, live: LiveIndex, *, claimed: Mapping[ObjectRef, str] | None = None
) -> Plan:
    """Decide what to delete when a target has left the cluster, by the policy that it had.

    Custom resource definitions stay, as with Argo CD: deleting one deletes every object of its kind.
    """
    if inventory.deletion == "orphan" or not inventory.entries:
        return Plan()
    if not inventory.confirmed:
        return Plan(
            refused="its inventory was lost and rebuilt: its objects stay, delete them by hand if they should go"
        )
    entries = (e for e in inventory.entries.values() if (e.ref.group, e.ref.kind) != CRD)
    deletions, forget = _deletions(inventory, live, entries, claimed or {})
    return Plan(steps=tuple(_prune_steps(deletions, Reason.REMOVED)), forget=forget)


@dataclass(frozen=True, slots=True)
class WaitResult:
    """How a waiting step stands: done when nothing is left; failed when waiting will not help."""

    left: tuple[ObjectRef, ...]
    failed: tuple[ObjectRef, ...] = ()

    @property
    def is_done(self) -> bool:
        """Whether the next step may start."""
        return not self.left


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


class _Planner:
    """The facts of one planning."""

    def __init__(
        self,
        desired: Desired,
        inventory: Inventory,
        live: LiveIndex,
        permission: Permission,
        claimed: Mapping[ObjectRef, str],
    ) -> None:
        self._desired = desired
        self._inventory = inventory
        self._live = live
        self._permission = permission
        self._claimed = claimed
        self._is_new = inventory.applied != desired.artifact
        self._out_of_sync: dict[ObjectRef, str] = {}
        self._equal: list[tuple[Manifest, str, str]] = []

    def plan(self) -> Plan:
        changes = [change for item in self._desired.manifests if (change := self._change(item))]
        prunes, forget, refused = self._prunes()
        steps = [
            *self._apply_steps(self._with_namespaces(changes)),
            *_prune_steps(prunes, Reason.LEFT),
        ]
        return Plan(
            steps=tuple(steps),
            out_of_sync=dict(sorted(self._out_of_sync.items())),
            equal=tuple(self._equal),
            forget=forget,
            refused=refused,
        )

    def _change(self, manifest: Manifest) -> Change | None:
        """Decide about one desired object, noting what it differs in."""
        if not manifest.tracked:
            return None
        there = self._live.get(manifest.ref)
        other = self._other_owner(manifest.ref, there)
        if other:
            self._out_of_sync[manifest.ref] = f"belongs to application {other}, which has it too"
            return None
        reason = self._difference(manifest, there)
        if reason is None:
            return None
        if there is not None and there.deleting:
            self._out_of_sync[manifest.ref] = "is being deleted"
            return None
        self._out_of_sync[manifest.ref] = reason.value
        is_drift = reason in (Reason.MISSING, Reason.DRIFT) and not self._is_new
        permitted = self._permission.heal if is_drift else self._permission.apply_new
        return Change(ref=manifest.ref, reason=reason, manifest=manifest) if permitted else None

    def _difference(self, manifest: Manifest, there: LiveObject | None) -> Reason | None:
        entry = self._inventory.entries.get(manifest.ref)
        if there is None:
            return Reason.MISSING if entry and entry.body else Reason.CREATE
        if there.deleting:
            return Reason.MISSING
        if entry is None or not entry.body:
            return self._if_different(manifest, there, Reason.ADOPT)
        if entry.body != manifest.digest:
            if manifest.ignore.is_static:
                return Reason.CHANGE
            return self._if_different(manifest, there, Reason.CHANGE)
        if entry.fields == there.fields and there.matches is not False:
            return None
        return self._if_different(manifest, there, Reason.DRIFT)

    def _if_different(self, manifest: Manifest, there: LiveObject, reason: Reason) -> Reason | None:
        if there.matches:
            self._equal.append((manifest, there.fields, there.uid))
            return None
        return reason

    def _other_owner(self, ref: ObjectRef, there: LiveObject | None) -> str:
        """Name another target that both owns the live object and still wants it."""
        owner = parse_tracking_id(there.tracking) if there else None
        if owner is None or owner[0] == self._desired.target or owner[1] != ref:
            return ""
        return owner[0] if self._claimed.get(ref) == owner[0] else ""

    def _with_namespaces(self, changes: list[Change]) -> list[Change]:
        """Make sure of a CreateNamespace namespace where something in it is (re)created."""
        creating = {
            change.ref.namespace
            for change in changes
            if change.reason in (Reason.CREATE, Reason.MISSING)
        }
        extra = [
            Change(ref=item.ref, reason=Reason.CREATE, manifest=item)
            for item in self._desired.manifests
            if not item.tracked and item.ref.name in creating
        ]
        return [*extra, *changes]

    def _apply_steps(self, changes: list[Change]) -> Iterable[Step]:
        applied = {change.ref for change in changes}
        # A repair concerns only what it repairs; a new digest goes wave by wave over everything.
        waiting = {
            item.ref: item.wave
            for item in self._desired.manifests
            if item.tracked and (self._is_new or item.ref in applied)
        }
        keyed = [(change.manifest.key, change) for change in changes if change.manifest]
        waited = -(2**63)
        for wave, groups in order.batches(keyed):
            earlier = sorted(ref for ref, at in waiting.items() if waited <= at < wave)
            if earlier:
                yield Step(verb=Verb.WAIT_HEALTHY, wave=wave, refs=tuple(earlier))
            waited = wave
            for number, group in enumerate(groups):
                yield Step(verb=Verb.APPLY, wave=wave, changes=tuple(group))
                crds = tuple(item.ref for item in group if (item.ref.group, item.ref.kind) == CRD)
                if crds and number < len(groups) - 1:
                    yield Step(verb=Verb.WAIT_HEALTHY, wave=wave, refs=crds)

    def _prunes(self) -> tuple[list[_Deletion], tuple[ObjectRef, ...], str]:
        named = self._desired.refs
        leaving = [entry for ref, entry in self._inventory.entries.items() if ref not in named]
        deletions, forget = _deletions(self._inventory, self._live, leaving, self._claimed)
        for entry in leaving:
            if entry.ref in self._live and entry.ref not in forget:
                self._out_of_sync[entry.ref] = Reason.LEFT.value
        refused = self._refusal(deletions)
        if refused or not self._permission.prune:
            return [], forget, refused
        return deletions, forget, ""

    def _refusal(self, deletions: list[_Deletion]) -> str:
        if not (deletions and self._permission.prune):
            return ""
        if not self._desired.artifact:
            return "nothing is deleted without an artifact"
        if self._desired.problems:
            return "nothing is deleted while objects of the artifact cannot be applied"
        if not self._inventory.confirmed:
            return "nothing is deleted until everything was applied once: the inventory was rebuilt"
        if not self._desired.manifests and not self._permission.allow_empty:
            return (
                f"the artifact is empty and would delete all {len(deletions)} objects: "
                "set syncPolicy.automated.allowEmpty if that is meant"
            )
        return ""


_Deletion = tuple[order.Key, ObjectRef, str, bool]
"""Sort key, object, UID, and whether its deletion was asked for already."""


def _deletions(
    inventory: Inventory,
    live: LiveIndex,
    entries: Iterable[Entry],
    claimed: Mapping[ObjectRef, str],
) -> tuple[list[_Deletion], tuple[ObjectRef, ...]]:
    """Split entries into what to delete and what to forget; those that are kept or claimed are neither."""
    deletions, forget = [], []
    for entry in entries:
        there = live.get(entry.ref)
        if there is not None and not _is_ours(inventory.target, entry, there):
            forget.append(entry.ref)
        elif not entry.keep and claimed.get(entry.ref, inventory.target) == inventory.target:
            uid = there.uid if there is not None else entry.uid
            asked = there is not None and there.deleting
            deletions.append((order.prune_key(entry.ref, entry.wave), entry.ref, uid, asked))
    return deletions, tuple(sorted(forget))


def _is_ours(target: str, entry: Entry, there: LiveObject) -> bool:
    owner = parse_tracking_id(there.tracking)
    if owner is not None and owner[1] == entry.ref:
        return owner[0] == target
    return bool(entry.uid) and entry.uid == there.uid


def _prune_steps(deletions: Iterable[_Deletion], reason: Reason) -> Iterable[Step]:
    """Delete the highest wave first, CRDs and namespaces after the rest of theirs; wait after each."""
    ordered = sorted(deletions)
    for (wave, _), group in groupby(ordered, key=lambda item: (item[0][0], item[0][1] > 0)):
        found = [(ref, uid, asked) for _, ref, uid, asked in group]
        changes = tuple(
            Change(ref=ref, reason=reason, uid=uid) for ref, uid, asked in found if not asked
        )
        if changes:
            yield Step(verb=Verb.PRUNE, wave=-wave, changes=changes)
        yield Step(verb=Verb.WAIT_GONE, wave=-wave, refs=tuple(ref for ref, _, _ in found))

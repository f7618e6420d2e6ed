"""Plan: the steps from what is there to what shall be, each with its reason. Empty when nothing has to be done.

What is done is decided here, in which sequence in `fleet.sync.steps`. What differs but may not be changed is named in
``out_of_sync``.

Deleting is special. It needs all of: a record in a confirmed inventory, absence from an artifact every object of
which could be read, permission, no wish to be kept, and a live object that is provably ours. And where nothing at
all would stay, explicit permission for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from fleet.model.identity import ObjectRef
from fleet.sync import order
from fleet.sync.desired import Desired
from fleet.sync.drift import LiveObject
from fleet.sync.hooks import HookTask
from fleet.sync.inventory import Entry, Inventory
from fleet.sync.manifest import CRD, Manifest, Protection, parse_tracking_id
from fleet.sync.phases import SyncPhase
from fleet.sync.policy import Permission
from fleet.sync.protection import resolved
from fleet.sync.steps import Change, Deletion, Reason, Step, removal, sequence

LiveIndex = Mapping[ObjectRef, LiveObject]
"""The objects that carry our label, by name; one that is missing here is not there or does not carry it."""


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
    unconfirmed: tuple[ObjectRef, ...] = ()
    """What would be pruned if a person confirmed it."""
    shared: Mapping[ObjectRef, str] = field(default_factory=dict)
    """Objects that belong to another application, which has them too."""

    pruned_waves: tuple[int, ...] = ()
    """Waves of everything that the operation under way prunes, or has pruned: give to its record."""

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
    hooks: Sequence[HookTask] = (),
    prune_last: bool = False,
    confirmed: bool = False,
) -> Plan:
    """Decide what to do; ``claimed`` names objects that other targets' current artifacts contain.

    ``hooks`` are those of the operation under way that are not through; ``prune_last`` is the application's wish to
    prune after everything else; ``confirmed`` says that a person approved what asks for it.
    """
    planner = _Planner(desired, inventory, live, permission, claimed or {}, hooks)
    return planner.plan(prune_last=prune_last, confirmed=confirmed)


def plan_hooks(hooks: Sequence[HookTask]) -> Plan:
    """Decide how to run nothing but hooks."""
    return Plan(steps=tuple(sequence((), hooks, {}, {})))


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
    entries = [
        entry
        for entry in inventory.entries.values()
        if (entry.ref.group, entry.ref.kind) != CRD
        and not _is_protected(inventory, entry, live.get(entry.ref))
    ]
    deletions, forget = _deletions(inventory, live, entries, claimed or {})
    return Plan(steps=tuple(removal(deletions)), forget=forget)


def _is_protected(inventory: Inventory, entry: Entry, there: LiveObject | None) -> bool:
    """Whether an object stays when its application goes; what somebody wrote on it by hand counts most."""
    by_hand = there.deletion if there else Protection.NONE
    protection = resolved(resolved(by_hand, entry.deletion), inventory.general)
    return protection.holds(confirmed=bool(inventory.approved))


class _Planner:
    """The facts of one planning."""

    def __init__(
        self,
        desired: Desired,
        inventory: Inventory,
        live: LiveIndex,
        permission: Permission,
        claimed: Mapping[ObjectRef, str],
        hooks: Sequence[HookTask],
    ) -> None:
        self._desired = desired
        self._inventory = inventory
        self._live = live
        self._permission = permission
        self._claimed = claimed
        self._hooks = hooks
        self._is_new = inventory.applied != desired.artifact
        self._out_of_sync: dict[ObjectRef, str] = {}
        self._equal: list[tuple[Manifest, str, str]] = []
        self._unconfirmed: set[ObjectRef] = set()
        self._shared: dict[ObjectRef, str] = {}

    def plan(self, *, prune_last: bool, confirmed: bool) -> Plan:
        changes = [change for item in self._desired.manifests if (change := self._change(item))]
        prunes, forget, refused = self._prunes(confirmed=confirmed)
        changes = self._with_namespaces(changes)
        waves = self._pruned_waves(prunes)
        places = self._deletion_places(prunes, waves, is_last=prune_last)
        return Plan(
            steps=tuple(sequence(changes, self._hooks, places, self._waiting(changes))),
            out_of_sync=dict(sorted(self._out_of_sync.items())),
            equal=tuple(self._equal),
            forget=forget,
            refused=refused,
            unconfirmed=tuple(sorted(self._unconfirmed)),
            pruned_waves=waves,
            shared=self._shared,
        )

    def _change(self, manifest: Manifest) -> Change | None:
        """Decide about one desired object, noting what it differs in."""
        if not manifest.tracked:
            return self._namespace_change(manifest)
        there = self._live.get(manifest.ref)
        other = self._other_owner(manifest.ref, there)
        if other:
            self._shared[manifest.ref] = other
            self._out_of_sync[manifest.ref] = f"belongs to application {other}, which has it too"
            return None
        reason = self._difference(manifest, there)
        if reason is None:
            return None
        if there is not None and there.deleting:
            self._out_of_sync[manifest.ref] = "is being deleted"
            return None
        self._out_of_sync[manifest.ref] = reason.value
        if not self._is_permitted(manifest, reason):
            return None
        return Change(ref=manifest.ref, reason=reason, manifest=manifest)

    def _namespace_change(self, manifest: Manifest) -> Change | None:
        """Apply the metadata that an application wants on its namespace, where it is not what it applied last."""
        entry = self._inventory.entries.get(manifest.ref)
        if manifest.digest == (entry.body if entry is not None else ""):
            return None
        self._out_of_sync[manifest.ref] = "its managedNamespaceMetadata changed"
        if not self._permission.of(manifest.ref).apply_new:
            return None
        return Change(ref=manifest.ref, reason=Reason.CHANGE, manifest=manifest)

    def _is_permitted(self, manifest: Manifest, reason: Reason) -> bool:
        """Bringing back what was applied already is healing, also of an artifact that is not applied as a whole."""
        permission = self._permission.of(manifest.ref)
        is_drift = reason in (Reason.MISSING, Reason.DRIFT)
        if not self._is_new:
            return permission.heal if is_drift else permission.apply_new
        entry = self._inventory.entries.get(manifest.ref)
        was_applied = entry is not None and entry.body == manifest.digest
        return permission.apply_new or (permission.heal and is_drift and was_applied)

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
        } | {task.ref.namespace for task in self._hooks if not task.is_started}
        planned = {change.ref for change in changes}
        extra = [
            Change(ref=item.ref, reason=Reason.CREATE, manifest=item)
            for item in self._desired.manifests
            if not item.tracked and item.ref.name in creating and item.ref not in planned
        ]
        return [*extra, *changes]

    def _waiting(self, changes: Iterable[Change]) -> dict[ObjectRef, order.Place]:
        """A repair concerns only what it repairs; a new digest goes place by place over everything, as hooks do."""
        applied = {change.ref for change in changes}
        is_whole = (self._is_new or bool(self._hooks)) and self._permission.request is None
        return {
            item.ref: item.key[:2]
            for item in self._desired.manifests
            if item.tracked and (is_whole or item.ref in applied)
        }

    def _pruned_waves(self, deletions: Iterable[Deletion]) -> tuple[int, ...]:
        """Waves of all that is pruned; those of what is gone already count, or the rest would change places."""
        record = self._inventory.operation
        before = record.pruned_waves if record is not None and not record.stage.is_over else ()
        return tuple(sorted({*before, *(item.wave for item in deletions)}))

    def _deletion_places(
        self, deletions: Iterable[Deletion], pruned_waves: Iterable[int], *, is_last: bool
    ) -> dict[order.Place, list[Deletion]]:
        """Prune in mirrored waves, and what shall go last after the last wave of the sync."""
        mirror = order.mirrored(pruned_waves)
        rank = SyncPhase.SYNC.rank
        waves = [m.wave for m in self._desired.manifests if m.key[0] == rank]
        waves += [task.wave for task in self._hooks if task.phase is SyncPhase.SYNC]
        last = max((0, *waves, *mirror)) + 1
        found: dict[order.Place, list[Deletion]] = {}
        for item in deletions:
            wave = last if is_last or item.is_last else mirror[item.wave]
            found.setdefault((rank, wave), []).append(item)
        return found

    def _prunes(self, *, confirmed: bool) -> tuple[list[Deletion], tuple[ObjectRef, ...], str]:
        named = self._desired.refs | self._desired.skipped
        leaving = [entry for ref, entry in self._inventory.entries.items() if ref not in named]
        found, forget = _deletions(self._inventory, self._live, leaving, self._claimed)
        for entry in leaving:
            there = self._live.get(entry.ref)
            if there is not None and not there.extraneous and entry.ref not in forget:
                self._out_of_sync[entry.ref] = Reason.LEFT.value
        permitted = [item for item in found if self._permission.of(item.ref).prune]
        deletions = [item for item in permitted if self._may_prune(item.ref, confirmed=confirmed)]
        refused = self._refusal(deletions)
        return ([] if refused else deletions), forget, refused

    def _may_prune(self, ref: ObjectRef, *, confirmed: bool) -> bool:
        """Leave what is protected, and say by what."""
        by_hand = there.pruning if (there := self._live.get(ref)) else Protection.NONE
        own = resolved(by_hand, self._inventory.entries[ref].pruning)
        protection = resolved(own, self._desired.pruning)
        if not protection.holds(confirmed=confirmed):
            return True
        why = "and stays: Prune=false"
        if protection is Protection.CONFIRM:
            why = "and waits for confirmation: Prune=confirm"
            self._unconfirmed |= {ref} & self._live.keys()
        if ref in self._out_of_sync:
            self._out_of_sync[ref] = f"{Reason.LEFT.value}, {why}"
        return False

    def _refusal(self, deletions: list[Deletion]) -> str:
        if not deletions:
            return ""
        if not self._desired.artifact:
            return "nothing is deleted without an artifact"
        if self._desired.problems:
            return "nothing is deleted while objects of the artifact cannot be applied"
        if not self._inventory.confirmed:
            return "nothing is deleted until everything was applied once: the inventory was rebuilt"
        if self._desired.is_empty and not self._permission.allow_empty:
            return (
                f"auto-sync will wipe out all resources: the artifact is empty and would delete all "
                f"{len(deletions)} objects (set syncPolicy.automated.allowEmpty if that is meant)"
            )
        return ""


def _deletions(
    inventory: Inventory,
    live: LiveIndex,
    entries: Iterable[Entry],
    claimed: Mapping[ObjectRef, str],
) -> tuple[list[Deletion], tuple[ObjectRef, ...]]:
    """Split entries into what to delete and what to forget; those that are kept or claimed are neither."""
    deletions, forget = [], []
    for entry in entries:
        there = live.get(entry.ref)
        if there is not None and not _is_ours(inventory.target, entry, there):
            forget.append(entry.ref)
        elif not entry.keep and claimed.get(entry.ref, inventory.target) == inventory.target:
            uid = there.uid if there is not None else entry.uid
            asked = there is not None and there.deleting
            deletions.append(
                Deletion(
                    ref=entry.ref,
                    wave=entry.wave,
                    uid=uid,
                    is_asked=asked,
                    is_last=entry.prune_last,
                )
            )
    return deletions, tuple(sorted(forget))


def _is_ours(target: str, entry: Entry, there: LiveObject) -> bool:
    owner = parse_tracking_id(there.tracking)
    if owner is not None and owner[1] == entry.ref:
        return owner[0] == target
    return bool(entry.uid) and entry.uid == there.uid

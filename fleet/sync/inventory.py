"""Inventory: what this agent may delete, and what it did last, per target.

It is written *before* the objects it names are created, so that a crash never leaves an object nobody knows. An
entry leaves only when its object is proven gone or another's; survivors of failed deletions stay. The deletion
policy and the edges are in it because they are needed exactly when the assignment no longer has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput
from fleet.model.assignment import Section
from fleet.model.identity import ObjectRef
from fleet.sync import hooks
from fleet.sync.desired import Desired
from fleet.sync.drift import MANAGER, owned_fields
from fleet.sync.hooks import DeletePolicy, HookTask
from fleet.sync.manifest import (
    TRACKING_ID,
    Manifest,
    Protection,
    annotation,
    live_ref,
    metadata_of,
    parse_tracking_id,
)
from fleet.sync.options import is_pruned_last
from fleet.sync.order import wave_of
from fleet.sync.protection import deletion_in, of_deletion, of_pruning
from fleet.sync.record import OperationRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One object this target has, or is about to have."""

    ref: ObjectRef
    wave: int = 0
    body: str = ""
    """Digest of the manifest last applied; empty = not known to be applied."""
    fields: str = ""
    """Hash of the fields we owned right after it."""
    uid: str = ""
    keep: bool = False
    """Never delete it."""
    pruning: Protection = Protection.NONE
    deletion: Protection = Protection.NONE
    prune_last: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HookEntry:
    """The object of a hook that was run, or is about to be: not part of the application, and yet ours to clear away."""

    ref: ObjectRef
    policies: frozenset[DeletePolicy] = frozenset()
    held: bool = True
    """Our finalizer is on it, as far as is known."""
    unwanted: bool = False
    """It is to be deleted."""
    unanswered: bool = False
    """Its creation was asked for, and what came of that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """Everything the agent keeps about one target."""

    target: str
    cluster_uid: str
    deletion: str = "orphan"
    general: Protection = Protection.NONE
    """What the application's options say about objects when it goes."""
    approved: str = ""
    """The application's approval of deletions, as written."""
    edges: tuple[str, ...] = ()
    """Applications on this cluster that this one depends on."""
    applied: str = ""
    """Digest of the artifact last applied completely."""
    entries: Mapping[ObjectRef, Entry] = field(default_factory=dict)
    hooks: Mapping[ObjectRef, HookEntry] = field(default_factory=dict)
    """Objects of hooks."""
    farewell: str = ""
    """Hooks to run when the application leaves, as `fleet.sync.farewell` writes them: then nobody else has them."""
    operation: OperationRecord | None = None
    """The last sync."""
    answer: OperationRecord | None = None
    """The last answer to what else was asked for: a refresh, the end of an operation, one that came too late."""
    confirmed: bool = True
    """False after it was rebuilt from live objects: nothing is deleted until one complete comparison."""
    revision: int = 0
    """Grows with every change that is stored."""

    def planned(self, section: Section, desired: Desired) -> Inventory:
        """Return the inventory to store before the first object of the desired state is touched."""
        entries = dict(self.entries)
        for manifest in desired.manifests:
            known = entries.get(manifest.ref, Entry(ref=manifest.ref))
            entries[manifest.ref] = _as_wished(known, manifest)
        # What was a hook once, and is let go of, is a plain object like others from now on.
        wanted = {manifest.ref for manifest in desired.manifests}
        kept = {ref: hook for ref, hook in self.hooks.items() if hook.held or ref not in wanted}
        edges = sorted({name for edge in section.depends_on for name in edge.targets})
        return self._stored_as(
            replace(
                self,
                entries=_sorted(entries),
                hooks=kept,
                deletion=section.deletion,
                general=deletion_in(section.sync_options),
                approved=section.deletion_approved,
                edges=tuple(edges),
            )
        )

    def applied_object(self, manifest: Manifest, live: JsonObject) -> Inventory:
        """Record one successful apply; ``live`` is the answer (the whole object or its metadata)."""
        return self.applied_objects([(manifest, live)])

    def applied_objects(self, applied: Iterable[tuple[Manifest, JsonObject]]) -> Inventory:
        """Record several successful applies at once."""
        entries = dict(self.entries)
        for manifest, live in applied:
            metadata = metadata_of(live)
            entries[manifest.ref] = replace(
                _as_wished(Entry(ref=manifest.ref), manifest),
                body=manifest.digest,
                fields=owned_fields(metadata, MANAGER),
                uid=str(metadata.get("uid") or ""),
            )
        return self._stored_as(replace(self, entries=_sorted(entries)))

    def found_equal(self, manifests: Iterable[tuple[Manifest, str, str]]) -> Inventory:
        """Record (manifest, fields, uid) of objects that a full comparison found as desired."""
        entries = dict(self.entries)
        for manifest, fields, uid in manifests:
            known = entries.get(manifest.ref, Entry(ref=manifest.ref))
            entries[manifest.ref] = replace(
                _as_wished(known, manifest), body=manifest.digest, fields=fields, uid=uid
            )
        return self._stored_as(replace(self, entries=_sorted(entries)))

    def without(self, refs: Iterable[ObjectRef]) -> Inventory:
        """Forget objects that are proven gone, or another's."""
        gone = frozenset(refs)
        if not gone & self.entries.keys():
            return self
        kept = {ref: entry for ref, entry in self.entries.items() if ref not in gone}
        return self._stored_as(replace(self, entries=kept))

    def completed(self, artifact: str) -> Inventory:
        """Record that everything of an artifact is applied, which also proves the inventory complete."""
        return self._stored_as(replace(self, applied=artifact, confirmed=True))

    def has_applied(self, desired: Desired) -> bool:
        """Whether every object of the desired state was applied as it is now."""
        return not desired.problems and all(
            manifest.digest == (entry.body if (entry := self.entries.get(manifest.ref)) else "")
            for manifest in desired.manifests
            if manifest.tracked
        )

    def with_operation(self, operation: OperationRecord | None) -> Inventory:
        """Record the state of an operation."""
        return self._stored_as(replace(self, operation=operation))

    def with_answer(self, answer: OperationRecord | None) -> Inventory:
        """Record an answer."""
        return self._stored_as(replace(self, answer=answer))

    def with_farewell(self, text: str) -> Inventory:
        """Keep the hooks to run when the application leaves."""
        return self._stored_as(replace(self, farewell=text))

    def starting_hooks(self, tasks: Iterable[HookTask]) -> Inventory:
        """Record hooks that are about to be created; what they were before as plain objects is nobody's any more."""
        fresh = {
            task.ref: HookEntry(ref=task.ref, policies=task.hook.policies, unanswered=True)
            for task in tasks
        }
        found = {**self.hooks, **fresh}
        entries = {ref: entry for ref, entry in self.entries.items() if ref not in fresh}
        return self._stored_as(replace(self, hooks=dict(sorted(found.items())), entries=entries))

    def unanswered(self) -> Iterator[ObjectRef]:
        """Objects that may have been asked for, and of which nobody knows whether they came to be."""
        yield from (ref for ref, entry in self.entries.items() if not (entry.body or entry.uid))
        yield from (ref for ref, hook in self.hooks.items() if hook.unanswered)

    def answered_hook(self, ref: ObjectRef) -> Inventory:
        """Record that it is known whether a hook's object was created."""
        entry = self.hooks.get(ref)
        if entry is None or not entry.unanswered:
            return self
        return self.with_hooks([replace(entry, unanswered=False)])

    def with_hooks(self, changed: Iterable[HookEntry], gone: Iterable[ObjectRef] = ()) -> Inventory:
        """Record what became of hooks' objects."""
        found = {**self.hooks, **{entry.ref: entry for entry in changed}}
        for ref in gone:
            found.pop(ref, None)
        return self._stored_as(replace(self, hooks=found))

    def _stored_as(self, changed: Inventory) -> Inventory:
        return self if changed == self else replace(changed, revision=self.revision + 1)


def _as_wished(entry: Entry, manifest: Manifest) -> Entry:
    """Note what a manifest says about the end of its object."""
    return replace(
        entry,
        wave=manifest.wave,
        keep=manifest.keep,
        pruning=manifest.pruning,
        deletion=manifest.deletion,
        prune_last=manifest.prune_last,
    )


def _sorted(entries: Mapping[ObjectRef, Entry]) -> dict[ObjectRef, Entry]:
    return dict(sorted(entries.items()))


def rebuild(target: str, cluster_uid: str, live: Iterable[JsonObject]) -> Inventory:
    """Make a lost inventory from the objects that carry our marks for this target.

    Copied annotations (an id that names another object) do not count. The result is not confirmed, and its
    deletion policy is to keep everything, until the assignment says otherwise.
    """
    entries: dict[ObjectRef, Entry] = {}
    found: dict[ObjectRef, HookEntry] = {}
    for body in live:
        owner = parse_tracking_id(annotation(body, TRACKING_ID))
        try:
            ref = live_ref(body)
        except BadInput:
            continue
        if owner != (target, ref):
            continue
        if annotation(body, hooks.RUN):
            found[ref] = HookEntry(ref=ref, policies=hooks.policies_of(body))
            continue
        entries[ref] = Entry(
            ref=ref,
            wave=_wave(body),
            pruning=of_pruning(body),
            deletion=of_deletion(body),
            prune_last=is_pruned_last(body),
            uid=_uid(body),
        )
    return Inventory(
        target=target,
        cluster_uid=cluster_uid,
        entries=_sorted(entries),
        hooks=dict(sorted(found.items())),
        confirmed=False,
    )


def owners(live: Iterable[JsonObject]) -> dict[str, list[JsonObject]]:
    """Group live objects by the application that their tracking annotation names."""
    found: dict[str, list[JsonObject]] = {}
    for body in live:
        owner = parse_tracking_id(annotation(body, TRACKING_ID))
        if owner:
            found.setdefault(owner[0], []).append(body)
    return found


def _wave(body: JsonObject) -> int:
    try:
        return wave_of(body)
    except BadInput:
        return 0


def _uid(body: JsonObject) -> str:
    return str(metadata_of(body).get("uid") or "")

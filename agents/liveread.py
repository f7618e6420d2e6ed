"""What people may ask of one target: how it differs, its manifests, its objects. Reads and dry runs only.

Secrets are masked here, before anything leaves the cluster. Nothing is kept, and nothing that a run of the target
decides by is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from agents import comparisons
from agents.apply import Applier, together
from agents.assignment import Assignment
from agents.children import children
from agents.comparisons import Comparisons
from agents.desired import DesiredStates
from agents.inventory import Inventories
from agents.live import LiveTable
from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput, FleetError
from fleet.health.result import HealthResult
from fleet.kube.port import ClusterPort
from fleet.model.assignment import Section
from fleet.model.identity import ObjectRef
from fleet.model.report import Sync
from fleet.sync.compare import normal, stored
from fleet.sync.desired import Desired
from fleet.sync.diff import changed_paths, unified
from fleet.sync.manifest import Manifest
from fleet.sync.masking import masked
from fleet.sync.plan import plan
from fleet.sync.policy import NOTHING, permission
from fleet.wire.appdiff import AppDiff, ObjectDiff, ObjectNote, ResourceRow


@dataclass(kw_only=True)
class LiveReader:
    """Reads for people, of the targets of the current assignment."""

    cluster: ClusterPort
    assignment: Callable[[], Assignment | None]
    states: DesiredStates
    inventories: Inventories
    table: LiveTable
    applier: Applier
    """With few calls at a time of its own: a run of a target never waits behind a person's question."""
    comparisons: Comparisons
    """What runs of targets found out."""
    examiner: Comparisons
    """For what has to be found out now; it goes by the applier here."""

    async def diff(self, target: str, refs: tuple[ObjectRef, ...] | None = None) -> AppDiff:
        """Say how what is there differs from what a sync would make of it; ``refs``: of these objects only."""
        section = self._section(target)
        desired = self.states.full(section, await self.cluster.discovery())
        _check_known(refs, [*desired.refs, *self.inventories.of(target).entries])
        manifests = [
            item for item in desired.manifests if item.tracked and _is_asked(item.ref, refs)
        ]
        live = await self._live(manifests)
        found: list[ObjectDiff | ObjectNote | None] = list(
            await together(self._object(item, live.get(item.ref), section) for item in manifests)
        )
        found += await self._extra(section, desired, refs)
        found += [
            _note(problem.ref, problem.error)
            for problem in desired.problems
            if _is_asked(problem.ref, refs)
        ]
        return AppDiff(
            target=target,
            artifact=section.artifact,
            objects=tuple(
                sorted((i for i in found if isinstance(i, ObjectDiff)), key=lambda i: i.ref)
            ),
            problems=tuple(
                sorted((i for i in found if isinstance(i, ObjectNote)), key=lambda i: i.ref)
            ),
        )

    async def manifests(self, target: str, *, live: bool) -> list[JsonObject]:
        """Return what git says (with our marks), or the objects as they live; Secrets masked, sorted as applied."""
        section = self._section(target)
        desired = self.states.full(section, await self.cluster.discovery())
        # A namespace that is made because there was none is not the application's.
        manifests = [item for item in desired.manifests if item.tracked]
        if not live:
            return [masked(item.body) for item in manifests]
        bodies = await self._live(manifests)
        return [
            masked(_without_managers(bodies[item.ref])) for item in manifests if item.ref in bodies
        ]

    async def resources(self, target: str) -> list[ResourceRow]:
        """Return the objects of the target, and those that controllers made for them, parents first."""
        section = self._section(target)
        discovery = await self.cluster.discovery()
        desired = self.states.light(section, discovery)
        rows = self._rows(desired)
        roots = {
            ref: seen.live.uid
            for ref in desired.refs
            if (seen := self.table.get(ref)) is not None and seen.live.uid
        }
        for child in await children(self.cluster, discovery, roots):
            result = child.health
            rows.append(
                ResourceRow(
                    ref=str(child.ref),
                    parent=str(child.parent),
                    health=result.status.value if result else "",
                    message=result.message if result else "",
                    created=child.created,
                )
            )
        return rows

    def _section(self, target: str) -> Section:
        assignment = self.assignment()
        section = assignment.sections.get(target) if assignment is not None else None
        if section is None:
            raise BadInput(f"application {target!r} is not assigned to this cluster")
        return section

    async def _live(self, manifests: Collection[Manifest]) -> dict[ObjectRef, JsonObject]:
        """Read objects whole, also those that carry no mark of ours yet."""
        found = await self.applier.whole_as(manifests)
        missing = [item for item in manifests if item.ref not in found]
        return {**found, **await self.applier.whole_as(missing, singly=True)}

    async def _object(
        self, manifest: Manifest, live: JsonObject | None, section: Section
    ) -> ObjectDiff | ObjectNote | None:
        if live is None:
            body = stored(manifest.body)
            return ObjectDiff(
                ref=str(manifest.ref), change="added", diff=unified(None, body), predicted=False
            )
        try:
            found = await self.examiner.examine(manifest, live, comparisons.manner_of(section))
        except BadInput as error:
            return _note(manifest.ref, error)
        if found.is_same:
            return None
        before, after = normal(found.before), normal(found.after)
        return ObjectDiff(
            ref=str(manifest.ref),
            change="changed",
            paths=changed_paths(*found.counted()),
            diff=unified(before, after),
            predicted=found.by_server,
        )

    async def _extra(
        self, section: Section, desired: Desired, refs: tuple[ObjectRef, ...] | None
    ) -> list[ObjectDiff | ObjectNote | None]:
        """Name the objects that left the artifact and are still there."""
        inventory = self.inventories.of(section.target)
        left = [
            ref for ref in inventory.entries if ref not in desired.refs and _is_asked(ref, refs)
        ]
        live = await self.applier.whole(left)
        prune = permission(section).prune
        return [
            ObjectDiff(
                ref=str(ref),
                change="removed",
                diff=unified(normal(body), None),
                note=_stays(keep=inventory.entries[ref].keep, prune=prune),
            )
            for ref, body in live.items()
        ]

    def _rows(self, desired: Desired) -> list[ResourceRow]:
        inventory = self.inventories.of(desired.target)
        live = self.comparisons.live(desired, inventory)
        differs = plan(desired, inventory, live, NOTHING).out_of_sync
        refs = [item.ref for item in desired.manifests if item.tracked]
        refs += sorted(ref for ref in inventory.entries if ref not in desired.refs and ref in live)
        health = self.table.health(refs)
        waves = {item.ref: item.wave for item in desired.manifests}
        rows = [_row(ref, differs, health, waves.get(ref, 0)) for ref in refs]
        rows += [
            ResourceRow(
                ref=str(problem.ref), sync=Sync.UNKNOWN.value, message=problem.error.message
            )
            for problem in desired.problems
        ]
        return rows


def _row(
    ref: ObjectRef,
    differs: Mapping[ObjectRef, str],
    health: Mapping[ObjectRef, HealthResult | None],
    wave: int,
) -> ResourceRow:
    result = health.get(ref)
    state = "" if result is None else result.status.value
    return ResourceRow(
        ref=str(ref),
        sync=(Sync.OUT_OF_SYNC if ref in differs else Sync.SYNCED).value,
        health=state if ref in health else "Missing",
        message=differs.get(ref) or (result.message if result else ""),
        wave=wave,
    )


def _is_asked(ref: ObjectRef, refs: Iterable[ObjectRef] | None) -> bool:
    return refs is None or any(_means(wanted, ref) for wanted in refs)


def _means(wanted: ObjectRef, ref: ObjectRef) -> bool:
    """Whether a person means an object: where no namespace is said, in any."""
    return wanted == (ref if wanted.namespace else replace(ref, namespace=""))


def _check_known(refs: Iterable[ObjectRef] | None, known: Collection[ObjectRef]) -> None:
    """An object that the application does not have is a mistake, and not one without differences."""
    for wanted in refs or ():
        if not any(_means(wanted, ref) for ref in known):
            raise BadInput(f"the application has no object {wanted}")


def _note(ref: ObjectRef, error: FleetError) -> ObjectNote:
    return ObjectNote(ref=str(ref), reason=error.reason, message=error.message)


def _stays(*, keep: bool, prune: bool) -> str:
    if keep:
        return "it is never pruned, as its author wishes"
    return "" if prune else "it stays until a sync that prunes"


def _without_managers(body: JsonObject) -> JsonObject:
    metadata = {key: value for key, value in body["metadata"].items() if key != "managedFields"}
    return {**body, "metadata": metadata}

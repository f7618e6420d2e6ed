"""Compares the targets of a fleet at two revisions: their Applications and, rendered, their manifests.

Only what may differ is rendered (`fleet.cli.inputs`), and of two renders with equal inputs the second is found, not made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from msgspec import structs

from fleet import guard
from fleet.argo.children import GROUP, RETURNING
from fleet.argo.reading import Problem
from fleet.cli.checkout import Side
from fleet.cli.foresight import InForce, hold
from fleet.cli.inputs import Inputs
from fleet.cli.manifests import Manifests, NotHere, Rendered, Sources, failure, sources_of
from fleet.cli.objectdiffs import by_reference, compare
from fleet.codec.equality import same
from fleet.codec.jsontypes import JsonObject
from fleet.codec.redaction import redact
from fleet.errors import FleetError
from fleet.model.application import Application, Deletion
from fleet.model.identity import AppName, ClusterName, TargetId
from fleet.sync.diff import unified
from fleet.wire.difference import ApplicationChange, HeldChange, ObjectChange


@dataclass(slots=True, kw_only=True)
class Findings:
    """What is found on the way."""

    applications: list[ApplicationChange] = field(default_factory=list)
    held: list[HeldChange] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Revision:
    """One of the two revisions: its files, and what is in force there."""

    side: Side
    in_force: InForce

    def application(self, id_: TargetId) -> Application | None:
        """What a target runs."""
        target = self.in_force.targets.get(id_)
        return target.application if target else None

    async def sources(self, application: Application | None) -> Sources:
        """Find the commits of all sources."""
        return await sources_of(application, self.side)


class Comparison:
    """Compares targets; without ``manifests`` Applications alone."""

    def __init__(
        self, base: Revision, head: Revision, findings: Findings, manifests: Manifests | None
    ) -> None:
        self._base, self._head = base, head
        self._findings = findings
        self._manifests = manifests
        self._inputs = Inputs(base.side, head.side, manifests or Manifests(head.side))
        clusters = head.in_force.check.world.clusters
        self._clusters = {cluster.name for cluster in clusters}
        self._own = {cluster.name for cluster in clusters if cluster.management}

    async def run(self) -> None:
        """Compare all targets of both revisions."""
        ids = sorted(self._base.in_force.targets.keys() | self._head.in_force.targets.keys())
        found = await asyncio.gather(*(self._target(id_) for id_ in ids))
        changes = [item for item in found if item is not None]
        own = {
            (parent, item.name)
            for item in changes
            if item.document
            for parent in self._bringing(TargetId(ClusterName(item.cluster), AppName(item.name)))
        }
        changes = _once(changes, own)
        self._findings.applications += changes
        self._findings.held.sort(key=lambda item: item.subject)
        self._findings.unchecked.sort()

    def _bringing(self, id_: TargetId) -> set[AppName]:
        """Name the Applications that bring one at either revision."""
        either = (self._base.application(id_), self._head.application(id_))
        return {item.parents[-1] for item in either if item is not None and item.parents}

    async def _target(self, id_: TargetId) -> ApplicationChange | None:
        old, new = self._base.application(id_), self._head.application(id_)
        shown = _shown(old), _shown(new)
        document = "" if same(*shown) else unified(*shown)  # writing YAML is slow
        old_sources, new_sources = await self._base.sources(old), await self._head.sources(new)
        objects: tuple[ObjectChange, ...] = ()
        unchecked = "not asked for"
        unmoved = new if old is not None and not document else None
        if unmoved is not None and await self._inputs.same(unmoved, old_sources, new_sources):
            return None
        stays = "" if new is not None or old is None else self._why_it_stays(id_, old)
        if stays:
            unchecked = ""
        elif self._manifests:
            objects, unchecked = await self._objects(id_, (old, old_sources), (new, new_sources))
        if unmoved is not None and not objects:
            if unchecked and self._manifests:
                self._findings.unchecked.append(f"manifests of {id_}: {unchecked}")
            return None
        either = new or old
        assert either is not None
        return ApplicationChange(
            cluster=id_.cluster,
            name=id_.app,
            set=either.appset,
            change="added" if old is None else "removed" if new is None else "changed",
            document=document,
            objects=objects,
            unchecked=redact(unchecked),
            stays=stays,
            parents=either.parents,
            remark=self._remark(either),
        )

    def _why_it_stays(self, id_: TargetId, application: Application) -> str:
        if id_.cluster not in self._clusters:
            return "its cluster leaves the fleet; everything on it stays"
        if application.deletion is Deletion.ORPHAN:
            return "it has no resources finalizer; its objects stay"
        return ""

    def _remark(self, application: Application) -> str:
        """Say what keeps a change of a child, or of a parent's children, from coming into force by itself."""
        for name in application.parents:
            parent = self._head.in_force.applications.get(name)
            if parent is not None and parent.sync_policy.automated is None:
                return f"comes with a sync of application {name}, which is not automated"
        bringing = self._head.in_force.brought.get(application.name)
        if bringing is not None and bringing.choice.extra:
            names = ", ".join(bringing.choice.extra)
            return f"it does not prune, so what it no longer renders stays in the fleet: {names}"
        return ""

    async def _objects(
        self,
        id_: TargetId,
        old: tuple[Application | None, Sources],
        new: tuple[Application | None, Sources],
    ) -> tuple[tuple[ObjectChange, ...], str]:
        """Return what differs in the manifests, or why that is not known."""
        try:
            after = await self._render(*new)
        except NotHere as lacking:
            return (), str(lacking)
        except FleetError as error:
            assert new[0] is not None
            self._findings.problems.append(failure(error, id_, new[0]))
            return (), f"they cannot be rendered: {error.message}"
        try:
            before = await self._render(*old)
        except NotHere as lacking:
            return (), str(lacking)
        except FleetError as error:
            return (), f"they could not be rendered at the first revision: {error.message}"
        if before and after:
            self._judge(id_, before, after, new[0])
            if before.rendering.artifact == after.rendering.artifact:
                return (), ""
        return compare(
            by_reference(before.objects if before else ()),
            by_reference(after.objects if after else ()),
        ), ""

    async def _render(self, application: Application | None, sources: Sources) -> Rendered | None:
        if application is None or self._manifests is None:
            return None
        return await self._manifests.render(application, sources)

    def _judge(
        self, id_: TargetId, before: Rendered, after: Rendered, application: Application | None
    ) -> None:
        """Judge the objects of one target; documents that it brings to the fleet are judged with the rows of sets."""
        automated = application.sync_policy.automated if application else None
        kinds = (before.rendering.kinds, after.rendering.kinds)
        if id_.cluster in self._own:
            kinds = (_without_children(kinds[0]), _without_children(kinds[1]))
        verdict = guard.judge_objects(
            *kinds,
            allow_empty=bool(automated and automated.allow_empty),
            what=f"application {id_.app!r} on {id_.cluster}",
        )
        if verdict.held:
            self._findings.held.append(hold(f"app/{id_}", verdict))


def _once(
    changes: Iterable[ApplicationChange], own: Collection[tuple[str, str]]
) -> list[ApplicationChange]:
    """Leave out of parents' objects the Applications that have a line of their own: each change is read once."""
    found = []
    for item in changes:
        left = tuple(each for each in item.objects if (item.name, _child(each.ref)) not in own)
        if left or not item.objects or item.document or item.remark:
            found.append(structs.replace(item, objects=left))
    return found


def _child(ref: str) -> str:
    """The name of an Application that an object's reference means, or ""."""
    kind, _, place = ref.partition(" ")
    return place.rpartition("/")[2] if kind == f"Application.{GROUP}" else ""


def _without_children(kinds: Mapping[str, int]) -> dict[str, int]:
    return {kind: count for kind, count in kinds.items() if kind not in RETURNING}


def _shown(application: Application | None) -> JsonObject | None:
    """What people wrote of an Application."""
    if application is None:
        return None
    document = application.document
    return {key: document[key] for key in ("metadata", "spec") if key in document}

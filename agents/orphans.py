"""Orphans: objects in an application's namespace that nothing tracks, where its project wants to be warned of them.

Looked for now and then, by lists of metadata alone, once for all applications of a namespace; nothing is kept but the
first names and how many there are. Left out is what Argo CD leaves out: what has an owner, what the project does not
permit, what it says to ignore, and what every namespace has. Source: argo.md 2.9.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable
from datetime import timedelta

from agents.assignment import Assignment
from fleet.argo.globs import matches_glob
from fleet.argo.permissions import permits_object
from fleet.codec.jsontypes import JsonObject
from fleet.errors import Denied, FleetError
from fleet.kube.errors import NotFound
from fleet.kube.port import ClusterPort, Resource
from fleet.model.assignment import KindPattern, ProjectRules, Section
from fleet.model.identity import ObjectRef
from fleet.runtime.clock import Clock
from fleet.sync.manifest import OWNED_LABEL, OWNED_VALUE, label, metadata_of

_SOON = timedelta(seconds=30)
_SHOWN = 5
_GROUPS_OUT = frozenset(("events.k8s.io", "metrics.k8s.io"))
_KINDS_OUT = frozenset(
    (("", "Event"), ("", "Endpoints"), ("coordination.k8s.io", "Lease"), ("", "PodTemplate"))
)
_EVERYWHERE = frozenset(
    (
        ("", "ServiceAccount", "default"),
        ("", "ConfigMap", "kube-root-ca.crt"),
        ("", "Service", "kubernetes"),
    )
)


class Orphans:
    """What was found lately, by application."""

    def __init__(
        self,
        cluster: ClusterPort,
        clock: Clock,
        assignment: Callable[[], Assignment | None],
        *,
        every: timedelta,
    ) -> None:
        self._cluster = cluster
        self._clock = clock
        self._assignment = assignment
        self._every = every
        self._found: dict[str, str] = {}
        self._listeners: list[Callable[[str], None]] = []

    def listen(self, listener: Callable[[str], None]) -> None:
        """Be told the application of which something else is to be said."""
        self._listeners.append(listener)

    def warning(self, target: str) -> str:
        """What is to be said of an application; empty where it has no orphans."""
        return self._found.get(target, "")

    async def run(self) -> None:
        """Look now and then."""
        await self._clock.sleep(min(_SOON, self._every).total_seconds())
        while True:
            await self.look()
            await self._clock.sleep(self._every.total_seconds())

    async def look(self) -> None:
        """Look at the namespaces of all applications whose projects ask for it."""
        assignment = self._assignment()
        sections = assignment.sections.values() if assignment is not None else ()
        wanted = [s for s in sections if s.project.orphans is not None and s.namespace]
        self._forget({section.target for section in wanted})
        for namespace in sorted({section.namespace for section in wanted}):
            try:
                refs = [ref async for ref in self._untracked(namespace)]
            except FleetError:
                continue  # what was found before stands; it is looked again
            for section in wanted:
                if section.namespace == namespace:
                    self._note(section.target, told(orphans_of(section, refs)))

    async def _untracked(self, namespace: str) -> AsyncIterator[ObjectRef]:
        discovery = await self._cluster.discovery()
        kinds = {(item.group, item.kind): item for item in reversed(discovery.resources)}
        for _, resource in sorted(kinds.items()):
            if not _is_looked_at(resource):
                continue
            try:
                async for page in self._cluster.pages(
                    resource, namespace=namespace, metadata_only=True
                ):
                    for item in page.items:
                        if _is_untracked(item):
                            name = str(item["metadata"]["name"])
                            yield ObjectRef(resource.group, resource.kind, namespace, name)
            except (Denied, NotFound):
                continue  # not ours to see, or not served any more

    def _note(self, target: str, text: str) -> None:
        if self._found.get(target, "") == text:
            return
        if text:
            self._found[target] = text
        else:
            del self._found[target]
        for listener in self._listeners:
            listener(target)

    def _forget(self, present: Collection[str]) -> None:
        for target in self._found.keys() - set(present):
            self._note(target, "")


def orphans_of(section: Section, untracked: Iterable[ObjectRef]) -> list[ObjectRef]:
    """Choose, of what nothing tracks in its namespace, what an application is warned of."""
    return sorted(
        ref
        for ref in untracked
        if (ref.group, ref.kind, ref.name) not in _EVERYWHERE
        and _is_permitted(section.project, ref)
        and not any(_covers(rule, ref) for rule in section.project.orphans or ())
    )


def told(orphans: Collection[ObjectRef]) -> str:
    """Say it as Argo CD's OrphanedResourceWarning does, with the first names."""
    if not orphans:
        return ""
    names = [f"{ref.kind} {ref.name}" for ref in sorted(orphans)[:_SHOWN]]
    more = f" and {len(orphans) - _SHOWN} more" if len(orphans) > _SHOWN else ""
    noun = "resource" if len(orphans) == 1 else "resources"
    return f"OrphanedResourceWarning: {len(orphans)} orphaned {noun}: {', '.join(names)}{more}"


def _is_looked_at(resource: Resource) -> bool:
    return (
        resource.namespaced
        and "list" in resource.verbs
        and resource.group not in _GROUPS_OUT
        and (resource.group, resource.kind) not in _KINDS_OUT
    )


def _is_untracked(item: JsonObject) -> bool:
    return label(item, OWNED_LABEL) != OWNED_VALUE and not metadata_of(item).get("ownerReferences")


def _is_permitted(rules: ProjectRules, ref: ObjectRef) -> bool:
    return permits_object(
        rules,
        group=ref.group,
        kind=ref.kind,
        name=ref.name,
        namespace=ref.namespace,
        namespaced=True,
    )


def _covers(rule: KindPattern, ref: ObjectRef) -> bool:
    """An empty pattern is any."""
    pairs = ((rule.group, ref.group), (rule.kind, ref.kind), (rule.name, ref.name))
    return all(not pattern or matches_glob(pattern, word) for pattern, word in pairs)

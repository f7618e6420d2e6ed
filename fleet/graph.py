"""The dependency graph over targets: references become edges, cycles are named and block only their members.

An edge points from a dependent to what it needs. Rules (design decision 9): ``NAME``, ``set/NAME`` and
``label/KEY=VALUE`` look at the dependent's own cluster, ``cluster/CLUSTER/NAME`` at another; an existing set
without targets on the cluster is satisfied and said so; an unknown name or set, or a label that matches
nothing, blocks unless the reference ends in ``?``. Nothing here knows what is ready: `fleet.moves` decides
cross-cluster edges and the agent decides the others.

The only importer of networkx, which costs 11 MB: it is imported when there is a first cycle.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from fleet.codec.identity import has_same_keys, renewed
from fleet.model.application import Application
from fleet.model.identity import AppName, ClusterName, TargetId
from fleet.model.target import Edge, Reference, ReferenceKind, Target

if TYPE_CHECKING:
    import networkx as nx


@dataclass(slots=True)
class _Index:
    """Targets by what references ask for."""

    targets: Mapping[TargetId, Target]
    appsets: Set[str]
    asked: Set[str]
    """Labels (``KEY=VALUE``) and sets that a reference names."""
    clusters_of: dict[AppName, list[ClusterName]] = field(default_factory=lambda: defaultdict(list))
    by_set: dict[tuple[ClusterName, str], list[TargetId]] = field(
        default_factory=lambda: defaultdict(list)
    )
    by_label: dict[tuple[ClusterName, str], list[TargetId]] = field(
        default_factory=lambda: defaultdict(list)
    )

    @classmethod
    def build(
        cls, targets: Mapping[TargetId, Target], appsets: Set[str], asked: Set[str]
    ) -> _Index:
        index = cls(targets, appsets, asked)
        for id_ in sorted(targets):
            application = targets[id_].application
            index.clusters_of[id_.app].append(id_.cluster)
            if application.appset in asked:
                index.by_set[id_.cluster, application.appset].append(id_)
            for label in _labels(application, asked):
                index.by_label[id_.cluster, label].append(id_)
        return index


def _labels(application: Application, asked: Set[str]) -> list[str]:
    if not asked:
        return []
    texts = (f"{key}={value}" for key, value in application.labels.items())
    return [text for text in texts if text in asked]


_References: TypeAlias = Mapping[TargetId, tuple[Reference, ...]]


class KeptEdges:
    """What `resolve_edges` found, for the next time; the references of a target that is the same object are the same.

    An edge depends on which targets there are, on their sets and on those of their labels that a reference asks for.
    While these stay, no edge is resolved again, whatever else of a target is different.
    """

    def __init__(self) -> None:
        self._targets: Mapping[TargetId, Target] = {}
        self._references: _References = {}
        self._appsets: Set[str] = frozenset()
        self._asked: Set[str] = frozenset()
        self._resolved: Mapping[TargetId, Target] = {}

    def resolve(
        self, targets: Mapping[TargetId, Target], references: _References, appsets: Set[str]
    ) -> Mapping[TargetId, Target]:
        """Return what `resolve_edges` does."""
        changed = renewed(targets, self._targets)
        if not self._is_alike(targets, references, appsets, changed):
            self._asked = frozenset(
                reference.name
                for items in references.values()
                for reference in items
                if reference.kind in (ReferenceKind.SET, ReferenceKind.LABEL)
            )
            self._resolved = _resolved(targets, references, appsets, self._asked)
        elif changed:
            edges = {id_: self._resolved[id_].edges for id_ in changed}
            self._resolved = {**self._resolved} | {
                id_: replace(targets[id_], edges=edges[id_]) if edges[id_] else targets[id_]
                for id_ in changed
            }
        self._targets, self._references, self._appsets = targets, references, frozenset(appsets)
        return self._resolved

    def _is_alike(
        self,
        targets: Mapping[TargetId, Target],
        references: _References,
        appsets: Set[str],
        changed: list[TargetId],
    ) -> bool:
        return (
            has_same_keys(targets, self._targets, changed)
            and appsets == self._appsets
            and all(references.get(id_) == self._references.get(id_) for id_ in changed)
            and all(self._says(targets[id_]) == self._says(self._targets[id_]) for id_ in changed)
        )

    def _says(self, target: Target) -> object:
        application = target.application
        return application.appset, sorted(_labels(application, self._asked))


def resolve_edges(
    targets: Mapping[TargetId, Target],
    references: _References,
    *,
    appsets: Set[str],
    kept: KeptEdges | None = None,
) -> Mapping[TargetId, Target]:
    """Give every target its edges; members of a cycle get edges that are blocked with the cycle's name.

    With the same ``kept`` every time, only what changed costs anything; the result is equal.
    """
    return (kept or KeptEdges()).resolve(targets, references, appsets)


def _resolved(
    targets: Mapping[TargetId, Target], references: _References, appsets: Set[str], asked: Set[str]
) -> dict[TargetId, Target]:
    dependent = {id_: items for id_, items in references.items() if items}
    if not dependent:
        return dict(targets)
    index = _Index.build(targets, appsets, asked)
    resolved = {
        id_: replace(target, edges=tuple(_resolve(item, id_, index) for item in dependent[id_]))
        if id_ in dependent
        else target
        for id_, target in targets.items()
    }
    for cycle in find_cycles(resolved.values()):
        text = "dependency cycle: " + " -> ".join(str(id_) for id_ in (*cycle.path, cycle.path[0]))
        for id_ in cycle.members:
            edges = tuple(
                replace(edge, blocked=text) if cycle.members & set(edge.targets) else edge
                for edge in resolved[id_].edges
            )
            resolved[id_] = replace(resolved[id_], edges=edges)
    return resolved


@dataclass(frozen=True, slots=True)
class Cycle:
    """Targets that wait for each other: one way round, and all members of the knot."""

    path: tuple[TargetId, ...]
    members: frozenset[TargetId]


def find_cycles(targets: Iterable[Target]) -> tuple[Cycle, ...]:
    """Find every knot of the graph, sorted by its smallest member."""
    known = _unpeelable([target for target in targets if target.edges])
    if not known:
        return ()
    import networkx as nx

    graph = _digraph(known)
    cycles = []
    for component in nx.strongly_connected_components(graph):
        if len(component) == 1 and not any(graph.has_edge(id_, id_) for id_ in component):
            continue
        start = min(component)
        path = [edge[0] for edge in nx.find_cycle(graph.subgraph(component), source=start)]
        cycles.append(Cycle(tuple(path), frozenset(component)))
    return tuple(sorted(cycles, key=lambda cycle: min(cycle.members)))


def _unpeelable(targets: list[Target]) -> list[Target]:
    """Take away what needs nothing but what was taken away: every cycle is in the rest, which is mostly empty."""
    waiting = {target.id: 0 for target in targets}
    users: dict[TargetId, list[TargetId]] = defaultdict(list)
    for target in targets:
        for edge in target.edges:
            for needed in edge.targets:
                if needed in waiting:
                    waiting[target.id] += 1
                    users[needed].append(target.id)
    free = [id_ for id_, count in waiting.items() if not count]
    while free:
        id_ = free.pop()
        del waiting[id_]
        for user in users[id_]:
            waiting[user] -= 1
            if not waiting[user]:
                free.append(user)
    return [target for target in targets if target.id in waiting]


def levels(targets: Iterable[Target]) -> dict[TargetId, int]:
    """Depth of each target: 0 needs nothing; members of a cycle and what needs them are left out."""
    known = {target.id: target for target in targets}
    users: dict[TargetId, list[TargetId]] = defaultdict(list)
    waiting: dict[TargetId, int] = {}
    for id_, target in known.items():
        needed = {other for edge in target.edges for other in edge.targets if other in known}
        waiting[id_] = len(needed)
        for other in needed:
            users[other].append(id_)
    depth = {id_: 0 for id_, count in waiting.items() if not count}
    free = [*depth]
    for id_ in free:  # it grows
        for user in users[id_]:
            waiting[user] -= 1
            if not waiting[user]:
                depth[user] = depth[id_] + 1
                free.append(user)
    return depth


def _digraph(targets: Iterable[Target]) -> nx.DiGraph[TargetId]:
    import networkx as nx

    graph: nx.DiGraph[TargetId] = nx.DiGraph()
    for target in sorted(targets, key=lambda target: target.id):
        graph.add_node(target.id)
        for edge in target.edges:
            graph.add_edges_from((target.id, dependency) for dependency in edge.targets)
    return graph


def _resolve(reference: Reference, dependent: TargetId, index: _Index) -> Edge:
    match reference.kind:
        case ReferenceKind.NAME:
            found = [TargetId(dependent.cluster, AppName(reference.name))]
            return _existing(reference, found, index)
        case ReferenceKind.CLUSTER:
            cluster = reference.cluster or dependent.cluster
            return _existing(reference, [TargetId(cluster, AppName(reference.name))], index)
        case ReferenceKind.SET:
            if reference.name not in index.appsets:
                return _absent(reference, f"unknown ApplicationSet {reference.name!r}")
            members = tuple(index.by_set.get((dependent.cluster, reference.name), ()))
            note = "" if members else f"set {reference.name} has no targets on this cluster"
            return Edge(reference=reference, targets=members, note=note)
        case ReferenceKind.LABEL:
            matching = tuple(index.by_label.get((dependent.cluster, reference.name), ()))
            if matching:
                return Edge(reference=reference, targets=matching)
            return _absent(reference, f"no application on this cluster has label {reference.name}")


def _existing(reference: Reference, wanted: list[TargetId], index: _Index) -> Edge:
    found = tuple(id_ for id_ in wanted if id_ in index.targets)
    if found:
        return Edge(reference=reference, targets=found)
    where = index.clusters_of.get(wanted[0].app)
    if not where:
        return _absent(reference, f"unknown application {wanted[0].app!r}")
    hint = f"it is on {where[0]}: write cluster/{where[0]}/{wanted[0].app}"
    return _absent(
        reference, f"no application {wanted[0].app!r} on cluster {wanted[0].cluster}; {hint}"
    )


def _absent(reference: Reference, message: str) -> Edge:
    if reference.optional:
        return Edge(reference=reference, note=f"optional: {message}")
    return Edge(reference=reference, blocked=message)

"""The dependency graph over targets: references become edges, cycles are named and block only their members.

An edge points from a dependent to what it needs. Rules (design decision 9): ``NAME``, ``set/NAME`` and
``label/KEY=VALUE`` look at the dependent's own cluster, ``cluster/CLUSTER/NAME`` at another; an existing set
without targets on the cluster is satisfied and said so; an unknown name or set, or a label that matches
nothing, blocks unless the reference ends in ``?``. Nothing here knows what is ready: `fleet.moves` decides
cross-cluster edges and the agent decides the others.

The only importer of networkx, which costs 11 MB: it is imported when there is a first edge.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from fleet.model.identity import AppName, ClusterName, TargetId
from fleet.model.target import Edge, Reference, ReferenceKind, Target

if TYPE_CHECKING:
    import networkx as nx


@dataclass(slots=True)
class _Index:
    """Targets by what references can ask for."""

    targets: Mapping[TargetId, Target]
    appsets: Set[str]
    clusters_of: dict[AppName, list[ClusterName]] = field(default_factory=lambda: defaultdict(list))
    by_set: dict[tuple[ClusterName, str], list[TargetId]] = field(
        default_factory=lambda: defaultdict(list)
    )
    by_label: dict[tuple[ClusterName, str], list[TargetId]] = field(
        default_factory=lambda: defaultdict(list)
    )

    @classmethod
    def build(cls, targets: Mapping[TargetId, Target], appsets: Set[str]) -> _Index:
        index = cls(targets, appsets)
        for id_ in sorted(targets):
            application = targets[id_].application
            index.clusters_of[id_.app].append(id_.cluster)
            if application.appset:
                index.by_set[id_.cluster, application.appset].append(id_)
            for key, value in application.labels.items():
                index.by_label[id_.cluster, f"{key}={value}"].append(id_)
        return index


def resolve_edges(
    targets: Mapping[TargetId, Target],
    references: Mapping[TargetId, tuple[Reference, ...]],
    *,
    appsets: Set[str],
) -> dict[TargetId, Target]:
    """Give every target its edges; members of a cycle get edges that are blocked with the cycle's name."""
    index = _Index.build(targets, appsets)
    resolved = {
        id_: replace(
            target, edges=tuple(_resolve(reference, id_, index) for reference in references[id_])
        )
        if references.get(id_)
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
    known = [target for target in targets if target.edges]
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


def dependents(targets: Iterable[Target]) -> dict[TargetId, frozenset[TargetId]]:
    """Map every target that something needs to those that need it directly."""
    needed: dict[TargetId, set[TargetId]] = defaultdict(set)
    for target in targets:
        for edge in target.edges:
            for dependency in edge.targets:
                needed[dependency].add(target.id)
    return {id_: frozenset(users) for id_, users in needed.items()}


def levels(targets: Iterable[Target]) -> dict[TargetId, int]:
    """Depth of each target: 0 needs nothing; members of a cycle and what needs them are left out."""
    import networkx as nx

    known = list(targets)
    graph = _digraph(known)
    knotted = {id_ for cycle in find_cycles(known) for id_ in cycle.members}
    knotted |= {up for id_ in knotted for up in nx.ancestors(graph, id_)}
    graph.remove_nodes_from(knotted)
    depth: dict[TargetId, int] = {}
    for id_ in reversed(list(nx.topological_sort(graph))):
        depth[id_] = max((depth[below] + 1 for below in graph.successors(id_)), default=0)
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

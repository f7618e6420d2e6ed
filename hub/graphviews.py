"""What people are shown of dependencies: the graph of the fleet or around one cluster, and what an edge lacks. Pure reading."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from fleet import graph, moves
from fleet.model.identity import ClusterName, TargetId
from fleet.model.target import Edge, Target
from fleet.wire import api
from hub.state import State

Row = Callable[[TargetId], api.AppRow]


def shown(state: State, cluster: ClusterName | None, row: Row) -> api.Graph:
    """The dependency graph, of all clusters or of those targets that touch one; ``row`` tells how a target stands."""
    targets = state.desired.targets
    own = {target.id for target in state.on_cluster(cluster).values()} if cluster else set(targets)
    dependents = own | {user for id_ in own for user in state.users(id_)}
    edges = [
        (target, edge, needed)
        for target in targets.values()
        if target.id in dependents
        for edge in target.edges
        for needed in edge.targets
        if target.id in own or needed in own
    ]
    chosen = own | {target.id for target, _, _ in edges} | {needed for _, _, needed in edges}
    # how deep a target is depends on what is below it alone, and a cycle is below its members
    below = _below(chosen, targets) if cluster else targets.values()
    level = graph.levels(below)
    facts = state.facts()
    return api.Graph(
        nodes=tuple(
            api.GraphNode(
                target=str(id_), level=level.get(id_), sync=found.sync, health=found.health
            )
            for id_ in sorted(chosen)
            for found in (row(id_),)
        ),
        edges=tuple(
            api.GraphEdge(
                source=str(target.id),
                target=str(needed),
                reference=edge.reference.text,
                satisfied=not moves.unsatisfied(needed, facts),
            )
            for target, edge, needed in edges
        ),
        cycles=tuple(tuple(str(id_) for id_ in cycle.path) for cycle in graph.find_cycles(below)),
    )


def edge_row(state: State, edge: Edge) -> api.EdgeRow:
    """One edge, with what its targets lack."""
    facts = state.facts()
    lacks = [lack for needed in edge.targets if (lack := moves.unsatisfied(needed, facts))]
    message = edge.blocked or "; ".join(lacks) or edge.note or "satisfied"
    return api.EdgeRow(
        reference=edge.reference.text,
        targets=tuple(str(needed) for needed in edge.targets),
        satisfied=not edge.blocked and not lacks,
        message=message,
    )


def _below(chosen: Iterable[TargetId], targets: Mapping[TargetId, Target]) -> list[Target]:
    """Some targets and all that they need, however far away."""
    found: dict[TargetId, Target] = {}
    todo = [*chosen]
    while todo:
        id_ = todo.pop()
        if id_ in found or id_ not in targets:
            continue
        found[id_] = targets[id_]
        todo += [needed for edge in targets[id_].edges for needed in edge.targets]
    return list(found.values())

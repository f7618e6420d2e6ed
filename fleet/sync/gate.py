"""Gate: may a target move to another digest, as far as its same-cluster dependencies go?

An edge gates a change of the dependent's digest and nothing else: healing, pruning and what was released once are
not its business. Decided on the agent from its own statuses, so it holds with the hub away. Removal runs the same
edges backwards, from the inventories.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fleet.model.assignment import DependsOn, Hold, Section
from fleet.model.report import Health, Sync, TargetStatus
from fleet.sync.inventory import Inventory


def satisfied(
    depends_on: Iterable[DependsOn],
    statuses: Mapping[str, TargetStatus],
    sections: Mapping[str, Section],
) -> tuple[bool, tuple[str, ...]]:
    """Tell whether all edges are satisfied, and for each that is not, what is missing."""
    waiting = tuple(
        f"{edge.reference}: {missing}"
        for edge in depends_on
        if (missing := _missing(edge, statuses, sections))
    )
    return not waiting, waiting


def dependents(target: str, sections: Mapping[str, Section]) -> tuple[str, ...]:
    """Name the targets to look at again when this one's status changes."""
    return tuple(
        sorted(
            name
            for name, section in sections.items()
            if any(target in edge.targets for edge in section.depends_on)
        )
    )


def removal_waits_for(target: str, leaving: Mapping[str, Inventory]) -> tuple[str, ...]:
    """Name the leaving targets that depend on this one and are not gone yet: they go first.

    Targets that depend on each other in a circle do not wait for each other.
    """
    direct = _leaving_dependents(target, leaving)
    return tuple(name for name in direct if target not in _reachable(name, leaving))


def _missing(
    edge: DependsOn, statuses: Mapping[str, TargetStatus], sections: Mapping[str, Section]
) -> str:
    if edge.blocked:
        return edge.blocked
    found = [(name, _unready(sections.get(name), statuses.get(name))) for name in edge.targets]
    texts = [f"{name} {why}" for name, why in found if why]
    return "; ".join(texts)


def _unready(section: Section | None, status: TargetStatus | None) -> str:
    """Say why a dependency does not count as ready at its assigned digest; empty when it does."""
    if section is None:
        return "is not in this cluster's assignment"
    if section.held is not None and section.held.reason in (Hold.DEPENDENCY, Hold.BLOCKED):
        return f"is held: {section.held.message}"
    if not section.artifact:
        return "has nothing to apply yet"
    if status is None or status.assigned != section.artifact:
        return "has not reported on its assigned version yet"
    if section.ready_when:
        if status.ready.ready:
            return ""
        return f"is not ready: {status.ready.message or 'its ready-when is false'}"
    if status.applied != section.artifact or status.sync is not Sync.SYNCED:
        return f"is {status.sync.value}"
    return "" if status.health is Health.HEALTHY else f"is {status.health.value}"


def _leaving_dependents(target: str, leaving: Mapping[str, Inventory]) -> list[str]:
    return sorted(
        name for name, inventory in leaving.items() if name != target and target in inventory.edges
    )


def _reachable(start: str, leaving: Mapping[str, Inventory]) -> set[str]:
    """Everything that transitively depends on ``start``."""
    seen: set[str] = set()
    todo = [start]
    while todo:
        for name in _leaving_dependents(todo.pop(), leaving):
            if name not in seen:
                seen.add(name)
                todo.append(name)
    return seen

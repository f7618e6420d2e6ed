"""What is wrong with a fleet at one revision, and what of it could not be looked at.

The hub would say the same: documents, sets, names, projects, destinations, dependencies, rules, and documents that
Applications bring. While somebody could not say what it makes, a reference to an unknown name may mean something of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

from fleet import children, graph
from fleet.argo.reading import Problem
from fleet.cli import foresight
from fleet.cli.checking import Check
from fleet.cli.fieldlines import LineFinder
from fleet.cli.following import Followed
from fleet.cli.foresight import InForce
from fleet.cli.jqchecks import jq_problems
from fleet.cli.manifests import failure
from fleet.cli.rulechecks import health_rule_problems
from fleet.errors import BadInput, Denied, Where
from fleet.model.application import DEPENDS_ON
from fleet.model.target import Edge
from fleet.model.world import World

_NAMES = 4


async def problems_of(followed: Followed) -> list[Problem]:
    """Return everything that is wrong, each at its line, sorted by place."""
    check = followed.in_force.check
    made = foresight.at_base(check, followed.in_force.brought)
    found = [*check.problems, *_warnings(check.written)]
    found += _of_children(followed)
    found += _of_sets(check, found)
    found += _claimed_twice(made)
    found += await jq_problems(check.world.appsets.values(), made.applications.values())
    found += await health_rule_problems(check.files.documents)
    found += [*made.found.problems, *_blocked(made, is_complete=followed.is_complete)]
    finder = LineFinder(check.files.documents)
    return sorted({finder.exactly(item) for item in found}, key=_place)


def parents_that_fail(followed: Followed) -> Iterator[Problem]:
    """Tell of Applications that may bring documents and cannot be rendered for a mistake of somebody's."""
    for id_, offered in followed.offered.items():
        if isinstance(offered.error, BadInput | Denied):
            yield failure(offered.error, id_, followed.in_force.targets[id_].application)


def unchecked(followed: Followed, *, failing: bool = True) -> list[str]:
    """Say what could not be looked at, and what would help; ``failing``: also what does not render."""
    check = followed.in_force.check
    said = [f"what ApplicationSet {name} makes: {why}" for name, why in check.lacking.items()]
    said += check.unchecked
    lacking: dict[str, list[str]] = defaultdict(list)
    for id_, offered in followed.offered.items():
        why = offered.lacks
        if offered.error and (failing or not isinstance(offered.error, BadInput | Denied)):
            why = f"it cannot be rendered: {offered.error.message}"
        if why.startswith("chart "):
            why = "charts of chart repositories are not on this machine"
        if why:
            lacking[why].append(id_.app)
    return said + [
        f"what {_names(names)} may bring to the fleet: {why}" for why, names in lacking.items()
    ]


def _names(names: list[str]) -> str:
    return f"Application{'s' if len(names) > 1 else ''} {_listed(names)}"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return ", ".join(names[:_NAMES]) + more


def _of_sets(check: Check, said: Iterable[Problem]) -> list[Problem]:
    """Return the errors of sets, without those that their documents already say."""
    known = {(item.where.object, item.message) for item in said}
    found = []
    for name, result in sorted(check.results.items()):
        where = replace(check.world.appsets[name].where, object=f"ApplicationSet/{name}")
        mine = {message for thing, message in known if thing == where.object}
        found += [
            Problem(reason=error.reason, message=error.message, where=where)
            for error in result.errors
            if not any(message in error.message for message in mine)
        ]
    return found


def _claimed_twice(made: InForce) -> Iterator[Problem]:
    for name, rows in sorted(made.sets.items()):
        for item in rows.values():
            first = made.applications[item.name]
            if first.appset == name:
                continue
            owner = f"ApplicationSet {first.appset}" if first.appset else str(first.where)
            message = (
                f"Application {item.name} of ApplicationSet {name} already belongs to {owner}; "
                "that one counts"
            )
            where = replace(item.where, object=f"ApplicationSet/{name}")
            yield Problem(reason="DuplicateName", message=message, where=where)


def _of_children(followed: Followed) -> Iterator[Problem]:
    places = {id_.app: str(id_) for id_ in followed.offered}
    for name, bringing in sorted(followed.in_force.brought.items()):
        yield from children.problems(bringing.parent, bringing.choice, places.get(name, name))
    for id_, keys in followed.waits.items():
        message = (
            f"what left elsewhere stays until it renders, for it may bring that: "
            f"{_listed(sorted(keys))}"
        )
        where = Where(file=f"rendered by {id_}", object=f"Application/{id_.app}")
        yield Problem(reason="RemovalWaits", message=message, where=where, fatal=False)
    for id_, offered in followed.offered.items():
        for item in offered.warnings:
            where = replace(item.where, object=f"Application/{id_.app}")
            yield Problem(reason=item.reason, message=item.message, where=where, fatal=False)


def _blocked(made: InForce, *, is_complete: bool) -> Iterator[Problem]:
    targets = graph.resolve_edges(
        made.targets, made.found.references, appsets=set(made.check.world.appsets)
    )
    for target in targets.values():
        for edge in target.edges:
            if edge.blocked and (is_complete or _is_cycle(edge)):
                where = replace(
                    target.application.where,
                    object=f"Application/{target.id.app}",
                    field=f"metadata.annotations.{DEPENDS_ON}",
                )
                message = f"{edge.reference.text}: {edge.blocked}"
                yield Problem(reason="InvalidDependency", message=message, where=where)


def _is_cycle(edge: Edge) -> bool:
    """Whether it is blocked although all that it names is known."""
    return bool(edge.targets)


def _warnings(world: World) -> Iterator[Problem]:
    for application in world.applications.values():
        for item in application.warnings:
            if item.reason == "IgnoredField":
                yield Problem(
                    reason=item.reason, message=item.message, where=item.where, fatal=False
                )


def _place(problem: Problem) -> tuple[str, int, str]:
    return problem.where.file, problem.where.line, problem.message

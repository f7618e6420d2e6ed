"""What ``fleet validate`` does: read a fleet repo's working tree and judge all of it together.

The same code judges as in the hub. What cannot be known here is said, not guessed: a set that reads a repository
which is not given is not evaluated, and while one is, a reference to an unknown name may mean something it makes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from fleet import graph
from fleet.argo.assembly import assemble
from fleet.argo.reading import Problem
from fleet.cli.documents import FleetFiles, read_directory
from fleet.cli.fieldlines import LineFinder
from fleet.cli.jqchecks import jq_problems
from fleet.cli.repositories import local_repositories
from fleet.cli.rulechecks import health_rule_problems
from fleet.generators.evaluate import evaluate_set
from fleet.generators.result import Failed, Generated, Missing
from fleet.model.application import DEPENDS_ON, Application
from fleet.model.identity import AppName, TargetId
from fleet.model.target import Edge, Target
from fleet.model.world import SourceRequest, World
from fleet.targets import resolve_targets

UNKNOWN_FIELD = "UnknownField"
MAX_PASSES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Every problem, by file and line, and how much was looked at."""

    problems: tuple[Problem, ...]
    appsets: int
    applications: int
    clusters: int
    unchecked: tuple[str, ...] = ()
    """Sets that were not evaluated, each with the reason."""


class Repositories(Protocol):
    """Whoever answers what generators ask."""

    def lacks(self, requests: Iterable[SourceRequest], /) -> str: ...

    async def answer(self, world: World, requests: Iterable[SourceRequest], /) -> World: ...


@dataclass(slots=True, kw_only=True)
class Check:
    """A fleet's documents, judged together: what is found on the way."""

    repositories: Repositories
    world: World
    applications: dict[AppName, Application]
    """Those written by hand, and what the sets make."""
    problems: list[Problem]
    results: dict[str, Generated | Failed] = field(default_factory=dict)
    """What each set that could be evaluated says."""
    unchecked: list[str] = field(default_factory=list)
    is_complete: bool = True
    """Every set said what it makes, so that an unknown name is unknown."""


def validate_folder(folder: Path, repositories: tuple[str, ...], *, lenient: bool) -> Verdict:
    """Judge a working tree."""
    files = read_directory(folder)
    with local_repositories(repositories) as local:
        check = asyncio.run(check_fleet(files, local))
    finder = LineFinder(files.documents)
    found = {finder.exactly(_strict(item, lenient=lenient)) for item in check.problems}
    return Verdict(
        problems=tuple(
            sorted(found, key=lambda item: (item.where.file, item.where.line, item.message))
        ),
        appsets=sum(len(item.appsets) for item in files.fleet),
        applications=len(check.applications),
        clusters=sum(len(item.clusters) for item in files.fleet),
        unchecked=tuple(check.unchecked),
    )


async def check_fleet(files: FleetFiles, repositories: Repositories) -> Check:
    """Judge the documents of a fleet, and make what its sets make."""
    world, problems = assemble(files.fleet, ())
    applications = {AppName(name): item for name, item in world.applications.items()}
    check = Check(
        repositories=repositories,
        world=world,
        applications=applications,
        problems=[*files.broken, *problems, *_warnings(world)],
    )
    for name in sorted(world.appsets):
        await _evaluate(name, world, check)
    check.problems += await jq_problems(world.appsets.values(), check.applications.values())
    check.problems += await health_rule_problems(files.documents)
    targets = resolve_targets(check.applications, world)
    resolved = graph.resolve_edges(targets.targets, targets.references, appsets=set(world.appsets))
    check.problems += [*targets.problems, *_blocked(resolved, check)]
    return check


async def _evaluate(name: str, world: World, check: Check) -> None:
    appset = world.appsets[name]
    for _ in range(MAX_PASSES):
        result = evaluate_set(appset, world)
        if not isinstance(result, Missing):
            break
        if reason := check.repositories.lacks(result.requests):
            check.unchecked.append(f"what ApplicationSet {name} makes: {reason}")
            check.is_complete = False
            return
        world = await check.repositories.answer(world, result.requests)
    else:
        check.unchecked.append(f"what ApplicationSet {name} makes: its generators keep asking")
        check.is_complete = False
        return
    check.results[name] = result
    where = replace(appset.where, object=f"ApplicationSet/{name}")
    # what its document already says comes back when it is evaluated
    said = {item.message for item in check.problems if item.where.object == where.object}
    check.problems += [
        Problem(reason=error.reason, message=error.message, where=where)
        for error in result.errors
        if not any(message in error.message for message in said)
    ]
    if isinstance(result, Failed) or result.errors:
        check.is_complete = False
    if isinstance(result, Generated):
        _add(result.applications, name, check)


def _add(made: tuple[Application, ...], name: str, check: Check) -> None:
    for item in made:
        first = check.applications.setdefault(item.name, item)
        if first is not item:
            owner = f"ApplicationSet {first.appset}" if first.appset else str(first.where)
            message = (
                f"Application {item.name} of ApplicationSet {name} already belongs to {owner}; "
                "that one counts"
            )
            where = replace(item.where, object=f"ApplicationSet/{name}")
            check.problems.append(Problem(reason="DuplicateName", message=message, where=where))


def _blocked(targets: Mapping[TargetId, Target], check: Check) -> list[Problem]:
    return [
        Problem(
            reason="InvalidDependency",
            message=f"{edge.reference.text}: {edge.blocked}",
            where=replace(
                target.application.where,
                object=f"Application/{target.id.app}",
                field=f"metadata.annotations.{DEPENDS_ON}",
            ),
        )
        for target in targets.values()
        for edge in target.edges
        if edge.blocked and (check.is_complete or _is_cycle(edge))
    ]


def _is_cycle(edge: Edge) -> bool:
    """Whether it is blocked although all that it names is known."""
    return bool(edge.targets)


def _warnings(world: World) -> list[Problem]:
    return [
        Problem(reason=item.reason, message=item.message, where=item.where, fatal=False)
        for application in world.applications.values()
        for item in application.warnings
        if item.reason == "IgnoredField"
    ]


def _strict(problem: Problem, *, lenient: bool) -> Problem:
    """Unknown fields of Argo CD's kinds are errors too, unless asked otherwise."""
    if problem.reason != UNKNOWN_FIELD or lenient:
        return problem
    return replace(problem, fatal=True)

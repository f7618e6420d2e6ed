"""What ``fleet validate`` does: read a fleet repo's working tree and judge all of it together."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from fleet import graph
from fleet.argo.assembly import assemble
from fleet.argo.documents import FleetDocuments
from fleet.argo.reading import Problem
from fleet.cli.documents import read_directory
from fleet.cli.repositories import LocalRepositories, local_repositories
from fleet.generators.evaluate import evaluate_set
from fleet.generators.result import Generated, Missing
from fleet.model.application import Application
from fleet.model.identity import AppName
from fleet.model.world import World
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


def validate_folder(folder: Path, repositories: tuple[str, ...], *, lenient: bool) -> Verdict:
    """Judge a working tree."""
    documents, broken = read_directory(folder)
    with local_repositories(repositories) as local:
        found = [*broken, *asyncio.run(check(documents, local, bool(repositories)))]
    problems = sorted(
        (_strict(item, lenient=lenient) for item in found),
        key=lambda item: (item.where.file, item.where.line, item.message),
    )
    return Verdict(
        problems=tuple(problems),
        appsets=sum(len(item.appsets) for item in documents),
        applications=sum(len(item.applications) for item in documents),
        clusters=sum(len(item.clusters) for item in documents),
    )


async def check(
    documents: Iterable[FleetDocuments], repositories: LocalRepositories, has_repositories: bool
) -> list[Problem]:
    """Check documents that could be read, together."""
    world, problems = assemble(documents, ())
    applications = {AppName(name): item for name, item in world.applications.items()}
    found = list(problems)
    found += _warnings(world)
    for name in sorted(world.appsets):
        made, errors = await _generate(name, world, repositories, has_repositories)
        applications |= {item.name: item for item in made if item.name not in applications}
        found += errors
    targets = resolve_targets(applications, world)
    resolved = graph.resolve_edges(targets.targets, targets.references, appsets=set(world.appsets))
    found += targets.problems
    found += [
        Problem(
            reason="InvalidDependency",
            message=f"{edge.reference.text}: {edge.blocked}",
            where=replace(
                target.application.where,
                object=f"Application/{target.id.app}",
                field="metadata.annotations.gitopsfleet.io/depends-on",
            ),
        )
        for target in resolved.values()
        for edge in target.edges
        if edge.blocked and has_repositories
    ]
    return found


def _warnings(world: World) -> list[Problem]:
    return [
        Problem(reason=item.reason, message=item.message, where=item.where, fatal=False)
        for application in world.applications.values()
        for item in application.warnings
        if item.reason == "IgnoredField"
    ]


async def _generate(
    name: str, world: World, repositories: LocalRepositories, has_repositories: bool
) -> tuple[tuple[Application, ...], list[Problem]]:
    appset = world.appsets[name]
    for _ in range(MAX_PASSES):
        result = evaluate_set(appset, world)
        if not isinstance(result, Missing):
            break
        if not has_repositories:
            return (), []
        world = await repositories.answer(world, result.requests)
    else:
        return (), []
    where = replace(appset.where, object=f"ApplicationSet/{name}")
    errors = [
        Problem(reason=error.reason, message=error.message, where=where) for error in result.errors
    ]
    return (result.applications if isinstance(result, Generated) else ()), errors


def _strict(problem: Problem, *, lenient: bool) -> Problem:
    if problem.reason != UNKNOWN_FIELD:
        return problem
    return replace(problem, fatal=not lenient)

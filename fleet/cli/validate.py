"""``fleet validate``: a fleet repo in a pull request, every mistake with file and line."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from fleet import graph
from fleet.argo.assembly import assemble
from fleet.argo.documents import FleetDocuments, Problem
from fleet.cli.documents import read_directory
from fleet.cli.exits import Exit
from fleet.cli.output import Format, Output, note, print_value
from fleet.cli.repositories import LocalRepositories, local_repositories
from fleet.codec.redaction import redact
from fleet.generators.evaluate import evaluate_set
from fleet.generators.result import Generated, Missing
from fleet.model.application import Application
from fleet.model.identity import AppName
from fleet.model.world import World
from fleet.targets import resolve_targets
from fleet.wire import api

UNKNOWN_FIELD = "UnknownField"
MAX_PASSES = 12


def validate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The fleet repo's documents.")],
    repo: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL=DIR",
            help="A local git repository that stands for a URL: generators that read it are checked too.",
        ),
    ] = None,
    lenient: Annotated[
        bool, typer.Option("--lenient", help="Unknown fields are warnings, not errors.")
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """Check a fleet repo as it lies here: documents, names, projects, destinations, dependencies, generators."""
    documents, broken = read_directory(folder)
    with local_repositories(repo or []) as repositories:
        found = [*broken, *asyncio.run(check(documents, repositories, bool(repo)))]
    problems = sorted(
        (_strict(item, lenient=lenient) for item in found),
        key=lambda item: (item.where.file, item.where.line, item.message),
    )
    if output is not Format.TABLE:
        print_value(msgspec.to_builtins(_answer(problems)), output)
    else:
        for item in problems:
            typer.echo(redact(f"{'error' if item.fatal else 'warning'}: {_line(item)}"))
    errors = sum(item.fatal for item in problems)
    note(
        f"{sum(len(item.appsets) for item in documents)} ApplicationSets, "
        f"{sum(len(item.applications) for item in documents)} Applications, "
        f"{sum(len(item.clusters) for item in documents)} clusters: "
        f"{errors} errors, {len(problems) - errors} warnings"
    )
    raise typer.Exit(Exit.FAILED if errors else Exit.OK)


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


def _line(problem: Problem) -> str:
    return f"{problem.where}: {problem.message}"


def _answer(problems: Iterable[Problem]) -> api.ProblemList:
    return api.ProblemList(
        items=tuple(
            api.ProblemRow(
                reason=item.reason,
                message=redact(item.message),
                object=item.where.object,
                file=item.where.file,
                line=item.where.line,
                field=item.where.field,
                fatal=item.fatal,
            )
            for item in problems
        )
    )

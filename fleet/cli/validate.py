"""``fleet validate``: a fleet repo in a pull request, every mistake with file and line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from fleet.cli.exits import Exit
from fleet.cli.options import Branch, RepositoryUrl
from fleet.cli.output import Format, Output, note, print_value, progress, say
from fleet.codec.redaction import redact
from fleet.wire import api

if TYPE_CHECKING:
    from fleet.argo.reading import Problem


def validate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The fleet repo's documents.")],
    repo: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL=DIR",
            help="A local git repository that stands for a URL: generators and sources that read it are checked too.",
        ),
    ] = None,
    url: RepositoryUrl = "",
    branch: Branch = "main",
    manifests: Annotated[
        bool,
        typer.Option(
            " /--no-manifests",
            help="Render nothing: documents that Applications bring (app of apps) are not checked.",
            show_default=False,
        ),
    ] = True,
    lenient: Annotated[
        bool, typer.Option("--lenient", help="Unknown fields are warnings, not errors.")
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """Check a fleet repo as it lies here: documents, names, projects, destinations, dependencies, generators.

    Generators and sources that read this repository see its working tree.
    Applications that bring documents to the fleet (app of apps) are rendered, and
    what they bring is checked too. Exit status 1 with errors.
    """
    from fleet.cli.validation import Request, validate_folder

    request = Request(
        folder=folder,
        repositories=tuple(repo or ()),
        url=url,
        branch=branch,
        lenient=lenient,
        manifests=manifests,
    )
    with progress("validating"):
        verdict = validate_folder(request)
    if output is not Format.TABLE:
        print_value(msgspec.to_builtins(_answer(verdict.problems)), output)
    else:
        for problem in verdict.problems:
            kind = "error" if problem.fatal else "warning"
            say(redact(f"{kind}: {problem.where}: {problem.message}"))
    for item in verdict.unchecked:
        note(redact(f"not checked: {item}"))
    if not verdict.appsets and not verdict.applications and not verdict.clusters:
        note(f"there is nothing of a fleet below {folder}")
    errors = sum(item.fatal for item in verdict.problems)
    note(
        f"{verdict.appsets} ApplicationSets, {verdict.applications} Applications, "
        f"{verdict.clusters} clusters: {errors} errors, {len(verdict.problems) - errors} warnings"
    )
    raise typer.Exit(Exit.FAILED if errors else Exit.OK)


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

"""``fleet diff``: what a merge would do to every cluster, before the merge."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fleet.cli.exits import Exit
from fleet.cli.options import Branch, RepositoryUrl
from fleet.cli.output import Format, note, print_value, progress, value_of

if TYPE_CHECKING:
    from fleet.wire.difference import FleetDiff


class DiffFormat(StrEnum):
    """The choices of ``diff -o``."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


def diff(
    base: Annotated[
        str, typer.Option("--from", metavar="REV", help="What is merged into: origin/main.")
    ],
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The fleet repo, or its folder of documents.")
    ] = Path(),
    head: Annotated[
        str, typer.Option("--to", metavar="REV", help="What would be merged.")
    ] = "HEAD",
    working_tree: Annotated[
        bool,
        typer.Option(
            "--working-tree",
            help="Instead of --to, what lies in the working tree, also if it is not committed.",
        ),
    ] = False,
    path: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER", help="Where documents are in the repository, instead of DIR."
        ),
    ] = None,
    repo: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL=DIR", help="A local git repository that stands for a URL; may be repeated."
        ),
    ] = None,
    url: RepositoryUrl = "",
    branch: Branch = "main",
    manifests: Annotated[
        bool,
        typer.Option(
            " /--no-manifests",
            help="Compare Applications alone; nothing is rendered.",
            show_default=False,
        ),
    ] = True,
    output: Annotated[
        DiffFormat, typer.Option("--output", "-o", help="Output format.", case_sensitive=False)
    ] = DiffFormat.TEXT,
) -> None:
    """Show what differs between two revisions of a fleet repo: Applications of each cluster, and their manifests.

    Works offline on the commits of the repository that DIR is in, whatever is
    checked out; what is not committed is looked at with --working-tree only.

    Exit status 0 without differences, 3 with some, 1 when documents or manifests
    at --to are broken.
    """
    from fleet.cli.diffing import Request, compare_revisions

    request = Request(
        folder=folder,
        base=base,
        head=head,
        working_tree=working_tree,
        path=path,
        repositories=tuple(repo or ()),
        url=url,
        branch=branch,
        manifests=manifests,
    )
    with progress("comparing"):
        found = compare_revisions(request)
    _print(found, output)
    raise typer.Exit(_status(found))


def _status(found: FleetDiff) -> Exit:
    if any(item.fatal for item in found.problems):
        return Exit.FAILED
    return Exit.DIFFERENCES if found.applications else Exit.OK


def _print(found: FleetDiff, output: DiffFormat) -> None:
    from fleet.cli import diffmarkdown, difftext

    match output:
        case DiffFormat.JSON:
            print_value(value_of(found), Format.JSON)
        case DiffFormat.MARKDOWN:
            sys.stdout.write(diffmarkdown.page(found))
        case DiffFormat.TEXT:
            for line in difftext.lines(found):
                typer.echo(line)
    for item in found.problems:
        kind = "error" if item.fatal else "warning"
        note(f"{kind}: {difftext.place(item)}: {item.message}")
    for text in found.unchecked:
        note(f"not compared: {text}")
    note(difftext.summary(found))

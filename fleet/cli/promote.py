"""``fleet promote``: what runs in one environment to the next, as a commit on a new branch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fleet.cli.exits import Exit
from fleet.cli.output import note, plain, progress


def promote(
    source: Annotated[
        str, typer.Option("--from", metavar="ENVIRONMENT", help="Where it runs already.")
    ],
    target: Annotated[str, typer.Option("--to", metavar="ENVIRONMENT", help="Where it shall run.")],
    app: Annotated[str, typer.Option("--app", metavar="NAME", help="The application.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The repository.")] = Path(),
    path: Annotated[
        str, typer.Option(metavar="FOLDER", help="Only files below it, whatever they are called.")
    ] = "",
    base: Annotated[str, typer.Option(metavar="REV", help="The commit to start from.")] = "HEAD",
    branch: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Name of the new branch; promote/APP-FROM-to-TO by default."
        ),
    ] = "",
    files: Annotated[
        bool, typer.Option("--files", help="Copy whole files, not only the versions in them.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the change; write nothing (status 3 if any).")
    ] = False,
) -> None:
    """Write what an application needs to run in TO as it runs in FROM, as a commit on a new branch.

    Environments may be folders or files (apps/web/staging, values-staging.yaml),
    revisions in Applications and list elements of ApplicationSets, or branches.

    Neither the working tree nor the current branch is touched, and only what is
    committed is looked at.
    """
    from fleet.cli.environments import Asked
    from fleet.cli.promotion import Request, promote

    request = Request(
        folder=folder,
        asked=Asked(app=app, source=source, target=target, folder=path),
        base=base,
        branch=branch,
        whole_files=files,
        dry_run=dry_run,
    )
    with progress("looking"):
        found = promote(request)
    for text in found.notes:
        note(f"note: {text}")
    if not found.changes:
        note(f"nothing to promote: {app} is in {target} as it is in {source}")
        return
    for line in found.diff.splitlines() if dry_run else found.lines:
        typer.echo(plain(line))
    if dry_run:
        raise typer.Exit(Exit.DIFFERENCES)
    typer.echo(f"branch {found.branch}, commit {found.commit[:12]} on top of {found.parent[:12]}")
    note(f"git push origin {found.branch}")

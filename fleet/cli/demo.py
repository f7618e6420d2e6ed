"""``fleet demo``: the main job on three clusters; the demo itself is `fleet.demo`."""

from __future__ import annotations

from typing import Annotated

import typer


def demo(
    context: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=CONTEXT",
            help="Use a context of your kubeconfig as management, staging or production.",
        ),
    ] = None,
    real: Annotated[
        bool,
        typer.Option("--real", help="Use real control planes: built where they are not given."),
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything up and print where it is.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No live table.")] = False,
) -> None:
    """Run the main job on three clusters and check every claim at their API servers.

    The clusters are API servers in this process, so nothing but git and Python is needed; --real and --context
    take real ones.
    """
    from fleet.demo.run import Options, run_demo

    raise typer.Exit(
        run_demo(Options(contexts=tuple(context or ()), real=real, keep=keep, quiet=quiet))
    )

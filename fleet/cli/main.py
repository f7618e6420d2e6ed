"""The ``fleet`` command, put together; errors become one line and an exit status."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from fleet import __version__
from fleet.cli import (
    appops,
    appreads,
    apps,
    appsets,
    clusters,
    daemons,
    demo,
    diff,
    embedded,
    generate,
    health,
    promote,
    reading,
    render,
    rollouts,
    validate,
)
from fleet.cli.exits import Exit
from fleet.cli.options import global_options
from fleet.cli.output import forget_reader, note
from fleet.codec.redaction import redact
from fleet.errors import FleetError

app = typer.Typer(
    name="fleet",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Git in, every cluster reconciled. Exit status: 0 ok, 1 failed, 2 usage, 3 differences, 4 held.",
)
app.callback()(global_options)
app.add_typer(apps.app, name="app")
for name, command in (
    ("sync", appops.sync_app),
    ("terminate", appops.terminate_app),
    ("history", appops.history_of_app),
    ("rollback", appops.roll_back_app),
    ("delete", appops.delete_app),
    ("diff", appreads.diff_app),
    ("events", appreads.events_of_app),
    ("logs", appreads.logs_of_app),
    ("manifests", appreads.manifests_of_app),
    ("resources", appreads.resources_of_app),
):
    apps.app.command(name)(command)
app.add_typer(appsets.app, name="appset")
app.add_typer(clusters.app, name="cluster")
app.add_typer(rollouts.app, name="rollout")
app.add_typer(daemons.hub, name="hub")
app.add_typer(daemons.agent, name="agent")
app.add_typer(embedded.app, name="embedded")
app.command("approve")(reading.approve)
app.command("explain")(reading.explain)
app.command("graph")(reading.graph)
app.command("problems")(reading.problems)
app.command("repositories")(reading.repositories)
appsets.app.command("generate")(generate.generate)
app.command("render")(render.render)
app.command("validate")(validate.validate)
app.command("diff")(diff.diff)
app.command("promote")(promote.promote)
app.command("health")(health.health)
app.command("demo")(demo.demo)


@app.command("version")
def version(
    short: Annotated[bool, typer.Option("--short", help="Only the number.")] = False,
) -> None:
    """Print the version."""
    typer.echo(__version__ if short else f"fleet {__version__}")


def main() -> None:
    """Run the command line; never a traceback for a user's mistake."""
    try:
        app(prog_name="fleet")
    except FleetError as error:
        note(f"fleet: {redact(str(error))}")
        sys.exit(Exit.FAILED)
    except BrokenPipeError:
        forget_reader()
        sys.exit(Exit.OK)


if __name__ == "__main__":
    main()

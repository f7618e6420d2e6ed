"""``fleet appset``: ApplicationSets in the hub; ``generate`` works offline and lives in `fleet.cli.generate`."""

from __future__ import annotations

import typer

from fleet.cli.connection import segment
from fleet.cli.exits import Exit
from fleet.cli.options import SetName, connection
from fleet.cli.output import (
    Column,
    Format,
    Output,
    note,
    print_rows,
    print_value,
    say,
    text,
    value_of,
)
from fleet.wire import api

app = typer.Typer(no_args_is_help=True, help="ApplicationSets: list, get, diff, generate.")

COLUMNS: tuple[Column, ...] = (
    ("NAME", text("name")),
    ("APPS", lambda row: str(len(row["applications"]))),
    ("STATUS", text("reason")),
    ("HELD", text("held")),
    ("ERRORS", text("errors")),
)


@app.command("list")
def list_sets(context: typer.Context, output: Output = Format.TABLE) -> None:
    """List ApplicationSets with what they generate and what is wrong with them."""
    print_rows(connection(context).get("appsets", api.AppSetList), output, COLUMNS)


@app.command("get")
def get_set(context: typer.Context, name: SetName, output: Output = Format.TABLE) -> None:
    """Show one ApplicationSet."""
    row = connection(context).get(f"appsets/{segment(name)}", api.AppSetRow)
    if output is not Format.TABLE:
        print_value(value_of(row), output)
        return
    stale = " (of its last good result)" if row.last_good else ""
    say(f"Name:           {row.name}")
    say(f"Status:         {row.reason}")
    say(f"Applications:   {len(row.applications)}{stale}")
    for application in row.applications:
        say(f"  {application}")
    if row.held:
        say(f"Held:           {row.held}")
        say(f"                fleet approve appset/{row.name}")
    if row.rollout:
        say(f"Rollout:        {row.rollout}")
    for error in row.errors:
        say(f"Error:          {error}")


@app.command("diff")
def diff_set(context: typer.Context, name: SetName, output: Output = Format.TABLE) -> None:
    """Show what is held of an ApplicationSet: what its new result would remove, add and change (status 4 if any is)."""
    found = connection(context).get(f"appsets/{segment(name)}/diff", api.AppSetDiff)
    if output is not Format.TABLE:
        print_value(value_of(found), output)
    elif not found.holds:
        note(f"nothing of {name} is held")
    for hold in found.holds if output is Format.TABLE else ():
        say(hold.message)
        for sign, names in (("-", hold.removed), ("+", hold.added), ("~", hold.changed)):
            for item in names:
                say(f"  {sign} {item}")
        say(f"  fleet approve {hold.subject} --digest {hold.digest}")
    raise typer.Exit(Exit.HELD if found.holds else Exit.OK)

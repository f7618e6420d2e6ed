"""``fleet rollout``: ApplicationSets that go over the fleet step by step."""

from __future__ import annotations

from typing import Annotated

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
    print_table,
    print_value,
    say,
    text,
    value_of,
)
from fleet.wire import api
from fleet.wire import rollouts as wire

app = typer.Typer(
    no_args_is_help=True,
    help="Rollouts over the fleet: list, status, pause, resume, promote, retry, abort.",
)

Reason = Annotated[str, typer.Option("--reason", help="For the log and for whoever looks later.")]

HALTED = ("Paused", "Stopped", "Aborted", "Invalid")
"""States from which nothing goes on by itself."""
HELD_STEP = "Held"
"""An open step that lets nothing go before it is promoted (maxUpdate 0)."""

COLUMNS: tuple[Column, ...] = (
    ("NAME", text("name")),
    ("STATE", text("state")),
    ("STEP", lambda row: f"{row['step'] or row['steps']}/{row['steps']}"),
    ("HEALTHY", lambda row: f"{row['healthy']}/{row['targets']}"),
    ("MOVING", text("moving")),
    ("WAITING", text("waiting")),
    ("FAILED", text("failed")),
    ("ASIDE", text("setAside")),
    ("UNMATCHED", text("unmatched")),
    ("MESSAGE", text("message")),
)
STEPS: tuple[Column, ...] = (
    ("STEP", text("number")),
    ("STATE", text("state")),
    ("TARGETS", text("targets")),
    ("HEALTHY", text("healthy")),
    ("MOVING", lambda row: f"{row['moving']}/{row['room']}"),
    ("WAITING", text("waiting")),
    ("FAILED", text("failed")),
    ("ASIDE", text("setAside")),
    ("SOAK", lambda row: row["soaksUntil"] or f"{row['soakSeconds']}s"),
)
TARGETS: tuple[Column, ...] = (
    ("TARGET", text("target")),
    ("STEP", lambda row: str(row["step"] or "-")),
    ("STATE", text("state")),
    ("MESSAGE", text("message")),
)


@app.command("list")
def list_rollouts(context: typer.Context, output: Output = Format.TABLE) -> None:
    """List ApplicationSets with a RollingSync and how far each is."""
    print_rows(connection(context).get("rollouts", wire.RolloutList), output, COLUMNS)


@app.command("status")
def show_status(context: typer.Context, name: SetName, output: Output = Format.TABLE) -> None:
    """Show one rollout, its steps and its targets (exit status 4 when it goes on only if told to)."""
    detail = connection(context).get(f"rollouts/{segment(name)}", wire.RolloutDetail)
    if output is not Format.TABLE:
        print_value(value_of(detail), output)
    else:
        _print_detail(detail)
    is_held = any(step.state == HELD_STEP for step in detail.steps)
    raise typer.Exit(Exit.HELD if is_held or detail.rollout.state in HALTED else Exit.OK)


@app.command("pause")
def pause(context: typer.Context, name: SetName, reason: Reason = "") -> None:
    """Let nothing more go; what moves goes on, and new versions wait too."""
    _tell(context, name, "pause", wire.RolloutOrder(reason=reason))


@app.command("resume")
def resume(context: typer.Context, name: SetName, reason: Reason = "") -> None:
    """Go on after a pause, a stop (although targets failed) or an abort."""
    _tell(context, name, "resume", wire.RolloutOrder(reason=reason))


@app.command("promote")
def promote(
    context: typer.Context,
    name: SetName,
    full: Annotated[
        bool, typer.Option("--full", help="Open all steps at once, whatever they wait for.")
    ] = False,
    reason: Reason = "",
) -> None:
    """End the open step's soak, and lift its maxUpdate (also 0); it still waits until it is healthy."""
    _tell(context, name, "promote", wire.RolloutOrder(full=full, reason=reason))


@app.command("retry")
def retry(context: typer.Context, name: SetName, reason: Reason = "") -> None:
    """Let what failed, went back or was aborted try its version again."""
    _tell(context, name, "retry", wire.RolloutOrder(reason=reason))


@app.command("abort")
def abort(
    context: typer.Context,
    name: SetName,
    take_back: Annotated[
        bool, typer.Option("--return", help="Bring what moved back to what it had.")
    ] = False,
    reason: Reason = "",
) -> None:
    """Give this version up: what has not moved stays; the next version starts from the first step."""
    _tell(context, name, "abort", wire.RolloutOrder(take_back=take_back, reason=reason))


def _tell(context: typer.Context, name: str, order: str, body: wire.RolloutOrder) -> None:
    answer = connection(context).post(f"rollouts/{segment(name)}/{order}", body, api.Message)
    note(answer.message)


def _print_detail(detail: wire.RolloutDetail) -> None:
    row = detail.rollout
    window = detail.health_window_seconds
    failing = "never" if window is None else f"after {window}s, then {detail.on_failure}"
    budget = "" if window is None else f" (more than {detail.max_failures} of a step)"
    for label, value in (
        ("Name", row.name),
        ("State", row.state),
        ("Version", f"{row.version} since {detail.started}" if detail.started else ""),
        ("Open step", f"{row.step} of {row.steps}" if row.step else "none"),
        ("Fails", failing + budget),
        ("Offline", detail.offline),
        ("Message", row.message),
    ):
        if value:
            say(f"{label + ':':<16}{value}")
    for rows, columns in ((detail.steps, STEPS), (detail.targets, TARGETS)):
        if rows:
            say("")
            values = [value_of(item) for item in rows]
            print_table([[read(item) for _, read in columns] for item in values], columns)

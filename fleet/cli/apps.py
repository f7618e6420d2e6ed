"""``fleet app``: applications and what became of them."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from fleet.cli.connection import Connection, NotFound, segment
from fleet.cli.exits import Exit
from fleet.cli.options import AppName, Wait, complete_app, connection
from fleet.cli.output import (
    Column,
    Format,
    Output,
    age,
    note,
    print_rows,
    print_value,
    progress,
    say,
    short,
    text,
    value_of,
)
from fleet.cli.reading import window_lines
from fleet.wire import api

app = typer.Typer(
    no_args_is_help=True,
    help="Applications: what they are, and everything that can be done to them.",
)

DONE = "Succeeded"
FAILED = frozenset(("Failed", "Error", "Expired"))

COLUMNS: tuple[Column, ...] = (
    ("NAME", text("name")),
    ("CLUSTER", text("cluster")),
    ("SET", text("set")),
    ("SYNC", text("sync")),
    ("HEALTH", text("health")),
    ("REVISION", short("revision")),
    ("SEEN", age()),
    ("MESSAGE", text("message")),
)


@app.command("list")
def list_apps(
    context: typer.Context,
    output: Output = Format.TABLE,
    cluster: Annotated[str, typer.Option(help="Only of this cluster.")] = "",
    appset: Annotated[str, typer.Option("--set", help="Only of this ApplicationSet.")] = "",
) -> None:
    """List applications with sync status, health and what they wait for."""
    found = connection(context).get("apps", api.AppList)
    rows = tuple(
        row for row in found.items if cluster in ("", row.cluster) and appset in ("", row.set)
    )
    print_rows(api.AppList(items=rows), output, COLUMNS)


@app.command("get")
def get_app(context: typer.Context, name: AppName, output: Output = Format.TABLE) -> None:
    """Show everything about one application."""
    detail = connection(context).get(f"apps/{segment(name)}", api.AppDetail)
    if output is not Format.TABLE:
        print_value(value_of(detail), output)
        return
    row = detail.app
    policy = "automated" if detail.automated else "manual"
    policy += ", prune" if detail.prune else ""
    policy += ", self-heal" if detail.self_heal else ""
    for label, value in (
        ("Name", row.name),
        ("Cluster", f"{row.cluster} ({detail.server})"),
        ("Namespace", detail.namespace),
        ("Project", row.project),
        ("ApplicationSet", row.set),
        ("Brought by", " -> ".join(detail.parents)),
        ("Sync policy", policy),
        ("On deletion", detail.deletion),
        ("Sync", row.sync),
        ("Health", row.health),
        ("Phase", detail.phase),
        ("Revision", row.revision),
        ("Assigned", row.digest),
        ("Applied", detail.applied),
        ("Objects", str(detail.objects)),
        ("Operation", detail.operation),
        ("Pinned", detail.pinned),
        ("Message", row.message),
    ):
        if value:
            say(f"{label + ':':<16}{value}")
    for label, values in (
        ("Source", detail.sources),
        ("Waits for", row.waiting_for),
        ("Warning", detail.warnings),
    ):
        for value in values:
            say(f"{label + ':':<16}{value}")
    for label, line in window_lines(detail.windows):
        say(f"{label.capitalize() + ':':<16}{line}")
    for item in detail.problems:
        say(f"{'Object:':<16}{item.ref}  {item.sync} {item.health or ''}  {item.message}")
    for child in detail.children:
        state = " ".join(word for word in (child.sync, child.health, child.message) if word)
        say(f"{'Child:':<16}{child.kind} {child.name} (wave {child.wave})  {state}")


@app.command("refresh")
def refresh_app(
    context: typer.Context,
    name: AppName,
    hard: Annotated[
        bool, typer.Option("--hard", help="Render anew and compare every object.")
    ] = False,
) -> None:
    """Look at an application's sources now instead of at the next poll."""
    hub = connection(context)
    answer = hub.post(
        f"apps/{segment(name)}/refresh", api.RefreshRequest(hard=hard), api.OperationAnswer
    )
    note(f"looking at the sources of {answer.target}")


@app.command("wait")
def wait_app(
    context: typer.Context,
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="APP...", help="Applications; or --all.", autocompletion=complete_app
        ),
    ] = [],  # noqa: B006  # typer's way to say "none"
    everything: Annotated[bool, typer.Option("--all", help="All applications.")] = False,
    sync: Annotated[bool, typer.Option("--sync", help="Only until they are Synced.")] = False,
    health: Annotated[bool, typer.Option("--health", help="Only until they are Healthy.")] = False,
    operation: Annotated[
        bool, typer.Option("--operation", help="Only until no operation is under way.")
    ] = False,
    deleted: Annotated[bool, typer.Option("--deleted", help="Until they are gone.")] = False,
    timeout: Wait = 300.0,
) -> None:
    """Wait until applications are Synced and Healthy and no operation is under way.

    Exit status 1 when the time is over, 4 when one is held.
    """
    hub = connection(context)
    if not names and not everything:
        raise typer.BadParameter("name applications, or say --all")
    chosen = [] if everything else names
    if deleted:
        raise typer.Exit(_wait_gone(hub, chosen, timeout=timeout))
    picky = sync or health or operation
    status = wait_for(
        hub,
        chosen,
        timeout=timeout,
        synced=sync or not picky,
        healthy=health or not picky,
        idle=operation or not picky,
    )
    raise typer.Exit(status)


def wait_for(
    hub: Connection,
    names: list[str],
    *,
    timeout: float,
    operation: str = "",
    synced: bool = True,
    healthy: bool = True,
    idle: bool = False,
) -> Exit:
    """Poll until everything named (nothing: all) is good; says on standard error what is not.

    With an ``operation`` that one counts, and each step that it reports is said.
    """
    deadline = time.monotonic() + timeout
    said = ""
    with progress("waiting for applications"):
        while True:
            # First how the sync stands, then what came of it: rows from before it ended say nothing.
            state = _state_of(hub, names[0], operation) if operation else None
            rows = _rows(hub, names)
            lacking = [row for row in rows if not _is_good(row, synced=synced, healthy=healthy)]
            if state is not None and state.message not in ("", said):
                said = state.message
                note(said)
            if state is not None and state.phase in FAILED:
                note(f"the sync {state.phase.lower()}: {state.message or rows[0].message}")
                return Exit.FAILED
            is_over = not operation or (state is not None and state.phase == DONE)
            if idle:
                is_over = is_over and not any(map(_is_busy, rows))
            if rows and is_over and (not lacking or (operation and not healthy)):
                return Exit.OK
            if time.monotonic() >= deadline:
                break
            time.sleep(0.25)
    for row in lacking:
        note(f"{row.cluster}/{row.name}: {row.sync}, {row.health}: {row.message}")
    held = hub.get("holds", api.HoldList).items
    named = {f"app/{row.cluster}/{row.name}" for row in lacking}
    named |= {f"children/{row.name}" for row in lacking}
    return Exit.HELD if any(hold.subject in named for hold in held) else Exit.FAILED


def _wait_gone(hub: Connection, names: list[str], *, timeout: float) -> Exit:
    deadline = time.monotonic() + timeout
    with progress("waiting for applications to go"):
        while True:
            rows = [row for row in hub.get("apps", api.AppList).items if _is_named(row, names)]
            if not rows:
                return Exit.OK
            if time.monotonic() >= deadline:
                break
            time.sleep(0.25)
    for row in rows:
        note(f"{row.cluster}/{row.name} is still there: {row.message}")
    return Exit.FAILED


def _rows(hub: Connection, names: list[str]) -> list[api.AppRow]:
    rows = hub.get("apps", api.AppList).items
    missing = set(names) - {name for row in rows for name in _names(row)}
    if missing:
        raise NotFound(f"there is no application {', '.join(sorted(missing))}")
    return [row for row in rows if _is_named(row, names)]


def _is_named(row: api.AppRow, names: list[str]) -> bool:
    """Whether a row is meant; no names mean all."""
    return not names or any(name in names for name in _names(row))


def _names(row: api.AppRow) -> tuple[str, str]:
    """The names under which people may speak of a row: the hub takes both."""
    return row.name, f"{row.cluster}~{row.name}"


def _is_good(row: api.AppRow, *, synced: bool, healthy: bool) -> bool:
    return (row.sync == "Synced" or not synced) and (row.health == "Healthy" or not healthy)


def _is_busy(row: api.AppRow) -> bool:
    return row.operation in ("Pending", "Running", "Terminating")


def _state_of(hub: Connection, name: str, operation: str) -> api.OperationRow | None:
    """Return how an operation stands; None while its agent has not reported it."""
    state = hub.get(f"apps/{segment(name)}", api.AppDetail).operation_state
    return state if state is not None and state.id == operation else None

"""``fleet app``: applications and what became of them."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from fleet.cli.connection import Connection, NotFound, segment
from fleet.cli.exits import Exit
from fleet.cli.options import AppName, Wait, connection
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
from fleet.wire import api

app = typer.Typer(no_args_is_help=True, help="Applications: list, get, sync, wait, refresh.")

DONE, FAILED, EXPIRED = "Succeeded", "Failed", "Expired"

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
    for item in detail.problems:
        say(f"{'Object:':<16}{item.ref}  {item.sync} {item.health or ''}  {item.message}")


@app.command("sync")
def sync_app(
    context: typer.Context,
    name: AppName,
    prune: Annotated[
        bool, typer.Option("--prune", help="Also delete objects that left the source.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until it is synced and healthy.")
    ] = False,
    timeout: Wait = 300.0,
) -> None:
    """Apply an application now, whatever its sync policy says."""
    hub = connection(context)
    answer = hub.post(
        f"apps/{segment(name)}/sync", api.SyncRequest(prune=prune), api.OperationAnswer
    )
    note(f"asked {answer.target} to sync (operation {answer.id})")
    if wait:
        raise typer.Exit(wait_for(hub, [name], timeout=timeout, operation=answer.id))


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
        list[str], typer.Argument(metavar="APP...", help="Applications; or --all.")
    ] = [],  # noqa: B006  # typer's way to say "none"
    everything: Annotated[bool, typer.Option("--all", help="All applications.")] = False,
    timeout: Wait = 300.0,
) -> None:
    """Wait until applications are Synced and Healthy; exit status 1 when the time is over, 4 when one is held."""
    hub = connection(context)
    if not names and not everything:
        raise typer.BadParameter("name applications, or say --all")
    raise typer.Exit(wait_for(hub, [] if everything else names, timeout=timeout))


def wait_for(hub: Connection, names: list[str], *, timeout: float, operation: str = "") -> Exit:
    """Poll until everything named (nothing: all) is good; says on standard error what is not."""
    deadline = time.monotonic() + timeout
    with progress("waiting for applications"):
        while True:
            rows = _rows(hub, names)
            lacking = [row for row in rows if not _is_good(row)]
            phase = _phase_of(hub, names[0], operation) if operation else DONE
            if phase in (FAILED, EXPIRED):
                note(f"the sync {phase.lower()}: {rows[0].message}")
                return Exit.FAILED
            if rows and not lacking and phase == DONE:
                return Exit.OK
            if time.monotonic() >= deadline:
                break
            time.sleep(0.25)
    for row in lacking:
        note(f"{row.cluster}/{row.name}: {row.sync}, {row.health}: {row.message}")
    held = hub.get("holds", api.HoldList).items
    named = {f"app/{row.cluster}/{row.name}" for row in lacking}
    return Exit.HELD if any(hold.subject in named for hold in held) else Exit.FAILED


def _rows(hub: Connection, names: list[str]) -> list[api.AppRow]:
    rows = hub.get("apps", api.AppList).items
    missing = set(names) - {row.name for row in rows}
    if missing:
        raise NotFound(f"there is no application {', '.join(sorted(missing))}")
    return [row for row in rows if not names or row.name in names]


def _is_good(row: api.AppRow) -> bool:
    return row.sync == "Synced" and row.health == "Healthy"


def _phase_of(hub: Connection, name: str, operation: str) -> str:
    """Return how an operation stands; "" while its agent has not reported it."""
    words = hub.get(f"apps/{segment(name)}", api.AppDetail).operation.split(maxsplit=2)
    return words[1] if words[:1] == [operation] else ""

"""``fleet app``: what people do to an application: sync, terminate, history, rollback, delete."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import Annotated

import typer

from fleet.cli.apps import wait_for
from fleet.cli.connection import Connection, segment
from fleet.cli.exits import Exit
from fleet.cli.options import AppName, Wait, connection
from fleet.cli.output import (
    Column,
    Format,
    Output,
    note,
    print_rows,
    print_value,
    progress,
    say,
    short,
    text,
    value_of,
)
from fleet.errors import BadInput
from fleet.wire import api
from fleet.wire.references import parse_resource

HISTORY: tuple[Column, ...] = (
    ("ID", text("id")),
    ("DEPLOYED", text("deployedAt")),
    ("REVISION", short("revision")),
    ("ARTIFACT", short("digest")),
    ("BY", text("initiatedBy")),
    ("", lambda row: "pinned" if row["pinned"] else "current" if row["current"] else ""),
)


class Strategy(StrEnum):
    """The choices of ``sync --strategy``."""

    HOOK = "hook"
    APPLY = "apply"


def complete_option(incomplete: str) -> list[str]:
    """Complete a sync option."""
    return [name for name in _OPTIONS if name.startswith(incomplete)]


_OPTIONS = (
    "ApplyOutOfSyncOnly=true",
    "CreateNamespace=true",
    "Force=true",
    "PruneLast=true",
    "PrunePropagationPolicy=background",
    "PrunePropagationPolicy=foreground",
    "PrunePropagationPolicy=orphan",
    "Replace=true",
    "RespectIgnoreDifferences=true",
    "SkipDryRunOnMissingResource=true",
    "Validate=false",
)


def sync_app(
    context: typer.Context,
    name: AppName,
    prune: Annotated[
        bool, typer.Option("--prune", help="Also delete objects that left the source.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Have the API server check everything and write nothing; implies --wait.",
        ),
    ] = False,
    resource: Annotated[
        list[str],
        typer.Option(
            "--resource",
            metavar="GROUP:KIND:NAME",
            help="Only this object, without hooks; may be repeated. NAMESPACE/NAME where the name alone is not enough.",
        ),
    ] = [],  # noqa: B006  # typer's way to say "none"
    force: Annotated[
        bool, typer.Option("--force", help="Delete and create again what cannot be changed.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace objects as a whole instead of applying.")
    ] = False,
    strategy: Annotated[
        Strategy, typer.Option(help="hook, or apply: without hooks.", case_sensitive=False)
    ] = Strategy.HOOK,
    option: Annotated[
        list[str],
        typer.Option(
            "--sync-option",
            metavar="NAME=VALUE",
            help="A sync option for this once; may be repeated.",
            autocompletion=complete_option,
        ),
    ] = [],  # noqa: B006
    retry_limit: Annotated[
        int | None, typer.Option(help="How often to try again when it fails; -1: for ever.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until it is synced and healthy.")
    ] = False,
    timeout: Wait = 300.0,
) -> None:
    """Apply an application now, whatever its sync policy says; ends the pin of an earlier rollback."""
    hub = connection(context)
    asked = api.SyncRequest(
        prune=prune,
        dry_run=dry_run,
        force=force,
        replace=replace,
        strategy=strategy.value,
        resources=tuple(str(parse_resource(item)) for item in resource),
        options=tuple(option),
        retry_limit=retry_limit,
    )
    answer = hub.post(f"apps/{segment(name)}/sync", asked, api.OperationAnswer)
    said = f"operation {answer.id}" if answer.id else "its child applications are taken over"
    note(f"asked {answer.target} to sync ({said})")
    if not dry_run:
        note_window(hub, name)
    if wait or dry_run:
        whole = not (dry_run or resource)
        status = wait_for(hub, [name], timeout=timeout, operation=answer.id, healthy=whole)
        if answer.id:
            show_results(hub.get(f"apps/{segment(name)}", api.AppDetail).operation_state)
        raise typer.Exit(status)


def note_window(hub: Connection, name: str) -> None:
    """Say that a sync waits for its window: it would look as if nothing had been asked."""
    windows = hub.get(f"apps/{segment(name)}", api.AppDetail).windows
    if windows is not None and not windows.manual:
        note(f"it waits: {windows.message}")


def terminate_app(context: typer.Context, name: AppName) -> None:
    """End the operation that is under way; hooks that run are deleted, what was applied stays."""
    answer = connection(context).post(
        f"apps/{segment(name)}/terminate", api.NoArguments(), api.OperationAnswer
    )
    note(f"asked {answer.target} to end its operation")


def history_of_app(context: typer.Context, name: AppName, output: Output = Format.TABLE) -> None:
    """List what an application was brought to, newest first; any of it can be rolled back to."""
    found = connection(context).get(f"apps/{segment(name)}/history", api.HistoryList)
    print_rows(found, output, HISTORY)


def roll_back_app(
    context: typer.Context,
    name: AppName,
    deployment: Annotated[
        int,
        typer.Argument(
            metavar="ID",
            help="From fleet app history; default: the one before.",
            show_default=False,
        ),
    ] = 0,
    pin: Annotated[
        bool,
        typer.Option(
            "--pin",
            help="Although it is synced automatically: keep it there until: fleet app sync.",
        ),
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Also delete objects that the earlier version lacks.")
    ] = False,
    reason: Annotated[str, typer.Option(help="For the log and for whoever looks.")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it is there.")] = False,
    timeout: Wait = 300.0,
    output: Output = Format.TABLE,
) -> None:
    """Bring an application back to an earlier deployment, by its artifact: git is not needed for it."""
    if deployment < 0:
        raise BadInput(f"deployment {deployment}: ids are positive", hint="see: fleet app history")
    hub = connection(context)
    asked = api.RollbackRequest(id=deployment, pin=pin, prune=prune, reason=reason)
    answer = hub.post(f"apps/{segment(name)}/rollback", asked, api.RollbackAnswer)
    if output is not Format.TABLE:
        print_value(value_of(answer), output)
    else:
        row = answer.deployment
        note(
            f"{answer.target} goes back to deployment {row.id} ({row.revision[:12] or row.digest[:19]}, "
            f"deployed {row.deployed_at}) and stays there until: fleet app sync {name}"
        )
    if wait and answer.operation:
        raise typer.Exit(
            wait_for(hub, [name], timeout=timeout, operation=answer.operation, healthy=False)
        )
    if wait:
        raise typer.Exit(_wait_brought(hub, name, timeout))


def _wait_brought(hub: Connection, name: str, timeout: float) -> Exit:
    """Wait until the documents that an application of applications goes back to are in force."""
    deadline = time.monotonic() + timeout
    with progress("waiting for its documents to come back"):
        while True:
            detail = hub.get(f"apps/{segment(name)}", api.AppDetail)
            if detail.children_in_force:
                return Exit.OK
            if time.monotonic() >= deadline:
                break
            time.sleep(0.25)
    note(f"{detail.app.cluster}/{name}: {detail.app.message}")
    return Exit.FAILED


def delete_app(context: typer.Context, name: AppName) -> None:
    """Let go of an application that nothing in git asks for any more but a policy kept.

    One that git still asks for is deleted there: the answer names the file or the set. What happens to its objects is
    what its finalizers say (fleet app get: On deletion).
    """
    note(connection(context).delete(f"apps/{segment(name)}", api.Message).message)


def show_results(operation: api.OperationRow | None) -> None:
    """Print what an operation did with each object that is worth a line."""
    if operation is None:
        return
    for item in operation.resources:
        kind = "hook " if item.hook else ""
        say(f"{item.phase:<9}{item.status:<13}{kind}{item.ref}  {item.message}".rstrip())
    said = f": {operation.message}" if operation.message else ""
    retries = f" after {operation.retries} retries" if operation.retries else ""
    note(f"operation {operation.id} {operation.phase.lower()}{retries}{said}")
    if operation.phase in ("Failed", "Error", "Expired"):
        raise typer.Exit(Exit.FAILED)

"""Sync windows for people: which one denies or allows now, until when, and how to get past it. Pure.

By the hub's clock and what git says now; what counts is the agent's clock and the assignment it has.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

from fleet.argo.windows import matches, windows_for
from fleet.errors import BadInput
from fleet.model.application import Application
from fleet.model.assignment import Window
from fleet.model.project import AppProject, SyncWindow
from fleet.sync import windows as decisions
from fleet.wire import api


def shown(
    application: Application, project: AppProject | None, now: datetime
) -> api.Windows | None:
    """Say what the windows of its project mean for an Application at an aware moment; None if none matches it."""
    named = [item for item in project.windows if matches(item, application)] if project else []
    if project is None or not named:
        return None
    found = windows_for(named, application)
    try:
        return _shown(found, named, project.name, now)
    except BadInput as error:  # a time zone that this machine lacks; the agent may have it
        return api.Windows(automated=False, manual=False, message=str(error), items=())


def _shown(
    found: tuple[Window, ...], named: Iterable[SyncWindow], project: str, now: datetime
) -> api.Windows:
    automated = decisions.decide(found, now)
    manual = decisions.decide(found, now, manual=True)
    if isinstance(automated, decisions.Allowed):
        block = decisions.next_block(found, now)
        message = f"syncs are allowed{f' until {_local(block, found)}' if block else ''}"
    else:
        message = f"{automated.message}{_in_zone(automated, found)}; {_way_past(manual, project)}"
    return api.Windows(
        automated=isinstance(automated, decisions.Allowed),
        manual=isinstance(manual, decisions.Allowed),
        message=message,
        items=tuple(_row(window, item, now) for window, item in zip(found, named, strict=True)),
    )


def _way_past(manual: decisions.Allowed | decisions.Blocked, project: str) -> str:
    if isinstance(manual, decisions.Allowed):
        return "fleet app sync passes"
    return f"fleet app sync is blocked too, until the window has manualSync: true in AppProject {project!r}"


def _row(window: Window, item: SyncWindow, now: datetime) -> api.WindowRow:
    turn = decisions.next_turn(window, now)
    return api.WindowRow(
        kind=window.kind,
        schedule=window.schedule,
        duration=decisions.length(window.duration),
        time_zone=window.time_zone,
        open=decisions.is_open(window, now),
        changes_at=turn.astimezone(ZoneInfo(window.time_zone)).isoformat() if turn else "",
        manual_sync=window.manual_sync,
        description=item.description,
    )


def _in_zone(block: decisions.Blocked, windows: Iterable[Window]) -> str:
    """Add what the clock on the wall shows when a block ends, where that is not UTC."""
    zones = {window.time_zone for window in windows} - {"UTC"}
    return f" ({_local(block.until, windows)})" if zones and "until" in block.message else ""


def _local(moment: datetime, windows: Iterable[Window]) -> str:
    zone = next((item.time_zone for item in windows if item.time_zone != "UTC"), "UTC")
    return f"{moment.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M} {zone}"

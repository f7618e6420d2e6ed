"""Sync windows of an AppProject: what they say, which Applications they match, and the form agents get.

Whether a window is open is decided where the objects are, by `fleet.sync.windows`: the hub may be away.
Source: app_project_types.go, argo.md 2.8 and 2.10.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fleet.argo.durations import parse_go_duration
from fleet.argo.globs import matches_glob
from fleet.argo.schedules import parse_schedule
from fleet.argo.shapes import Path
from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput
from fleet.model.application import Application
from fleet.model.assignment import Window
from fleet.model.project import SyncWindow, WindowKind

_MAX_DESCRIPTION = 255
_UTC = "UTC"


def window_problems(items: Sequence[JsonObject]) -> Iterator[tuple[Path, str]]:
    """Yield (path below ``spec.syncWindows``, what is wrong) for everything that Argo CD refuses too."""
    seen: set[tuple[str, str, str]] = set()
    for position, item in enumerate(items):
        for name, problem in _problems(item):
            yield (position, name) if name else (position,), problem
        same = (item.get("kind", ""), item.get("schedule", ""), item.get("duration", ""))
        if same in seen:
            yield (position,), "a window of this kind, schedule and duration is there already"
        seen.add(same)


def read_windows(items: Iterable[JsonObject]) -> tuple[SyncWindow, ...]:
    """Give types to windows in which `window_problems` finds nothing."""
    return tuple(
        SyncWindow(
            kind=WindowKind(item["kind"]),
            schedule=item["schedule"],
            duration=parse_go_duration(item["duration"]),
            time_zone=item.get("timeZone") or _UTC,
            applications=tuple(item.get("applications", ())),
            namespaces=tuple(item.get("namespaces", ())),
            clusters=tuple(item.get("clusters", ())),
            all_of=item.get("andOperator", False),
            manual_sync=item.get("manualSync", False),
            sync_overrun=item.get("syncOverrun", False),
            description=item.get("description", ""),
        )
        for item in items
    )


def matches(window: SyncWindow, application: Application) -> bool:
    """Tell whether a window concerns an Application; its cluster counts as the destination writes it."""
    destination = application.destination
    lists = (
        (window.applications, (application.name,)),
        (window.clusters, (destination.name, destination.server)),
        (window.namespaces, (destination.namespace,)),
    )
    verdicts = [_covers(patterns, words) for patterns, words in lists if patterns]
    return bool(verdicts) and (all(verdicts) if window.all_of else any(verdicts))


def windows_for(windows: Iterable[SyncWindow], application: Application) -> tuple[Window, ...]:
    """Return the windows of a project that concern an Application, as its agent needs them."""
    return tuple(
        Window(
            kind=window.kind.value,
            schedule=window.schedule,
            duration=window.duration.total_seconds(),
            time_zone=window.time_zone,
            manual_sync=window.manual_sync,
            sync_overrun=window.sync_overrun,
        )
        for window in windows
        if matches(window, application)
    )


def _problems(item: JsonObject) -> Iterator[tuple[str, str]]:
    if item.get("kind") not in tuple(WindowKind):
        yield "kind", f'must be "allow" or "deny", not "{item.get("kind", "")}"'
    for name, read in (("schedule", parse_schedule), ("duration", parse_go_duration)):
        try:
            read(item.get(name, ""))
        except BadInput as error:
            yield name, f"{error.message} ({error.hint})"
    zone = item.get("timeZone", "")
    if zone and not _is_zone(zone):
        yield "timeZone", f'no such time zone: "{zone}" (write one like Europe/Berlin)'
    if not any(item.get(name) for name in ("applications", "namespaces", "clusters")):
        yield "", "needs at least one of applications, namespaces and clusters"
    if len(item.get("description", "")) > _MAX_DESCRIPTION:
        yield "description", f"must be no more than {_MAX_DESCRIPTION} characters"


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _covers(patterns: Iterable[str], words: Iterable[str]) -> bool:
    return any(word and matches_glob(pattern, word) for pattern in patterns for word in words)

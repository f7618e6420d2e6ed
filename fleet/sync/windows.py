"""Sync windows: may this target be synced now? Argo CD's table, decided where the objects are.

| open windows                 | automated sync | sync that a person asked for       |
|------------------------------|----------------|------------------------------------|
| none matches                 | allowed        | allowed                            |
| a deny                       | blocked        | allowed if every open deny says so |
| an allow, no deny            | allowed        | allowed                            |
| none, and there are allows   | blocked        | allowed if one of the allows does  |
| none, and there are denies only | allowed     | allowed                            |

A sync under way goes on where every window that would stop it has ``syncOverrun``. A window is open strictly between
its start and its end, in wall clock time with the zone's offset of this moment, as in Argo CD: so one that begins in
an hour which a clock change leaves out is open for what is left of it, and one in an hour that comes twice opens twice.
Source: app_project_types.go, argo.md 2.8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fleet.argo.schedules import parse_schedule
from fleet.errors import BadInput
from fleet.model.assignment import Window

_DENY, _ALLOW = "deny", "allow"
_LOOKED_AHEAD = 100
"""Openings and closings that are looked at to tell when a block ends."""
_MOMENT = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Allowed:
    """Nothing stands in the way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """No sync now; just after ``until`` is when to look again: the end of the block as far as it can be foreseen."""

    message: str
    until: datetime


ALLOWED = Allowed()


def decide(
    windows: Sequence[Window],
    now: datetime,
    *,
    manual: bool = False,
    started_at: datetime | None = None,
) -> Allowed | Blocked:
    """Decide about a sync at an aware moment; ``started_at`` is that of a sync under way."""
    stopping = _stopping(windows, now, manual=manual, started_at=started_at)
    if not stopping:
        return ALLOWED
    until, foreseen = _end(windows, now, manual=manual)
    what = "; ".join(shown(window) for window in stopping)
    when = f" until {_written(until)}" if foreseen else ""
    if stopping[0].kind == _DENY:
        return Blocked(message=f"blocked by sync window {what}{when}", until=until)
    return Blocked(message=f"waits for sync window {what}: blocked{when}", until=until)


def is_open(window: Window, now: datetime) -> bool:
    """Tell whether a moment is within a window."""
    local = _local(window, now)
    start = _next_start(window, local - timedelta(seconds=window.duration))
    return start is not None and start < local


def _stopping(
    windows: Sequence[Window], now: datetime, *, manual: bool, started_at: datetime | None
) -> tuple[Window, ...]:
    """Return the windows that forbid it; empty when nothing does."""
    denies = _open(windows, _DENY, now)
    if denies:
        passes = manual and all(window.manual_sync for window in denies)
        overruns = started_at is not None and all(
            window.sync_overrun and not is_open(window, started_at) for window in denies
        )
        return () if passes or overruns else denies
    allows = tuple(window for window in windows if window.kind == _ALLOW)
    if not allows or _open(allows, _ALLOW, now):
        return ()
    began_in = _open(allows, _ALLOW, started_at) if started_at is not None else ()
    passes = manual and any(window.manual_sync for window in allows)
    overruns = bool(began_in) and all(window.sync_overrun for window in began_in)
    return () if passes or overruns else allows


def _open(windows: Iterable[Window], kind: str, at: datetime) -> tuple[Window, ...]:
    return tuple(window for window in windows if window.kind == kind and is_open(window, at))


def next_turn(window: Window, now: datetime) -> datetime | None:
    """Find when an open window closes, or a closed one opens; None where that cannot be foreseen."""
    was_open = is_open(window, now)
    at, foreseen = _look_ahead((window,), now, lambda at: is_open(window, at) != was_open)
    return at if foreseen else None


def next_block(windows: Sequence[Window], now: datetime) -> datetime | None:
    """Find when automated syncs will be blocked that are allowed now; None if that cannot be foreseen."""
    at, foreseen = _look_ahead(
        windows, now, lambda at: bool(_stopping(windows, at, manual=False, started_at=None))
    )
    return at if foreseen else None


def _end(windows: Sequence[Window], now: datetime, *, manual: bool) -> tuple[datetime, bool]:
    """Find when a block ends, and whether that is sure; a sync that begins then is a new one."""
    return _look_ahead(
        windows, now, lambda at: not _stopping(windows, at, manual=manual, started_at=None)
    )


def _look_ahead(
    windows: Sequence[Window], now: datetime, is_it: Callable[[datetime], bool]
) -> tuple[datetime, bool]:
    """Find the opening or closing with which something begins to hold, and whether that is sure."""
    at = now
    for _ in range(_LOOKED_AHEAD):
        edges = [edge for window in windows for edge in _edges(window, at)]
        if not edges:
            return at + timedelta(hours=1), False
        at = min(edges)
        if is_it(at + _MOMENT):
            return at, True
    return at, False


def _edges(window: Window, at: datetime) -> Iterable[datetime]:
    """Yield the first opening and the first closing after a moment."""
    local, length = _local(window, at), timedelta(seconds=window.duration)
    for start, offset in (
        (_next_start(window, local), timedelta()),
        (_next_start(window, local - length), length),
    ):
        if start is None:
            continue
        moment = (start + offset).replace(tzinfo=_zone(window)).astimezone(UTC)
        # In an hour that comes twice or not at all the wall clock names another moment: then a second ahead will do.
        yield max(moment, at + _MOMENT)


def _local(window: Window, at: datetime) -> datetime:
    return at.astimezone(_zone(window)).replace(tzinfo=None)


def _zone(window: Window) -> ZoneInfo:
    try:
        return ZoneInfo(window.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadInput(
            f"this machine knows no time zone {window.time_zone!r} of a sync window",
            hint="correct timeZone in the AppProject, or bring the time zones of the machine up to date",
        ) from error


def _next_start(window: Window, after: datetime) -> datetime | None:
    """The first start after a wall clock time; None for a schedule that names no day there ever is."""
    from cronsim import CronSim, CronSimError  # agents without windows do not pay for it

    try:
        return next(CronSim(parse_schedule(window.schedule), after))
    except (CronSimError, StopIteration):
        return None


def shown(window: Window) -> str:
    """Write a window as people know it."""
    zone = "" if window.time_zone == "UTC" else f" {window.time_zone}"
    return f'"{window.kind} {window.schedule}{zone} for {length(window.duration)}"'


def length(seconds: float) -> str:
    """Write a duration."""
    for size, unit in ((3600, "h"), (60, "m")):
        if seconds >= size and seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    return f"{seconds:g}s"


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

"""Sync windows: Argo CD's table, and its wall clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import BadInput
from fleet.model.assignment import Window
from fleet.sync.windows import ALLOWED, Allowed, Blocked, decide, is_open


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def window(
    kind: str = "deny",
    schedule: str = "0 22 * * *",
    hours: float = 1,
    *,
    zone: str = "UTC",
    manual: bool = False,
    overrun: bool = False,
) -> Window:
    return Window(
        kind=kind,
        schedule=schedule,
        duration=hours * 3600,
        time_zone=zone,
        manual_sync=manual,
        sync_overrun=overrun,
    )


NOW = at("2026-03-04T22:30:00")
EARLIER = at("2026-03-04T21:30:00")
OPEN, SHUT = "0 22 * * *", "0 5 * * *"

TABLE = {
    "nothing matches": ([], True, True, True),
    "open deny": ([window()], False, False, False),
    "open deny, manual passes": ([window(manual=True)], False, True, False),
    "open deny, overrun": ([window(overrun=True)], False, False, True),
    "two open denies, one lets people pass": (
        [window(manual=True), window(schedule="15 22 * * *")],
        False,
        False,
        False,
    ),
    "two open denies, one may be overrun": (
        [window(overrun=True), window(schedule="15 22 * * *")],
        False,
        False,
        False,
    ),
    "shut deny": ([window(schedule=SHUT)], True, True, True),
    "open allow": ([window("allow")], True, True, True),
    "open deny beats open allow": ([window("allow"), window()], False, False, False),
    "shut deny, open allow": ([window("allow"), window(schedule=SHUT)], True, True, True),
    "shut allow": ([window("allow", SHUT)], False, False, False),
    "shut allow, manual passes": ([window("allow", SHUT, manual=True)], False, True, False),
    "two shut allows, one lets people pass": (
        [window("allow", SHUT, manual=True), window("allow", "0 6 * * *")],
        False,
        True,
        False,
    ),
    "shut allow and shut deny": (
        [window("allow", SHUT), window(schedule=SHUT)],
        False,
        False,
        False,
    ),
    "allow that shut since, with overrun": (
        [window("allow", "0 21 * * *", overrun=True)],
        False,
        False,
        True,
    ),
    "allow that shut since, without": ([window("allow", "0 21 * * *")], False, False, False),
    "overrun of an allow that was not open": (
        [window("allow", SHUT, overrun=True), window("allow", "0 21 * * *")],
        False,
        False,
        False,
    ),
}


@pytest.mark.parametrize(
    ("windows", "automated", "manual", "running"), TABLE.values(), ids=TABLE.keys()
)
def test_the_table(windows: list[Window], automated: bool, manual: bool, running: bool) -> None:
    def passes(*, manual: bool = False, started_at: datetime | None = None) -> bool:
        return decide(windows, NOW, manual=manual, started_at=started_at) == ALLOWED

    assert (passes(), passes(manual=True), passes(started_at=EARLIER)) == (
        automated,
        manual,
        running,
    )


def test_a_sync_that_began_within_a_deny_is_no_overrun() -> None:
    within = at("2026-03-04T22:10:00")
    assert isinstance(decide([window(overrun=True)], NOW, started_at=within), Blocked)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-03-04T21:59:59", False),
        ("2026-03-04T22:00:00", False),
        ("2026-03-04T22:00:01", True),
        ("2026-03-04T22:59:59", True),
        ("2026-03-04T23:00:00", False),
    ],
)
def test_a_window_is_open_strictly_between_its_start_and_its_end(
    moment: str, expected: bool
) -> None:
    assert is_open(window(), at(moment)) is expected


CLOCK_CHANGES = {
    # 2026-03-29 02:00 -> 03:00, 2026-10-25 03:00 -> 02:00 in Berlin
    "summer: an hour before noon UTC": ("0 12 * * *", 1, "2026-07-01T10:30:00", True),
    "winter: the same hour is another one": ("0 12 * * *", 1, "2026-01-01T10:30:00", False),
    "winter: an hour later": ("0 12 * * *", 1, "2026-01-01T11:30:00", True),
    "left out hour: what is left of it": ("30 2 * * *", 1, "2026-03-29T01:10:00", True),
    "left out hour: over": ("30 2 * * *", 1, "2026-03-29T01:31:00", False),
    "left out hour: not before": ("30 2 * * *", 1, "2026-03-29T00:59:00", False),
    "hour that comes twice: first": ("30 2 * * *", 0.25, "2026-10-25T00:40:00", True),
    "hour that comes twice: second": ("30 2 * * *", 0.25, "2026-10-25T01:40:00", True),
    "hour that comes twice: between": ("30 2 * * *", 0.25, "2026-10-25T01:10:00", False),
    "across the change": ("0 0 * * *", 6, "2026-03-29T03:30:00", True),
    "across the change: over": ("0 0 * * *", 6, "2026-03-29T04:01:00", False),
}


@pytest.mark.parametrize(
    ("schedule", "hours", "moment", "expected"), CLOCK_CHANGES.values(), ids=CLOCK_CHANGES.keys()
)
def test_windows_follow_the_wall_clock_of_their_zone(
    schedule: str, hours: float, moment: str, expected: bool
) -> None:
    assert is_open(window("deny", schedule, hours, zone="Europe/Berlin"), at(moment)) is expected


UNTIL = {
    "deny": ([window()], "2026-03-04T23:00:00"),
    "deny that overlaps another": (
        [window(), window(schedule="45 22 * * *", hours=2)],
        "2026-03-05T00:45:00",
    ),
    "allow": ([window("allow", SHUT)], "2026-03-05T05:00:00"),
    "allow on weekdays": ([window("allow", "0 5 * * sat")], "2026-03-07T05:00:00"),
    "allow that a deny covers": (
        [window("allow", SHUT, 1), window("deny", SHUT, 0.5)],
        "2026-03-05T05:30:00",
    ),
    "zone": ([window("allow", "0 9 * * *", zone="Asia/Tokyo")], "2026-03-05T00:00:00"),
    "zone over its clock change": (
        [window("allow", "0 9 29 3 *", zone="Europe/Berlin")],
        "2026-03-29T07:00:00",
    ),
}


@pytest.mark.parametrize(("windows", "until"), UNTIL.values(), ids=UNTIL.keys())
def test_a_block_says_when_it_ends_and_ends_then(windows: list[Window], until: str) -> None:
    blocked = decide(windows, NOW)
    assert isinstance(blocked, Blocked)
    assert blocked.until == at(until)
    assert f"until {until}Z" in blocked.message
    assert isinstance(decide(windows, blocked.until + timedelta(seconds=1)), Allowed)
    assert isinstance(decide(windows, blocked.until - timedelta(seconds=1)), Blocked)


def test_a_message_names_the_window() -> None:
    blocked = decide([window(zone="Europe/Berlin", schedule="0 23 * * 1-5")], NOW)
    assert isinstance(blocked, Blocked)
    assert blocked.message == (
        'blocked by sync window "deny 0 23 * * 1-5 Europe/Berlin for 1h" until 2026-03-04T23:00:00Z'
    )


def test_a_window_that_never_opens_blocks_and_is_looked_at_again() -> None:
    blocked = decide([window("allow", "0 0 30 2 *")], NOW)
    assert isinstance(blocked, Blocked)
    assert blocked.until > NOW
    assert "until" not in blocked.message


def test_an_unknown_zone_is_an_error_and_no_permission() -> None:
    with pytest.raises(BadInput, match="time zone 'Mars/Olympus'"):
        decide([window(zone="Mars/Olympus")], NOW)


@given(
    minute=st.integers(0, 59),
    hour=st.integers(0, 23),
    length=st.integers(1, 30 * 60),
    offset=st.integers(0, 60 * 24 * 365),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]),
    kind=st.sampled_from(["allow", "deny"]),
)
def test_no_block_ends_before_it_is_said_to_end(
    minute: int, hour: int, length: int, offset: int, zone: str, kind: str
) -> None:
    one = window(kind, f"{minute} {hour} * * *", length / 60, zone=zone)
    now = at("2026-01-01T00:00:30") + timedelta(minutes=offset)
    found = decide([one], now)
    if isinstance(found, Blocked):
        assert found.until > now
        middle = now + (found.until - now) / 2
        assert isinstance(decide([one], middle), Blocked)

"""Schedules and durations as Argo CD reads them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fleet.argo.durations import parse_go_duration
from fleet.argo.schedules import parse_schedule
from fleet.errors import BadInput


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 22 * * *", "0 22 * * *"),
        ("*/20 0-3 1,15 jan-MAR mon", "0,20,40 0,1,2,3 1,15 1,2,3 1"),
        ("5/20 * ? * 1-5", "5,25,45 * * * 1,2,3,4,5"),
        ("0 0 */10 * 1", "0 0 1,11,21,31 * 1"),
        ("0 0 */1 * 1", "0 0 * * 1"),
        ("0 0 1,* * 1", "0 0 * * 1"),
        ("  0   1 2 3 0 ", "0 1 2 3 0"),
    ],
)
def test_schedules_are_written_out(text: str, expected: str) -> None:
    assert parse_schedule(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has 0 fields"),
        ("0 22 * *", "has 4 fields"),
        ("0 0 22 * * *", "has 6 fields"),
        ("@daily", "has 1 fields"),
        ("60 * * * *", "not within 0-59"),
        ("* 24 * * *", "not within 0-23"),
        ("* * 0 * *", "not within 1-31"),
        ("* * * 13 *", "not within 1-12"),
        ("* * * * 7", "not within 0-6"),
        ("* * L * *", "'L' is no day of month"),
        ("* * * * mon#2", "is no day of week"),
        ("5-1 * * * *", "begins after its end"),
        ("*/0 * * * *", "a step of 0"),
        ("1-2-3 * * * *", "too many hyphens"),
        ("*/2/3 * * * *", "too many slashes"),
        (", * * * *", "the minute is empty"),
        ("-5 * * * *", "is no minute"),
    ],
)
def test_what_argo_refuses_is_refused(text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        parse_schedule(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5s", 5),
        ("1m30s", 90),
        ("1.5h", 5400),
        (".5s", 0.5),
        ("250ms", 0.25),
        ("+2m", 120),
        ("0", 0),
        ("1h0.5m", 3630),
        ("1500us", 0.0015),
        ("1µs", 0.000001),
    ],
)
def test_go_durations(text: str, seconds: float) -> None:
    assert parse_go_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "5", "5 s", "1d", "3s4", "s", "-1s", "1e3s", "٣s", "9" * 20 + "h"]
)
def test_other_texts_are_no_durations(text: str) -> None:
    with pytest.raises(BadInput, match="duration"):
        parse_go_duration(text)


def test_plain_seconds_only_where_a_field_takes_them() -> None:
    assert parse_go_duration("90", plain_seconds=True) == timedelta(seconds=90)

"""Sprig's functions on times.

As in sprig, a value that is neither a time nor a whole number stands for the present moment; a number among the parameters
is a float64 and so no whole number. Templates that use these functions read the clock.
"""

from __future__ import annotations

import datetime as dt
import time as clock
from collections.abc import Callable

from fleet.templating import gotime
from fleet.templating.errors import GoError
from fleet.templating.functions import Table, methods
from fleet.templating.gotime import Time
from fleet.templating.literals import parse_int
from fleet.templating.values import GoValue, Int, Int64, Meter

DATES = Table()
_SECOND = 1_000_000_000


def _now() -> Time:
    seconds, nanosecond = divmod(clock.time_ns(), _SECOND)
    at = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return Time(at, nanosecond)


def _moment(value: GoValue) -> Time:
    if isinstance(value, Time):
        return value
    if type(value) is Int or type(value) is Int64:
        return gotime.from_unix(int(value))
    return _now()


def _in_zone(meter: Meter, layout: str, value: GoValue, zone: str) -> str:
    meter.spend(len(layout))
    return gotime.format_time(gotime.in_zone(_moment(value), gotime.location(zone)), layout)


DATES.add("now", "-> any", _now)
DATES.add(
    "date",
    "string any -> string",
    lambda meter, layout, value: _in_zone(meter, layout, value, "Local"),
    meter=True,
)
DATES.add("dateInZone date_in_zone", "string any string -> string", _in_zone, meter=True)
DATES.add(
    "htmlDate",
    "any -> string",
    lambda meter, value: _in_zone(meter, "2006-01-02", value, "Local"),
    meter=True,
)
DATES.add(
    "htmlDateInZone",
    "any string -> string",
    lambda meter, value, zone: _in_zone(meter, "2006-01-02", value, zone),
    meter=True,
)
DATES.add("unixEpoch", "time -> string", lambda value: str(gotime.unix(value)))


@DATES.define("dateModify date_modify", "string time -> any")
def _date_modify(duration: str, value: Time) -> GoValue:
    try:
        nanoseconds = gotime.parse_duration(duration)
    except GoError:
        return value
    return gotime.moved(value, nanoseconds)


@DATES.define("mustDateModify must_date_modify", "string time -> any")
def _must_date_modify(duration: str, value: Time) -> GoValue:
    return gotime.moved(value, gotime.parse_duration(duration))


@DATES.define("toDate", "string string -> any", meter=True)
def _to_date(meter: Meter, layout: str, text: str) -> GoValue:
    meter.spend(len(layout))
    try:
        return gotime.parse_time(layout, text)
    except GoError:
        return gotime.ZERO


@DATES.define("mustToDate", "string string -> any", meter=True)
def _must_to_date(meter: Meter, layout: str, text: str) -> GoValue:
    meter.spend(len(layout))
    return gotime.parse_time(layout, text)


@DATES.define("ago", "any -> string")
def _ago(value: GoValue) -> GoValue:
    return gotime.format_duration(_since(_moment(value)) // _SECOND * _SECOND)


def _since(value: Time) -> int:
    now = _now()
    seconds = (now.at - value.at) // dt.timedelta(seconds=1)
    return seconds * _SECOND + now.nanosecond - value.nanosecond


@DATES.define("duration", "any -> string")
def _duration(value: GoValue) -> GoValue:
    seconds = 0
    if type(value) is str:
        seconds = parse_int(value, 10, clamp=True) or 0
    elif type(value) is Int64:
        seconds = int(value)
    return gotime.format_duration(_wrapped(seconds * _SECOND))


def _wrapped(nanoseconds: int) -> int:
    return ((nanoseconds + (1 << 63)) & ((1 << 64) - 1)) - (1 << 63)


_ROUNDS = (
    (365 * 24 * 3600, "y"),
    (30 * 24 * 3600, "mo"),
    (24 * 3600, "d"),
    (3600, "h"),
    (60, "m"),
    (1, "s"),
)


@DATES.define("durationRound", "any -> string")
def _duration_round(value: GoValue) -> GoValue:
    length = abs(_length(value))
    for seconds, unit in _ROUNDS:
        if length > seconds * _SECOND:
            return f"{length // (seconds * _SECOND)}{unit}"
    return "0s"


def _length(value: GoValue) -> int:
    if type(value) is str:
        try:
            return gotime.parse_duration(value)
        except GoError:
            return 0
    if isinstance(value, Time):
        return _since(value)
    return int(value) if type(value) is Int64 else 0


def _part(read: Callable[[Time], int]) -> tuple[str, Callable[[Time], GoValue]]:
    return "-> int", read


Time.methods = methods(
    Year=_part(lambda value: value.at.year),
    Day=_part(lambda value: value.at.day),
    Hour=_part(lambda value: value.at.hour),
    Minute=_part(lambda value: value.at.minute),
    Second=_part(lambda value: value.at.second),
    Nanosecond=_part(lambda value: value.nanosecond),
    YearDay=_part(lambda value: gotime.day_of_year(value.at)),
    Month=("-> string", lambda value: gotime.format_time(value, "January")),
    Weekday=("-> string", lambda value: gotime.format_time(value, "Monday")),
    Unix=("-> int64", gotime.unix),
    String=("-> string", Time.text),
    UTC=("-> any", lambda value: gotime.in_zone(value, dt.UTC)),
    IsZero=("-> bool", lambda value: value == gotime.ZERO),
    Before=("time -> bool", lambda value, other: _order(value) < _order(other)),
    After=("time -> bool", lambda value, other: _order(value) > _order(other)),
    Equal=("time -> bool", lambda value, other: _order(value) == _order(other)),
)


def _format(meter: Meter, value: Time, layout: str) -> GoValue:
    meter.spend(len(layout))
    return gotime.format_time(value, layout)


Time.methods = {**Time.methods, **methods(meter=True, Format=("string -> string", _format))}


def _order(value: Time) -> tuple[dt.datetime, int]:
    return value.at, value.nanosecond

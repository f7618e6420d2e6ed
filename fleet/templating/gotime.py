"""Go's time: layouts (``2006-01-02``), formatting, parsing, durations.

A moment has nanoseconds and a zone. The local zone is UTC: the hub does not let its own zone into what it makes.
"""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass, field

from fleet.templating.errors import GoError, LimitError
from fleet.templating.values import GoObject

UTC = dt.UTC
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_STANDARD = re.compile(
    r"January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST"
    r"|002|0[1-6]|15|1|2006|(?<=_)2006|__2|_2(?!006)|2|3|4|5|PM|pm"
    r"|-07:00:00|-070000|-07:00|-0700|-07|Z07:00:00|Z070000|Z07:00|Z0700|Z07"
    r"|[.,]0+(?![0-9])|[.,]9+(?![0-9])"
)
_NANOSECOND = 1_000_000_000
_LONGEST_LAYOUT = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Time(GoObject):
    """A moment: a date and time with a zone, to the second, and nanoseconds."""

    go_type = "time.Time"
    kind = "struct"

    at: dt.datetime
    nanosecond: int = 0
    zone: str = field(default="")

    def text(self) -> str:
        """Print it as Go does."""
        return format_time(self, "2006-01-02 15:04:05.999999999 -0700 MST")

    def json(self) -> str:
        """Write it as RFC 3339."""
        return format_time(self, "2006-01-02T15:04:05.999999999Z07:00")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Time):
            return NotImplemented
        return (self.at, self.nanosecond) == (other.at, other.nanosecond)

    def __hash__(self) -> int:
        return hash((self.at, self.nanosecond))


ZERO = Time(dt.datetime(1, 1, 1, tzinfo=UTC))


def location(name: str) -> dt.tzinfo:
    """Return a zone by its name; UTC for one that is not known."""
    if name in ("", "UTC", "Local"):
        return UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def from_unix(seconds: int) -> Time:
    """Return the moment of a Unix time; raises GoError outside of the years 1 to 9999."""
    return _moved(Time(dt.datetime(1970, 1, 1, tzinfo=UTC)), seconds * _NANOSECOND)


def unix(time: Time) -> int:
    """Return the Unix time of a moment."""
    return (time.at - dt.datetime(1970, 1, 1, tzinfo=UTC)) // dt.timedelta(seconds=1)


def moved(time: Time, nanoseconds: int) -> Time:
    """Add a duration; raises GoError outside of the years 1 to 9999."""
    return _moved(time, nanoseconds)


def _moved(time: Time, nanoseconds: int) -> Time:
    seconds, nanosecond = divmod(time.nanosecond + nanoseconds, _NANOSECOND)
    try:
        utc = time.at.astimezone(UTC) + dt.timedelta(seconds=seconds)
        return Time(utc.astimezone(time.at.tzinfo), nanosecond, time.zone)
    except OverflowError as error:
        raise GoError("a time is outside of the years 1 to 9999") from error


def in_zone(time: Time, zone: dt.tzinfo) -> Time:
    """Return the same moment in another zone."""
    try:
        return Time(time.at.astimezone(zone), time.nanosecond)
    except OverflowError as error:
        raise GoError("a time is outside of the years 1 to 9999") from error


# -- formatting


def format_time(time: Time, layout: str) -> str:
    """Write a moment by a layout."""
    return _STANDARD.sub(lambda match: _format_part(time, match.group()), layout)


_WRITERS: dict[str, Callable[[dt.datetime], str]] = {
    "January": lambda at: _MONTHS[at.month - 1],
    "Jan": lambda at: _MONTHS[at.month - 1][:3],
    "Monday": lambda at: _DAYS[at.weekday()],
    "Mon": lambda at: _DAYS[at.weekday()][:3],
    "002": lambda at: f"{day_of_year(at):03d}",
    "__2": lambda at: f"{day_of_year(at):3d}",
    "01": lambda at: f"{at.month:02d}",
    "1": lambda at: str(at.month),
    "02": lambda at: f"{at.day:02d}",
    "_2": lambda at: f"{at.day:2d}",
    "2": lambda at: str(at.day),
    "03": lambda at: f"{at.hour % 12 or 12:02d}",
    "3": lambda at: str(at.hour % 12 or 12),
    "15": lambda at: f"{at.hour:02d}",
    "04": lambda at: f"{at.minute:02d}",
    "4": lambda at: str(at.minute),
    "05": lambda at: f"{at.second:02d}",
    "5": lambda at: str(at.second),
    "06": lambda at: f"{at.year % 100:02d}",
    "2006": lambda at: f"{at.year:04d}",
    "PM": lambda at: "PM" if at.hour >= 12 else "AM",
    "pm": lambda at: "pm" if at.hour >= 12 else "am",
}


def day_of_year(at: dt.datetime) -> int:
    """Return 1 for the first of January."""
    return at.toordinal() - dt.date(at.year, 1, 1).toordinal() + 1


def _format_part(time: Time, part: str) -> str:
    if part in _WRITERS:
        return _WRITERS[part](time.at)
    if part == "MST":
        return _zone_name(time)
    return _fraction(time, part) if part[0] in ".," else _offset(time, part)


def _zone_name(time: Time) -> str:
    if time.zone:
        return time.zone
    name = time.at.tzname() or ""
    return _offset(time, "-0700") if name.startswith(("UTC+", "UTC-")) else name


def _offset_seconds(time: Time) -> int:
    return int((time.at.utcoffset() or dt.timedelta()).total_seconds())


def _offset(time: Time, part: str) -> str:
    seconds = _offset_seconds(time)
    if part.startswith("Z") and not seconds:
        return "Z"
    sign, seconds = ("-" if seconds < 0 else "+"), abs(seconds)
    colon = ":" if ":" in part else ""
    text = f"{sign}{seconds // 3600:02d}"
    digits = sum(char.isdigit() for char in part)
    if digits > 2:
        text += f"{colon}{seconds // 60 % 60:02d}"
    if digits > 4:
        text += f"{colon}{seconds % 60:02d}"
    return text


def _fraction(time: Time, part: str) -> str:
    digits = f"{time.nanosecond:09d}".ljust(len(part), "0")[: len(part) - 1]
    if part[1] == "0":
        return part[0] + digits
    digits = digits.rstrip("0")
    return part[0] + digits if digits else ""


# -- parsing


_PATTERNS = {
    "January": "|".join(_MONTHS),
    "Jan": "|".join(month[:3] for month in _MONTHS),
    "Monday": "|".join(_DAYS),
    "Mon": "|".join(day[:3] for day in _DAYS),
    "MST": r"[A-Z]{3,5}|[+-][0-9]{2}",
    "2006": r"[0-9]{4}",
    "06": r"[0-9]{2}",
    "01": r"[0-9]{2}",
    "1": r"[0-9]{1,2}",
    "02": r"[0-9]{2}",
    "2": r"[0-9]{1,2}",
    "_2": r" ?[0-9]{1,2}",
    "002": r"[0-9]{3}",
    "__2": r" {0,2}[0-9]{1,3}",
    "15": r"[0-9]{1,2}",
    "03": r"[0-9]{2}",
    "3": r"[0-9]{1,2}",
    "04": r"[0-9]{2}",
    "4": r"[0-9]{1,2}",
    "05": r"[0-9]{2}(?:[.,][0-9]+)?",
    "5": r"[0-9]{1,2}(?:[.,][0-9]+)?",
    "PM": "AM|PM",
    "pm": "am|pm",
    "-07": r"[+-][0-9]{2}",
    "-0700": r"[+-][0-9]{4}",
    "-07:00": r"[+-][0-9]{2}:[0-9]{2}",
    "-070000": r"[+-][0-9]{6}",
    "-07:00:00": r"[+-][0-9]{2}:[0-9]{2}:[0-9]{2}",
}


def parse_time(layout: str, text: str) -> Time:
    """Read a moment by a layout; raises GoError."""
    problem = f'parsing time "{text}" as "{layout}": cannot parse'
    if len(layout) > _LONGEST_LAYOUT:
        raise LimitError(f"a layout of a time is longer than {_LONGEST_LAYOUT} characters")
    pattern, parts = _pattern(layout)
    match = re.fullmatch(pattern, text, re.ASCII | re.IGNORECASE)
    if match is None:
        raise GoError(problem)
    try:
        return _assembled(list(zip(parts, match.groups(), strict=True)))
    except (ValueError, OverflowError) as error:
        raise GoError(f'parsing time "{text}": out of range') from error


def _pattern(layout: str) -> tuple[str, list[str]]:
    pattern, parts, end = "", [], 0
    for match in _STANDARD.finditer(layout):
        part = match.group()
        parts.append(part)
        # Atomic, as Go reads: with a way back many digits in a row would take for ever.
        pattern += re.escape(layout[end : match.start()]) + f"((?>{_part_pattern(part)}))"
        end = match.end()
    return pattern + re.escape(layout[end:]), parts


def _part_pattern(part: str) -> str:
    if part.startswith("Z"):
        return f"Z|{_PATTERNS['-' + part[1:]]}"
    if part[0] in ".,":
        return rf"[.,][0-9]{{{len(part) - 1}}}" if part[1] == "0" else r"(?:[.,][0-9]+)?"
    return _PATTERNS[part]


def _assembled(parts: list[tuple[str, str]]) -> Time:
    values = {"year": 0, "month": 1, "day": 1, "hour": 0, "minute": 0, "second": 0}
    afternoon: bool | None = None
    zone, name, fraction, yearday = UTC, "", "", 0
    for part, text in parts:
        if part in _FIELDS:
            whole, _, rest = text.strip().replace(",", ".").partition(".")
            values[_FIELDS[part]] = int(whole)
            fraction = rest or fraction
        elif part in ("January", "Jan"):
            values["month"] = 1 + [m[:3].lower() for m in _MONTHS].index(text[:3].lower())
        elif part == "06":
            values["year"] = int(text) + (1900 if int(text) >= 69 else 2000)
        elif part in ("002", "__2"):
            yearday = int(text)
        elif part in ("PM", "pm"):
            afternoon = text.upper() == "PM"
        elif part[0] in ".,":
            fraction = text[1:]
        elif part == "MST":
            name = text.upper()
        elif part[0] in "-Z":
            zone = _fixed_zone(text)
    if afternoon is not None:
        values["hour"] = values["hour"] % 12 + 12 * afternoon
    if not values["year"]:
        values["year"] = 1  # Go has a year 0, Python does not
    at = dt.datetime(**values, tzinfo=zone)
    if yearday:
        at = at.replace(month=1, day=1) + dt.timedelta(days=yearday - 1)
    shown = name if name != "UTC" and zone is UTC else ""
    return Time(at, int(fraction[:9].ljust(9, "0")) if fraction else 0, shown)


_FIELDS = {
    "2006": "year",
    "01": "month",
    "1": "month",
    "02": "day",
    "2": "day",
    "_2": "day",
    "15": "hour",
    "03": "hour",
    "3": "hour",
    "04": "minute",
    "4": "minute",
    "05": "second",
    "5": "second",
}


def _fixed_zone(text: str) -> dt.timezone:
    if text.upper() == "Z":
        return UTC
    digits = text[1:].replace(":", "").ljust(6, "0")
    seconds = int(digits[:2]) * 3600 + int(digits[2:4]) * 60 + int(digits[4:6])
    offset = dt.timedelta(seconds=-seconds if text[0] == "-" else seconds)
    return dt.timezone(offset) if offset else UTC


# -- durations

_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": _NANOSECOND,
    "m": 60 * _NANOSECOND,
    "h": 3600 * _NANOSECOND,
}
_PIECE = re.compile(r"([0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(ns|us|µs|μs|ms|s|m|h)")


def parse_duration(text: str) -> int:
    """Read a duration such as ``1h30m`` in nanoseconds; raises GoError."""
    body = text[1:] if text[:1] in ("+", "-") else text
    if body == "0":
        return 0
    total = position = 0
    while match := _PIECE.match(body, position):
        whole, _, fraction = match.group(1).partition(".")
        unit = _UNITS[match.group(2)]
        total += int(whole or 0) * unit
        total += int(fraction or 0) * unit // 10 ** len(fraction)
        position = match.end()
    if not position or position != len(body) or total >= 1 << 63:
        raise GoError(f'time: invalid duration "{text}"')
    return -total if text[0] == "-" else total


def format_duration(nanoseconds: int) -> str:
    """Write a duration as Go does: ``1h30m0s``, ``1.5ms``."""
    sign, rest = ("-" if nanoseconds < 0 else ""), abs(nanoseconds)
    if rest < _NANOSECOND:
        if not rest:
            return "0s"
        unit = "ns" if rest < 1_000 else "µs" if rest < 1_000_000 else "ms"
        return f"{sign}{_decimal(rest, _UNITS[unit])}{unit}"
    minutes, seconds = divmod(rest, 60 * _NANOSECOND)
    text = f"{_decimal(seconds, _NANOSECOND)}s"
    if minutes:
        hours, minutes = divmod(minutes, 60)
        text = f"{minutes}m{text}" if not hours else f"{hours}h{minutes}m{text}"
    return sign + text


def _decimal(value: int, unit: int) -> str:
    whole, rest = divmod(value, unit)
    digits = str(rest).rjust(len(str(unit)) - 1, "0").rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)

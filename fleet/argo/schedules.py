"""Cron schedules of sync windows, in the grammar that Argo CD's parser takes: five fields and nothing else.

`parse_schedule` checks a schedule and writes every field out as a plain list, so that whatever works on it
needs no opinion about steps, names or which days are ORed: the parser in Argo CD takes ``*/2`` for a restriction where
Debian's cron takes it for a star, knows no Sunday 7, and no ``L`` or ``#``. Source: robfig/cron v3, ParseStandard.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

from fleet.errors import BadInput

_HINT = 'write five fields: minute hour day month weekday, like "0 22 * * 1-5"'
_ANY = ("*", "?")
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]


@dataclass(frozen=True, slots=True)
class _Bounds:
    name: str
    first: int
    last: int
    words: dict[str, int] = field(default_factory=dict)


_FIELDS = (
    _Bounds("minute", 0, 59),
    _Bounds("hour", 0, 23),
    _Bounds("day of month", 1, 31),
    _Bounds("month", 1, 12, {word: number for number, word in enumerate(_MONTHS, start=1)}),
    _Bounds("day of week", 0, 6, {word: number for number, word in enumerate(_WEEKDAYS)}),
)


@functools.lru_cache(maxsize=1024)
def parse_schedule(text: str) -> str:
    """Return the schedule with each field as ``*`` or a list of numbers; raises BadInput."""
    fields = text.split()
    if len(fields) != len(_FIELDS):
        raise BadInput(f"schedule {text!r} has {len(fields)} fields", hint=_HINT)
    try:
        return " ".join(
            _written(item, bounds) for item, bounds in zip(fields, _FIELDS, strict=True)
        )
    except BadInput as error:
        raise BadInput(f"schedule {text!r}: {error.message}", hint=_HINT) from None


def _written(text: str, bounds: _Bounds) -> str:
    numbers: set[int] = set()
    is_any = False
    for part in filter(None, text.split(",")):
        found, unrestricted = _range(part, bounds)
        numbers |= found
        is_any = is_any or unrestricted
    if not numbers:
        raise BadInput(f"the {bounds.name} is empty")
    return "*" if is_any else ",".join(map(str, sorted(numbers)))


def _range(text: str, bounds: _Bounds) -> tuple[set[int], bool]:
    """Return the numbers of one part of a list, and whether it restricts nothing."""
    span, *steps = text.split("/")
    if len(steps) > 1:
        raise BadInput(f"too many slashes in {text!r}")
    step = _number(steps[0], bounds) if steps else 1
    if step == 0:
        raise BadInput(f"a step of 0 in {text!r}")
    low, *high = span.split("-")
    if low in _ANY:
        return set(range(bounds.first, bounds.last + 1, step)), step == 1
    if len(high) > 1:
        raise BadInput(f"too many hyphens in {text!r}")
    first = _word(low, bounds)
    last = _word(high[0], bounds) if high else bounds.last if steps else first
    if first < bounds.first or last > bounds.last:
        raise BadInput(f"the {bounds.name} {text!r} is not within {bounds.first}-{bounds.last}")
    if first > last:
        raise BadInput(f"{text!r} begins after its end")
    return set(range(first, last + 1, step)), False


def _word(text: str, bounds: _Bounds) -> int:
    known = bounds.words.get(text.lower())
    return known if known is not None else _number(text, bounds)


def _number(text: str, bounds: _Bounds) -> int:
    if not (text.isascii() and text.isdigit()):
        raise BadInput(f"{text!r} is no {bounds.name}")
    return int(text)

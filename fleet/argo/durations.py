"""Durations as Go writes them (``1h30m``, ``500ms``), which is how Argo CD's documents write them too.

Source: Go's time.ParseDuration; plain numbers, where a field takes them, are seconds.
"""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

from fleet.errors import BadInput

_UNITS = {
    "ns": Decimal("1e-9"),
    "us": Decimal("1e-6"),
    "µs": Decimal("1e-6"),
    "μs": Decimal("1e-6"),
    "ms": Decimal("1e-3"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_WHOLE = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)
_HINT = "write 30s, 5m or 1h30m"
_LONGEST = timedelta(days=365 * 290)
"""Go's own limit: 2**63 nanoseconds."""


def parse_go_duration(text: str, *, plain_seconds: bool = False) -> timedelta:
    """Read a duration that is not negative; raises BadInput.

    With ``plain_seconds`` a number without a unit is taken for seconds, as Argo CD does in ``retry.backoff``.
    """
    if plain_seconds and text.isascii() and text.isdigit():
        return _limited(Decimal(text), text)
    if text == "0":
        return timedelta()
    if text.startswith("-"):
        raise BadInput(f"a duration cannot be negative: {text!r}", hint=_HINT)
    if not _WHOLE.fullmatch(text.removeprefix("+")):
        raise BadInput(f"not a duration: {text!r}", hint=_HINT)
    parts = (Decimal(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    return _limited(sum(parts, Decimal()), text)


def _limited(seconds: Decimal, text: str) -> timedelta:
    if seconds > Decimal(_LONGEST.total_seconds()):
        raise BadInput(f"a duration is too long: {text!r}", hint=_HINT)
    return timedelta(microseconds=int(seconds * 1_000_000))

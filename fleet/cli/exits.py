"""Exit statuses: the same numbers everywhere, so that scripts can rely on them."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What a finished command says to its shell."""

    OK = 0
    FAILED = 1
    USAGE = 2
    DIFFERENCES = 3
    HELD = 4

"""Backoff: how long to wait before the n-th attempt, with full jitter.

Full jitter (anything between nothing and the current ceiling) spreads a crowd that failed together best.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from fleet.errors import BadInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """A ceiling in seconds that starts at ``initial`` and grows by ``factor`` up to ``maximum``."""

    initial: float = 1.0
    factor: float = 2.0
    maximum: float = 300.0

    def __post_init__(self) -> None:
        if not (0 < self.initial <= self.maximum and self.factor >= 1):
            raise BadInput(f"backoff needs 0 < initial <= maximum and factor >= 1: {self}")

    def ceiling(self, attempt: int) -> float:
        """Return the longest wait before the attempt (1 = the first repetition)."""
        ceiling = self.initial
        for _ in range(max(0, attempt - 1)):
            if ceiling >= self.maximum or self.factor == 1:
                break
            ceiling *= self.factor
        return min(ceiling, self.maximum)

    def delay(self, attempt: int, rng: Random) -> float:
        """Choose the wait before the attempt."""
        return rng.uniform(0.0, self.ceiling(attempt))


def retry_after(header: str) -> float | None:
    """Read a ``Retry-After`` header in seconds; None where it says none, or more than a month of them."""
    text = header.strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) < 7 else None

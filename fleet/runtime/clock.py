"""Time as a collaborator: what is it, how long since, and wake me later.

Everything that waits or stamps takes a `Clock`, so that tests own time (`fleet.testing.clock.FakeClock`).
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """The three things the program may ask of time."""

    def now(self) -> datetime:
        """Wall time, aware, UTC: for stamps and certificates, never for measuring."""
        ...

    def monotonic(self) -> float:
        """Seconds that only grow: for deadlines and durations."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; zero or less gives way to other tasks once."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the current time in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds since an arbitrary start."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait for real."""
        await asyncio.sleep(max(0.0, seconds))

"""FakeClock: time that stands still until a test moves it.

`advance` wakes sleepers one deadline at a time, in the order of their deadlines (then of their arrival), and lets
every woken task run until it waits again, so that the same test always sees the same order of events.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta

_TURNS = 25
"""Passes of the event loop that a chain of woken tasks gets; only waits for real I/O need more."""


class FakeClock:
    """A `fleet.runtime.clock.Clock` for tests."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._elapsed = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """Return the start plus everything advanced so far."""
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Return the seconds advanced so far."""
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        """Wait until the test has advanced far enough."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._order), waker))
        await waker

    @property
    def sleepers(self) -> int:
        """How many tasks wait for time to pass."""
        return sum(not waker.done() for _, _, waker in self._sleepers)

    async def advance(self, seconds: float | timedelta = 0.0) -> None:
        """Move time forward, stopping at every deadline on the way."""
        step = seconds.total_seconds() if isinstance(seconds, timedelta) else seconds
        end = self._elapsed + step
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            deadline, _, waker = heapq.heappop(self._sleepers)
            if waker.done():
                continue
            self._elapsed = max(self._elapsed, deadline)
            waker.set_result(None)
            await self.settle()
        self._elapsed = end
        await self.settle()

    async def settle(self) -> None:
        """Let every task that can run, run."""
        for _ in range(_TURNS):
            await asyncio.sleep(0)

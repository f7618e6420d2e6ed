"""WorkQueue: which key is next, and when.

Keys, never payloads: adding a key twice is the same as adding it once, with the earlier of the two deadlines.
A key is never with two workers; one that is added while a worker has it comes back when that worker is done.
So memory is bounded by the number of different keys. The queue neither runs work nor knows what a key means.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

from prometheus_client import Gauge

from fleet.runtime.clock import Clock

K = TypeVar("K", bound=Hashable)

_DEPTH = Gauge(
    "fleet_queue_keys", "Keys that wait in a work queue, delayed ones included.", ["queue"]
)


class QueueClosed(Exception):
    """The queue gives out no more work."""


class WorkQueue(Generic[K]):
    """A coalescing queue of keys with deadlines."""

    def __init__(self, clock: Clock, name: str = "") -> None:
        self._clock = clock
        self._depth = _DEPTH.labels(name)
        self._order = itertools.count()
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._running: set[K] = set()
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._closed = False

    def __len__(self) -> int:
        return len(self._due)

    def is_due(self, key: K) -> bool:
        """Whether the key waits for a worker, not only for its time."""
        return self._due.get(key, float("inf")) <= self._clock.monotonic()

    def add(self, key: K) -> None:
        """Ask for the key to be worked on as soon as a worker is free."""
        self._schedule(key, self._clock.monotonic())

    def add_all(self, keys: Iterable[K]) -> None:
        """Do what `add` does for each of many keys; the cost of one is a tenth."""
        due = self._clock.monotonic()
        sooner = {key: due for key in keys if due < self._due.get(key, float("inf"))}
        if not sooner:
            return
        self._due |= sooner
        free = [key for key in sooner if key not in self._running]
        self._heap = [entry for entry in self._heap if self._is_current(entry)]
        self._heap += [(due, next(self._order), key) for key in free]
        heapq.heapify(self._heap)
        self._depth.set(len(self._due))
        for _ in range(min(len(free), len(self._waiters))):
            self._wake_one()

    def add_after(self, key: K, seconds: float) -> None:
        """Ask for the key in some time; an earlier deadline that it already has stays."""
        self._schedule(key, self._clock.monotonic() + max(0.0, seconds))

    async def get(self) -> K:
        """Wait for the next key that is due and mark it as being worked on; raises QueueClosed."""
        while True:
            if self._closed:
                raise QueueClosed
            next_due = self._drop_stale()
            if next_due is not None and next_due <= self._clock.monotonic():
                return self._take()
            await self._wait(next_due)

    def done(self, key: K) -> None:
        """Give the key back; it becomes available again if it was added meanwhile."""
        self._running.discard(key)
        if key in self._due:
            self._push(key)

    def close(self) -> None:
        """Give out no more keys: everybody who waits gets QueueClosed."""
        self._closed = True
        for waiter in self._waiters:
            _wake(waiter)

    def _schedule(self, key: K, due: float) -> None:
        if due >= self._due.get(key, float("inf")):
            return
        self._due[key] = due
        self._depth.set(len(self._due))
        if key not in self._running:
            self._push(key)

    def _push(self, key: K) -> None:
        heapq.heappush(self._heap, (self._due[key], next(self._order), key))
        if len(self._heap) > 2 * len(self._due) + 64:
            self._heap = [entry for entry in self._heap if self._is_current(entry)]
            heapq.heapify(self._heap)
        self._wake_one()

    def _is_current(self, entry: tuple[float, int, K]) -> bool:
        due, _, key = entry
        return key not in self._running and self._due.get(key) == due

    def _drop_stale(self) -> float | None:
        while self._heap and not self._is_current(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def _take(self) -> K:
        _, _, key = heapq.heappop(self._heap)
        del self._due[key]
        self._depth.set(len(self._due))
        self._running.add(key)
        return key

    async def _wait(self, deadline: float | None) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # At the end: those who watch no deadline stay in front and are woken before those who do.
        self._waiters.append(waiter)
        timer: asyncio.Future[None] | None = None
        if deadline is not None:
            timer = asyncio.ensure_future(self._clock.sleep(deadline - self._clock.monotonic()))
        try:
            await asyncio.wait(
                {waiter} if timer is None else {waiter, timer},
                return_when=asyncio.FIRST_COMPLETED,
            )
        except asyncio.CancelledError:
            # Its wake-up, or the deadline that only it was watching, is somebody else's now.
            self._wake_one()
            raise
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            if timer is not None:
                timer.cancel()

    def _wake_one(self) -> None:
        while self._waiters:
            if _wake(self._waiters.popleft()):
                return


def _wake(waiter: asyncio.Future[None]) -> bool:
    if waiter.done():
        return False
    waiter.set_result(None)
    return True

"""A value that is fetched once for everybody who asks at the same time, and kept for a while; failures too.

A repository that hangs must not make a hundred Applications wait one after another: the first waits, the others get
the same error until it is worth asking again.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from fleet.errors import FleetError
from fleet.runtime.clock import Clock

T = TypeVar("T")

_ERROR_SECONDS = 15.0


class Kept(Generic[T]):
    """One such value."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._lock = asyncio.Lock()
        self._value: T | None = None
        self._error: FleetError | None = None
        self._until = -1.0

    async def get(self, fetch: Callable[[T | None], Awaitable[T]]) -> T:
        """Return the kept value or fetch it; ``fetch`` gets the outdated value. Raises what ``fetch`` raised."""
        async with self._lock:
            if self._clock.monotonic() >= self._until:
                await self._renew(fetch)
            if self._error:
                raise copy.copy(self._error)  # callers complete the place of their own copy
            assert self._value is not None
            return self._value

    async def _renew(self, fetch: Callable[[T | None], Awaitable[T]]) -> None:
        seconds = self._seconds
        try:
            self._value = await fetch(self._value)
            self._error = None
        except FleetError as error:
            self._error = error
            seconds = min(seconds, _ERROR_SECONDS)
        self._until = self._clock.monotonic() + seconds

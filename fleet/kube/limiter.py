"""How much one agent may ask of its API server: a token bucket, a bound on parallel requests, and a pause.

The pause is what the server itself asked for (429 with Retry-After): it holds for every request to that server,
because its busy state is not about one of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Limiter:
    """Grants requests: at most ``parallel`` at once and ``qps`` a second on average, ``burst`` at a time."""

    def __init__(self, *, qps: float, burst: int, parallel: int) -> None:
        self._qps = qps
        self._burst = float(burst)
        self._tokens = float(burst)
        self._filled = 0.0
        self._open_at = 0.0
        self._parallel = asyncio.Semaphore(parallel)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a turn and hold one of the parallel places."""
        async with self._parallel:
            delay = self._take()
            while delay > 0:
                await asyncio.sleep(delay)
                delay = self._take()
            yield

    def pause(self, seconds: float) -> None:
        """Let nothing start for so long."""
        self._open_at = max(self._open_at, _now() + seconds)

    def _take(self) -> float:
        """Take a token and return 0, or return how long to wait."""
        now = _now()
        if now < self._open_at:
            return self._open_at - now
        self._tokens = min(self._burst, self._tokens + (now - self._filled) * self._qps)
        self._filled = now
        if self._tokens < 1:
            return (1 - self._tokens) / self._qps
        self._tokens -= 1
        return 0.0


def _now() -> float:
    return asyncio.get_running_loop().time()

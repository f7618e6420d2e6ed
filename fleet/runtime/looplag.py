"""Event-loop lag: how late the loop wakes a task that asked for a moment.

It is the one number that shows blocking code; the budget is a p99 below 100 ms. ``recent_p99`` is over the last
minute, for probes and tests; the histogram is for dashboards.
"""

from __future__ import annotations

from collections import deque

from prometheus_client import Histogram

from fleet.runtime.clock import Clock

_LAG = Histogram(
    "fleet_loop_lag_seconds",
    "How late the event loop woke a sleeping task.",
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
)


class LoopLag:
    """Measures for as long as `run` runs."""

    def __init__(self, clock: Clock, *, interval: float = 0.1, keep: int = 600) -> None:
        self._clock = clock
        self._interval = interval
        self._samples: deque[float] = deque(maxlen=keep)

    async def run(self) -> None:
        """Sample until cancelled."""
        while True:
            started = self._clock.monotonic()
            await self._clock.sleep(self._interval)
            lag = max(0.0, self._clock.monotonic() - started - self._interval)
            self._samples.append(lag)
            _LAG.observe(lag)

    def recent_p99(self) -> float:
        """Return the 99th percentile of the recent samples in seconds, 0 without any."""
        if not self._samples:
            return 0.0
        ordered = sorted(self._samples)
        return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]

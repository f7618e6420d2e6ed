"""FakeClock and loop lag: order of waking, and lateness that is seen."""

import asyncio
from datetime import UTC, timedelta

from fleet.runtime.clock import SystemClock
from fleet.runtime.looplag import LoopLag
from fleet.testing.clock import FakeClock


async def test_sleepers_wake_in_the_order_of_their_deadlines_and_see_their_time() -> None:
    clock = FakeClock()
    seen: list[tuple[str, float]] = []

    async def sleeper(name: str, *steps: float) -> None:
        for step in steps:
            await clock.sleep(step)
            seen.append((name, clock.monotonic()))

    start = clock.now()
    tasks = [asyncio.create_task(sleeper("a", 2, 2)), asyncio.create_task(sleeper("b", 1, 1, 1))]
    await clock.advance(timedelta(seconds=10))
    assert seen == [("b", 1), ("a", 2), ("b", 2), ("b", 3), ("a", 4)]
    assert clock.now() - start == timedelta(seconds=10)
    assert clock.sleepers == 0
    assert all(task.done() for task in tasks)


async def test_system_clock_is_aware_and_monotonic() -> None:
    clock = SystemClock()
    first = clock.monotonic()
    await clock.sleep(-1)
    assert clock.now().tzinfo is UTC
    assert clock.monotonic() >= first


async def test_loop_lag_is_what_a_sleep_took_too_long() -> None:
    class Late(FakeClock):
        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds + 0.3)

    clock = Late()
    lag = LoopLag(clock)
    assert lag.recent_p99() == 0
    task = asyncio.create_task(lag.run())
    await clock.advance(2)
    task.cancel()
    assert round(lag.recent_p99(), 6) == 0.3

"""Reconciler: what each kind of error does to its key, and to nothing else."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from random import Random

import pytest
from structlog.testing import capture_logs

from fleet.errors import BadInput, Corrupt, Denied, NotReady, Transient, Unsupported
from fleet.runtime.backoff import Backoff
from fleet.runtime.queue import WorkQueue
from fleet.runtime.reconciler import Done, Outcome, Reconciler, RequeueAfter, RetryPolicy
from fleet.testing.clock import FakeClock


class Top(Random):
    """The upper end of every range: delays are the ceilings."""

    def uniform(self, a: float, b: float) -> float:
        return b


class Harness:
    """A reconciler with two workers over a scripted function."""

    def __init__(self, script: Callable[[str, int], Outcome]) -> None:
        self.clock = FakeClock()
        self.queue: WorkQueue[str] = WorkQueue(self.clock)
        self.runs: list[tuple[float, str]] = []
        self.script = script
        self.reconciler = Reconciler(
            "test",
            self.reconcile,
            self.queue,
            workers=2,
            clock=self.clock,
            retry=RetryPolicy(
                backoff=Backoff(initial=1, factor=2, maximum=4), not_ready=timedelta(seconds=3)
            ),
            rng=Top(),
        )

    async def reconcile(self, key: str) -> Outcome:
        self.runs.append((self.clock.monotonic(), key))
        return self.script(key, sum(1 for _, other in self.runs if other == key))

    async def times(self, key: str, seconds: float) -> list[float]:
        task = asyncio.create_task(self.reconciler.run())
        self.queue.add(key)
        await self.clock.advance(seconds)
        self.reconciler.stop()
        await task
        return [at for at, other in self.runs if other == key]


def failing(error: Exception) -> Callable[[str, int], Outcome]:
    def script(_key: str, _run: int) -> Outcome:
        raise error

    return script


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (lambda _key, _run: Done(), [0]),
        (lambda _key, run: RequeueAfter(4) if run < 3 else Done(), [0, 4, 8]),
        (failing(BadInput("x")), [0]),
        (failing(Unsupported("x")), [0]),
        (failing(Denied("x")), [0]),
        (failing(NotReady("x")), [0, 3, 6, 9]),
        (failing(Transient("x")), [0, 1, 3, 7]),
        (failing(Transient("x", retry_after=6)), [0, 6]),
        (failing(Corrupt("x")), [0, 1, 3, 7]),
        (failing(ZeroDivisionError("x")), [0, 1, 3, 7]),
    ],
    ids=[
        "done",
        "requeue",
        "bad input",
        "unsupported",
        "denied",
        "not ready",
        "transient",
        "retry after",
        "corrupt",
        "bug",
    ],
)
async def test_what_happens_next(
    script: Callable[[str, int], Outcome], expected: list[float]
) -> None:
    assert await Harness(script).times("k", 10) == expected


async def test_success_resets_the_backoff() -> None:
    def script(_key: str, run: int) -> Outcome:
        if run in (1, 2, 4):
            raise Transient("x")
        return RequeueAfter(0.5)

    assert (await Harness(script).times("k", 5))[:5] == [0, 1, 3, 3.5, 4.5]


async def test_one_bad_key_does_not_disturb_the_others() -> None:
    def script(key: str, _run: int) -> Outcome:
        if key == "bad":
            raise RuntimeError("boom")
        return RequeueAfter(1)

    harness = Harness(script)
    harness.queue.add("bad")
    assert await harness.times("good", 5) == [0, 1, 2, 3, 4, 5]


async def test_runs_that_wait_for_nothing_let_others_run() -> None:
    harness = Harness(lambda _key, _run: Done())
    harness.queue.add_all([str(number) for number in range(100)])
    async with asyncio.TaskGroup() as group:
        group.create_task(harness.reconciler.run())
        for _ in range(3):
            await asyncio.sleep(0)
        assert len(harness.runs) < 50
        harness.reconciler.stop()


async def test_cancelling_passes_through() -> None:
    never = asyncio.Event()
    clock = FakeClock()
    queue: WorkQueue[str] = WorkQueue(clock)

    async def hang(_key: str) -> Outcome:
        await never.wait()
        return Done()

    task = asyncio.create_task(Reconciler("t", hang, queue, workers=1, clock=clock).run())
    queue.add("a")
    await clock.settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_stop_finishes_the_run_under_way() -> None:
    clock = FakeClock()
    queue: WorkQueue[str] = WorkQueue(clock)
    finished: list[str] = []

    async def slow(key: str) -> Outcome:
        await clock.sleep(5)
        finished.append(key)
        return Done()

    reconciler = Reconciler("t", slow, queue, workers=1, clock=clock)
    task = asyncio.create_task(reconciler.run())
    queue.add("a")
    queue.add("b")
    await clock.settle()
    reconciler.stop()
    await clock.advance(20)
    await task
    assert finished == ["a"]


@pytest.mark.parametrize(
    ("error", "level", "traceback"),
    [(None, "debug", False), (Denied("no"), "info", False), (KeyError("bug"), "error", True)],
    ids=["done", "known", "bug"],
)
async def test_one_log_line_a_run(error: Exception | None, level: str, traceback: bool) -> None:
    def script(_key: str, _run: int) -> Outcome:
        if error:
            raise error
        return Done()

    with capture_logs() as lines:
        await Harness(script).times("k", 0)
    assert [(line["log_level"], "exc_info" in line) for line in lines] == [(level, traceback)]

"""Supervisor: together started, together stopped."""

import asyncio
import os
import signal
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from fleet.errors import BadInput
from fleet.runtime.supervisor import EXIT_FAILED, EXIT_OK, Supervisor

GRACE = timedelta(seconds=30)


async def forever() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["term", "int"])
async def test_a_signal_ends_the_daemon_with_status_0(number: signal.Signals) -> None:
    supervisor = Supervisor(grace=GRACE)
    supervisor.spawn("forever", forever)

    async def sender() -> None:
        os.kill(os.getpid(), number)
        await forever()

    supervisor.spawn("sender", sender)
    assert await supervisor.run() == EXIT_OK


async def ends() -> None:
    return None


async def breaks() -> None:
    raise RuntimeError("boom")


async def refuses() -> None:
    raise BadInput("no such repository")


@pytest.mark.parametrize(
    ("task", "event", "traceback"),
    [
        (ends, "task ended unexpectedly", False),
        (breaks, "task failed", True),
        (refuses, "task failed", False),
    ],
)
async def test_a_task_that_ends_early_ends_all(task, event: str, traceback: bool) -> None:  # type: ignore[no-untyped-def]
    supervisor = Supervisor(grace=GRACE)
    cancelled = asyncio.Event()

    async def other() -> None:
        try:
            await forever()
        finally:
            cancelled.set()

    supervisor.spawn("other", other)
    supervisor.spawn("first", task)
    with capture_logs() as lines:
        assert await supervisor.run() == EXIT_FAILED
    assert cancelled.is_set()
    assert [(line["event"], line["task"], "exc_info" in line) for line in lines] == [
        (event, "first", traceback)
    ]


async def test_what_drains_may_finish_while_the_rest_still_serves() -> None:
    supervisor = Supervisor(grace=GRACE)
    serving = True
    seen: list[bool] = []

    async def serve() -> None:
        nonlocal serving
        try:
            await forever()
        finally:
            serving = False

    async def drain() -> None:
        await supervisor.stopping.wait()
        for _ in range(5):
            await asyncio.sleep(0)
        seen.append(serving)

    supervisor.spawn("serve", serve)
    supervisor.spawn("drain", drain, drains=True)
    asyncio.get_running_loop().call_soon(supervisor.stop)
    assert await supervisor.run() == EXIT_OK
    assert seen == [True]
    assert not serving


@pytest.mark.parametrize("grace", [timedelta(0), GRACE], ids=["grace over", "second signal"])
async def test_what_does_not_drain_in_time_is_cancelled(grace: timedelta) -> None:
    supervisor = Supervisor(grace=grace)
    supervisor.spawn("stuck", forever, drains=True)
    loop = asyncio.get_running_loop()
    loop.call_soon(supervisor.stop)
    if grace:
        loop.call_later(0.01, supervisor.stop)
    with capture_logs() as lines:
        assert await supervisor.run() == EXIT_OK
    assert lines[-1]["event"] == "did not stop in time"
    assert lines[-1]["task"] == ["stuck"]

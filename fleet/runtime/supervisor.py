"""Supervisor: the named tasks of a daemon, started together and stopped together.

A task that ends before anybody asked for it is a failure and ends the daemon: half a daemon is worse than one
that its platform restarts. SIGTERM or SIGINT sets ``stopping``; tasks that drain then have the grace period to
finish on their own while the others still serve; afterwards everything is cancelled. A second signal cancels at
once.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

import structlog

from fleet.errors import FleetError
from fleet.runtime import log as fields

log = structlog.get_logger(__name__)

TaskFunction: TypeAlias = Callable[[], Awaitable[None]]

EXIT_OK = 0
EXIT_FAILED = 1


@dataclass(frozen=True, slots=True)
class _Task:
    name: str
    run: TaskFunction
    drains: bool


class _Unexpected(Exception):
    """A task ended, or failed, while the daemon was meant to run."""


class Supervisor:
    """Collects the tasks, then `run` lives as long as the daemon does."""

    def __init__(
        self,
        *,
        grace: timedelta = timedelta(seconds=20),
        signals: tuple[int, ...] = (signal.SIGTERM, signal.SIGINT),
    ) -> None:
        self.stopping = asyncio.Event()
        """Set when the daemon shall end; tasks that drain watch it."""
        self._grace = grace
        self._signals = signals
        self._tasks: list[_Task] = []
        self._cut_short = asyncio.Event()

    def spawn(self, name: str, run: TaskFunction, *, drains: bool = False) -> None:
        """Add a task, before `run`; one that ``drains`` ends on its own after ``stopping`` is set."""
        self._tasks.append(_Task(name, run, drains))

    def stop(self) -> None:
        """Ask the daemon to end; a second call does not wait for the grace period."""
        if self.stopping.is_set():
            self._cut_short.set()
        self.stopping.set()

    async def run(self) -> int:
        """Run all tasks until a stop or a failure; returns the exit status of the process."""
        loop = asyncio.get_running_loop()
        for number in self._signals:
            loop.add_signal_handler(number, self.stop)
        status = EXIT_OK
        try:
            await self._run_group()
        except* _Unexpected:
            status = EXIT_FAILED
        finally:
            for number in self._signals:
                loop.remove_signal_handler(number)
        return status

    async def _run_group(self) -> None:
        async with asyncio.TaskGroup() as group:
            running = {
                task: group.create_task(self._guard(task), name=task.name) for task in self._tasks
            }
            await self.stopping.wait()
            await self._drain({running[task] for task in self._tasks if task.drains})
            for handle in running.values():
                handle.cancel()

    async def _drain(self, draining: set[asyncio.Task[None]]) -> None:
        log.info("stopping", **{fields.COUNT: len(draining)})
        finished = asyncio.create_task(_all_of(draining))
        cut = asyncio.create_task(self._watch_cut())
        try:
            await asyncio.wait(
                {finished, cut},
                timeout=self._grace.total_seconds(),
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            finished.cancel()
            cut.cancel()
        late = sorted(task.get_name() for task in draining if not task.done())
        if late:
            log.warning("did not stop in time", **{fields.TASK: late})

    async def _watch_cut(self) -> None:
        await self._cut_short.wait()

    async def _guard(self, task: _Task) -> None:
        try:
            await task.run()
        except FleetError as error:
            log.error("task failed", **{fields.TASK: task.name, fields.ERROR: str(error)})
            raise _Unexpected(task.name) from error
        except Exception as error:
            log.error("task failed", **{fields.TASK: task.name}, exc_info=error)
            raise _Unexpected(task.name) from error
        if not self.stopping.is_set():
            log.error("task ended unexpectedly", **{fields.TASK: task.name})
            raise _Unexpected(task.name)


async def _all_of(tasks: set[asyncio.Task[None]]) -> None:
    if tasks:
        await asyncio.wait(tasks)

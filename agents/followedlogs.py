"""Logs that are followed: a stream for each running container, opened again when it starts anew, joined by new Pods.

Every few seconds it is looked what there is, and what is not followed yet is: so a rollout is seen from its first
line on, and no event has to be caught. It ends when every Pod has.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from functools import partial

from agents.podlogs import Container, Found, PodLogs, sortable
from fleet.errors import FleetError
from fleet.kube.errors import NotFound
from fleet.runtime.clock import Clock
from fleet.wire.requests import Frame, LogLine, Note, Streams

LOOK_AGAIN = 5.0
"""Seconds after which it is looked for what joined."""

_AT_HAND = 16
"""Lines of all containers that wait to be taken."""


class FollowedLogs:
    """One read that follows."""

    def __init__(self, logs: PodLogs, clock: Clock) -> None:
        self._logs = logs
        self._clock = clock
        self._queue: asyncio.Queue[Frame | BaseException | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(_AT_HAND)
        self._tasks: dict[Container, asyncio.Task[None]] = {}
        self._last: dict[Container, str] = {}
        """Time of the last line of each container."""
        self._ended: set[Container] = set()
        self._told: dict[object, str] = {}

    async def read(self) -> AsyncGenerator[Frame, None]:
        """Give lines as they are written; raises NotFound where there is nothing to follow."""
        found = await self._logs.find()
        looking = asyncio.create_task(self._look(found), name="followed-pods")
        looking.add_done_callback(self._stopped)
        try:
            while (frame := await self._queue.get()) is not None:
                if isinstance(frame, BaseException):
                    raise frame
                yield frame
                if isinstance(frame, LogLine):
                    self._room.release()
        finally:
            tasks = [looking, *self._tasks.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self, found: Found) -> None:
        is_first = True
        while True:
            for note in found.notes:
                self._tell(note, note)
            self._join(found, is_first=is_first)
            await self._clock.sleep(LOOK_AGAIN)
            if found.is_over and not self._tasks:
                return
            is_first = False
            try:
                found = await self._logs.find()
            except NotFound:
                found = Found()  # between two rollouts there may be none
            except FleetError as error:
                self._tell("find", str(error))

    def _join(self, found: Found, *, is_first: bool) -> None:
        new = [item for item in found.containers if self._is_wanted(item, found)]
        known = self._last.keys() | self._ended | self._told.keys()
        if is_first or any(item not in known for item in new):
            self._queue.put_nowait(Streams(names=tuple(str(item) for item in found.containers)))
        for item in new:
            task = asyncio.create_task(
                self._follow(item, is_first=is_first), name=f"followed-{item}"
            )
            self._tasks[item] = task
            task.add_done_callback(partial(self._left, item))

    def _is_wanted(self, item: Container, found: Found) -> bool:
        return item not in self._tasks and (item not in self._ended or item in found.running)

    async def _follow(self, item: Container, *, is_first: bool) -> None:
        query, last = self._logs.query(item), sortable(self._last.get(item, ""))
        if last:
            query = replace(query, since=self._last[item], tail=None)
        elif not is_first:
            query = replace(query, tail=None, since_seconds=0)
        try:
            async with aclosing(self._logs.lines(item, query)) as lines:
                async for line in lines:
                    if last and sortable(line.time) <= last:
                        continue  # the server gives whole seconds
                    await self._room.acquire()
                    self._queue.put_nowait(line)
                    self._last[item] = line.time or self._last.get(item, "")
        except FleetError as error:
            self._tell(item, str(error))
        else:
            self._ended.add(item)

    def _tell(self, about: object, message: str) -> None:
        """Say something once, not whenever it is found again."""
        if self._told.get(about) != message:
            self._told[about] = message
            self._queue.put_nowait(Note(message=message))

    def _left(self, item: Container, task: asyncio.Task[None]) -> None:
        del self._tasks[item]
        if not task.cancelled() and (bug := task.exception()) is not None:
            self._queue.put_nowait(bug)

    def _stopped(self, task: asyncio.Task[None]) -> None:
        self._queue.put_nowait(None if task.cancelled() else task.exception())

"""Reads of a mirror that are asked for while another one runs share one process: starting git costs more than reading.

Like a group commit: the first reader goes at once, those who come meanwhile go together after it. Where reading
together fails, each is read alone, so that a file that is refused is nobody else's problem.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from fleet.errors import FleetError

Read = Callable[[list[str]], Awaitable[dict[str, bytes]]]


class Batches:
    """Files by object id, for many readers at once."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._waiting: list[tuple[Sequence[str], asyncio.Future[dict[str, bytes]]]] = []
        self._worker: asyncio.Task[None] | None = None

    async def read(self, objects: Sequence[str]) -> dict[str, bytes]:
        """Read these files; raises what the reader raises for them."""
        answer: asyncio.Future[dict[str, bytes]] = asyncio.get_running_loop().create_future()
        self._waiting.append((objects, answer))
        if self._worker is None:
            self._worker = asyncio.create_task(self._work(), name="git-batches")
        return await answer

    async def _work(self) -> None:
        try:
            while batch := [item for item in self._waiting if not item[1].done()]:
                self._waiting = []
                await self._together(batch)
        finally:
            self._worker = None
            left, self._waiting = self._waiting, []
            for _, answer in left:
                answer.cancel()  # only when we were cancelled ourselves

    async def _together(
        self, batch: list[tuple[Sequence[str], asyncio.Future[dict[str, bytes]]]]
    ) -> None:
        try:
            found = await self._read(sorted({name for objects, _ in batch for name in objects}))
        except FleetError as error:
            if len(batch) == 1:
                _settle(batch[0][1], error)
                return
            for item in batch:
                await self._together([item])
        except BaseException as error:
            for _, answer in batch:
                _settle(answer, error)
            raise
        else:
            for objects, answer in batch:
                _settle(answer, {name: found[name] for name in objects})


def _settle(
    answer: asyncio.Future[dict[str, bytes]], result: dict[str, bytes] | BaseException
) -> None:
    if answer.done():
        return
    if isinstance(result, asyncio.CancelledError):
        answer.cancel()
    elif isinstance(result, BaseException):
        answer.set_exception(result)
    else:
        answer.set_result(result)

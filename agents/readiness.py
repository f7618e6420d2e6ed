"""Evaluates ``gitopsfleet.io/ready-when`` in a child process that exists only while it is needed.

An expression may take as long as its author likes, and the library behind it costs memory: so the child has a
deadline for each question and is ended after a quiet while. An answer is kept as long as what it was asked about
stays the same.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Collection, Sequence

import msgspec

from fleet.codec.canonical import Digest, digest_bytes
from fleet.codec.jsontypes import JsonObject
from fleet.model.report import Ready, TargetStatus
from fleet.runtime.clock import Clock

_DEADLINE = 10.0
_IDLE = 30.0
_LINE_LIMIT = 1024 * 1024


class _Answer(msgspec.Struct, frozen=True):
    id: int
    ready: bool
    message: str = ""


class Readiness:
    """Asks the child, one question at a time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._asked_at = 0.0
        self._kept: dict[str, tuple[Digest, Ready]] = {}
        """The last answer about each target, and the digest of its question: that holds whole objects."""

    async def judge(
        self, expression: str, objects: Sequence[JsonObject], status: TargetStatus
    ) -> Ready:
        """Say whether dependents may go on."""
        question = msgspec.json.encode(
            {
                "id": 0,
                "expression": expression,
                "objects": list(objects),
                "app": {
                    "sync": status.sync.value,
                    "health": status.health.value,
                    "digest": status.applied,
                },
            }
        )
        known = self._kept.get(status.target)
        asked = digest_bytes(question)
        if known is not None and known[0] == asked:
            return known[1]
        async with self._turn:
            answer = await self._ask(question)
        self._kept[status.target] = (asked, answer)
        return answer

    def keep_only(self, present: Collection[str]) -> None:
        """Forget the answers about all other targets."""
        for target in self._kept.keys() - set(present):
            del self._kept[target]

    async def run(self) -> None:
        """End the child when nobody asks, until cancelled."""
        try:
            while True:
                await self._clock.sleep(_IDLE)
                quiet = self._clock.monotonic() - self._asked_at
                if quiet >= _IDLE and not self._turn.locked():
                    await self._end()
        finally:
            await self._end()

    async def _ask(self, question: bytes) -> Ready:
        self._asked_at = self._clock.monotonic()
        try:
            async with asyncio.timeout(_DEADLINE):
                return await self._exchange(question)
        except TimeoutError:
            await self._end()
            return Ready(ready=False, message=f"ready-when took longer than {_DEADLINE:.0f} s")
        except (OSError, ValueError, msgspec.MsgspecError):
            await self._end()
            return Ready(ready=False, message="ready-when could not be evaluated")

    async def _exchange(self, question: bytes) -> Ready:
        process = await self._child()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(question + b"\n")
        await process.stdin.drain()
        answer = msgspec.json.decode(await process.stdout.readline(), type=_Answer)
        return Ready(ready=answer.ready, message=answer.message)

    async def _child(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # what lies in the current folder is none of ours
                "-m",
                "fleet.health.readyworker",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                limit=_LINE_LIMIT,
            )
        return self._process

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()

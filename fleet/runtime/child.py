"""A child process that answers questions by lines, and that can be killed.

What is asked may take as long, and as much memory, as somebody else likes: so a question has a deadline, the child goes
with a question that was not answered, and it is ended after a quiet while. Each question starts it if it is not there.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence

from fleet.runtime.clock import Clock

_IDLE = 30.0
_LINE_LIMIT = 64 * 1024 * 1024


class ChildEnded(Exception):
    """The child ended instead of answering; ``status`` as of `asyncio.subprocess.Process.returncode`."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the process ended with status {status}")
        self.status = status


class Child:
    """Runs ``python -m MODULE ARGUMENTS...`` while there is something to ask it."""

    def __init__(
        self, clock: Clock, module: str, arguments: Sequence[str] = (), *, deadline: float
    ) -> None:
        self._clock = clock
        self._command = (sys.executable, "-P", "-m", module, *arguments)
        self._deadline = deadline
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._asked_at = 0.0

    async def ask(
        self, question: bytes, *, is_note: Callable[[bytes], bool] = lambda _line: False
    ) -> bytes:
        """Return the line that answers; ``is_note`` is shown each line, and says which come before the answer.

        Raises TimeoutError, ChildEnded and OSError, and then the child is gone.
        """
        async with self._turn:
            self._asked_at = self._clock.monotonic()
            try:
                async with asyncio.timeout(self._deadline):
                    return await self._exchange(question, is_note)
            except BaseException:
                # Late, dead, or cancelled in the middle of an answer: the next question needs a fresh one.
                await self.close()
                raise

    async def run(self) -> None:
        """End the child when nobody asks, until cancelled."""
        try:
            while True:
                await self._clock.sleep(_IDLE)
                quiet = self._clock.monotonic() - self._asked_at
                if quiet >= _IDLE and not self._turn.locked():
                    await self.close()
        finally:
            await self.close()

    async def close(self) -> None:
        """End the child; the next question starts another."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()

    async def _exchange(self, question: bytes, is_note: Callable[[bytes], bool]) -> bytes:
        process = await self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(question + b"\n")
            await process.stdin.drain()
            answer = await process.stdout.readline()
            while answer.endswith(b"\n") and is_note(answer):
                answer = await process.stdout.readline()
        except ConnectionError as error:
            raise ChildEnded(await process.wait()) from error
        except ValueError as error:  # the stream's word for a line that is too long
            await self.close()
            raise ChildEnded(process.returncode or 0) from error
        if not answer.endswith(b"\n"):
            raise ChildEnded(await process.wait())
        return answer

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,  # -P: what lies in the current folder is none of ours
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                limit=_LINE_LIMIT,
            )
        return self._process

"""Runs a program that is not trusted: no network, no environment, bounded time, memory and output.

Every child is started through `launcher`, which cuts the network and sets the limits before the program begins.
From outside a deadline, a watcher of resident memory and a cap on output end the child's whole process group.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from fleet.errors import BadInput, NotReady, Transient

_LAUNCHER = str(Path(__file__).with_name("launcher.py"))
_PAGE = os.sysconf("SC_PAGE_SIZE")
_WATCH = 0.1
_ERRORS = 64 * 1024
_PROBE_TIMEOUT = 20.0


class Isolation(StrEnum):
    """How a child is kept from the network."""

    NAMESPACE = "namespace"
    SECCOMP = "seccomp"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one child may use; bytes and seconds."""

    timeout: float
    memory: int
    output: int
    files: int = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A child that ended by itself."""

    status: int
    output: bytes
    errors: str


class TooMuch(BadInput):
    """The child was ended for using more than its limit; the same input will do it again."""

    reason = "RenderLimit"


class Sandbox:
    """Starts children under one isolation and one set of limits."""

    def __init__(self, isolation: Isolation, limits: Limits) -> None:
        self.isolation = isolation
        self.limits = limits

    def command(self, program: Path, arguments: Sequence[str], *, cpu: int) -> list[str]:
        """The argument list that starts a program isolated and limited."""
        # the Go runtime maps more than it uses, so the limit on data is a wall behind the watcher
        data = max(2 * self.limits.memory, 1024**3)
        numbers = (data, cpu, self.limits.output, self.limits.files)
        head = [sys.executable, "-I", "-S", _LAUNCHER, self.isolation.value]
        return [*head, *map(str, numbers), str(program), *arguments]

    async def run(
        self,
        program: Path,
        arguments: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
    ) -> Completed:
        """Run to the end; raises TooMuch (memory, output) and Transient (time, killed from outside)."""
        command = self.command(program, arguments, cpu=int(self.limits.timeout) + 1)
        transport, child = await asyncio.get_running_loop().subprocess_exec(
            lambda: _Child(self.limits.output),
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            cwd=folder,
            env=dict(environment),
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(self.limits.timeout):
                await self._end(transport.get_pid(), child)
        except TimeoutError as error:
            raise Transient(
                f"{program.name} did not end within {self.limits.timeout:g} s"
            ) from error
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(transport.get_pid(), signal.SIGKILL)
            await asyncio.shield(child.exited)
            transport.close()
        status = transport.get_returncode()
        assert status is not None
        return self._completed(program, status, child)

    async def _end(self, pid: int, child: _Child) -> None:
        """Wait until the child has ended and closed its output, watching its memory."""
        while True:
            done, _ = await asyncio.wait((child.closed,), timeout=_WATCH)
            if done:
                return child.closed.result()
            if resident_memory(pid) > self.limits.memory:
                raise TooMuch(f"needs more than {self.limits.memory} bytes of memory")

    def _completed(self, program: Path, status: int, child: _Child) -> Completed:
        if status == -signal.SIGXCPU:
            raise TooMuch(
                f"{program.name} used more than {self.limits.timeout:g} s of processor time"
            )
        if status < 0:
            raise Transient(f"{program.name} was ended by {signal.Signals(-status).name}")
        return Completed(
            status=status,
            output=bytes(child.output),
            errors=child.errors.decode("utf-8", "replace"),
        )


class _Child(asyncio.SubprocessProtocol):
    """Collects what a child writes, up to a limit."""

    def __init__(self, limit: int) -> None:
        loop = asyncio.get_running_loop()
        self.limit = limit
        self.output = bytearray()
        self.errors = bytearray()
        self.exited: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[None] = loop.create_future()
        """The child has ended and nobody can write to its output any more; or it wrote too much."""

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Keep output; past the limit give up, and drop error text."""
        if fd == 2:
            self.errors += data[: max(0, _ERRORS - len(self.errors))]
            return
        if self.closed.done():
            return
        self.output += data
        if len(self.output) > self.limit:
            self.output.clear()
            self.closed.set_exception(TooMuch(f"output is larger than {self.limit} bytes"))

    def process_exited(self) -> None:
        """The child is gone; others may still hold its output open."""
        self.exited.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Child and output are gone."""
        if not self.closed.done():
            self.closed.set_result(None)


async def detect(*, require: bool) -> Isolation:
    """Find the strongest isolation that works here; raises NotReady when there is none and one is required."""
    if sys.platform == "linux":
        for isolation in (Isolation.NAMESPACE, Isolation.SECCOMP):
            if await works(isolation):
                return isolation
    if require:
        raise NotReady(
            "render children cannot be kept from the network: the kernel allows neither a network "
            "namespace nor a seccomp filter",
            hint="allow one of them, or set render.requireSandbox: false",
        )
    return Isolation.NONE


async def works(isolation: Isolation) -> bool:
    """Whether a child under this isolation cannot reach a network."""
    sandbox = Sandbox(isolation, Limits(timeout=_PROBE_TIMEOUT, memory=2**30, output=2**20))
    done = await sandbox.run(Path("probe"), (), folder=Path("/"), environment={})
    return done.status == 0


def resident_memory(pid: int) -> int:
    """Resident bytes of a process; 0 when it is gone or the system does not tell."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:  # noqa: PTH123  # procfs does not block
            return int(file.read().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0

"""Runs one git process under limits: deadline, output, file size, memory; kills its whole group.

git is started through GitPython, always with a list of arguments, in its own session so that its helpers
(ssh, remote-http, index-pack) die with it. Output goes to a sink piece by piece: a sink that raises ends the
process, which is how size limits hold while data still arrives. Blocking: call it in a worker thread.
"""

from __future__ import annotations

import contextlib
import os
import select
import selectors
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from fleet.errors import BadInput, NotReady, Transient
from fleet.git import environment
from fleet.git.settings import GitLimits

Sink = Callable[[bytes], None]

_CHUNK = 256 * 1024
_STDERR_LIMIT = 256 * 1024
_GRACE_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a git process ended; the output of one with a sink of its own is empty here."""

    status: int
    output: bytes
    errors: str
    timed_out: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One git process to run: arguments after ``git``, its repository, environment and limits."""

    arguments: Sequence[str]
    repository: Path
    environ: Mapping[str, str]
    seconds: float
    stdin: bytes = b""
    sink: Sink | None = None
    output_limit: int = 64 * 1024 * 1024
    confined: bool = False
    """Set rlimits: for processes that read what a server sends."""


@dataclass(slots=True)
class _Buffer:
    limit: int
    data: bytearray = field(default_factory=bytearray)

    def __call__(self, piece: bytes) -> None:
        self.data += piece
        if len(self.data) > self.limit:
            raise BadInput(f"git printed more than {self.limit} bytes", hint="raise git.limits")


class Git:
    """Starts git processes and knows the running ones, so that `close` can end them."""

    def __init__(self, limits: GitLimits) -> None:
        self._limits = limits
        self._running: set[int] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._prlimit = shutil.which("prlimit")

    def run(self, call: Call) -> Finished:
        """Run to the end; raises BadInput past the output limit, Transient after `close`."""
        handle = self._start(call)
        process: subprocess.Popen[bytes] = handle.proc
        buffer = _Buffer(call.output_limit)
        with self._lock:
            self._running.add(process.pid)
        try:
            errors, timed_out = _converse(process, call, call.sink or buffer)
        finally:
            with self._lock:
                self._running.discard(process.pid)
            _end_group(process)
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    _close(stream)
        return Finished(
            status=process.returncode,
            output=bytes(buffer.data),
            errors=errors,
            timed_out=timed_out,
        )

    def close(self) -> None:
        """End all running processes and refuse new ones."""
        with self._lock:
            self._closed = True
            for group in self._running:
                _signal_group(group, signal.SIGTERM)

    def _start(self, call: Call):  # type: ignore[no-untyped-def]  # GitPython's process handle is untyped
        if self._closed:
            raise Transient("git is being shut down")
        try:
            from git.cmd import Git as GitPython
            from git.exc import GitCommandNotFound
        except ImportError as error:  # GitPython looks for the program when it is imported
            raise NotReady("git is not installed", hint="put git 2.31 or newer on PATH") from error
        try:
            return GitPython(str(call.repository)).execute(
                [*self._wrapper(call), "git", *call.arguments],
                env={**call.environ, "GIT_DIR": str(call.repository)},
                istream=subprocess.PIPE,
                as_process=True,
                start_new_session=True,
            )
        except (GitCommandNotFound, OSError) as error:
            raise NotReady("git cannot be started", hint="put git on PATH") from error

    def _wrapper(self, call: Call) -> list[str]:
        foreign = environment.foreign_names(call.environ)
        unset = ["env", *(f"--unset={name}" for name in foreign)] if foreign else []
        if not (self._prlimit and call.confined):
            return unset
        limits = self._limits
        sizes = [f"--fsize={limits.repository_bytes}", f"--data={limits.memory_bytes}", "--core=0"]
        return [*unset, self._prlimit, *sizes, "--"]


def _converse(process: subprocess.Popen[bytes], call: Call, sink: Sink) -> tuple[str, bool]:
    """Feed and read all three streams until the process ends (it is not reaped) or its time is over."""
    assert process.stdin
    assert process.stdout
    assert process.stderr
    errors = bytearray()
    ends = time.monotonic() + call.seconds
    waiting = memoryview(call.stdin)
    with selectors.DefaultSelector() as selector:
        for stream, events in (
            (process.stdin, selectors.EVENT_WRITE),
            (process.stdout, selectors.EVENT_READ),
            (process.stderr, selectors.EVENT_READ),
        ):
            os.set_blocking(stream.fileno(), False)
            selector.register(stream, events)
        while selector.get_map():
            if (left := ends - time.monotonic()) <= 0:
                return _text(errors), True
            for key, _ in selector.select(left):
                if key.fileobj is process.stdin:
                    waiting = _feed(process.stdin, waiting)
                    done = not waiting
                else:
                    piece = os.read(key.fd, _CHUNK)
                    done = not piece
                    if key.fileobj is process.stdout:
                        sink(piece)
                    else:
                        errors += piece[: max(0, _STDERR_LIMIT - len(errors))]
                if done:
                    selector.unregister(key.fileobj)
                    if key.fileobj is process.stdin:
                        _close(process.stdin)
    return _text(errors), not _exited(process, ends - time.monotonic())


def _feed(stream: IO[bytes], waiting: memoryview) -> memoryview:
    try:
        return waiting[os.write(stream.fileno(), waiting[:_CHUNK]) :] if waiting else waiting
    except BlockingIOError:
        return waiting
    except BrokenPipeError:
        return memoryview(b"")


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the group, then reap: helpers outlive a git process that was killed.

    The leader is reaped last, because its id names the group and may be given away afterwards.
    """
    if not _exited(process, 0):
        _signal_group(process.pid, signal.SIGTERM)  # lets git remove its lock files
        _exited(process, _GRACE_SECONDS)
    _signal_group(process.pid, signal.SIGKILL)
    process.wait()


def _exited(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait for the end of a process without reaping it."""
    if process.returncode is not None:
        return True
    descriptor = os.pidfd_open(process.pid)
    try:
        return bool(select.select([descriptor], [], [], max(0.0, seconds))[0])
    finally:
        os.close(descriptor)


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _close(stream: IO[bytes]) -> None:
    with contextlib.suppress(BrokenPipeError, BlockingIOError):
        stream.close()


def _text(data: bytearray) -> str:
    return data.decode("utf-8", "replace")

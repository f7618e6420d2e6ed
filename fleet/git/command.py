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
            errors, timed_out = _Conversation(process, call, call.sink or buffer).run()
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


class _Conversation:
    """Feeds and reads the streams of a process until it ends (it is not reaped) or its time is over."""

    def __init__(self, process: subprocess.Popen[bytes], call: Call, sink: Sink) -> None:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        self._process = process
        self._stdin, self._stdout, self._stderr = process.stdin, process.stdout, process.stderr
        self._sink = sink
        self._waiting = memoryview(call.stdin)
        self._ends = time.monotonic() + call.seconds
        self._errors = bytearray()

    def run(self) -> tuple[str, bool]:
        """Return what was written to standard error, and whether time ran out."""
        exited = os.pidfd_open(self._process.pid)
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._stdin, selectors.EVENT_WRITE)
                selector.register(self._stdout, selectors.EVENT_READ)
                selector.register(self._stderr, selectors.EVENT_READ)
                for stream in (self._stdin, self._stdout, self._stderr):
                    os.set_blocking(stream.fileno(), False)
                selector.register(exited, selectors.EVENT_READ, data="exited")
                self._loop(selector, exited)
        finally:
            os.close(exited)
        timed_out = not _exited(self._process, self._ends - time.monotonic())
        return self._errors.decode("utf-8", "replace"), timed_out

    def _loop(self, selector: selectors.BaseSelector, exited: int) -> None:
        streams = 3
        while streams and (left := self._ends - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                if key.data == "exited":
                    # A helper that outlives git may hold the pipes open; what it has to say is short.
                    self._ends = min(self._ends, time.monotonic() + _GRACE_SECONDS)
                    selector.unregister(exited)
                elif self._is_done_with(key):
                    selector.unregister(key.fileobj)
                    streams -= 1
                    if key.fileobj is self._stdin:
                        _close(self._stdin)

    def _is_done_with(self, key: selectors.SelectorKey) -> bool:
        if key.fileobj is self._stdin:
            self._waiting = _feed(self._stdin, self._waiting)
            return not self._waiting
        piece = os.read(key.fd, _CHUNK)
        if key.fileobj is self._stdout:
            self._sink(piece)
        else:
            self._errors += piece[: max(0, _STDERR_LIMIT - len(self._errors))]
        return not piece


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

"""Starts and kills the programs of a control plane; none survives the process that started it.

Every program runs in a process group of its own with its output in a log file. ``Watchdog`` covers the ways of dying
that run no Python any more (SIGKILL, a crash): it holds the other end of a pipe and kills what is left.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from fleet.errors import NotReady

_POLL = 0.03
_TAIL_LINES = 12


class Watchdog:
    """The parent's end of the pipe to ``watchdog.py``."""

    def __init__(self, folder: Path) -> None:
        script = Path(__file__).with_name("watchdog.py")
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            (sys.executable, "-I", "-S", str(script)),
            stdin=subprocess.PIPE,
            start_new_session=True,  # so that Ctrl-C at the terminal does not reach it first
            text=True,
        )
        self._order(f"folder {folder}")

    def watch(self, pid: int) -> None:
        """Have this process group killed should we die."""
        self._order(f"+{pid}")

    def forget(self, pid: int) -> None:
        """The process group is gone; its number may be another's soon."""
        self._order(f"-{pid}")

    def close(self) -> None:
        """Let the watchdog clean up and end."""
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.close()
        self._process.wait(timeout=30)

    def _order(self, line: str) -> None:
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()


class Program:
    """One program with its log file; may be killed and started again."""

    def __init__(self, name: str, argv: Sequence[str], *, log: Path, watchdog: Watchdog) -> None:
        self.name = name
        self.argv = tuple(argv)
        self.log = log
        self._watchdog = watchdog
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self.is_running() and self._process is not None else None

    def is_running(self) -> bool:
        """Whether it was started and has not ended by itself."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it; its output is appended to the log file."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.log.parent,
                start_new_session=True,
            )
        self._watchdog.watch(self._process.pid)

    def kill(self) -> None:
        """End its whole process group at once and wait until it is gone; nothing happens when it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=30)
        self._watchdog.forget(process.pid)

    def tail(self) -> str:
        """The end of its log."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-_TAIL_LINES:])

    def wait_until(self, is_ready: Callable[[], bool], *, timeout: float) -> None:
        """Wait until ``is_ready``; NotReady with the log's end when the program dies or the time is over."""
        deadline = time.monotonic() + timeout
        while not is_ready():
            if not self.is_running():
                raise NotReady(
                    f"{self.name} ended while it was starting; its log ends with:\n{self.tail()}"
                )
            if time.monotonic() > deadline:
                raise NotReady(
                    f"{self.name} was not ready after {timeout:.0f} s; its log ends with:\n{self.tail()}"
                )
            time.sleep(_POLL)

"""Leases loopback ports that nobody else takes between the choice and the ``listen`` of a child process.

They come from below the range that the kernel hands out to outgoing connections, and each is held by a file lock for as
long as its lease: parallel test runs of the same machine never choose the same one, and an API server that was killed
finds its port free when it is started again.
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path
from typing import IO

from fleet.errors import NotReady

_LOWEST, _HIGHEST = 20_000, 32_000
_TRIES = 200


class PortLease:
    """One port of 127.0.0.1, ours until ``release``."""

    def __init__(self) -> None:
        self.port, self._lock = _take()

    def release(self) -> None:
        """Give the port back."""
        self._lock.close()


def _take() -> tuple[int, IO[str]]:
    folder = Path(tempfile.gettempdir()) / f"gitops-fleet-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for _ in range(_TRIES):
        port = random.SystemRandom().randrange(
            _LOWEST, _HIGHEST
        )  # not the seeded one: each process must differ
        lock = (folder / str(port)).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            lock.close()
            continue
        return port, lock
    raise NotReady(f"no free port found between {_LOWEST} and {_HIGHEST} in {_TRIES} tries")

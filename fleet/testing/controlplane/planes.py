"""Starts any number of clusters in seconds and ends them all: one etcd, and for each cluster its own programs.

The clusters share the etcd under a prefix each, which they cannot see across. Everything lives in one temporary folder
(also the logs), on loopback and sockets only, and is gone when the context ends or the process dies, however it dies.
"""

from __future__ import annotations

import atexit
import http.client
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from fleet.errors import BadInput
from fleet.testing.controlplane import arguments, settings
from fleet.testing.controlplane.binaries import Binaries, Lacking, Missing
from fleet.testing.controlplane.plane import ControlPlane
from fleet.testing.controlplane.processes import Program, Watchdog
from fleet.testing.controlplane.settings import Options
from fleet.testing.controlplane.started import StartedCluster

_START = 90.0


class ControlPlanes:
    """The clusters of one run; also a context manager. Safe to use from several threads."""

    def __init__(self, binaries: Binaries) -> None:
        self.binaries = binaries
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self._watchdog: Watchdog | None = None
        self._etcd: Program | None = None
        self._clusters: list[StartedCluster] = []

    @classmethod
    def locate(cls, *, build: bool = False) -> Self | Missing:
        """Control planes from the binaries that are there, or may be built."""
        binaries = Binaries.locate(build=build)
        return binaries if isinstance(binaries, Missing) else cls(binaries)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop_all()

    def start(
        self, name: str, *, pods: bool = False, audit: bool = False, ready_delay: float = 0.0
    ) -> ControlPlane:
        """Start one cluster and wait until it is ready; takes some seconds."""
        return self.start_with(name, Options(pods=pods, audit=audit, ready_delay=ready_delay))

    def start_all(
        self, names: Iterable[str], options: Options | None = None
    ) -> tuple[ControlPlane, ...]:
        """Start several clusters at the same time, with the same options."""
        chosen = options or Options()
        wanted = tuple(names)
        with ThreadPoolExecutor(max_workers=max(1, len(wanted))) as pool:
            return tuple(pool.map(lambda name: self.start_with(name, chosen), wanted))

    def start_with(self, name: str, options: Options) -> ControlPlane:
        """Start one cluster with everything that can be asked for."""
        if lacking := self.binaries.lacking(pods=options.pods, controllers=options.controllers):
            raise Lacking(f"cluster {name} cannot be started: {lacking}")
        cluster = self._new_cluster(name, options)
        try:
            cluster.start()
        except BaseException:
            cluster.stop()
            raise
        return ControlPlane(cluster.access_of(settings.ADMIN), cluster.kubeconfig, cluster)

    def stop_all(self) -> None:
        """Kill everything and remove the folder; may be called twice."""
        with self._lock:
            for cluster in self._clusters:
                cluster.stop()
            self._clusters.clear()
            if self._etcd is not None:
                self._etcd.kill()
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
            if self._watchdog is not None:
                self._watchdog.close()
            self._etcd = self._folder = self._watchdog = None
        atexit.unregister(self.stop_all)

    def _new_cluster(self, name: str, options: Options) -> StartedCluster:
        with self._lock:
            self._start_shared_parts()
            assert self._folder is not None
            assert self._watchdog is not None
            if any(cluster.name == name for cluster in self._clusters if not cluster.is_stopped):
                raise BadInput(f"cluster {name} runs already")
            # the folder's name is also the etcd prefix, so a stopped cluster's name may be used again
            folder = self._folder / f"{len(self._clusters)}-{name}"
            folder.mkdir()
            cluster = StartedCluster(
                name, options, folder=folder, binaries=self.binaries, watchdog=self._watchdog
            )
            self._clusters.append(cluster)
            return cluster

    def _start_shared_parts(self) -> None:
        if self._etcd is not None:
            return
        atexit.register(self.stop_all)
        self._folder = Path(
            tempfile.mkdtemp(prefix="fleet-")
        )  # short: a socket's path has at most 107 bytes
        self._watchdog = Watchdog(self._folder)
        folder = self._folder / "etcd"
        folder.mkdir()
        argv = tuple(arguments.etcd(self.binaries, folder))
        self._etcd = Program("etcd", argv, log=folder / "etcd.log", watchdog=self._watchdog)
        self._etcd.start()
        self._etcd.wait_until(lambda: _is_healthy(folder / "client.sock"), timeout=_START)


def _is_healthy(etcd: Path) -> bool:
    connection = http.client.HTTPConnection("localhost", timeout=5)
    connection.sock = socket.socket(socket.AF_UNIX)
    try:
        connection.sock.settimeout(5)
        connection.sock.connect(str(etcd))
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()

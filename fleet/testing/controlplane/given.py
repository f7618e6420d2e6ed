"""Contexts of the user's kubeconfig (kind, k3d, a real cluster) used as they are, in place of started clusters.

They cannot be killed, have no audit log, and keep what is written to them. Whether their Pods turn Ready is up to them.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput
from fleet.testing import tools
from fleet.testing.controlplane.access import Access
from fleet.testing.controlplane.binaries import Lacking, Missing
from fleet.testing.controlplane.plane import ControlPlane
from fleet.testing.controlplane.planes import ControlPlanes
from fleet.testing.controlplane.settings import Options

VARIABLE = "FLEET_TEST_CONTEXTS"


class ClusterSource(Protocol):
    """Where clusters come from; ``Lacking`` is raised for what a source cannot give."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def start(
        self, name: str, *, pods: bool = False, audit: bool = False, ready_delay: float = 0.0
    ) -> ControlPlane:
        """One cluster, ready."""

    def start_with(self, name: str, options: Options) -> ControlPlane:
        """One cluster, ready."""

    def start_all(
        self, names: Iterable[str], options: Options | None = None
    ) -> tuple[ControlPlane, ...]:
        """Several clusters at once."""

    def stop_all(self) -> None:
        """End what was started."""


def open_source(*, build: bool = False) -> ClusterSource | Missing:
    """Clusters from ``FLEET_TEST_CONTEXTS`` (comma-separated) where it is set, else from binaries."""
    contexts = [name.strip() for name in os.environ.get(VARIABLE, "").split(",") if name.strip()]
    return GivenClusters(contexts) if contexts else ControlPlanes.locate(build=build)


class GivenClusters:
    """Hands out the given contexts one after the other."""

    def __init__(self, contexts: Sequence[str]) -> None:
        self._free = list(contexts)
        self._lock = threading.Lock()
        self._folder = Path(tempfile.mkdtemp(prefix="fleet-given-"))

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
        """The next context, under this name."""
        return self.start_with(name, Options(pods=pods, audit=audit, ready_delay=ready_delay))

    def start_with(self, name: str, options: Options) -> ControlPlane:
        """The next context, if it can do what is asked for."""
        if options.audit or options.ready_delay or options.users:
            raise Lacking(
                f"cluster {name}: a given context has no audit log, no delay of Pods and no users of ours"
            )
        with self._lock:
            if not self._free:
                raise Lacking(f"cluster {name}: no context is left of those given")
            context = self._free.pop(0)
        access = read_context(context, name=name, folder=self._folder)
        return ControlPlane(access, access.write_kubeconfig(self._folder / f"{name}.kubeconfig"))

    def start_all(
        self, names: Iterable[str], options: Options | None = None
    ) -> tuple[ControlPlane, ...]:
        """The next contexts, under these names."""
        return tuple(self.start_with(name, options or Options()) for name in names)

    def stop_all(self) -> None:
        """Forget the credentials; the clusters stay as they are."""
        shutil.rmtree(self._folder, ignore_errors=True)


def read_context(context: str, *, name: str, folder: Path) -> Access:
    """The access that a context of the user's kubeconfig gives, as read by kubectl."""
    kubectl = str(tools.find_tools(build=True).kubectl)
    command = (
        kubectl,
        "config",
        "view",
        "--raw",
        "--minify",
        "--flatten",
        "-o",
        "json",
        "--context",
        context,
    )
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    if done.returncode:
        raise BadInput(f"context {context} cannot be read: {done.stderr.strip()}")
    return access_from(json.loads(done.stdout), name=name, folder=folder)


def access_from(kubeconfig: JsonObject, *, name: str, folder: Path) -> Access:
    """Turn a kubeconfig of one context into an Access, writing what it holds inline to files in ``folder``."""
    cluster, user = kubeconfig["clusters"][0]["cluster"], kubeconfig["users"][0]["user"]
    if "certificate-authority-data" not in cluster:
        raise BadInput(f"cluster {name}: its kubeconfig names no certificate authority")
    ca_file = _written(folder / f"{name}.ca.crt", cluster["certificate-authority-data"])
    if "token" in user:
        return Access(name=name, server=cluster["server"], ca_file=ca_file, token=user["token"])
    if "client-certificate-data" not in user or "client-key-data" not in user:
        raise BadInput(
            f"cluster {name}: only tokens and client certificates can be used, not {', '.join(sorted(user))}"
        )
    return Access(
        name=name,
        server=cluster["server"],
        ca_file=ca_file,
        client_certificate=_written(folder / f"{name}.crt", user["client-certificate-data"]),
        client_key=_written(folder / f"{name}.key", user["client-key-data"]),
    )


def _written(path: Path, data: str) -> Path:
    path.touch(mode=0o600)
    path.write_bytes(base64.b64decode(data))
    return path

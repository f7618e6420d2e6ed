"""``fleet embedded run`` as a program: it says where it serves, keeps its objects, and ends when it is told to."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fleet.kube.adapter import KubernetesCluster
from fleet.kube.connection import Connection, ConnectionSettings
from fleet.kube.errors import NotFound

_COMMAND = (sys.executable, "-m", "fleet.cli.main", "embedded", "run")


@contextmanager
def running(folder: Path) -> Iterator[Path]:
    """The program, until the block ends; yields its kubeconfig."""
    kubeconfig = folder / "kubeconfig"
    arguments = ("--kubeconfig", str(kubeconfig), "--state", str(folder / "state.db"))
    with subprocess.Popen((*_COMMAND, *arguments), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(2)]
            assert lines[0].startswith("serving Kubernetes' API on https://127.0.0.1:")
            assert lines[1] == f"export KUBECONFIG={kubeconfig}\n"
            yield kubeconfig
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0


async def test_objects_are_there_after_a_restart(tmp_path: Path) -> None:
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kept"}}
    for expected in (None, "kept"):
        with running(tmp_path) as kubeconfig:
            for file in (kubeconfig, tmp_path / "state.db"):
                assert file.stat().st_mode & 0o777 == 0o600
            cluster = KubernetesCluster(Connection(ConnectionSettings(kubeconfig=str(kubeconfig))))
            namespaces = (await cluster.discovery()).preferred("", "Namespace")
            assert namespaces is not None
            try:
                found = (await cluster.get(namespaces, "", "kept"))["metadata"]["name"]
            except NotFound:
                found = None
            assert found == expected
            await cluster.apply(namespaces, body)
            await cluster.close()

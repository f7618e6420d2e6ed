"""API servers to hold to one contract: the embedded one and a real kube-apiserver."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.codec import canonical
from fleet.testing.apiservers import ApiServer
from fleet.testing.controlplane import Access, ControlPlane
from fleet.testing.embedded import EmbeddedThread


@pytest.fixture(scope="session")
def embedded_access(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Access]:
    with EmbeddedThread() as running:
        config = canonical.decode(running.kubeconfig.read_bytes())
        cluster = config["clusters"][0]["cluster"]
        ca_file: Path = tmp_path_factory.mktemp("embedded") / "ca.pem"
        ca_file.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
        yield Access(
            name="embedded",
            server=cluster["server"],
            ca_file=ca_file,
            token=config["users"][0]["user"]["token"],
        )


@pytest.fixture(params=["embedded", pytest.param("real", marks=pytest.mark.controlplane)])
def server(request: pytest.FixtureRequest) -> Iterator[ApiServer]:
    if request.param == "embedded":
        access: Access = request.getfixturevalue("embedded_access")
    else:
        plane: ControlPlane = request.getfixturevalue("cluster")
        access = plane.access
    name = f"api-{uuid.uuid4().hex[:8]}"
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    server = ApiServer(access, name)
    server.do("POST", "/api/v1/namespaces", namespace)
    yield server
    server.do("DELETE", f"/api/v1/namespaces/{name}")

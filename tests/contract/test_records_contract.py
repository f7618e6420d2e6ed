"""What the agent's state promises, on a disk, in an in-memory cluster and in a real one."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from agents.filerecords import FileRecords
from agents.kuberecords import KubeRecords
from agents.records import Records
from fleet.kube.adapter import KubernetesCluster
from fleet.kube.connection import Connection, ConnectionSettings
from fleet.kube.port import ClusterPort
from fleet.testing.cluster import FakeCluster

Open = Callable[[], Records]
"""Opens the same state once more, as another process would."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The real third carries the marker of all tests that need a control plane."""
    if "open_records" in metafunc.fixturenames:
        real = pytest.param("real", marks=pytest.mark.controlplane)
        metafunc.parametrize("open_records", ["file", "fake", real], indirect=True)


@pytest.fixture
async def open_records(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Open]:
    if request.param == "file":
        yield lambda: FileRecords(tmp_path)
        return
    cluster: ClusterPort = FakeCluster()
    if request.param == "real":
        plane = request.getfixturevalue("cluster")
        settings = ConnectionSettings(kubeconfig=str(plane.kubeconfig))
        cluster = KubernetesCluster(Connection(settings))
    namespace = f"records-{uuid.uuid4().hex[:8]}"
    yield lambda: KubeRecords(cluster, namespace, limit=1000)
    await cluster.close()


async def test_what_was_written_is_read(open_records: Open) -> None:
    records = open_records()
    assert await records.load() == {}
    await records.write({"position": "1", "inventory.app": '{"a": 1}', "inventory.x.y": "z\nz"})
    assert await open_records().load() == {
        "position": "1",
        "inventory.app": '{"a": 1}',
        "inventory.x.y": "z\nz",
    }


async def test_last_write_counts_and_none_removes(open_records: Open) -> None:
    records = open_records()
    await records.load()
    await records.write({"a": "1", "b": "1"})
    await records.write({"a": "2", "b": None, "c": None})
    assert await records.load() == {"a": "2"}
    assert await open_records().load() == {"a": "2"}


async def test_names_of_any_form(open_records: Open) -> None:
    records = open_records()
    await records.load()
    names = {"inventory.app.with.dots": "1", "with/slash and spaces": "2", "x" * 240: "3"}
    await records.write(names)
    assert await open_records().load() == names


async def test_records_that_grow_out_of_their_place(open_records: Open) -> None:
    records = open_records()
    await records.load()
    for size in (10, 400, 700, 100):
        await records.write({f"r{number}": str(number) * size for number in range(4)})
        assert await open_records().load() == {
            f"r{number}": str(number) * size for number in range(4)
        }


async def test_a_new_process_goes_on_where_the_last_one_stopped(open_records: Open) -> None:
    first = open_records()
    await first.load()
    await first.write({"a": "1"})
    second = open_records()
    await second.load()
    await second.write({"a": "2", "b": "2"})
    assert await open_records().load() == {"a": "2", "b": "2"}


async def test_identity_is_kept_apart(open_records: Open) -> None:
    records = open_records()
    assert await records.load_identity() is None
    await records.save_identity(b'{"key": "one"}')
    await records.save_identity(b'{"key": "two"}')
    assert await open_records().load_identity() == b'{"key": "two"}'
    assert await open_records().load() == {}

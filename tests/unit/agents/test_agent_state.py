"""The agent's state: batches, bounded ConfigMaps, and the notice of a second writer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from agents.kuberecords import KubeRecords
from agents.records import Journal
from fleet.errors import Denied, Transient
from fleet.kube.errors import OutcomeUnknown
from fleet.testing.clock import FakeClock
from fleet.testing.cluster import FakeCluster

NAMESPACE = "gitops-fleet"


def maps(cluster: FakeCluster) -> dict[str, Any]:
    return {
        name: obj
        for name, obj in cluster.objects("ConfigMap").items()
        if name.startswith(NAMESPACE)
    }


async def opened(cluster: FakeCluster, limit: int = 1000) -> KubeRecords:
    records = KubeRecords(cluster, NAMESPACE, limit=limit)
    await records.load()
    return records


async def test_a_batch_costs_one_request(records_cluster: FakeCluster) -> None:
    records = await opened(records_cluster)
    await records.write({"a": "1"})
    before = len(records_cluster.writes)
    await records.write({"a": "2", "b": "2", "c": "2"})
    assert len(records_cluster.writes) == before + 1


async def test_config_maps_stay_below_the_limit(records_cluster: FakeCluster) -> None:
    records = await opened(records_cluster)
    await records.write({f"r{number}": "x" * 300 for number in range(10)})
    found = maps(records_cluster)
    assert len(found) > 1
    for obj in found.values():
        assert sum(len(key) + len(text) for key, text in obj["data"].items()) <= 1000


async def test_second_writer_is_noticed(records_cluster: FakeCluster) -> None:
    first = await opened(records_cluster)
    await first.write({"a": "1"})
    second = await opened(records_cluster)
    await second.write({"a": "2"})
    with pytest.raises(Denied, match="two agents"):
        await first.write({"b": "1"})


async def test_note_of_a_person_on_the_config_map_is_no_second_writer(
    records_cluster: FakeCluster,
) -> None:
    records = await opened(records_cluster)
    await records.write({"a": "1"})
    name = next(iter(maps(records_cluster))).partition("/")[2]
    note = {"metadata": {"annotations": {"note": "do not touch"}}}
    records_cluster.edit("ConfigMap", NAMESPACE, name, note)
    await records.write({"a": "2"})
    assert await (await opened(records_cluster)).load() == {"a": "2"}


async def test_note_of_a_person_in_the_config_map_is_no_record(
    records_cluster: FakeCluster,
) -> None:
    records = await opened(records_cluster)
    await records.write({"a": "1"})
    name = next(iter(maps(records_cluster))).partition("/")[2]
    records_cluster.edit("ConfigMap", NAMESPACE, name, {"data": {"note": "do not touch"}})
    assert await (await opened(records_cluster)).load() == {"a": "1"}


async def test_write_whose_answer_was_lost_is_not_another_writer(
    records_cluster: FakeCluster,
) -> None:
    records = await opened(records_cluster)
    await records.write({"a": "1"})
    name = next(iter(maps(records_cluster))).partition("/")[2]
    records_cluster.fail(
        "patch", f"/ConfigMap:{NAMESPACE}/{name}", OutcomeUnknown("no answer"), after=True
    )
    with pytest.raises(OutcomeUnknown):
        await records.write({"a": "2"})
    await records.write({"a": "2", "b": "2"})
    assert await (await opened(records_cluster)).load() == {"a": "2", "b": "2"}


async def test_deleted_config_map_is_made_again(records_cluster: FakeCluster) -> None:
    records = await opened(records_cluster)
    await records.write({"a": "1", "b": "1"})
    name = next(iter(maps(records_cluster))).partition("/")[2]
    resource = records_cluster.store.resource("ConfigMap")
    await records_cluster.delete(resource, NAMESPACE, name)
    await records.write({"a": "2"})
    assert await (await opened(records_cluster)).load() == {"a": "2", "b": "1"}


@pytest.fixture
def records_cluster() -> FakeCluster:
    return FakeCluster()


# the journal


class Backend:
    def __init__(self) -> None:
        self.batches: list[dict[str, str | None]] = []
        self.errors: list[Exception] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def load(self) -> dict[str, str]:
        return {}

    async def write(self, changes: Mapping[str, str | None]) -> None:
        await self.gate.wait()
        if self.errors:
            raise self.errors.pop(0)
        self.batches.append(dict(changes))

    async def load_identity(self) -> bytes | None:
        return None

    async def save_identity(self, data: bytes) -> None:
        """Not asked for here."""


async def test_writes_that_come_during_a_write_go_together() -> None:
    backend, clock = Backend(), FakeClock()
    journal = Journal(backend, clock)
    backend.gate.clear()
    running = asyncio.create_task(journal.run())
    first = asyncio.create_task(journal.write({"a": "1"}))
    await clock.settle()
    others = [asyncio.create_task(journal.write({f"n{n}": "1"})) for n in range(20)]
    await clock.settle()
    assert not first.done()
    backend.gate.set()
    await asyncio.gather(first, *others)
    assert [len(batch) for batch in backend.batches] == [1, 20]
    running.cancel()


async def test_lazy_writes_wait_for_company_and_go_with_an_urgent_one() -> None:
    backend, clock = Backend(), FakeClock()
    journal = Journal(backend, clock)
    running = asyncio.create_task(journal.run())
    journal.later({"a": "1"})
    await clock.settle()
    assert backend.batches == []
    await journal.write({"b": "1"})
    assert backend.batches == [{"a": "1", "b": "1"}]
    journal.later({"c": "1"})
    await clock.advance(1)
    assert backend.batches[1:] == [{"c": "1"}]
    running.cancel()


async def test_failed_batch_is_told_and_tried_again_with_what_is_newer() -> None:
    backend, clock = Backend(), FakeClock()
    backend.errors = [Transient("disk full")]
    journal = Journal(backend, clock)
    running = asyncio.create_task(journal.run())
    with pytest.raises(Transient):
        await journal.write({"a": "1", "b": "1"})
    journal.later({"a": "2"})
    await clock.advance(5)
    assert backend.batches == [{"a": "2", "b": "1"}]
    running.cancel()


async def test_flush_leaves_nothing_behind() -> None:
    backend, clock = Backend(), FakeClock()
    journal = Journal(backend, clock)
    running = asyncio.create_task(journal.run())
    journal.later({"a": "1"})
    await journal.flush()
    assert backend.batches == [{"a": "1"}]
    running.cancel()

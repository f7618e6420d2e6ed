"""What failing state, a failing cluster or a comeback must not lead to: orphans, wrong words, skipped waiting."""

from __future__ import annotations

from typing import Any

import pytest

from agents.kuberecords import KubeRecords
from fleet.errors import Transient
from fleet.kube.errors import RetiredVersion
from fleet.model.assignment import DependsOn
from fleet.model.report import Health, Phase, Sync
from fleet.testing.cluster import FakeCluster

ON_INFRA = DependsOn(reference="infra", targets=("infra",))


async def test_nothing_is_created_before_an_inventory_that_failed_to_be_written(
    spoke: Any, make: Any
) -> None:
    spoke.records.error = Transient("the state cannot be written")
    digest = await spoke.artifact(make.config_map("a"))
    spoke.assign(make.section("app", digest))
    await spoke.until(lambda: spoke.status("app").phase is Phase.FAILED)
    for _ in range(5):
        await spoke.clock.advance(5)
        await spoke.idle()
    assert spoke.writes() == []
    spoke.records.error = None
    await spoke.clock.advance(300)
    await spoke.until(lambda: spoke.status("app").applied == digest)
    assert "inventory.app" in spoke.records.kept


async def test_a_target_is_not_gone_before_its_inventory_is(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(make.config_map("a"))
    spoke.assign(make.section("app", digest, deletion="orphan"))
    await spoke.until(lambda: spoke.status("app").applied == digest)
    await spoke.clock.advance(1)
    spoke.records.error = Transient("the state cannot be written")
    spoke.assign()
    for _ in range(5):
        await spoke.idle()
        await spoke.clock.advance(5)
    assert "app" in spoke.core.board.statuses
    spoke.records.error = None
    await spoke.clock.advance(300)
    await spoke.until(lambda: "app" not in spoke.core.board.statuses)
    assert "inventory.app" not in spoke.records.kept


async def test_a_removal_whose_write_failed_is_written_later() -> None:
    cluster = FakeCluster()
    records = KubeRecords(cluster, "gitops-fleet")
    await records.load()
    await records.write({"a": "1", "b": "1"})
    cluster.fail("patch", "*", Transient("the API server answered 500"))
    with pytest.raises(Transient):
        await records.write({"a": None})
    await records.write({"a": None})
    assert await KubeRecords(cluster, "gitops-fleet").load() == {"b": "1"}


async def test_a_target_that_comes_back_waits_again(spoke: Any, make: Any) -> None:
    infra = await spoke.artifact(make.deployment("infra"))
    web = await spoke.artifact(make.config_map("web"))
    sections = make.section("infra", infra), make.section("web", web, depends_on=(ON_INFRA,))
    spoke.assign(*sections)
    await spoke.idle()
    spoke.cluster.put_status("Deployment", "default", "infra", make.available)
    await spoke.until(lambda: spoke.status("web").sync is Sync.SYNCED)
    spoke.assign(sections[0])
    await spoke.until(lambda: "web" not in spoke.core.board.statuses)
    spoke.cluster.put_status("Deployment", "default", "infra", {"observedGeneration": 0})
    await spoke.idle()
    spoke.assign(*sections)
    await spoke.idle()
    assert spoke.status("web").phase is Phase.WAITING
    assert "default/web" not in spoke.cluster.objects("ConfigMap")


async def test_what_could_not_be_looked_at_is_neither_synced_nor_ready(
    spoke: Any, make: Any
) -> None:
    digest = await spoke.artifact(make.config_map("a"))
    spoke.assign(make.section("app", digest))
    await spoke.until(lambda: spoke.status("app").sync is Sync.SYNCED)
    await spoke.clock.advance(1)
    await spoke.kill()
    await spoke.start()
    spoke.cluster.fail("list", "*", Transient("the API server answered 500"), times=100)
    spoke.assign(make.section("app", digest, ready_when="objects.all(o, false)"))
    await spoke.until(lambda: spoke.status("app").phase is Phase.FAILED)
    await spoke.idle()
    status = spoke.status("app")
    assert (status.sync, status.health) == (Sync.UNKNOWN, Health.UNKNOWN)
    assert not status.ready.ready


async def test_an_application_that_left_while_detached_is_removed_once_attached(
    spoke: Any, make: Any
) -> None:
    digest = await spoke.artifact(make.config_map("a"))
    spoke.assign(make.section("app", digest))
    await spoke.until(lambda: spoke.status("app").applied == digest)
    spoke.assign(detached=True)
    await spoke.idle()
    assert "default/a" in spoke.cluster.objects("ConfigMap")
    spoke.assign()
    await spoke.until(lambda: "default/a" not in spoke.cluster.objects("ConfigMap"))


async def test_an_object_that_keeps_failing_is_tried_ever_more_rarely_but_each_half_minute(
    spoke: Any, make: Any
) -> None:
    digest = await spoke.artifact(make.config_map("a"))
    spoke.cluster.fail("apply", "*", Transient("the API server answered 500"), times=10_000)
    spoke.assign(make.section("app", digest))
    for _ in range(300):
        await spoke.clock.advance(1)
    tries = 10_000 - spoke.cluster._faults[0].times
    assert 10 <= tries <= 30
    spoke.cluster._faults.clear()
    await spoke.clock.advance(60)
    await spoke.until(lambda: spoke.status("app").applied == digest)


async def test_records_of_ownership_in_a_retired_version_are_renewed(spoke: Any, make: Any) -> None:
    """A CustomResourceDefinition that converts nothing stumbles over them at every apply."""
    one = await spoke.artifact(make.config_map("a", x="1"))
    spoke.assign(make.section("app", one))
    await spoke.until(lambda: spoke.status("app").sync is Sync.SYNCED)
    live = spoke.cluster.objects("ConfigMap")["default/a"]
    for entry in live["metadata"]["managedFields"]:
        entry["apiVersion"] = "v0"
    two = await spoke.artifact(make.config_map("a", x="2"))
    spoke.cluster.fail("apply", "*", RetiredVersion("its fields are in a retired version"))
    spoke.assign(make.section("app", two))
    await spoke.until(lambda: spoke.status("app").applied == two)
    live = spoke.cluster.objects("ConfigMap")["default/a"]
    assert live["data"]["x"] == "2"
    assert {entry["apiVersion"] for entry in live["metadata"]["managedFields"]} == {"v1"}

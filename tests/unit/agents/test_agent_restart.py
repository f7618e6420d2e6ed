"""The agent's own deaths: killed anywhere, started again, with and without what it had kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agents.filerecords import FileRecords
from agents.inventory import Inventories
from agents.records import Journal
from fleet.model.assignment import Operation
from fleet.model.report import Sync
from fleet.testing.clock import FakeClock


async def test_restart_writes_nothing(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(make.config_map("a"), make.deployment("web"))
    spoke.assign(make.section("app", digest))
    await spoke.until(lambda: spoke.status("app").applied == digest)
    await spoke.clock.advance(1)
    await spoke.kill()
    before = len(spoke.cluster.writes)
    await spoke.start()
    spoke.assign(make.section("app", digest))
    await spoke.until(lambda: spoke.status("app").sync is Sync.SYNCED)
    await spoke.idle()
    assert len(spoke.cluster.writes) == before
    assert spoke.cluster.reads["get"] == 0


@pytest.mark.parametrize("survivors", [0, 1, 2])
async def test_killed_in_the_middle_finishes_without_orphans(
    spoke: Any, make: Any, survivors: int
) -> None:
    """SIGKILL after some of the applies: the rest follows, and what left the artifact meanwhile is pruned."""
    names = ["a", "b", "c"]
    one = await spoke.artifact(*(make.config_map(name) for name in names))
    two = await spoke.artifact(make.config_map("a"), make.config_map("d"))

    class Killed(BaseException):
        pass

    def kill_after(_write: Any) -> None:
        if len(spoke.writes()) >= survivors:
            raise Killed

    spoke.cluster.before_write = kill_after
    spoke.assign(make.section("app", one))
    with pytest.raises((Killed, BaseExceptionGroup)):
        await spoke.running()
    spoke.cluster.before_write = None
    assert len(spoke.writes()) == survivors

    await spoke.start()
    spoke.assign(make.section("app", two))
    await spoke.until(lambda: spoke.status("app").applied == two)
    assert sorted(spoke.cluster.objects("ConfigMap")) == ["default/a", "default/d"]


async def test_killed_before_the_inventory_is_written_leaves_nothing(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(make.config_map("a"))
    spoke.assign(make.section("app", digest))
    await spoke.kill()
    assert spoke.writes() == []


async def test_what_was_applied_but_not_recorded_is_found_equal(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(make.config_map("a", x="1"))
    spoke.assign(make.section("app", digest))
    await spoke.until(lambda: spoke.status("app").applied == digest)
    # The first batch is the inventory before the applies; the second never reached the disk.
    kept = dict(spoke.records.batches[0])
    await spoke.kill()
    spoke.records.kept.update({name: text for name, text in kept.items() if text})
    version = spoke.cluster.objects("ConfigMap")["default/a"]["metadata"]["resourceVersion"]
    await spoke.start()
    spoke.assign(make.section("app", digest))
    await spoke.until(lambda: spoke.status("app").sync is Sync.SYNCED)
    live = spoke.cluster.objects("ConfigMap")["default/a"]
    assert live["metadata"]["resourceVersion"] == version


async def test_lost_inventory_is_rebuilt_and_prunes_only_after_a_whole_comparison(
    spoke: Any, make: Any
) -> None:
    both = await spoke.artifact(make.config_map("a"), make.config_map("b"))
    spoke.assign(make.section("app", both))
    await spoke.until(lambda: spoke.status("app").applied == both)
    await spoke.kill()
    spoke.records.kept.clear()
    await spoke.start()
    only_a = await spoke.artifact(make.config_map("a", x="2"))
    spoke.assign(make.section("app", only_a))
    await spoke.until(lambda: spoke.status("app").applied == only_a)
    await spoke.until(lambda: "default/b" not in spoke.cluster.objects("ConfigMap"))


async def test_lost_inventory_of_an_application_that_left_keeps_its_objects(
    spoke: Any, make: Any
) -> None:
    digest = await spoke.artifact(make.config_map("a"))
    spoke.assign(make.section("app", digest))
    await spoke.until(lambda: spoke.status("app").applied == digest)
    await spoke.kill()
    spoke.records.kept.clear()
    await spoke.start()
    spoke.assign()
    await spoke.idle()
    assert "default/a" in spoke.cluster.objects("ConfigMap")


async def test_damaged_inventory_is_rebuilt(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(make.config_map("a"))
    spoke.assign(make.section("app", digest))
    await spoke.until(lambda: spoke.status("app").applied == digest)
    await spoke.clock.advance(1)
    await spoke.kill()
    spoke.records.kept["inventory.app"] = '{"target":"app","broken'
    await spoke.start()
    spoke.assign(make.section("app", digest))
    await spoke.until(lambda: spoke.status("app").sync is Sync.SYNCED)
    assert spoke.core.inventories.get("app").entries


async def test_a_record_whose_bytes_are_damaged_is_only_a_damaged_record(tmp_path: Path) -> None:
    records = FileRecords(tmp_path)
    await records.write({"inventory.app": "{}", "inventory.web": "{}"})
    (tmp_path / "records" / "inventory.app").write_bytes(b"\xff{}")
    inventories = Inventories(Journal(records, FakeClock()), "uid")
    assert inventories.load(await records.load()) == {"app", "web"}


async def test_inventory_of_another_cluster_is_not_used(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(make.config_map("a"))
    spoke.assign(make.section("app", digest))
    await spoke.until(lambda: spoke.status("app").applied == digest)
    await spoke.clock.advance(1)
    await spoke.kill()
    text = spoke.records.kept["inventory.app"]
    spoke.records.kept["inventory.app"] = text.replace(spoke.cluster.uid, "another")
    await spoke.start()
    spoke.assign()
    await spoke.idle()
    assert "default/a" in spoke.cluster.objects("ConfigMap")


async def test_operation_is_not_repeated_after_a_restart(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(make.config_map("a", x="1"))
    operation = Operation(id="op1", target="app", kind="sync")
    target = make.section("app", digest, automated=False)
    spoke.assign(target, operations=(operation,))
    await spoke.until(
        lambda: (found := spoke.status("app").operation) is not None and found.phase == "Succeeded"
    )
    await spoke.clock.advance(1)
    await spoke.kill()
    spoke.cluster.edit("ConfigMap", "default", "a", {"data": {"x": "mine"}})
    await spoke.start()
    spoke.assign(target, operations=(operation,))
    await spoke.until(lambda: spoke.status("app").operation is not None)
    await spoke.idle()
    assert spoke.status("app").operation.phase == "Succeeded"
    assert spoke.cluster.objects("ConfigMap")["default/a"]["data"]["x"] == "mine"


async def test_orderly_stop_flushes_and_finishes(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(make.config_map("a", x="1"))
    spoke.assign(make.section("app", digest))
    await spoke.until(lambda: spoke.status("app").applied == digest)
    await spoke.stop()
    assert digest in spoke.records.kept["inventory.app"]


async def test_watch_that_lost_its_past_starts_over(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(make.config_map("a", x="1"))
    spoke.assign(make.section("app", digest))
    await spoke.until(lambda: spoke.status("app").sync is Sync.SYNCED)
    resource = spoke.cluster.store.resource("ConfigMap")
    spoke.cluster.break_watches()
    await spoke.cluster.delete(resource, "default", "a")
    spoke.cluster.compact()
    await spoke.idle()
    assert "default/a" in spoke.cluster.objects("ConfigMap")

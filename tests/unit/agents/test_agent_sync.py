"""What the agent does to a cluster for an assignment: apply, prune, heal, keep, by the sync policy and no more."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.errors import BadInput, Transient
from fleet.model.assignment import Operation
from fleet.model.report import Health, Phase, Sync


async def test_first_deploy_applies_once_and_is_synced(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(make.config_map("a", x="1"), make.config_map("b", x="1"))
    spoke.assign(make.section("app", digest))
    await spoke.until(lambda: spoke.status("app").sync is Sync.SYNCED)
    status = spoke.status("app")
    assert (status.applied, status.health, status.phase) == (digest, Health.HEALTHY, Phase.IDLE)
    assert status.ready.ready
    assert spoke.writes() == ["/ConfigMap:default/a", "/ConfigMap:default/b"]
    live = spoke.cluster.objects("ConfigMap")["default/a"]
    assert live["metadata"]["labels"] == {"gitopsfleet.io/owned": "true"}
    assert spoke.cluster.reads["get"] == 0


async def test_inventory_is_written_before_the_first_object(spoke: Any, make: Any) -> None:
    seen: list[str] = []
    spoke.cluster.before_write = lambda write: seen.extend(
        name for batch in spoke.records.batches for name in batch
    )
    digest = await spoke.artifact(make.config_map("a"))
    spoke.assign(make.section("app", digest))
    await spoke.until(lambda: spoke.status("app").sync is Sync.SYNCED)
    assert seen == ["inventory.app"]
    first = spoke.records.batches[0]["inventory.app"]
    assert "ConfigMap:default/a" in first


async def test_same_again_writes_nothing(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(make.config_map("a", x="1"))
    spoke.assign(make.section("app", digest))
    await spoke.until(lambda: spoke.status("app").sync is Sync.SYNCED)
    await spoke.idle()
    before = len(spoke.cluster.writes)
    spoke.assign(make.section("app", digest, sync_options=("Validate=false",)))
    await spoke.idle()
    assert len(spoke.cluster.writes) == before


async def test_change_applies_only_what_changed(spoke: Any, make: Any) -> None:
    one = await spoke.artifact(make.config_map("a", x="1"), make.config_map("b", x="1"))
    two = await spoke.artifact(make.config_map("a", x="2"), make.config_map("b", x="1"))
    spoke.assign(make.section("app", one))
    await spoke.until(lambda: spoke.status("app").applied == one)
    spoke.assign(make.section("app", two))
    await spoke.until(lambda: spoke.status("app").applied == two)
    assert spoke.writes()[2:] == ["/ConfigMap:default/a"]


async def test_what_left_the_artifact_is_pruned(spoke: Any, make: Any) -> None:
    one = await spoke.artifact(make.config_map("a"), make.config_map("b"))
    two = await spoke.artifact(make.config_map("a"))
    spoke.assign(make.section("app", one))
    await spoke.until(lambda: spoke.status("app").applied == one)
    spoke.assign(make.section("app", two))
    await spoke.until(lambda: spoke.status("app").applied == two)
    assert list(spoke.cluster.objects("ConfigMap")) == ["default/a"]
    assert (spoke.status("app").sync, spoke.status("app").objects) == (Sync.SYNCED, 1)


@pytest.mark.parametrize(
    ("policy", "applied", "healed", "pruned"),
    [
        ({"automated": False}, False, False, False),
        ({"prune": False}, True, True, False),
        ({"self_heal": False}, True, False, True),
        ({}, True, True, True),
    ],
    ids=["not automated", "no prune", "no selfHeal", "all"],
)
async def test_sync_policy_is_obeyed(
    spoke: Any, make: Any, policy: dict[str, Any], applied: bool, healed: bool, pruned: bool
) -> None:
    one = await spoke.artifact(make.config_map("a", x="1"), make.config_map("b"))
    spoke.assign(make.section("app", one))
    await spoke.until(lambda: spoke.status("app").applied == one)

    spoke.assign(make.section("app", one, **policy))
    await spoke.idle()
    spoke.cluster.edit("ConfigMap", "default", "a", {"data": {"x": "changed"}})
    await spoke.idle()
    live = spoke.cluster.objects("ConfigMap")["default/a"]["data"]["x"]
    assert live == ("1" if healed else "changed")
    assert spoke.status("app").sync is (Sync.SYNCED if healed else Sync.OUT_OF_SYNC)

    two = await spoke.artifact(make.config_map("a", x="2"))
    spoke.assign(make.section("app", two, **policy))
    await spoke.idle()
    live = spoke.cluster.objects("ConfigMap")["default/a"]["data"]["x"]
    assert (live == "2") is applied
    assert ("default/b" not in spoke.cluster.objects("ConfigMap")) is pruned
    complete = applied and pruned
    assert spoke.status("app").sync is (Sync.SYNCED if complete else Sync.OUT_OF_SYNC)


async def test_deleted_object_comes_back(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(make.config_map("a", x="1"))
    spoke.assign(make.section("app", digest))
    await spoke.until(lambda: spoke.status("app").sync is Sync.SYNCED)
    resource = spoke.cluster.store.resource("ConfigMap")
    await spoke.cluster.delete(resource, "default", "a")
    await spoke.until(lambda: "default/a" in spoke.cluster.objects("ConfigMap"))


async def test_removed_label_comes_back(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(make.config_map("a", x="1"))
    spoke.assign(make.section("app", digest))
    await spoke.until(lambda: spoke.status("app").sync is Sync.SYNCED)
    gone = {"metadata": {"labels": {"gitopsfleet.io/owned": None}}}
    spoke.cluster.edit("ConfigMap", "default", "a", gone)
    await spoke.idle()
    live = spoke.cluster.objects("ConfigMap")["default/a"]
    assert live["metadata"]["labels"] == {"gitopsfleet.io/owned": "true"}


async def test_no_fight_with_another_writer(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(make.config_map("a", x="1"))
    spoke.assign(make.section("app", digest))
    await spoke.until(lambda: spoke.status("app").sync is Sync.SYNCED)
    for _ in range(20):
        spoke.cluster.edit("ConfigMap", "default", "a", {"data": {"x": "mine"}})
        await spoke.idle()
        await spoke.clock.advance(0.5)
        await spoke.idle()
    assert len(spoke.writes()) < 8
    await spoke.clock.advance(400)
    await spoke.idle()
    assert spoke.cluster.objects("ConfigMap")["default/a"]["data"]["x"] == "1"


async def test_wave_waits_for_health(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(
        make.deployment("first", wave="-1"), make.deployment("second", wave="1")
    )
    spoke.assign(make.section("app", digest))
    await spoke.until(lambda: "wave 1: waits" in spoke.status("app").message)
    await spoke.idle()
    assert list(spoke.cluster.objects("Deployment")) == ["default/first"]
    spoke.cluster.put_status("Deployment", "default", "first", make.available)
    await spoke.until(lambda: "default/second" in spoke.cluster.objects("Deployment"))
    assert spoke.status("app").sync is Sync.OUT_OF_SYNC or spoke.status("app").applied == digest


async def test_health_shows_in_the_status(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(make.deployment("web"))
    spoke.assign(make.section("app", digest))
    await spoke.until(lambda: spoke.status("app").health is Health.PROGRESSING)
    assert not spoke.status("app").ready.ready
    spoke.cluster.put_status("Deployment", "default", "web", make.available)
    await spoke.until(lambda: spoke.status("app").health is Health.HEALTHY)
    assert spoke.status("app").ready.ready


async def test_one_bad_object_does_not_stop_its_wave(spoke: Any, make: Any) -> None:
    bad = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": 1}}
    digest = await spoke.artifact(bad, make.deployment("web"), make.deployment("late", wave="1"))
    spoke.assign(make.section("app", digest))
    await spoke.until(lambda: spoke.status("app").phase is Phase.FAILED)
    status = spoke.status("app")
    assert status.reason == "Invalid"
    assert "ConfigMap:default/a" in status.message
    assert ".data.x" in status.message
    assert list(spoke.cluster.objects("Deployment")) == ["default/web"]


async def test_events_do_not_hammer_a_failing_object(spoke: Any, make: Any) -> None:
    bad = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": 1}}
    digest = await spoke.artifact(bad, make.deployment("web"))
    tried: list[str] = []
    spoke.cluster.before_write = lambda write: tried.append(write.where)
    spoke.assign(make.section("app", digest))
    await spoke.until(lambda: spoke.status("app").phase is Phase.FAILED)
    for number in range(30):
        status = {**make.available, "availableReplicas": number % 2}
        spoke.cluster.put_status("Deployment", "default", "web", status)
        await spoke.idle()
    assert tried.count("/ConfigMap:default/a") <= 2


async def test_transient_error_is_repeated(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(make.config_map("a", x="1"))
    spoke.cluster.fail("apply", "*", Transient("the API server answered 503"), times=2)
    spoke.assign(make.section("app", digest))
    await spoke.until(lambda: spoke.status("app").phase is Phase.FAILED)
    for _ in range(20):
        await spoke.clock.advance(1)
    await spoke.until(lambda: spoke.status("app").sync is Sync.SYNCED)


async def test_unwritten_inventory_creates_nothing(spoke: Any, make: Any) -> None:
    spoke.records.error = Transient("disk full")
    digest = await spoke.artifact(make.config_map("a", x="1"))
    spoke.assign(make.section("app", digest))
    await spoke.until(lambda: spoke.status("app").phase is Phase.FAILED)
    assert spoke.writes() == []
    spoke.records.error = None
    for _ in range(30):
        await spoke.clock.advance(1)
    await spoke.until(lambda: spoke.status("app").sync is Sync.SYNCED)


async def test_missing_namespace_is_waited_for(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(make.config_map("a", x="1"))
    spoke.assign(make.section("app", digest, namespace="later"))
    await spoke.until(lambda: spoke.status("app").phase is Phase.FAILED)
    assert spoke.status("app").reason == "NamespaceMissing"
    namespaces = spoke.cluster.store.resource("Namespace")
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "later"}}
    await spoke.cluster.apply(namespaces, body)
    for _ in range(10):
        await spoke.clock.advance(1)
    await spoke.until(lambda: spoke.status("app").sync is Sync.SYNCED)


async def test_create_namespace_option(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(make.config_map("a", x="1"))
    options = ("CreateNamespace=true",)
    spoke.assign(make.section("app", digest, namespace="new", sync_options=options))
    await spoke.until(lambda: spoke.status("app").sync is Sync.SYNCED)
    assert "/new" in spoke.cluster.objects("Namespace")
    spoke.assign()
    await spoke.until(lambda: "app" not in spoke.core.board.statuses)
    assert "/new" in spoke.cluster.objects("Namespace")
    assert "new/a" not in spoke.cluster.objects("ConfigMap")


async def test_full_comparison_finds_what_field_owners_hide(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(make.config_map("a", x="1"))
    spoke.assign(make.section("app", digest))
    await spoke.until(lambda: spoke.status("app").sync is Sync.SYNCED)
    resource = spoke.cluster.store.resource("ConfigMap")
    live = spoke.cluster.store.live(resource, "default", "a")
    spoke.cluster.store.store(resource, live, {**live, "data": {"x": "9"}}, manager="")
    await spoke.idle()
    assert spoke.status("app").sync is Sync.SYNCED
    await spoke.clock.advance(2 * 3600)
    await spoke.idle()
    assert spoke.cluster.objects("ConfigMap")["default/a"]["data"]["x"] == "1"


async def test_sync_operation_runs_once(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(make.config_map("a", x="1"))
    target = make.section("app", digest, automated=False)
    spoke.assign(target)
    await spoke.until(lambda: spoke.status("app").sync is Sync.OUT_OF_SYNC)
    assert spoke.writes() == []
    operation = Operation(id="op1", target="app", kind="sync")
    spoke.assign(target, operations=(operation,))
    await spoke.until(lambda: spoke.status("app").sync is Sync.SYNCED)
    result = spoke.status("app").operation
    assert (result.id, result.phase) == ("op1", "Succeeded")
    spoke.cluster.edit("ConfigMap", "default", "a", {"data": {"x": "mine"}})
    await spoke.idle()
    assert spoke.status("app").sync is Sync.OUT_OF_SYNC
    assert spoke.writes() == ["/ConfigMap:default/a"]


async def test_sync_operation_prunes_only_when_asked(spoke: Any, make: Any) -> None:
    one = await spoke.artifact(make.config_map("a"), make.config_map("b"))
    two = await spoke.artifact(make.config_map("a"))
    manual = {"automated": False, "prune": False}
    spoke.assign(make.section("app", one))
    await spoke.until(lambda: spoke.status("app").applied == one)
    sync = Operation(id="op1", target="app", kind="sync")
    spoke.assign(make.section("app", two, **manual), operations=(sync,))
    await spoke.until(lambda: spoke.status("app").operation is not None)
    await spoke.idle()
    assert "default/b" in spoke.cluster.objects("ConfigMap")
    prune = Operation(id="op2", target="app", kind="sync", arguments={"prune": True})
    spoke.assign(make.section("app", two, **manual), operations=(prune,))
    await spoke.until(lambda: "default/b" not in spoke.cluster.objects("ConfigMap"))
    await spoke.until(lambda: spoke.status("app").operation.phase == "Succeeded")


async def test_a_sync_asked_for_before_there_is_an_artifact_waits_for_it(
    spoke: Any, make: Any
) -> None:
    """A hub that starts hands out what is asked of a target before it has rendered it."""
    operation = Operation(id="op1", target="app", kind="sync")
    spoke.assign(make.section("app", "", automated=False), operations=(operation,))
    await spoke.idle()
    assert spoke.status("app").operation is None
    digest = await spoke.artifact(make.config_map("a"))
    spoke.assign(make.section("app", digest, automated=False), operations=(operation,))
    await spoke.until(lambda: spoke.status("app").applied == digest)
    assert spoke.status("app").operation.phase == "Succeeded"


async def test_late_operation_expires(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(make.config_map("a", x="1"))
    late = Operation(id="op1", target="app", kind="sync", not_after="2025-01-01T00:00:00+00:00")
    spoke.assign(make.section("app", digest, automated=False), operations=(late,))
    await spoke.until(lambda: spoke.status("app").operation is not None)
    await spoke.idle()
    assert spoke.status("app").operation.phase == "Expired"
    assert spoke.writes() == []


async def test_failing_operation_says_so(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(make.config_map("a", x="1"))
    spoke.cluster.fail("apply", "*", BadInput("no"), times=9)
    sync = Operation(id="op1", target="app", kind="sync")
    spoke.assign(make.section("app", digest, automated=False), operations=(sync,))
    await spoke.until(
        lambda: (
            (found := spoke.core.board.statuses.get("app")) is not None
            and found.operation is not None
            and found.operation.phase == "Failed"
        )
    )

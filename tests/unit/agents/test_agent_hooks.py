"""Hooks in a cluster: each at its point of the sync, once, and cleared away as its author asked."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from fleet.errors import BadInput, Transient
from fleet.health.result import HealthResult
from fleet.kube.errors import OutcomeUnknown
from fleet.kube.port import Validation
from fleet.model.assignment import ClusterRules, Operation, RetryPolicy
from fleet.model.healthrules import HealthRule, HealthRules, Language
from fleet.model.identity import ObjectRef
from fleet.model.report import Health, Phase, Sync

COMPLETE = {"conditions": [{"type": "Complete", "status": "True"}]}
FAILED = {"conditions": [{"type": "Failed", "status": "True", "message": "it went wrong"}]}
FINALIZER = "gitopsfleet.io/hook"


def job(name: str, hook: str, *, wave: str = "", policy: str = "", generate: bool = False) -> Any:
    annotations = {"argocd.argoproj.io/hook": hook}
    if wave:
        annotations["argocd.argoproj.io/sync-wave"] = wave
    if policy:
        annotations["argocd.argoproj.io/hook-delete-policy"] = policy
    metadata = {"generateName" if generate else "name": name, "annotations": annotations}
    containers = [{"name": "main", "image": "app:1"}]
    spec = {"template": {"spec": {"containers": containers, "restartPolicy": "Never"}}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def finish(spoke: Any, name: str, status: Any = COMPLETE) -> None:
    spoke.cluster.put_status("Job", "default", name, status)


def made(spoke: Any) -> list[str]:
    """What was made, in order, short."""
    return [
        write.where.partition(":")[2].partition("/")[2]
        for write in spoke.cluster.writes
        if write.verb in ("create", "apply") and "state" not in write.where
    ]


def jobs(spoke: Any) -> list[str]:
    return [name.partition("/")[2] for name in spoke.cluster.objects("Job")]


async def running(spoke: Any, name: str) -> None:
    await spoke.until(lambda: name in jobs(spoke))
    await spoke.idle()


def operation(spoke: Any) -> Any:
    return spoke.status("app").operation


async def test_phases_come_in_their_order(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(
        job("after", "PostSync"),
        make.config_map("settings"),
        job("before", "PreSync"),
        job("first", "PreSync", wave="-1"),
        make.deployment("web", wave="1"),
        job("between", "Sync", wave="0"),
    )
    spoke.assign(make.section("app", digest))
    await running(spoke, "first")
    assert made(spoke) == ["first"]
    assert spoke.status("app").message == "PreSync wave -1: waits for Job first"
    finish(spoke, "first")
    await running(spoke, "before")
    finish(spoke, "before")
    await running(spoke, "between")
    assert made(spoke) == ["first", "before", "settings", "between"]
    finish(spoke, "between")
    await spoke.until(lambda: "default/web" in spoke.cluster.objects("Deployment"))
    await spoke.idle()
    assert "after" not in jobs(spoke)
    assert "PostSync wave 0: waits for apps/Deployment:default/web" in spoke.status("app").message
    spoke.cluster.put_status("Deployment", "default", "web", make.available)
    await running(spoke, "after")
    assert spoke.status("app").sync is Sync.SYNCED
    assert operation(spoke).phase == "Running"
    finish(spoke, "after")
    await spoke.until(lambda: operation(spoke).phase == "Succeeded")
    assert made(spoke) == ["first", "before", "settings", "between", "web", "after"]
    assert [(r.ref.rpartition("/")[2], r.phase, r.status) for r in operation(spoke).resources] == [
        ("first", "PreSync", "Succeeded"),
        ("before", "PreSync", "Succeeded"),
        ("between", "Sync", "Succeeded"),
        ("after", "PostSync", "Succeeded"),
    ]
    await spoke.idle()
    status = spoke.status("app")
    assert (status.phase, status.objects, status.problems) == (Phase.IDLE, 2, ())


async def test_a_sync_of_the_same_runs_nothing_again(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(job("before", "PreSync"), make.config_map("settings", x="1"))
    spoke.assign(make.section("app", digest))
    await running(spoke, "before")
    finish(spoke, "before")
    await spoke.until(lambda: operation(spoke).phase == "Succeeded")
    before = len(made(spoke))
    spoke.cluster.edit("ConfigMap", "default", "settings", {"data": {"x": "mine"}})
    await spoke.idle()
    assert spoke.cluster.objects("ConfigMap")["default/settings"]["data"]["x"] == "1"
    assert made(spoke)[before:] == ["settings"]
    await spoke.clock.advance(1)
    await spoke.kill()
    await spoke.start()
    spoke.assign(make.section("app", digest))
    await spoke.idle()
    assert made(spoke)[before:] == ["settings"]


async def test_another_artifact_and_a_person_run_them_again(spoke: Any, make: Any) -> None:
    one = await spoke.artifact(job("before", "PreSync"), make.config_map("settings", x="1"))
    spoke.assign(make.section("app", one))
    await running(spoke, "before")
    finish(spoke, "before")
    await spoke.until(lambda: operation(spoke).phase == "Succeeded")
    first = spoke.cluster.objects("Job")["default/before"]["metadata"]["uid"]
    two = await spoke.artifact(job("before", "PreSync"), make.config_map("settings", x="2"))
    spoke.assign(make.section("app", two))

    async def is_anew(uid: str) -> str:
        for _ in range(20):
            await spoke.idle()
            found = spoke.cluster.objects("Job").get("default/before")
            if found is not None and found["metadata"]["uid"] != uid:
                return str(found["metadata"]["uid"])
            await spoke.clock.advance(1)
        raise AssertionError("it was not made anew")

    second = await is_anew(first)
    assert spoke.cluster.objects("ConfigMap")["default/settings"]["data"]["x"] == "1"
    finish(spoke, "before")
    await spoke.until(lambda: spoke.status("app").applied == two)
    asked = Operation(id="op1", target="app", kind="sync")
    spoke.assign(make.section("app", two), operations=(asked,))
    await is_anew(second)
    finish(spoke, "before")
    await spoke.until(lambda: (operation(spoke).id, operation(spoke).phase) == ("op1", "Succeeded"))
    apply = Operation(id="op2", target="app", kind="sync", arguments={"strategy": "apply"})
    before = len(made(spoke))
    spoke.assign(make.section("app", two), operations=(apply,))
    await spoke.until(lambda: (operation(spoke).id, operation(spoke).phase) == ("op2", "Succeeded"))
    assert made(spoke)[before:] == []


@pytest.mark.parametrize(
    ("policy", "end", "stays"),
    [
        ("", COMPLETE, True),
        ("HookSucceeded", COMPLETE, False),
        ("HookFailed", COMPLETE, True),
        ("BeforeHookCreation", FAILED, True),
        ("HookSucceeded", FAILED, True),
        ("HookFailed", FAILED, False),
        ("HookFailed,HookSucceeded", FAILED, False),
    ],
)
async def test_a_hook_is_deleted_as_its_policy_says(
    spoke: Any, make: Any, policy: str, end: Any, stays: bool
) -> None:
    digest = await spoke.artifact(job("before", "PreSync", policy=policy), make.config_map("a"))
    spoke.assign(make.section("app", digest, retry=RetryPolicy(limit=0)))
    await running(spoke, "before")
    finish(spoke, "before", end)
    await spoke.until(lambda: operation(spoke).phase in ("Succeeded", "Failed"))
    await spoke.idle()
    assert (jobs(spoke) == ["before"]) is stays
    if stays:
        live = spoke.cluster.objects("Job")["default/before"]["metadata"]
        assert FINALIZER not in live.get("finalizers", [])


async def test_a_failed_hook_fails_the_sync_runs_those_for_failures_and_nothing_after(
    spoke: Any, make: Any
) -> None:
    digest = await spoke.artifact(
        job("before", "PreSync"), make.config_map("settings"), job("clean-up", "SyncFail")
    )
    spoke.assign(make.section("app", digest, retry=RetryPolicy(limit=0)))
    await running(spoke, "before")
    finish(spoke, "before", FAILED)
    await running(spoke, "clean-up")
    assert operation(spoke).phase == "Running"
    finish(spoke, "clean-up")
    await spoke.until(lambda: operation(spoke).phase == "Failed")
    await spoke.idle()
    assert made(spoke) == ["before", "clean-up"]
    status = spoke.status("app")
    assert (status.phase, status.reason, status.sync) == (
        Phase.FAILED, "SyncFailed", Sync.OUT_OF_SYNC,
    )  # fmt: skip
    assert "PreSync hook Job before failed: " in status.message
    await spoke.clock.advance(3600)
    await spoke.idle()
    assert made(spoke) == ["before", "clean-up"]


async def test_a_failed_sync_is_tried_again_as_often_as_the_policy_says(
    spoke: Any, make: Any
) -> None:
    digest = await spoke.artifact(job("before-", "PreSync", generate=True), make.config_map("a"))
    spoke.assign(make.section("app", digest, retry=RetryPolicy(limit=2, wait=5)))
    for number in range(1, 4):
        await spoke.until(lambda n=number: len(jobs(spoke)) == n)
        await spoke.idle()
        (newest,) = [
            n for n in jobs(spoke) if not spoke.cluster.objects("Job")[f"default/{n}"].get("status")
        ]
        finish(spoke, newest, FAILED)
        await spoke.idle()
        await spoke.clock.advance(30)
        await spoke.idle()
    assert (operation(spoke).phase, operation(spoke).retries) == ("Failed", 2)
    await spoke.clock.advance(3600)
    await spoke.idle()
    assert len(jobs(spoke)) == 3
    assert made(spoke) == sorted(made(spoke))
    assert spoke.cluster.objects("ConfigMap") == {}


async def test_a_generated_name_is_fixed_by_the_record(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(job("migrate-", "PreSync,PostSync", generate=True))
    spoke.assign(make.section("app", digest))
    await spoke.until(lambda: bool(jobs(spoke)))
    await spoke.idle()
    start = int(spoke.clock.now().timestamp())
    short = digest.removeprefix("sha256:")[:7]
    assert jobs(spoke) == [f"migrate-{short}-presync-{start}"]
    finish(spoke, jobs(spoke)[0])
    await spoke.until(lambda: len(jobs(spoke)) == 2)
    assert jobs(spoke)[0] == f"migrate-{short}-postsync-{start}"


async def test_what_clears_itself_away_is_seen_to_have_succeeded(spoke: Any, make: Any) -> None:
    """ttlSecondsAfterFinished: deleted while nobody looks, held by our finalizer."""
    digest = await spoke.artifact(job("before", "PreSync"), make.config_map("a"))
    spoke.assign(make.section("app", digest))
    await running(spoke, "before")
    await spoke.kill()
    finish(spoke, "before")
    await spoke.cluster.delete(spoke.cluster.store.resource("Job"), "default", "before")
    await spoke.start()
    spoke.assign(make.section("app", digest))
    await spoke.until(
        lambda: operation(spoke) is not None and operation(spoke).phase == "Succeeded"
    )
    await spoke.idle()
    assert jobs(spoke) == []
    assert made(spoke) == ["before", "a"]


async def test_one_that_somebody_deletes_while_it_runs_has_failed(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(job("before", "PreSync"), make.config_map("a"))
    spoke.assign(make.section("app", digest, retry=RetryPolicy(limit=0)))
    await running(spoke, "before")
    await spoke.cluster.delete(spoke.cluster.store.resource("Job"), "default", "before")
    await spoke.until(lambda: operation(spoke).phase == "Failed")
    assert "deleted before it was through" in operation(spoke).message
    assert spoke.cluster.objects("ConfigMap") == {}


@pytest.mark.parametrize("carried_out", [True, False], ids=["was made", "was not made"])
async def test_a_creation_that_was_not_answered_is_looked_up(
    spoke: Any, make: Any, carried_out: bool
) -> None:
    digest = await spoke.artifact(job("before", "PreSync"), make.config_map("a"))
    lost = OutcomeUnknown("no answer")
    spoke.cluster.fail("create", "batch/Job:default/before", lost, after=carried_out)
    spoke.assign(make.section("app", digest))
    for _ in range(5):
        await spoke.idle()
        await spoke.clock.advance(1)
    await running(spoke, "before")
    finish(spoke, "before")
    await spoke.until(lambda: operation(spoke).phase == "Succeeded")
    assert made(spoke) == ["before", "a"]


async def test_nothing_starts_that_is_not_on_record(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(job("before", "PreSync"))
    spoke.records.error = Transient("disk full")
    spoke.assign(make.section("app", digest))
    await spoke.idle()
    assert jobs(spoke) == []


async def test_an_object_that_is_no_hook_is_not_deleted_for_one(spoke: Any, make: Any) -> None:
    theirs = {**job("before", "x"), "metadata": {"name": "before", "namespace": "default"}}
    await spoke.cluster.create(spoke.cluster.store.resource("Job"), theirs)
    digest = await spoke.artifact(job("before", "PreSync"))
    spoke.assign(make.section("app", digest, retry=RetryPolicy(limit=0)))
    await spoke.until(lambda: operation(spoke) is not None and operation(spoke).phase == "Failed")
    assert "it is no hook" in operation(spoke).message
    assert jobs(spoke) == ["before"]


async def test_the_next_artifact_waits_for_a_hook_that_runs(spoke: Any, make: Any) -> None:
    one = await spoke.artifact(job("migrate", "PreSync"), make.config_map("a", x="1"))
    two = await spoke.artifact(make.config_map("a", x="2"))
    spoke.assign(make.section("app", one))
    await running(spoke, "migrate")
    spoke.assign(make.section("app", two))
    await spoke.idle()
    assert spoke.status("app").message == "waits for Job migrate of the sync before"
    assert spoke.cluster.objects("ConfigMap") == {}
    finish(spoke, "migrate")
    await spoke.until(lambda: spoke.status("app").applied == two)
    assert made(spoke) == ["migrate", "a"]


async def test_terminate_ends_what_runs(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(job("before", "PreSync"), make.config_map("a"))
    target = make.section("app", digest)
    spoke.assign(target)
    await running(spoke, "before")
    stop = Operation(id="stop", target="app", kind="terminate")
    spoke.assign(target, operations=(stop,))
    await spoke.until(lambda: operation(spoke).id == "stop")
    assert operation(spoke).phase == "Succeeded"
    await spoke.idle()
    assert jobs(spoke) == []
    spoke.assign(target)
    await spoke.idle()
    assert (operation(spoke).phase, operation(spoke).message) == ("Failed", "terminated")
    await spoke.clock.advance(3600)
    await spoke.idle()
    assert made(spoke) == ["before"]


async def test_a_degraded_object_fails_the_sync_and_its_recovery_goes_on(
    spoke: Any, make: Any
) -> None:
    digest = await spoke.artifact(
        make.deployment("web"), make.config_map("later") | {
            "metadata": {"name": "later", "annotations": {"argocd.argoproj.io/sync-wave": "1"}}
        },
    )  # fmt: skip
    spoke.assign(make.section("app", digest, retry=RetryPolicy(limit=0)))
    await spoke.until(lambda: "default/web" in spoke.cluster.objects("Deployment"))
    stuck = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    broken = {**make.available, "availableReplicas": 0, "conditions": [stuck]}
    spoke.cluster.put_status("Deployment", "default", "web", broken)
    await spoke.until(lambda: operation(spoke).phase == "Failed")
    assert "web is Degraded" in operation(spoke).message
    assert spoke.cluster.objects("ConfigMap") == {}
    spoke.cluster.put_status("Deployment", "default", "web", make.available)
    await spoke.until(lambda: spoke.status("app").sync is Sync.SYNCED)
    assert operation(spoke).phase == "Succeeded"


async def test_a_namespace_that_a_hook_needs_comes_before_it(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(job("before", "PreSync"), make.config_map("a"))
    options = ("CreateNamespace=true",)
    spoke.assign(make.section("app", digest, namespace="new", sync_options=options))
    await spoke.until(lambda: "new/before" in spoke.cluster.objects("Job"))
    assert made(spoke) == ["new", "before"]


async def test_hooks_left_behind_go_with_their_application(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(job("before", "PreSync"), make.config_map("a"))
    spoke.assign(make.section("app", digest))
    await running(spoke, "before")
    finish(spoke, "before")
    await spoke.until(lambda: operation(spoke).phase == "Succeeded")
    smaller = await spoke.artifact(make.config_map("a"))
    spoke.assign(make.section("app", smaller))
    await spoke.until(lambda: spoke.status("app").applied == smaller)
    assert jobs(spoke) == ["before"]
    spoke.assign()
    await spoke.until(lambda: "app" not in spoke.core.board.statuses)
    assert jobs(spoke) == []


async def test_lost_records_know_hooks_from_objects(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(job("before", "PreSync"), make.config_map("a"))
    spoke.assign(make.section("app", digest))
    await running(spoke, "before")
    finish(spoke, "before")
    await spoke.until(lambda: operation(spoke).phase == "Succeeded")
    await spoke.kill()
    spoke.records.kept.clear()
    await spoke.start()
    inventory = spoke.core.inventories.get("app")
    assert [ref.name for ref in inventory.entries] == ["a"]
    assert [ref.name for ref in inventory.hooks] == ["before"]


async def test_no_hook_runs_for_what_cannot_be_applied(spoke: Any, make: Any) -> None:
    bad = make.config_map("bad") | {
        "metadata": {"name": "bad", "annotations": {"argocd.argoproj.io/sync-wave": "soon"}}
    }
    digest = await spoke.artifact(job("before", "PreSync"), make.config_map("a"), bad)
    spoke.assign(make.section("app", digest, retry=RetryPolicy(limit=0)))
    await spoke.until(lambda: operation(spoke) is not None and operation(spoke).phase == "Failed")
    assert made(spoke) == []


async def test_a_kind_that_is_not_there_yet_holds_back_only_postsync(spoke: Any, make: Any) -> None:
    later = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}}
    digest = await spoke.artifact(job("before", "PreSync"), later, job("after", "PostSync"))
    spoke.assign(make.section("app", digest))
    await running(spoke, "before")
    finish(spoke, "before")
    await spoke.idle()
    assert made(spoke) == ["before"]
    assert operation(spoke).phase == "Running"


async def test_a_failure_beside_a_hook_waits_for_its_end(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(
        job("during", "Sync"), make.config_map("a"), job("clean-up", "SyncFail")
    )
    spoke.assign(make.section("app", digest, retry=RetryPolicy(limit=0)))
    await running(spoke, "during")
    spoke.cluster.fail("apply", "/ConfigMap:default/a", BadInput("no"), times=9)
    await spoke.cluster.delete(spoke.cluster.store.resource("ConfigMap"), "default", "a")
    await spoke.idle()
    assert "clean-up" not in jobs(spoke)
    finish(spoke, "during")
    await running(spoke, "clean-up")


async def test_what_an_older_agent_applied_runs_no_hooks_after_the_upgrade(
    spoke: Any, make: Any
) -> None:
    """Its inventory has no record of a sync, only the artifact."""
    plain = await spoke.artifact(make.config_map("a"))
    spoke.assign(make.section("app", plain))
    await spoke.until(
        lambda: operation(spoke) is not None and operation(spoke).phase == "Succeeded"
    )
    await spoke.clock.advance(1)
    await spoke.kill()
    digest = await spoke.artifact(make.config_map("a"), job("before", "PreSync"))
    old = json.loads(spoke.records.kept["inventory.app"])
    del old["operation"]
    old["applied"] = digest
    old["objects"] = [[*row[:5], False] for row in old["objects"]]
    spoke.records.kept["inventory.app"] = json.dumps(old)
    await spoke.start()
    spoke.assign(make.section("app", digest))
    await spoke.until(lambda: spoke.status("app").sync is Sync.SYNCED)
    await spoke.idle()
    assert jobs(spoke) == []


@pytest.mark.parametrize(("prune", "status"), [(True, "Pruned"), (False, "PruneSkipped")], ids=str)
async def test_a_sync_says_what_became_of_what_left(
    spoke: Any, make: Any, prune: bool, status: str
) -> None:
    one = await spoke.artifact(make.config_map("a"), make.config_map("b"))
    spoke.assign(make.section("app", one, prune=prune))
    await spoke.until(lambda: spoke.status("app").applied == one)
    two = await spoke.artifact(make.config_map("a"))
    spoke.assign(make.section("app", two, prune=prune))
    await spoke.until(lambda: spoke.status("app").applied == two)
    await spoke.until(lambda: operation(spoke).phase == "Succeeded")
    assert [(item.ref, item.status) for item in operation(spoke).resources] == [
        ("/ConfigMap:default/b", status)
    ]


async def test_a_phase_that_does_not_exist_is_said(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(job("before", "presync"), make.config_map("a"))
    spoke.assign(make.section("app", digest))
    await spoke.until(lambda: spoke.status("app").sync is Sync.SYNCED)
    await spoke.idle()
    assert "before is never applied: no sync has a presync hook" in spoke.status("app").message
    assert made(spoke) == ["a"]


async def test_what_an_earlier_sync_left_is_asked_to_go_once(spoke: Any, make: Any) -> None:
    one = await spoke.artifact(job("before", "PreSync"), make.config_map("a", x="1"))
    spoke.assign(make.section("app", one))
    await running(spoke, "before")
    finish(spoke, "before")
    await spoke.until(lambda: operation(spoke).phase == "Succeeded")
    await spoke.idle()
    spoke.cluster.edit("Job", "default", "before", {"metadata": {"finalizers": ["example.com/x"]}})
    two = await spoke.artifact(job("before", "PreSync"), make.config_map("a", x="2"))
    spoke.assign(make.section("app", two))
    for _ in range(5):
        await spoke.idle()
        await spoke.clock.advance(1)
    assert "of an earlier sync to be deleted" in spoke.status("app").message
    assert spoke.writes("delete") == ["batch/Job:default/before"]
    spoke.cluster.edit("Job", "default", "before", {"metadata": {"finalizers": None}})
    for _ in range(3):
        await spoke.idle()
        await spoke.clock.advance(1)
    finish(spoke, "before")
    await spoke.until(lambda: spoke.status("app").applied == two)


async def test_a_hook_of_a_kind_that_the_fleet_rates_is_through_when_it_is_rated(
    spoke: Any, make: Any
) -> None:
    hook = make.config_map("migration")
    hook["metadata"]["annotations"] = {"argocd.argoproj.io/hook": "PreSync"}
    digest = await spoke.artifact(hook, make.config_map("settings"))
    rule = HealthRule(
        group="", kind="ConfigMap", language=Language.LUA, text="return nil", source="test"
    )
    ruled = ClusterRules(health=HealthRules(rules=(rule,)))
    spoke.core.table.use(ruled.health)
    spoke.core.engine.accept(replace(spoke.assign(), rules=ruled))
    spoke.core.engine.accept(replace(spoke.assign(make.section("app", digest)), rules=ruled))
    await spoke.until(lambda: "default/migration" in spoke.cluster.objects("ConfigMap"))
    await spoke.idle()
    assert spoke.status("app").message == "PreSync wave 0: waits for ConfigMap migration"
    live = spoke.cluster.objects("ConfigMap")["default/migration"]
    ref = ObjectRef("", "ConfigMap", "default", "migration")
    spoke.core.table.rated(ref, live, HealthResult(Health.HEALTHY), ruled.health)
    await spoke.until(lambda: "default/settings" in spoke.cluster.objects("ConfigMap"))


async def test_a_hook_that_became_a_plain_object_is_treated_as_one(spoke: Any, make: Any) -> None:
    hook = make.config_map("a")
    hook["metadata"]["annotations"] = {"argocd.argoproj.io/hook": "PreSync"}
    one = await spoke.artifact(hook, make.config_map("b"))
    spoke.assign(make.section("app", one))
    await spoke.until(lambda: spoke.status("app").applied == one)
    plain = make.config_map("a", x="1")
    plain["metadata"]["annotations"] = {"argocd.argoproj.io/sync-options": "Delete=false"}
    two = await spoke.artifact(plain, make.config_map("b"), job("after", "PostSync"))
    spoke.assign(make.section("app", two))
    await running(spoke, "after")
    finish(spoke, "after")
    await spoke.until(lambda: operation(spoke).phase == "Succeeded")
    await spoke.idle()
    assert "/ConfigMap:default/a" in json.loads(spoke.records.kept["inventory.app"])["objects"][0]
    spoke.assign()
    await spoke.until(lambda: "app" not in spoke.core.board.statuses)
    assert list(spoke.cluster.objects("ConfigMap")) == ["default/a"]


async def test_what_others_cleared_away_is_forgotten(spoke: Any, make: Any) -> None:
    kept: list[list[str]] = []
    for number in range(3):
        digest = await spoke.artifact(
            job("before-", "PreSync", generate=True), make.config_map("a", x=str(number))
        )
        spoke.assign(make.section("app", digest))
        await spoke.until(lambda: len(jobs(spoke)) == 1)
        await spoke.idle()
        (name,) = jobs(spoke)
        finish(spoke, name)
        await spoke.until(lambda digest=digest: spoke.status("app").applied == digest)
        await spoke.idle()
        kept.append(list(spoke.core.inventories.of("app").hooks))
        resource = (await spoke.cluster.discovery()).preferred("batch", "Job")
        await spoke.cluster.delete(resource, "default", name)
        await spoke.idle()
    assert [len(refs) for refs in kept] == [1, 1, 1]


async def test_a_hook_at_work_for_another_application_is_waited_for(spoke: Any, make: Any) -> None:
    one = await spoke.artifact(job("before", "PreSync"), make.config_map("a"))
    two = await spoke.artifact(job("before", "PreSync"), make.config_map("b"))
    spoke.assign(make.section("app", one))
    await running(spoke, "before")
    spoke.assign(make.section("app", one), make.section("other", two))
    await spoke.until(lambda: "before" in spoke.status("other").message)
    for _ in range(5):
        await spoke.clock.advance(31)
        await spoke.idle()
    uid = spoke.cluster.objects("Job")["default/before"]["metadata"]["uid"]
    assert "application app" in spoke.status("other").message
    finish(spoke, "before")
    await spoke.until(lambda: spoke.status("app").applied == one)
    for _ in range(5):
        await spoke.clock.advance(31)
        await spoke.idle()
    assert spoke.cluster.objects("Job")["default/before"]["metadata"]["uid"] != uid
    finish(spoke, "before")
    await spoke.until(lambda: spoke.status("other").applied == two)


async def test_what_becomes_skipped_is_left_as_it_is(spoke: Any, make: Any) -> None:
    one = await spoke.artifact(make.config_map("a", x="1"), make.config_map("b"))
    spoke.assign(make.section("app", one))
    await spoke.until(lambda: spoke.status("app").applied == one)
    skipped = make.config_map("a", x="2")
    skipped["metadata"]["annotations"] = {"argocd.argoproj.io/hook": "Skip"}
    two = await spoke.artifact(skipped, make.config_map("b"))
    spoke.assign(make.section("app", two))
    await spoke.until(lambda: spoke.status("app").applied == two)
    await spoke.idle()
    assert spoke.status("app").sync is Sync.SYNCED
    assert spoke.cluster.objects("ConfigMap")["default/a"]["data"] == {"x": "1"}
    spoke.assign(make.section("app", await spoke.artifact(make.config_map("b"))))
    await spoke.until(lambda: "default/a" not in spoke.cluster.objects("ConfigMap"))


async def test_a_hook_may_have_fields_that_its_kind_has_not(spoke: Any, make: Any) -> None:
    hook = job("before", "PreSync")
    hook["metadata"]["annotations"]["argocd.argoproj.io/sync-options"] = "Validate=false"
    asked: list[Any] = []
    create = spoke.cluster.create

    async def noted(resource: Any, body: Any, **more: Any) -> Any:
        asked.append(more.get("validation"))
        return await create(resource, body, **more)

    spoke.cluster.create = noted
    digest = await spoke.artifact(hook, job("other", "PreSync"))
    spoke.assign(make.section("app", digest))
    await running(spoke, "other")
    assert asked == [Validation.IGNORE, Validation.STRICT]

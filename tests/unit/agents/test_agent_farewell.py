"""Hooks of an application that leaves: PreDelete before its first object goes, PostDelete after the last, once each."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.model.report import Phase, Sync

COMPLETE = {"conditions": [{"type": "Complete", "status": "True"}]}
FAILED = {"conditions": [{"type": "Failed", "status": "True", "message": "no space"}]}


def job(name: str, **annotations: str) -> Any:
    names = {
        "hook": "argocd.argoproj.io/hook",
        "helm": "helm.sh/hook",
        "policy": "argocd.argoproj.io/hook-delete-policy",
    }
    containers = [{"name": "main", "image": "app:1"}]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "annotations": {names[k]: v for k, v in annotations.items()}},
        "spec": {"template": {"spec": {"containers": containers, "restartPolicy": "Never"}}},
    }


async def deployed(spoke: Any, make: Any, *objects: Any, **more: Any) -> None:
    digest = await spoke.artifact(*objects)
    spoke.assign(make.section("app", digest, **more))
    await spoke.until(lambda: spoke.status("app").sync is Sync.SYNCED)
    await spoke.idle()


def jobs(spoke: Any) -> list[str]:
    return [name.partition("/")[2] for name in spoke.cluster.objects("Job")]


def finish(spoke: Any, name: str, status: Any = COMPLETE) -> None:
    spoke.cluster.put_status("Job", "default", name, status)


async def running(spoke: Any, name: str) -> None:
    await spoke.until(lambda: name in jobs(spoke))
    await spoke.idle()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"hook": "PreDelete"}, {"hook": "PostDelete"}),
        ({"helm": "pre-delete"}, {"helm": "post-delete"}),
    ],
    ids=["argo", "helm"],
)
@pytest.mark.parametrize("restarts", [False, True], ids=["", "restarts"])
async def test_they_run_before_and_after_the_objects_go(
    spoke: Any, make: Any, before: dict[str, str], after: dict[str, str], restarts: bool
) -> None:
    backup = job("backup", policy="HookSucceeded", **before)
    await deployed(spoke, make, backup, make.config_map("a"), job("tell", **after))
    assert jobs(spoke) == []

    async def restart() -> None:
        if restarts:
            await spoke.kill()
            await spoke.start()
            spoke.assign()
            await spoke.idle()

    spoke.assign()
    await running(spoke, "backup")
    await restart()
    assert spoke.status("app").message == "PreDelete wave 0: waits for Job backup"
    assert "default/a" in spoke.cluster.objects("ConfigMap")
    finish(spoke, "backup")
    await running(spoke, "tell")
    assert spoke.cluster.objects("ConfigMap") == {}
    await restart()
    finish(spoke, "tell")
    await spoke.until(lambda: "app" not in spoke.core.board.statuses)
    assert jobs(spoke) == ["tell"]
    assert [w.where for w in spoke.cluster.writes if w.verb == "create"] == [
        "batch/Job:default/backup",
        "batch/Job:default/tell",
    ]
    assert "inventory.app" not in spoke.records.kept


async def test_a_failed_one_stops_the_leaving_until_its_object_is_deleted(
    spoke: Any, make: Any
) -> None:
    await deployed(spoke, make, job("backup", hook="PreDelete"), make.config_map("a"))
    spoke.assign()
    await running(spoke, "backup")
    finish(spoke, "backup", FAILED)
    await spoke.until(lambda: "backup failed" in spoke.status("app").message)
    await spoke.idle()
    assert spoke.status("app").phase is Phase.DELETING
    assert "default/a" in spoke.cluster.objects("ConfigMap")
    first = spoke.cluster.objects("Job")["default/backup"]["metadata"]["uid"]
    await spoke.cluster.delete(spoke.cluster.store.resource("Job"), "default", "backup")
    for _ in range(10):
        await spoke.clock.advance(10)
        await spoke.idle()
    assert spoke.cluster.objects("Job")["default/backup"]["metadata"]["uid"] != first
    finish(spoke, "backup")
    await spoke.until(lambda: "app" not in spoke.core.board.statuses)
    assert spoke.cluster.objects("ConfigMap") == {}


async def test_they_do_not_run_where_objects_stay(spoke: Any, make: Any) -> None:
    await deployed(
        spoke, make, job("backup", hook="PreDelete"), make.config_map("a"), deletion="orphan"
    )
    spoke.assign()
    await spoke.until(lambda: "app" not in spoke.core.board.statuses)
    assert jobs(spoke) == []
    assert "default/a" in spoke.cluster.objects("ConfigMap")


async def test_an_application_that_leaves_in_the_middle_of_a_sync_ends_its_hooks(
    spoke: Any, make: Any
) -> None:
    digest = await spoke.artifact(job("before", hook="PreSync"), make.config_map("a"))
    spoke.assign(make.section("app", digest))
    await running(spoke, "before")
    spoke.assign()
    await spoke.until(lambda: "app" not in spoke.core.board.statuses)
    assert jobs(spoke) == []


async def test_one_that_comes_back_syncs_anew(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(job("backup", hook="PreDelete"), make.config_map("a"))
    spoke.assign(make.section("app", digest))
    await spoke.until(lambda: spoke.status("app").sync is Sync.SYNCED)
    await spoke.idle()
    spoke.assign()
    await running(spoke, "backup")
    spoke.assign(make.section("app", digest))
    await spoke.idle()
    finish(spoke, "backup")
    await spoke.until(lambda: spoke.status("app").sync is Sync.SYNCED)
    await spoke.idle()
    assert spoke.status("app").operation.phase == "Succeeded"
    assert "default/a" in spoke.cluster.objects("ConfigMap")


async def test_a_secret_cannot_be_kept_for_the_end(spoke: Any, make: Any) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "key", "annotations": {"helm.sh/hook": "pre-delete"}},
    }
    digest = await spoke.artifact(secret, make.config_map("a"))
    spoke.assign(make.section("app", digest))
    await spoke.until(lambda: "cannot be a PreDelete hook" in spoke.status("app").message)

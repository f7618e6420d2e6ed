"""Creations that are answered by nobody and carried out late, when nobody waits for them: nothing of them stays behind."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fleet.kube.errors import OutcomeUnknown
from fleet.model.assignment import Operation

WINDOW = 130
"""More seconds than anything is reckoned with."""


def job(name: str, *, hook: str = "PreSync", policy: str = "BeforeHookCreation") -> Any:
    annotations = {
        "argocd.argoproj.io/hook": hook,
        "argocd.argoproj.io/hook-delete-policy": policy,
    }
    spec = {"template": {"spec": {"containers": [{"name": "main", "image": "app:1"}]}}}
    metadata = {"name": name, "annotations": annotations}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


class Proxy:
    """Holds requests of one verb back, lets their clients wait in vain, and sends them on when the test says so."""

    def __init__(self, spoke: Any, verb: str) -> None:
        self.held: list[Any] = []
        self.is_open = False
        self._send = getattr(spoke.cluster, verb)
        setattr(spoke.cluster, verb, self._request)

    async def _request(self, resource: Any, body: Any, **more: Any) -> Any:
        if self.is_open or more.get("dry_run"):
            return await self._send(resource, body, **more)
        self.held.append((resource, body, more))
        raise OutcomeUnknown("no answer")

    async def send_on(self) -> None:
        resource, body, more = self.held[0]
        await self._send(resource, body, **more)


async def hold(spoke: Any, make: Any, *objects: Any, verb: str = "create", **more: Any) -> Proxy:
    """Sync objects one creation of which is not answered."""
    proxy = Proxy(spoke, verb)
    spoke.assign(make.section("app", await spoke.artifact(*objects), **more))
    await spoke.until(lambda: bool(proxy.held))
    await spoke.idle()
    proxy.is_open = True
    return proxy


async def after(spoke: Any, seconds: float) -> None:
    await spoke.clock.advance(seconds)
    await spoke.idle()


async def assert_gone(spoke: Any, kind: str, name: str) -> None:
    for _ in range(3):
        await after(spoke, 1)
    assert f"default/{name}" not in spoke.cluster.objects(kind)


async def terminate(spoke: Any, make: Any) -> None:
    stop = Operation(id="stop", target="app", kind="terminate")
    digest = spoke.core.engine.assignment.sections["app"].artifact
    spoke.assign(make.section("app", digest), operations=(stop,))
    await spoke.idle()


async def supersede(spoke: Any, make: Any) -> None:
    spoke.assign(make.section("app", await spoke.artifact(make.config_map("other"))))
    await spoke.until(lambda: "default/other" in spoke.cluster.objects("ConfigMap"))


async def leave(spoke: Any, make: Any) -> None:
    spoke.assign()
    await spoke.idle()
    assert "app" in spoke.core.board.statuses
    assert "its creation was not answered" in spoke.status("app").message


@pytest.mark.parametrize("end", [terminate, supersede, leave])
@pytest.mark.parametrize("policy", ["BeforeHookCreation", "HookSucceeded"])
async def test_a_hook_that_appears_after_its_operation_is_deleted(
    spoke: Any, make: Any, end: Any, policy: str
) -> None:
    proxy = await hold(spoke, make, job("late", policy=policy), make.config_map("a"))
    await end(spoke, make)
    await after(spoke, 40)
    await proxy.send_on()
    assert "default/late" in spoke.cluster.objects("Job")
    await assert_gone(spoke, "Job", "late")


async def test_a_restart_in_between_does_not_lose_it(spoke: Any, make: Any) -> None:
    proxy = await hold(spoke, make, job("late"), make.config_map("a"))
    await spoke.kill()
    await after(spoke, 10)
    await spoke.start()
    spoke.assign()
    await spoke.idle()
    await after(spoke, 40)
    await proxy.send_on()
    await assert_gone(spoke, "Job", "late")


async def test_a_leaving_application_is_forgotten_when_nothing_can_appear_any_more(
    spoke: Any, make: Any
) -> None:
    await hold(spoke, make, job("late"), make.config_map("a"))
    await leave(spoke, make)
    await after(spoke, WINDOW)
    await spoke.until(lambda: "app" not in spoke.core.board.statuses)
    assert "inventory.app" not in spoke.records.kept


async def test_one_that_nobody_reckons_with_any_more_is_known_by_its_marks(
    spoke: Any, make: Any
) -> None:
    proxy = await hold(spoke, make, job("late"))
    plain = {**job("plain"), "metadata": {"name": "plain"}}
    spoke.assign(make.section("app", await spoke.artifact(plain)))
    await spoke.until(lambda: "default/plain" in spoke.cluster.objects("Job"))
    await after(spoke, WINDOW)
    await spoke.idle()
    assert "hooks" not in json.loads(spoke.records.kept["inventory.app"])
    lists = spoke.cluster.reads["list"]
    await proxy.send_on()
    await assert_gone(spoke, "Job", "late")
    assert spoke.cluster.reads["list"] == lists
    assert "default/plain" in spoke.cluster.objects("Job")


@pytest.mark.parametrize("restarts", [False, True], ids=["", "after a restart"])
async def test_an_object_that_appears_when_git_has_it_no_more_is_pruned(
    spoke: Any, make: Any, *, restarts: bool
) -> None:
    proxy = await hold(spoke, make, make.config_map("late"), make.config_map("b"), verb="apply")
    late = next(item for item in proxy.held if item[1]["metadata"]["name"] == "late")
    proxy.held = [late]
    if restarts:
        await spoke.kill()
        await spoke.start()
    spoke.assign(make.section("app", await spoke.artifact(make.config_map("b"))))
    await spoke.until(lambda: spoke.status("app").applied != "")
    await after(spoke, 40)
    status = spoke.status("app")
    assert (status.sync.value, status.operation.phase) == ("Synced", "Succeeded")
    await proxy.send_on()
    assert "default/late" in spoke.cluster.objects("ConfigMap")
    await assert_gone(spoke, "ConfigMap", "late")
    assert "default/b" in spoke.cluster.objects("ConfigMap")


async def test_nothing_is_remembered_of_what_does_not_appear(spoke: Any, make: Any) -> None:
    await hold(spoke, make, make.config_map("late"), verb="apply")
    spoke.assign(make.section("app", await spoke.artifact(make.config_map("b"))))
    await spoke.until(lambda: "default/b" in spoke.cluster.objects("ConfigMap"))
    await spoke.idle()
    assert len(spoke.core.inventories.of("app").entries) == 2
    await after(spoke, WINDOW)
    assert len(spoke.core.inventories.of("app").entries) == 1


async def test_an_object_that_appears_when_its_application_left_goes_after_it(
    spoke: Any, make: Any
) -> None:
    proxy = await hold(spoke, make, make.config_map("late"), verb="apply")
    await leave(spoke, make)
    await after(spoke, 40)
    await proxy.send_on()
    await assert_gone(spoke, "ConfigMap", "late")
    await after(spoke, WINDOW)
    assert "app" not in spoke.core.board.statuses

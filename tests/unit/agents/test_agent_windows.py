"""Sync windows on the agent: what is blocked, what it says, and when it goes on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from fleet.model.assignment import Operation, Window
from fleet.model.report import Sync


def deny(spoke: Any, *, minutes: int = 30, **more: Any) -> Window:
    """A window that opened a minute ago and closes in so many minutes."""
    start = spoke.clock.now() - timedelta(minutes=1)
    schedule = f"{start.minute} {start.hour} * * *"
    return Window(kind="deny", schedule=schedule, duration=(minutes + 1) * 60.0, **more)


async def started(spoke: Any, make: Any) -> str:
    digest: str = await spoke.artifact(make.config_map("a", x="1"), make.config_map("b"))
    spoke.assign(make.section("app", digest))
    await spoke.until(lambda: spoke.status("app").applied == digest)
    return digest


def live(spoke: Any) -> str:
    value: str = spoke.cluster.objects("ConfigMap")["default/a"]["data"]["x"]
    return value


async def test_a_new_version_waits_for_the_end_of_the_window(spoke: Any, make: Any) -> None:
    await started(spoke, make)
    two = await spoke.artifact(make.config_map("a", x="2"))
    before = len(spoke.cluster.writes)
    spoke.assign(make.section("app", two, windows=(deny(spoke),)))
    await spoke.idle()
    status = spoke.status("app")
    assert len(spoke.cluster.writes) == before
    assert status.sync is Sync.OUT_OF_SYNC
    assert status.message.startswith('blocked by sync window "deny')
    assert " until " in status.message
    await spoke.clock.advance(31 * 60)
    await spoke.until(lambda: spoke.status("app").applied == two)
    assert spoke.status("app").message == ""
    assert list(spoke.cluster.objects("ConfigMap")) == ["default/a"]


async def test_drift_is_not_healed_in_a_window(spoke: Any, make: Any) -> None:
    one = await started(spoke, make)
    spoke.assign(make.section("app", one, windows=(deny(spoke),)))
    await spoke.idle()
    assert (spoke.status("app").sync, spoke.status("app").message) == (Sync.SYNCED, "")
    spoke.cluster.edit("ConfigMap", "default", "a", {"data": {"x": "changed"}})
    await spoke.idle()
    assert live(spoke) == "changed"
    assert "sync window" in spoke.status("app").message
    await spoke.clock.advance(31 * 60)
    await spoke.until(lambda: live(spoke) == "1")


@pytest.mark.parametrize("manual_sync", [False, True], ids=["blocked", "let through"])
async def test_a_sync_that_a_person_asks_for(spoke: Any, make: Any, manual_sync: bool) -> None:
    await started(spoke, make)
    two = await spoke.artifact(make.config_map("a", x="2"), make.config_map("b"))
    window = deny(spoke, manual_sync=manual_sync)
    operation = Operation(id="op", target="app", kind="sync")
    spoke.assign(make.section("app", two, windows=(window,)), operations=(operation,))
    await spoke.idle()
    shown = spoke.status("app").operation
    assert shown is not None
    if manual_sync:
        assert (shown.phase, live(spoke)) == ("Succeeded", "2")
        return
    assert (shown.phase, live(spoke)) == ("Running", "1")
    assert shown.message.startswith("Sync operation blocked by sync window")
    await spoke.clock.advance(31 * 60)
    await spoke.until(lambda: spoke.status("app").operation.phase == "Succeeded")
    assert live(spoke) == "2"


@pytest.mark.parametrize("overrun", [False, True], ids=["stops", "overruns"])
async def test_a_sync_under_way_when_the_window_opens(spoke: Any, make: Any, overrun: bool) -> None:
    opens = spoke.clock.now() + timedelta(minutes=2)
    window = Window(
        kind="deny",
        schedule=f"{opens.minute} {opens.hour} * * *",
        duration=1800.0,
        sync_overrun=overrun,
    )
    later = make.config_map("late", x="1")
    later["metadata"]["annotations"] = {"argocd.argoproj.io/sync-wave": "1"}
    digest = await spoke.artifact(make.deployment("web"), later)
    spoke.assign(make.section("app", digest, windows=(window,)))
    await spoke.until(lambda: "default/web" in spoke.cluster.objects("Deployment"))
    await spoke.clock.advance(4 * 60)
    spoke.cluster.put_status("Deployment", "default", "web", make.available)
    await spoke.idle()
    assert ("default/late" in spoke.cluster.objects("ConfigMap")) is overrun
    if not overrun:
        assert spoke.status("app").message.startswith("Sync operation blocked by sync window")
        await spoke.clock.advance(31 * 60)
    await spoke.until(lambda: spoke.status("app").applied == digest)


async def test_an_application_that_leaves_is_no_sync(spoke: Any, make: Any) -> None:
    one = await started(spoke, make)
    spoke.assign(make.section("app", one, windows=(deny(spoke),)))
    await spoke.idle()
    spoke.assign()
    await spoke.until(lambda: not spoke.cluster.objects("ConfigMap"))


async def test_no_hook_is_started_in_a_window(spoke: Any, make: Any) -> None:
    await started(spoke, make)
    hook = make.config_map("hook")
    hook["metadata"]["annotations"] = {"argocd.argoproj.io/hook": "PreSync"}
    two = await spoke.artifact(make.config_map("a", x="2"), make.config_map("b"), hook)
    operation = Operation(id="op", target="app", kind="sync")
    spoke.assign(make.section("app", two, windows=(deny(spoke),)), operations=(operation,))
    await spoke.idle()
    assert "default/hook" not in spoke.cluster.objects("ConfigMap")
    assert spoke.status("app").operation.phase == "Running"
    await spoke.clock.advance(31 * 60)
    await spoke.until(lambda: "default/hook" in spoke.cluster.objects("ConfigMap"))
    await spoke.until(lambda: live(spoke) == "2")

"""Watches under a server that ends, forgets or hides: no storm, no missed list, and unknown is never gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import pytest

from agents.live import KindKey, LiveTable
from agents.observe import Observer
from fleet.kube.errors import Conflict, Gone
from fleet.kube.port import Discovery, Page, Resource, WatchEvent
from fleet.testing.clock import FakeClock
from fleet.testing.cluster import FakeCluster


class BadWatches(FakeCluster):
    """A server whose watches end as soon as they begin."""

    def __init__(self, error: Exception | None) -> None:
        super().__init__()
        self.error = error

    async def watch(self, *_arguments: Any, **_more: Any) -> AsyncGenerator[WatchEvent, None]:
        self.reads["watch"] += 1
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        nothing: tuple[WatchEvent, ...] = ()
        for event in nothing:
            yield event


class SlowLists(FakeCluster):
    """A server that answers no list before the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def pages(self, *arguments: Any, **more: Any) -> AsyncGenerator[Page, None]:
        await self.gate.wait()
        async for page in super().pages(*arguments, **more):
            yield page


def config_maps(cluster: FakeCluster) -> Resource:
    return cluster.store.resource("ConfigMap")


@pytest.mark.parametrize("error", [None, Gone("too old")], ids=["ends", "gone"])
async def test_a_watch_that_never_lasts_is_not_started_over_and_over(
    error: Exception | None,
) -> None:
    cluster, clock = BadWatches(error), FakeClock()
    observer = Observer(cluster, LiveTable(), clock)
    running = asyncio.create_task(observer.run())
    await observer.ensure([config_maps(cluster)], lambda _kind: False)
    for _ in range(30):
        for _ in range(50):
            await asyncio.sleep(0)
        await clock.advance(1)
    running.cancel()
    await asyncio.wait({running})
    assert 2 <= cluster.reads["watch"] < 40


async def test_who_waits_for_a_list_also_waits_for_that_of_a_fuller_watch() -> None:
    cluster = SlowLists()
    observer = Observer(cluster, LiveTable(), FakeClock())
    running = asyncio.create_task(observer.run())

    def ensure(*, full: bool) -> asyncio.Task[None]:
        def needs(_kind: KindKey) -> bool:
            return full

        return asyncio.create_task(observer.ensure([config_maps(cluster)], needs))

    first = ensure(full=False)
    await asyncio.sleep(0.001)
    second = ensure(full=True)
    await asyncio.sleep(0.001)
    assert not first.done()
    cluster.gate.set()
    await asyncio.wait_for(asyncio.gather(first, second), 5)
    running.cancel()
    await asyncio.wait({running})


async def test_what_discovery_cannot_see_is_not_gone(spoke: Any, make: Any) -> None:
    both = await spoke.artifact(make.config_map("a"), make.deployment("web"))
    spoke.assign(make.section("app", both))
    await spoke.until(lambda: spoke.status("app").applied == both)
    whole = await spoke.cluster.discovery()
    partial: Discovery = replace(
        whole,
        resources=tuple(item for item in whole.resources if item.group != "apps"),
        incomplete=frozenset({"apps/v1"}),
        _preferred={key: item for key, item in whole._preferred.items() if key[0] != "apps"},
    )

    async def discovery(*, refresh: bool = False) -> Discovery:
        return partial

    spoke.cluster.discovery = discovery
    spoke.assign()
    await spoke.idle()
    inventory = spoke.core.inventories.get("app")
    assert inventory is not None
    assert [ref.kind for ref in inventory.entries] == ["Deployment"]
    del spoke.cluster.discovery
    await spoke.clock.advance(300)
    await spoke.until(lambda: "app" not in spoke.core.board.statuses)
    assert not spoke.cluster.objects("Deployment")


async def test_a_deletion_that_met_a_race_is_not_taken_for_done(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(make.config_map("a"))
    spoke.assign(make.section("app", digest))
    await spoke.until(lambda: spoke.status("app").applied == digest)
    spoke.cluster.fail("delete", "*", Conflict("the object has been modified"))
    spoke.assign()
    await spoke.idle()
    assert spoke.core.inventories.get("app") is not None
    await spoke.clock.advance(300)
    await spoke.until(lambda: "app" not in spoke.core.board.statuses)
    assert not spoke.cluster.objects("ConfigMap").keys() & {"default/a"}

"""The agent killed at every place around every durable step: hooks still run exactly once, and everything gets done."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from agents.failpoints import FAILPOINTS, PROCESS
from fleet.model.assignment import Operation

COMPLETE = {"conditions": [{"type": "Complete", "status": "True"}]}
MOST = 40
"""More passings of one place than the story has."""


class Killed(BaseException):
    """SIGKILL."""


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    PROCESS.arm("")


def job(name: str, hook: str, **annotations: str) -> Any:
    notes = {f"argocd.argoproj.io/{key}": value for key, value in annotations.items()}
    containers = [{"name": "main", "image": "app:1"}]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "annotations": {"argocd.argoproj.io/hook": hook, **notes}},
        "spec": {"template": {"spec": {"containers": containers, "restartPolicy": "Never"}}},
    }


class Story:
    """One application's life: a first deploy, another artifact, a sync that a person asks for, and its end."""

    def __init__(self, spoke: Any, make: Any) -> None:
        self.spoke = spoke
        self.make = make
        self.deaths = 0

    async def tell(self) -> None:
        make, spoke = self.make, self.spoke
        one = await spoke.artifact(make.config_map("a", x="1"), make.config_map("old"))
        two = await spoke.artifact(
            make.config_map("a", x="2"),
            job("before", "PreSync", **{"hook-delete-policy": "HookSucceeded"}),
            job("between", "Sync"),
            job("after", "PostSync"),
            job("backup", "PreDelete", **{"hook-delete-policy": "HookSucceeded"}),
            job("tell", "PostDelete"),
        )
        first, second = make.section("app", one), make.section("app", two)
        asked = Operation(id="asked", target="app", kind="sync")
        await self.until(lambda: spoke.status("app").applied == one, first)
        await self.until(lambda: self.is_over(two), second)
        assert self.created() == {"before": 1, "between": 1, "after": 1}
        assert "default/old" not in spoke.cluster.objects("ConfigMap")
        await self.until(lambda: self.is_over(two, "asked"), second, operations=(asked,))
        assert self.created() == {"before": 2, "between": 2, "after": 2}
        await self.until(lambda: "inventory.app" not in spoke.records.kept)
        assert self.created() == {"before": 2, "between": 2, "after": 2, "backup": 1, "tell": 1}
        assert spoke.cluster.objects("ConfigMap") == {}
        assert set(spoke.cluster.objects("Job")) == {"default/tell"}
        for live in spoke.cluster.objects("Job").values():
            assert not live["metadata"].get("finalizers")

    def is_over(self, artifact: str, name: str = "") -> bool:
        status = self.spoke.status("app")
        done = status.operation
        return bool(
            status.applied == artifact
            and done is not None
            and done.artifact == artifact
            and done.phase == "Succeeded"
            and name in ("", done.id)
        )

    def created(self) -> Counter[str]:
        names = (w.where for w in self.spoke.cluster.writes if w.verb == "create")
        return Counter(name.rpartition("/")[2] for name in names if "Job" in name)

    async def until(self, holds: Any, *sections: Any, **more: Any) -> None:
        """Let agent and controllers work until something holds; a dead agent is started again."""
        spoke = self.spoke
        spoke.assign(*sections, **more)
        for _ in range(60):
            if spoke._running.done():
                await asyncio.wait({spoke._running})
                self.deaths += 1
                PROCESS.arm("")
                await spoke.clock.advance(5)  # nothing is recognized by the second it began in
                await spoke.start()
                spoke.assign(*sections, **more)
            await spoke.idle()
            for name, live in spoke.cluster.objects("Job").items():
                if "status" not in live:
                    spoke.cluster.put_status("Job", *name.split("/"), COMPLETE)
            if holds() and not spoke._running.done():
                return
            await spoke.clock.advance(0.5)
        raise AssertionError(f"it did not come to hold; {dict(spoke.core.board.statuses)}")


def die() -> None:
    raise Killed


async def deaths_at(make_spoke: Any, make: Any, place: str) -> int:
    """Tell the story with a death at the given place, and return how often the agent died."""
    spoke = await make_spoke()
    PROCESS.arm(place, die)
    story = Story(spoke, make)
    await story.tell()
    await spoke.kill()
    return story.deaths


@pytest.mark.parametrize("name", FAILPOINTS)
async def test_a_death_at_any_durable_step_repeats_no_hook(
    make_spoke: Any, make: Any, name: str
) -> None:
    assert await deaths_at(make_spoke, make, f"{name}:1") == 1, "the story never passes this place"


@pytest.mark.slow
@pytest.mark.parametrize("name", FAILPOINTS)
async def test_nor_does_one_at_any_later_passing(make_spoke: Any, make: Any, name: str) -> None:
    for count in range(2, MOST):
        if not await deaths_at(make_spoke, make, f"{name}:{count}"):
            return
    raise AssertionError("the story is longer than was thought")

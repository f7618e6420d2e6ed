"""A spoke without a hub: the agent's core on an in-memory cluster, given assignments by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from agents.assignment import Assignment
from agents.cache import Cache
from agents.core import POSITION, Core, Surroundings, build_core
from agents.settings import ClusterSettings, SyncSettings
from fleet.codec.canonical import canonical_bytes, digest_bytes
from fleet.codec.jsontypes import JsonObject
from fleet.model.assignment import Head, KindPattern, Operation, ProjectRules, Section, SectionRef
from fleet.model.report import TargetStatus
from fleet.runtime.supervisor import Supervisor
from fleet.testing.clock import FakeClock
from fleet.testing.cluster import FakeCluster
from fleet.wire.sections import section_digest


class MemoryRecords:
    """`agents.records.Records` that a test can look into."""

    def __init__(self, kept: dict[str, str] | None = None) -> None:
        self.kept = dict(kept or {})
        self.identity: bytes | None = None
        self.batches: list[dict[str, str | None]] = []
        self.error: Exception | None = None

    async def load(self) -> dict[str, str]:
        return dict(self.kept)

    async def write(self, changes: Mapping[str, str | None]) -> None:
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        self.batches.append(dict(changes))
        for name, text in changes.items():
            if text is None:
                self.kept.pop(name, None)
            else:
                self.kept[name] = text

    async def load_identity(self) -> bytes | None:
        return self.identity

    async def save_identity(self, data: bytes) -> None:
        self.identity = data


class Spoke:
    """The core of one agent and its cluster; time stands still unless the test moves it."""

    def __init__(self, folder: Path) -> None:
        self.cluster = FakeCluster()
        self.records = MemoryRecords({POSITION: "{}"})
        self.clock = FakeClock()
        self.cache = Cache(folder)
        self.cache.open()
        self.core: Core
        self.sync = SyncSettings(workers=4, compare_every=timedelta(hours=1))
        self.cluster_settings = ClusterSettings()
        self._generation = 0
        self._supervisor: Supervisor
        self._running: asyncio.Task[int] | None = None

    async def start(self) -> None:
        around = Surroundings(
            cluster=self.cluster,
            cluster_uid=self.cluster.uid,
            name="spoke",
            records=self.records,
            cache=self.cache,
            clock=self.clock,
        )
        kept = await self.records.load()
        self.core = await build_core(around, kept, cluster=self.cluster_settings, sync=self.sync)
        self._supervisor = Supervisor(signals=())
        self.core.spawn(self._supervisor)
        self._running = asyncio.create_task(self._supervisor.run())

    async def stop(self) -> None:
        """End in good order."""
        if self._running is not None:
            self._supervisor.stop()
            await asyncio.wait_for(self._running, 10)
            self._running = None

    async def kill(self) -> None:
        """End at once, as SIGKILL would: nothing is flushed."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running})
            self._running = None

    async def running(self) -> int:
        """Wait for the end; raises what ended it."""
        assert self._running is not None
        running, self._running = self._running, None
        return await asyncio.wait_for(running, 10)

    async def artifact(self, *objects: JsonObject) -> str:
        """Put an artifact where a fetch would have put it."""
        data = canonical_bytes({"objects": list(objects)})
        digest = digest_bytes(data)
        await self.cache.add({digest: data})
        return digest

    def assign(
        self,
        *sections: Section,
        operations: tuple[Operation, ...] = (),
        detached: bool = False,
        additive: bool = False,
    ) -> Assignment:
        """Give the next assignment."""
        self._generation += 1
        ordered = sorted(sections, key=lambda section: section.target)
        head = Head(
            hub="hub",
            cluster="spoke",
            cluster_uid=self.cluster.uid,
            epoch=1,
            generation=self._generation,
            sections=tuple(
                SectionRef(target=item.target, digest=section_digest(item)) for item in ordered
            ),
            operations=operations,
            detached=detached,
            additive=additive,
        )
        assignment = Assignment(head=head, sections={item.target: item for item in ordered})
        self.core.engine.accept(assignment)
        return assignment

    def status(self, target: str) -> TargetStatus:
        return self.core.board.statuses.get(target, TargetStatus(target=target))

    async def until(self, holds: Callable[[], bool]) -> None:
        """Let the agent work until something holds; time does not pass."""
        for _ in range(3000):
            if holds():
                return
            await asyncio.sleep(0)
        shown = dict(self.core.board.statuses)
        raise AssertionError(f"it did not come to hold; statuses: {shown}")

    async def idle(self) -> None:
        """Let the agent work until nothing happens any more; time does not pass."""
        quiet = 0
        while quiet < 60:
            before = (len(self.cluster.writes), sum(self.cluster.reads.values()))
            await asyncio.sleep(0)
            after = (len(self.cluster.writes), sum(self.cluster.reads.values()))
            quiet = quiet + 1 if before == after else 0

    def writes(self, verb: str = "apply") -> list[str]:
        """What was written so far, the agent's own state left out."""
        return [write.where for write in self.cluster.writes if write.verb == verb]


def section(target: str, artifact: str, **more: object) -> Section:
    """An automated target that prunes and heals, unless said otherwise."""
    values: dict[str, object] = {
        "target": target,
        "artifact": artifact,
        "project": ProjectRules(
            name="default",
            namespaces=("*",),
            cluster_kinds=(KindPattern(group="*", kind="*"),),
        ),
        "namespace": "default",
        "automated": True,
        "prune": True,
        "self_heal": True,
        "deletion": "foreground",
    }
    return Section(**{**values, **more})  # type: ignore[arg-type]  # checked by msgspec's own tests


def config_map(name: str, **data: str) -> JsonObject:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(name: str, *, image: str = "app:1", wave: str = "") -> JsonObject:
    labels = {"app": name}
    annotations = {"argocd.argoproj.io/sync-wave": wave} if wave else {}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": image}]},
            },
        },
    }


AVAILABLE = {
    "observedGeneration": 1,
    "replicas": 1,
    "updatedReplicas": 1,
    "availableReplicas": 1,
    "readyReplicas": 1,
    "conditions": [{"type": "Available", "status": "True"}],
}


@pytest.fixture
async def spoke(tmp_path: Path) -> AsyncIterator[Spoke]:
    """A running agent core with nothing to do."""
    made = Spoke(tmp_path)
    await made.start()
    yield made
    await made.kill()


@pytest.fixture
async def make_spoke(tmp_path: Path) -> AsyncIterator[Callable[[], Awaitable[Spoke]]]:
    """Start one core after the other, each on a cluster of its own."""
    made: list[Spoke] = []

    async def start() -> Spoke:
        spoke = Spoke(tmp_path / str(len(made)))
        made.append(spoke)
        await spoke.start()
        return spoke

    yield start
    for spoke in made:
        await spoke.kill()


@pytest.fixture
def make() -> Make:
    """Builders of sections and objects."""
    return Make()


class Make:
    """Builders, as one fixture: test modules cannot import from a conftest."""

    section = staticmethod(section)
    config_map = staticmethod(config_map)
    deployment = staticmethod(deployment)
    available = AVAILABLE

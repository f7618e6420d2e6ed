"""From a commit to the assignments of all clusters, in the hub: evaluation, the queue of renderings, dispatch.

The renderer is a stand-in that knows a source's artifact by its folder's tree, so what is measured is what the hub does
around it for targets that changed and for those that did not. ``python -m tests.bench.handout`` prints a line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

import structlog

from fleet.model.application import Application
from fleet.model.identity import ClusterName, Digest, TargetId
from fleet.pki.keys import SigningKey
from fleet.render.renderer import Renderer
from fleet.render.request import Capabilities, Rendering, ResolvedSource
from fleet.runtime.clock import SystemClock
from fleet.runtime.reconciler import Reconciler
from fleet.store.port import Change, Put
from fleet.testing.mirrors import MemoryMirrors
from fleet.testing.store import MemoryArtifactStore, MemoryStore
from hub.assignments import AssignmentRecords
from hub.dispatch import Dispatcher
from hub.joints import Joints, Queues
from hub.operations import Operations
from hub.poller import Poller
from hub.records import Records
from hub.renderings import Renderings
from tests.bench import evaluate
from tests.bench.hubpath import HubPath


@dataclass(slots=True)
class TreeRenderer:
    """Stands for `fleet.render.renderer.Renderer`."""

    mirrors: MemoryMirrors
    folders: dict[str, dict[str, str]] = field(default_factory=dict)
    looks: int = 0

    async def resolve(self, application: Application) -> tuple[ResolvedSource, ...]:
        self.looks += 1
        return tuple(
            [
                ResolvedSource(
                    source=source,
                    revision=await self.mirrors.resolve(source.repo_url, source.target_revision),
                )
                for source in application.sources
            ]
        )

    async def render(
        self,
        application: Application,
        resolved: tuple[ResolvedSource, ...],
        capabilities: Capabilities,
        *,
        refresh: bool = False,
        permits: Callable[[str], bool] = lambda url: True,
    ) -> Rendering:
        first = resolved[0]
        if first.revision not in self.folders:
            tree = await self.mirrors.tree(first.source.repo_url, first.revision)
            self.folders[first.revision] = {item.path: item.object for item in tree.entries}
        name = Digest(f"{application.name} {self.folders[first.revision][first.source.path]}")
        return Rendering(
            artifact=name,
            objects=3,
            kinds={"apps/Deployment": 1, "/Service": 1, "/ConfigMap": 1},
            warnings=(),
            revision=first.revision,
            closure=name,
            from_cache=True,
        )


class TimedStore(MemoryStore):
    """Notes when assignments were committed."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    async def commit(self, *changes: Change) -> None:
        """Without the copy that makes the real fake atomic: its cost would be that of all records."""
        for change in changes:
            if isinstance(change, Put):
                self._records[change.kind, change.key] = change.value
        self.times.append(time.perf_counter())


class Handout:
    """A hub without agents, people and forges."""

    def __init__(self, kind: str, clusters: int) -> None:
        self.path = HubPath(kind, clusters, needs=False)
        state, clock = self.path.state, SystemClock()
        names = [ClusterName(f"edge-{number:04}") for number in range(clusters)]
        self.store, self.renderer = TimedStore(), TreeRenderer(self.path.mirrors)
        self.queues = Queues.make(clock)
        self.operations = Operations(
            store=MemoryStore(), clock=clock, changed=self.queues.clusters.add
        )
        self.joints = Joints(
            state=state,
            queues=self.queues,
            records=Records(MemoryStore()),
            poller=cast("Poller", _Nobody()),
            fleet_repositories=frozenset(),
            agents=lambda: names,
            handed_out=lambda _moved: None,
            remembered=tuple,
            look_at_rollouts=lambda: None,
            look_at_rollouts_of=lambda _ids: None,
            has_failed=lambda _id: False,
            failing=tuple,
            touched=self.path.evaluator.touched,
            clock=clock,
        )
        self.path.evaluator.evaluated = self.joints.evaluated
        self.renderings = Renderings(
            renderer=cast("Renderer", self.renderer),
            artifacts=MemoryArtifactStore(),
            state=state,
            rendered=self.joints.rendered,
            offered=self.joints.offered,
            settled=self.joints.settled,
        )
        key = SigningKey.generate()
        self.dispatcher = Dispatcher(
            assignments=AssignmentRecords(
                store=self.store, artifacts=MemoryArtifactStore(), state=state
            ),
            state=state,
            operations=self.operations,
            hub_id="hub",
            epoch=1,
            keys=lambda: [key],
            cluster_uid=lambda name: f"uid-{name}",
            removing=lambda _name: False,
            assigned=self.joints.assigned,
            turned=self.joints.turned,
            approval_used=self.path.evaluator.approval_used,
            gate=lambda _target: None,
            keeps=lambda _id: False,
        )
        self.reconcilers: list[Reconciler[str] | Reconciler[TargetId] | Reconciler[ClusterName]] = [
            Reconciler("evaluate", self.path.evaluator.reconcile, self.queues.fleet, workers=1, clock=clock),
            Reconciler("render", self.renderings.reconcile, self.queues.targets, workers=8, clock=clock),
            Reconciler("dispatch", self.dispatcher.reconcile, self.queues.clusters, workers=4, clock=clock),
        ]  # fmt: skip

    async def commit(self, contents: Mapping[str, str]) -> dict[str, float]:
        """Commit, and wait until nothing waits: seconds and counts."""
        self.path.mirrors.commit(evaluate.URL, contents)
        self.joints.moved(evaluate.URL)
        self.store.times, self.renderer.looks = [], 0
        begun, before = time.perf_counter(), self.path.state.desired
        while self.path.state.desired is before:  # noqa: ASYNC110  # nothing else tells
            await asyncio.sleep(0.001)
        evaluated = time.perf_counter() - begun
        last = begun
        while len(self.queues.targets) or len(self.queues.clusters) or time.perf_counter() - last < 0.3:  # fmt: skip
            if len(self.queues.targets) or len(self.queues.clusters):
                last = time.perf_counter()
            await asyncio.sleep(0.005)
        times = [moment - begun for moment in self.store.times]
        return {
            "evaluated": round(evaluated, 3),
            "first_assigned": round(times[0], 3) if times else -1,
            "last_assigned": round(times[-1], 3) if times else -1,
            "all_looked_at": round(last - begun, 3),
            "assignments": len(times),
            "looks": self.renderer.looks,
        }


class _Nobody:
    def want(self, _repositories: object) -> None:
        """Nobody is polled here."""


async def measure(
    kind: str, clusters: int, directories: int, rounds: int
) -> list[dict[str, float]]:
    """From nothing, and after commits that touch one directory each."""
    handout = Handout(kind, clusters)
    found = []
    async with asyncio.TaskGroup() as group:
        for reconciler in handout.reconcilers:
            group.create_task(reconciler.run())
        for round_ in range(rounds + 1):
            changed = dict.fromkeys(range(round_ % directories), 1)
            found.append(await handout.commit(evaluate.files(directories, changed)))
        for reconciler in handout.reconcilers:
            reconciler.stop()
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clusters", type=int, default=1000)
    parser.add_argument("--directories", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kind", choices=list(evaluate.PATHS), default="directories")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    found = asyncio.run(
        measure(options.kind, options.clusters, options.directories, options.rounds)
    )
    json.dump(found, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()

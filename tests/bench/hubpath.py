"""The hub's whole way from a commit to `State.replace_desired`, and how long the event loop stood still meanwhile.

Evaluation as the hub does it (documents, sets, judging, targets, edges, what is durable), over repositories and a store
in memory; `tests.bench.evaluate` measures the generators alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from fleet.codec import yamldoc
from fleet.jq.paths import JqPaths
from fleet.model.identity import ClusterName
from fleet.runtime.clock import SystemClock
from fleet.testing.mirrors import MemoryMirrors
from fleet.testing.store import MemoryStore
from hub.accepted import Accepted
from hub.children import Children
from hub.childsyncs import ChildSyncs
from hub.evaluate import Evaluator
from hub.fleetrepo import FleetRepo
from hub.parents import Parents
from hub.records import Records
from hub.settings import FleetRepository
from hub.state import State
from hub.world import Worlds
from tests.bench import evaluate

CONFIG = "https://git.example.com/config.git"


class HubPath:
    """A hub's evaluation without the rest of the hub."""

    def __init__(self, kind: str, clusters: int, *, needs: bool) -> None:
        self.mirrors = MemoryMirrors()
        self.state = State()
        clock, store = SystemClock(), MemoryStore()
        repo = FleetRepo(FleetRepository(repo_url=CONFIG), self.mirrors, store)
        records = Records(store)
        accepted = Accepted(store)
        self.evaluator = Evaluator(
            worlds=Worlds(self.mirrors, (repo,), clock),
            accepted=accepted,
            state=self.state,
            clock=clock,
            jq=JqPaths(clock),
            children=Children(
                parents=Parents(
                    accepted=accepted,
                    state=self.state,
                    syncs=ChildSyncs(store=store, evaluate=lambda: None),
                )
            ),
            held_clusters=records.declared,
            joined_clusters=lambda: [ClusterName(f"edge-{n:04}") for n in range(clusters)],
            approval_used=records.used,
            evaluated=lambda _repositories: None,
        )
        documents = [cluster_document(number) for number in range(clusters)]
        appset = evaluate.appset(kind).document
        if needs:
            # the first of each cluster's applications is what all others wait for
            appset["spec"]["template"]["metadata"]["annotations"] = {
                "gitopsfleet.io/depends-on": '{{ if ne .path.basename "app-00" }}{{ .name }}-app-00{{ end }}'
            }
        self.mirrors.commit(CONFIG, {"fleet.yaml": yamldoc.dump_all([*documents, appset])})

    async def commit(self, contents: Mapping[str, str]) -> tuple[float, float]:
        """Commit to the applications' repository and evaluate: seconds, and the longest the loop stood still."""
        self.mirrors.commit(evaluate.URL, contents)
        async with watched() as longest:
            begun = time.perf_counter()
            await self.evaluator.reconcile("fleet")
            seconds = time.perf_counter() - begun
        return seconds, longest[0]


def cluster_document(number: int) -> dict[str, object]:
    """One of `tests.bench.evaluate.clusters` as a document."""
    name = f"edge-{number:04}"
    labels = {"fleet": "all", "region": f"r{number % 7}", "env": "prod"}
    return {
        "apiVersion": "gitopsfleet.io/v1alpha1",
        "kind": "Cluster",
        "metadata": {"name": name, "labels": labels},
        "spec": {"server": f"https://{name}.example.com:6443"},
    }


@asynccontextmanager
async def watched() -> AsyncIterator[list[float]]:
    """Measure the longest time that the event loop could not run another task."""
    longest, ended = [0.0], False

    async def tick() -> None:
        while not ended:
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            longest[0] = max(longest[0], time.perf_counter() - before - 0.001)

    async with asyncio.TaskGroup() as group:
        group.create_task(tick())
        yield longest
        ended = True


async def measure(
    kind: str, clusters: int, directories: int, rounds: int, *, needs: bool
) -> dict[str, float]:
    """Evaluate from nothing, and after commits that touch one directory each."""
    path = HubPath(kind, clusters, needs=needs)
    first = await path.commit(evaluate.files(directories, {}))
    touched = [
        await path.commit(
            evaluate.files(directories, dict.fromkeys(range(round_ % directories), 1))
        )
        for round_ in range(1, rounds + 1)
    ]
    assert len(path.state.desired.targets) == clusters * directories
    return {
        "from_nothing": round(first[0], 3),
        "from_nothing_blocked": round(first[1], 3),
        "one_directory_touched": round(min(touched)[0], 3),
        "one_directory_touched_worst": round(max(touched)[0], 3),
        "one_directory_touched_blocked": round(max(blocked for _, blocked in touched), 3),
    }

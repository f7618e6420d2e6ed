"""The part of the agent that works on a cluster: everything but the hub, so that it works without one."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from agents.apply import Applier
from agents.board import Board
from agents.cache import Cache
from agents.comparisons import Comparisons
from agents.desired import DesiredStates
from agents.engine import Engine
from agents.ignoring import Ignoring
from agents.inventory import Inventories, find_owned
from agents.leaving import Leaving
from agents.live import LiveTable
from agents.observe import Observer
from agents.orphans import Orphans
from agents.pacing import Pacer
from agents.prediction import Predictor
from agents.rating import Ratings
from agents.readiness import Readiness
from agents.reconcile import TargetSync
from agents.records import Journal, Records
from agents.removal import Removal
from agents.settings import ClusterSettings, SyncSettings
from fleet.jq.paths import JqPaths
from fleet.judge.custom import CustomHealth
from fleet.kube.port import ClusterPort
from fleet.runtime.backoff import Backoff
from fleet.runtime.clock import Clock
from fleet.runtime.queue import WorkQueue
from fleet.runtime.reconciler import RetryPolicy
from fleet.runtime.supervisor import Supervisor
from fleet.wire.requests import MAX_READS

if TYPE_CHECKING:
    from agents.liveread import LiveReader

POSITION = "position"
"""Name of the record of the last accepted assignment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the core is put into."""

    cluster: ClusterPort
    cluster_uid: str
    name: str
    """The cluster's name in the fleet."""
    records: Records
    cache: Cache
    clock: Clock


@dataclass(slots=True, kw_only=True)
class Core:
    """The engine and what it works with."""

    journal: Journal
    inventories: Inventories
    table: LiveTable
    observer: Observer
    readiness: Readiness
    jq: JqPaths
    health: CustomHealth
    ratings: Ratings
    board: Board
    orphans: Orphans
    engine: Engine
    reader: Callable[[], LiveReader]
    """Makes what answers people's reads; most agents are never asked, and do without its code."""

    def spawn(self, supervisor: Supervisor) -> None:
        """Add the core's tasks."""

        async def work() -> None:
            stopping = asyncio.create_task(self._stop_with(supervisor))
            try:
                await self.engine.run()
                await self.journal.flush()
            finally:
                stopping.cancel()

        supervisor.spawn("journal", self.journal.run)
        supervisor.spawn("watches", self.observer.run)
        supervisor.spawn("ready-when", self.readiness.run)
        supervisor.spawn("jq", self.jq.run)
        supervisor.spawn("health-rules", self.health.run)
        supervisor.spawn("ratings", self.ratings.run)
        supervisor.spawn("comparisons", self.engine.run_comparisons)
        supervisor.spawn("orphans", self.orphans.run)
        supervisor.spawn("engine", work, drains=True)

    async def _stop_with(self, supervisor: Supervisor) -> None:
        await supervisor.stopping.wait()
        self.engine.stop()


async def build_core(
    around: Surroundings,
    kept: Mapping[str, str],
    *,
    cluster: ClusterSettings,
    sync: SyncSettings,
) -> Core:
    """Put the core together from what was kept; lost inventories are found again in the cluster."""
    clock = around.clock
    journal = Journal(around.records, clock)
    inventories = Inventories(journal, around.cluster_uid)
    damaged = inventories.load(kept)
    if POSITION not in kept or damaged:
        # Nothing is known of what was applied here before: whatever carries our marks is found again.
        only = damaged if POSITION in kept else None
        inventories.adopt(await find_owned(around.cluster, cluster.namespaces), only=only)
    table = LiveTable()
    observer = Observer(around.cluster, table, clock, namespaces=cluster.namespaces)
    readiness = Readiness(clock)
    board = Board()
    jq = JqPaths(clock)
    health = CustomHealth(clock)
    ignoring = Ignoring(jq)
    applier = Applier(around.cluster, table, clock, ignoring, concurrency=cluster.concurrency)
    states = DesiredStates(around.cache, around.name)
    orphans = Orphans(around.cluster, clock, lambda: engine.assignment, every=sync.compare_every)
    targets = TargetSync(
        cluster=around.cluster,
        table=table,
        observer=observer,
        applier=applier,
        comparisons=Comparisons(
            applier,
            table,
            states,
            ignoring,
            Predictor(around.cluster, applier, concurrency=cluster.concurrency),
        ),
        inventories=inventories,
        states=states,
        board=board,
        pacer=Pacer(clock, not_ready=sync.not_ready_retry.total_seconds()),
        readiness=readiness,
        orphans=orphans,
        clock=clock,
    )
    removal = Removal(
        cluster=around.cluster,
        table=table,
        observer=observer,
        inventories=inventories,
        states=targets.states,
        board=board,
        steps=targets.steps,
        leaving=Leaving(targets.hooks, targets.leftovers, targets.steps, inventories, clock),
    )
    engine = Engine(
        targets,
        removal,
        WorkQueue(clock, "targets"),
        clock,
        workers=sync.workers,
        retry=RetryPolicy(
            backoff=make_backoff(sync.first_retry, sync.last_retry), not_ready=sync.not_ready_retry
        ),
        compare_every=sync.compare_every,
    )

    @functools.cache
    def reader() -> LiveReader:
        from agents.liveread import LiveReader

        asking = Applier(around.cluster, table, clock, ignoring, concurrency=MAX_READS)
        predictor = Predictor(around.cluster, asking, concurrency=MAX_READS)
        return LiveReader(
            cluster=around.cluster,
            assignment=lambda: engine.assignment,
            states=states,
            inventories=inventories,
            table=table,
            applier=asking,
            comparisons=targets.comparisons,
            examiner=Comparisons(asking, table, states, ignoring, predictor),
        )

    return Core(
        journal=journal,
        inventories=inventories,
        table=table,
        observer=observer,
        readiness=readiness,
        jq=jq,
        health=health,
        ratings=Ratings(health, table, clock),
        board=board,
        orphans=orphans,
        engine=engine,
        reader=reader,
    )


def make_backoff(first: timedelta, last: timedelta) -> Backoff:
    """The backoff between two bounds of the settings."""
    return Backoff(initial=first.total_seconds(), maximum=last.total_seconds())

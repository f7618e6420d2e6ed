"""The engine: the queue of targets, who is put into it and why, and the assignment they are reconciled against.

Events only enqueue names. They are: another assignment, a change of an object (by the application that it is marked
with), a change of a target's status (for those that depend on it), a change of what the cluster serves, and the slow
full comparison of everything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from random import Random

import structlog
from prometheus_client import Gauge

from agents.assignment import Assignment
from agents.live import KindKey
from agents.reconcile import TargetSync
from agents.removal import Removal
from fleet.runtime import log as fields
from fleet.runtime.clock import Clock
from fleet.runtime.queue import WorkQueue
from fleet.runtime.reconciler import Done, Outcome, Reconciler, RetryPolicy

log = structlog.get_logger(__name__)

_TARGETS = Gauge("fleet_agent_targets", "Targets in the assignment.")
_GENERATION = Gauge("fleet_agent_generation", "Generation of the assignment worked on.")


class Engine:
    """Reconciles targets against the current assignment."""

    def __init__(
        self,
        sync: TargetSync,
        removal: Removal,
        queue: WorkQueue[str],
        clock: Clock,
        *,
        workers: int,
        retry: RetryPolicy,
        compare_every: timedelta,
    ) -> None:
        self._sync = sync
        self._removal = removal
        self._queue = queue
        self._clock = clock
        self._compare_every = compare_every.total_seconds()
        self._rng = Random()  # noqa: S311  # spreads load, no secret
        self._stopped = asyncio.Event()
        self.assignment: Assignment | None = None
        self._is_fenced = False
        self._reconciler = Reconciler(
            "target", self.reconcile, queue, workers=workers, clock=clock, retry=retry
        )
        sync.board.listen(self._status_changed)
        sync.table.listen(self.object_changed)
        sync.sharing.listen(self.object_changed)
        sync.orphans.listen(self.object_changed)
        sync.observer.listen(self.kinds_changed)

    async def run(self) -> None:
        """Work until `stop`; what is under way is finished."""
        await self._reconciler.run()

    def stop(self) -> None:
        """Take no more work."""
        self._reconciler.stop()

    async def reconcile(self, target: str) -> Outcome:
        """Bring one target to where the assignment wants it."""
        assignment = self.assignment
        if assignment is None or self._is_fenced:
            return Done()
        section = assignment.sections.get(target)
        if section is None:
            return await self._removal.leave(target, assignment)
        return await self._sync.sync(section, assignment)

    def fence(self, is_fenced: bool) -> None:
        """Change nothing in the cluster while another process with this identity works, and everything after it."""
        was, self._is_fenced = self._is_fenced, is_fenced
        if was and not is_fenced and self.assignment is not None:
            self.enqueue(sorted({*self.assignment.sections, *self._sync.inventories}))

    def accept(self, assignment: Assignment) -> None:
        """Work on another assignment from now on."""
        before, self.assignment = self.assignment, assignment
        names = assignment.changed_since(before)
        if before is None or _keeps(before) != _keeps(assignment):
            # While absence says nothing, leave was taken of nothing.
            names |= set(self._sync.inventories)
        self._sync.use_rules(assignment.rules.health)
        self._sync.table.keep_bodies_of(
            name for name, section in assignment.sections.items() if section.ready_when
        )
        self._sync.keep_only(assignment.sections)
        _TARGETS.set(len(assignment.sections))
        _GENERATION.set(assignment.head.generation)
        log.info(
            "assignment accepted",
            epoch=assignment.head.epoch,
            generation=assignment.head.generation,
            **{fields.COUNT: len(names)},
        )
        self.enqueue(sorted(names))

    def enqueue(self, targets: Iterable[str]) -> None:
        """Have a look at these."""
        for target in targets:
            self._queue.add(target)

    def object_changed(self, target: str) -> None:
        """An object that is marked as this target's changed."""
        assignment = self.assignment
        if assignment is None:
            return
        if target in assignment.sections or self._sync.inventories.get(target) is not None:
            self._queue.add(target)

    def kinds_changed(self) -> None:
        """What the cluster serves, or lets us see, changed: it may concern everyone."""
        if self.assignment is not None:
            self.enqueue(sorted(self.assignment.sections))

    def kinds_in_use(self) -> set[KindKey]:
        """Kinds that some target has or is about to have."""
        found = set()
        for name in self._sync.inventories:
            inventory = self._sync.inventories.get(name)
            if inventory is not None:
                found |= {(ref.group, ref.kind) for ref in (*inventory.entries, *inventory.hooks)}
        return found | self._sync.states.kinds()

    async def run_comparisons(self) -> None:
        """Now and then read everything and compare in full, spread so that targets do not come all at once."""
        while True:
            await self._clock.sleep(self._compare_every * self._rng.uniform(0.8, 1.2))
            if self.assignment is None:
                continue
            for name in sorted(self.assignment.sections):
                self._sync.compare.add(name)
                self._queue.add_after(name, self._rng.uniform(0.0, self._compare_every * 0.1))

    def _status_changed(self, target: str) -> None:
        assignment = self.assignment
        if assignment is None:
            return
        self.enqueue(assignment.dependents.get(target, ()))
        if target not in self._sync.board.statuses:
            # It is gone: those it needed may be waiting to leave after it.
            self.enqueue(sorted(self._sync.inventories.leaving(assignment.sections)))


def _keeps(assignment: Assignment) -> bool:
    """Whether what an assignment does not name stays."""
    return assignment.head.detached or assignment.head.additive

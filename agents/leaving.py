"""The hooks of an application that leaves: PreDelete before the first of its objects goes, PostDelete after the last.

They are in the inventory, for the section is gone. Each runs once, by a record like a sync's. One that failed stops the
leaving, for it may be a backup that is not there: it runs again when somebody has deleted its object. Objects that stay
(no finalizer, moved to another cluster) keep the hooks from running: what tears down is for what goes.
"""

from __future__ import annotations

from dataclasses import replace

from agents.apply import propagation_of
from agents.hooks import HookRunner
from agents.inventory import Inventories
from agents.leftovers import Leftovers
from agents.operations import SyncFailed
from agents.progress import Progress
from agents.steps import Steps
from fleet.kube.port import Propagation
from fleet.model.identity import ObjectRef
from fleet.runtime.clock import Clock
from fleet.sync import farewell
from fleet.sync import hooks as hooks_of
from fleet.sync.desired import Desired
from fleet.sync.hooks import DeletePolicy, HookTask
from fleet.sync.inventory import HookEntry
from fleet.sync.manner import Manner
from fleet.sync.phases import SyncPhase
from fleet.sync.plan import plan_hooks
from fleet.sync.record import HookRun, OperationRecord

_KIND = "delete"


class Leaving:
    """Runs the hooks of applications that leave."""

    def __init__(
        self,
        hooks: HookRunner,
        leftovers: Leftovers,
        steps: Steps,
        inventories: Inventories,
        clock: Clock,
    ) -> None:
        self._hooks = hooks
        self._leftovers = leftovers
        self._steps = steps
        self._inventories = inventories
        self._clock = clock

    async def begin(self, progress: Progress, manner: Manner) -> None:
        """End the hooks of syncs, and see how the hooks of the leaving are."""
        if _is_leaving(progress.inventory.operation):
            await self._hooks.look(progress)
            await self._forget_failed(progress)
        else:
            await self._hooks.stop(progress)
            started = int(self._clock.now().timestamp())
            record = OperationRecord(id=_KIND, kind=_KIND, started=started, attempt=started)
            progress.inventory = progress.inventory.with_operation(record)
        await self._leftovers.tidy(progress, propagation_of(manner))

    async def clear(self, progress: Progress, manner: Manner) -> None:
        """Delete what hooks of syncs left."""
        own = {run.ref for run in _runs(progress)}
        progress.inventory = progress.inventory.with_hooks(
            replace(entry, unwanted=True)
            for entry in progress.inventory.hooks.values()
            if entry.ref not in own
        )
        await self._leftovers.tidy(progress, propagation_of(manner))

    async def run(self, phase: SyncPhase, progress: Progress, manner: Manner) -> bool:
        """Run the hooks of one phase; whether all of them are through."""
        record = progress.inventory.operation
        hooks = farewell.decode(progress.inventory.farewell)
        if record is None or not hooks:
            return True
        tasks = [task for task in hooks_of.tasks(hooks, record.names) if task.phase is phase]
        pending = record.pending(tasks)
        if pending and not record.failed:
            target = progress.inventory.target
            nothing = Desired(target=target, artifact="")
            await self._steps.carry_out(plan_hooks(pending).steps, nothing, progress, manner)
        return self._is_through(tasks, progress)

    async def end(self, progress: Progress, manner: Manner) -> None:
        """Clear away what the hooks of the leaving made, as their policies say, and let go of the rest."""
        own = {run.ref for run in _runs(progress)}
        progress.inventory = progress.inventory.with_hooks(
            _last(entry, own) for entry in progress.inventory.hooks.values()
        )
        await self._leftovers.tidy(progress, propagation_of(manner))

    async def release(self, progress: Progress) -> None:
        """Let go of hooks whose application leaves without its objects: they run on, and nobody follows them."""
        progress.inventory = progress.inventory.with_operation(None)
        await self._leftovers.tidy(progress, Propagation.ORPHAN)

    def _is_through(self, tasks: list[HookTask], progress: Progress) -> bool:
        record = progress.inventory.operation
        for run in record.failed if record is not None else ():
            why = f": {run.message}" if run.message else ""
            progress.errors.append(
                SyncFailed(
                    f"{run.phase.value} hook {run.ref.kind} {run.ref.name} failed{why}",
                    hint="delete its object when it may run again",
                )
            )
            return False
        return record is not None and not record.pending(tasks)

    async def _forget_failed(self, progress: Progress) -> None:
        """A failed hook whose object somebody deleted may run again."""
        record = progress.inventory.operation
        if record is None or not record.failed:
            return
        gone = [run for run in record.failed if not await self._hooks.is_there(run.ref)]
        kept = tuple(run for run in record.hooks if run not in gone)
        if len(kept) < len(record.hooks):
            # Another try, so that its object is told from the one before.
            again = replace(record, hooks=kept, retries=record.retries + 1)
            progress.inventory = progress.inventory.with_operation(again)
            await self._inventories.store(progress.inventory)


def _is_leaving(record: OperationRecord | None) -> bool:
    return record is not None and record.kind == _KIND and not record.stage.is_over


def _runs(progress: Progress) -> tuple[HookRun, ...]:
    record = progress.inventory.operation
    return record.hooks if record is not None else ()


def _last(entry: HookEntry, own: set[ObjectRef]) -> HookEntry:
    return replace(entry, unwanted=entry.ref not in own or DeletePolicy.SUCCEEDED in entry.policies)

"""Conducts operations: which one a target is under, its hooks, and what every run makes of its record.

Decided by `agents.operations`, carried out by `agents.hooks`; here the two are joined with the run.
"""

from __future__ import annotations

from dataclasses import replace

from agents import conclusions, failpoints, operations
from agents.assignment import Assignment
from agents.conclusions import Findings
from agents.hooks import HookRunner
from agents.inventory import Inventories
from agents.leftovers import Leftovers
from agents.operations import Mode, Want
from agents.pacing import Pacer
from agents.run import Run
from fleet.kube.port import Propagation
from fleet.model.report import Phase, ResourceResult
from fleet.runtime.clock import Clock
from fleet.sync import hooks as hooks_of
from fleet.sync import retry
from fleet.sync.desired import Desired
from fleet.sync.hooks import DeletePolicy, HookTask
from fleet.sync.inventory import Inventory
from fleet.sync.phases import Stage, SyncPhase
from fleet.sync.record import OperationRecord
from fleet.sync.steps import Reason

_LOOK_AGAIN = 30.0


class Conductor:
    """Joins runs and operations."""

    def __init__(
        self,
        inventories: Inventories,
        hooks: HookRunner,
        leftovers: Leftovers,
        pacer: Pacer,
        clock: Clock,
    ) -> None:
        self._inventories = inventories
        self._hooks = hooks
        self._leftovers = leftovers
        self._pacer = pacer
        self._clock = clock

    async def begin(self, run: Run, assignment: Assignment, *, may_start: bool) -> None:
        """Find the operation; one that was asked for is on record before anything is done for it."""
        inventory, now = run.progress.inventory, self._clock.now()
        run.asked = assignment.operations_for(run.section.target)
        want = run.want = Want(
            artifact=run.section.artifact,
            applied=inventory.applied,
            automated=run.section.automated,
            may_start=may_start,
            gated=run.is_gated or assignment.head.detached,
        )
        choice = operations.choose(run.asked, inventory.operation, inventory.answer, want, now)
        again = None if want.gated else conclusions.due(choice.record, now)
        if again is not None:
            choice = replace(choice, record=again)
        run.operation, run.is_refresh = choice.operation, choice.refresh
        run.waits_for, run.mode = choice.waits_for, operations.mode_of(choice, want)
        after = inventory.with_operation(choice.record).with_answer(choice.answer)
        if after == inventory:
            return
        run.progress.inventory = after
        self._pacer.clear(inventory.entries)
        if not _starts_by_itself(inventory, after):
            failpoints.reach("operation.before-accept")
            await self._inventories.store(after)
            failpoints.reach("operation.after-accept")

    async def attend(self, run: Run, propagation: Propagation) -> None:
        """See what has become of hooks, end those that are to be ended, and clear away those that are through."""
        progress = run.progress
        if run.mode is Mode.STOP:
            await self._hooks.stop(progress)
        else:
            await self._hooks.look(progress)
        if run.waits_for:
            # Nobody starts them any more.
            await self._hooks.settle(progress)
        await self._leftovers.tidy(progress, propagation)
        record = progress.inventory.operation
        if run.mode is Mode.WORK and record is not None and record.failed:
            run.mode = Mode.HOLD
        if run.waits_for:
            left = record.active if record is not None else ()
            ref = (left or run.waits_for)[0].ref
            text = f"waits for {ref.kind} {ref.name} of the sync before"
            progress.wait(Phase.WAITING, text, _LOOK_AGAIN if left else 0.0)

    def tasks(self, run: Run, desired: Desired) -> tuple[HookTask, ...]:
        """The hooks that may run now, or run."""
        pending = _pending(run, desired)
        match run.mode:
            case Mode.WORK if run.is_permitted:
                # What is not there yet (a kind) holds back only what comes after everything is applied.
                last = SyncPhase.POST_SYNC if desired.problems else SyncPhase.SYNC_FAIL
                return tuple(t for t in pending if t.phase.rank < last.rank)
            case Mode.FAIL:
                return tuple(t for t in pending if t.phase is SyncPhase.SYNC_FAIL)
            case Mode.HOLD if not run.waits_for:
                return tuple(t for t in pending if t.is_started)
            case _:
                return ()

    def conclude(self, run: Run) -> None:
        """Draw the conclusion of a run for its operation."""
        inventory = self._answered(run, run.progress.inventory)
        before, now = inventory.operation, self._clock.now()
        if before is not None:
            record = before.with_results(run.progress.results)
            policy = retry.policy_for(run.section, run.operation)
            record = conclusions.concluded(record, _findings(run), policy, now)
            if record.stage is Stage.SUCCEEDED and before.stage is not Stage.SUCCEEDED:
                record = record.with_results(_skipped(run, record))
            inventory = _with_unwanted(inventory, before, record).with_operation(record)
            self._look_again(run, before, record, inventory)
        run.progress.inventory = inventory
        self._inventories.note(inventory)
        run.failure = operations.failure(inventory.operation, run.want)

    def _answered(self, run: Run, inventory: Inventory) -> Inventory:
        """A refresh is through when everything was looked at, or cannot be."""
        answer = inventory.answer
        if not run.is_refresh or answer is None:
            return inventory
        is_refused = run.error is not None and conclusions.is_attempt(run.error)
        if run.out_of_sync is None and not is_refused:
            return inventory
        return inventory.with_answer(
            replace(
                answer,
                stage=Stage.FAILED if is_refused else Stage.SUCCEEDED,
                message=str(run.error) if is_refused else "",
                finished=int(self._clock.now().timestamp()),
            )
        )

    def _look_again(
        self, run: Run, before: OperationRecord, record: OperationRecord, inventory: Inventory
    ) -> None:
        """What the new stage allows is done at once, the next try in its time."""
        progress = run.progress
        if record.stage is Stage.RETRYING and not (run.want.gated or record.active):
            left = record.due - self._clock.now().timestamp()
            progress.look_again = min(progress.look_again, max(0.0, left))
        if record.stage is before.stage:
            return
        active = {item.ref for item in record.active}
        is_untidy = any(
            entry.unwanted or (entry.held and entry.ref not in active)
            for entry in inventory.hooks.values()
        )
        if is_untidy or record.stage in (Stage.RUNNING, Stage.FAILING):
            progress.look_again = 0.0


def _pending(run: Run, desired: Desired) -> tuple[HookTask, ...]:
    record = run.progress.inventory.operation
    if record is None or not operations.runs_hooks(run.operation):
        return ()
    return record.pending(hooks_of.tasks(desired.hooks, record.names))


def _findings(run: Run) -> Findings:
    fail_hooks = None
    if run.desired is not None:
        pending = _pending(run, run.desired)
        fail_hooks = tuple(task for task in pending if task.phase is SyncPhase.SYNC_FAIL)
    return Findings(
        error=run.error,
        broken=run.progress.broken,
        is_waiting=run.progress.is_waiting,
        was_worked=run.mode is Mode.WORK and run.is_permitted,
        fail_hooks=fail_hooks,
    )


def _skipped(run: Run, record: OperationRecord) -> tuple[ResourceResult, ...]:
    """What left the artifact and was not pruned."""
    said = {item.ref for item in record.results}
    left = (ref for ref, reason in (run.out_of_sync or {}).items() if reason == Reason.LEFT.value)
    return tuple(
        ResourceResult(ref=str(ref), status="PruneSkipped") for ref in left if str(ref) not in said
    )


def _starts_by_itself(before: Inventory, after: Inventory) -> bool:
    """Whether nothing new but an automated sync is on record: it is written before the first thing is done for it."""
    record = after.operation
    return after.answer == before.answer and record is not None and record.is_automated


def _with_unwanted(
    inventory: Inventory, before: OperationRecord, record: OperationRecord
) -> Inventory:
    """Mark the hooks to be deleted when a try of an operation has ended."""
    if record.stage is before.stage or record.stage not in _ENDS:
        return inventory
    ended = {run.ref for run in record.hooks}
    return inventory.with_hooks(
        replace(entry, unwanted=True)
        for entry in inventory.hooks.values()
        if entry.ref in ended and _ENDS[record.stage] in entry.policies
    )


_ENDS = {
    Stage.SUCCEEDED: DeletePolicy.SUCCEEDED,
    Stage.FAILED: DeletePolicy.FAILED,
    Stage.RETRYING: DeletePolicy.FAILED,
}

"""Carries out a plan step by step, keeping the inventory true, until it is done or has to wait.

Nothing is awaited that may take long: where a wave has to become healthy or an object has to go, the run ends, and
the event that changes it starts the next one, which plans anew from what is there then.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from agents import failpoints
from agents.apply import Applied, Applier, propagation_of
from agents.doubts import Doubts
from agents.hooks import HookRunner
from agents.inventory import Inventories
from agents.live import LiveTable
from agents.pacing import Pacer
from agents.progress import Progress
from fleet.errors import NotReady
from fleet.health.result import is_ignored
from fleet.model.identity import ObjectRef
from fleet.model.report import Health, Phase, ResourceResult
from fleet.sync.desired import Desired
from fleet.sync.manner import Manner
from fleet.sync.order import Place
from fleet.sync.phases import SyncPhase
from fleet.sync.plan import Plan
from fleet.sync.steps import Change, Reason, Step, Verb, wait_healthy

_LOOK_AGAIN = 30.0
_LOOK_GONE = 3.0
_REPAIRS = frozenset((Reason.DRIFT, Reason.MISSING))


class Steps:
    """Carries out plans in one cluster."""

    def __init__(
        self,
        applier: Applier,
        inventories: Inventories,
        table: LiveTable,
        pacer: Pacer,
        hooks: HookRunner,
        doubts: Doubts,
    ) -> None:
        self._applier = applier
        self._hooks = hooks
        self._inventories = inventories
        self._table = table
        self._pacer = pacer
        self._doubts = doubts

    def paced(self, plan: Plan, progress: Progress) -> tuple[Step, ...]:
        """Leave out what may not be written again yet, and what comes after an object that cannot be written."""
        steps: list[Step] = []
        failed_at: Place | None = None
        for step in plan.steps:
            if failed_at is not None and not _goes_on(step, failed_at):
                break
            if step.verb is not Verb.APPLY:
                steps.append(step)
                continue
            errors = len(progress.errors)
            ready = tuple(change for change in step.changes if self._is_due(change, progress))
            if ready:
                steps.append(replace(step, changes=ready))
            if len(progress.errors) > errors:
                failed_at = step.place
        return tuple(steps)

    async def carry_out(
        self, steps: Iterable[Step], desired: Desired, progress: Progress, manner: Manner
    ) -> None:
        """Do the steps in order; errors end the place they are in, waiting and failed hooks end the run."""
        failed_at: Place | None = None
        for step in steps:
            if failed_at is not None and not _goes_on(step, failed_at):
                return
            errors = len(progress.errors)
            match step.verb:
                case Verb.APPLY:
                    await self._apply(step, progress, manner)
                case Verb.WAIT_HEALTHY:
                    self._wait_healthy(step, desired, progress)
                case Verb.PRUNE:
                    await self._prune(step, progress, manner)
                case Verb.WAIT_GONE:
                    await self._wait_gone(step, progress)
                case Verb.START_HOOKS:
                    await self._start_hooks(step, progress, manner)
                case Verb.WAIT_HOOKS:
                    _wait_hooks(step, progress)
            if len(progress.errors) > errors:
                failed_at = step.place
            if progress.is_waiting or _has_failed_hooks(progress):
                return

    def _is_due(self, change: Change, progress: Progress) -> bool:
        wait = self._pacer.wait(change.ref, change.manifest.digest if change.manifest else "")
        if wait <= 0:
            return True
        progress.look_again = min(progress.look_again, wait)
        error = self._pacer.error(change.ref)
        if error is not None:
            progress.errors.append(error)
        return False

    async def _apply(self, step: Step, progress: Progress, manner: Manner) -> None:
        failpoints.reach("apply.before-batch")
        results = await self._applier.apply(step.changes, manner)
        failpoints.reach("apply.after-batch")
        done = []
        for item in results:
            manifest = item.change.manifest
            assert manifest is not None, "the planner gives every apply its manifest"
            if item.error is not None:
                self._doubts.take_in(item.change.ref, item.error)
                self._pacer.failed(item.change.ref, manifest.digest, item.error)
                if not isinstance(item.error, NotReady):
                    # Neither the end of an outage nor what a person repairs in the cluster is told by an event.
                    wait = self._pacer.wait(item.change.ref, manifest.digest)
                    progress.look_again = min(progress.look_again, wait)
                progress.errors.append(item.error)
                progress.results.append(_result(step, item, "SyncFailed"))
            elif item.live is not None:
                done.append((manifest, item.live))
                self._doubts.seen(item.change.ref)
                self._pacer.applied(item.change.ref)
                if item.change.reason in _REPAIRS:
                    self._pacer.healed(item.change.ref, manifest.digest)
        if done:
            progress.inventory = progress.inventory.applied_objects(done)
            self._inventories.note(progress.inventory)

    def _wait_healthy(self, step: Step, desired: Desired, progress: Progress) -> None:
        ignored = {item.ref for item in desired.manifests if is_ignored(item.body)}
        health = {
            ref: None if result is None or ref in ignored else result.status
            for ref, result in self._table.health(step.refs).items()
        }
        result = wait_healthy(step, health)
        if not result.is_done:
            first = result.failed[0] if result.failed else result.left[0]
            word = health.get(first) or Health.MISSING
            more = f" and {len(result.left) - 1} more" if len(result.left) > 1 else ""
            progress.wait(
                Phase.APPLYING,
                f"{step.title}: waits for {first} ({word.value}){more}",
                _LOOK_AGAIN,
            )
        if result.has_failed:
            found = self._table.health(result.failed[:1])[result.failed[0]]
            why = f": {found.message}" if found is not None and found.message else ""
            progress.broken = f"{step.title}: {result.failed[0]} is Degraded{why}"

    async def _start_hooks(self, step: Step, progress: Progress, manner: Manner) -> None:
        if step.phase is SyncPhase.POST_SYNC:
            progress.is_applied = True
        await self._hooks.start(step.hooks, progress, manner)

    async def _prune(self, step: Step, progress: Progress, manner: Manner) -> None:
        failpoints.reach("prune.before-batch")
        for ref in self._table.index(change.ref for change in step.changes):
            self._doubts.seen(ref)
        results = await self._applier.delete(
            step.changes, progress.inventory.target, propagation_of(manner)
        )
        failpoints.reach("prune.after-batch")
        progress.errors.extend(item.error for item in results if item.error is not None)
        progress.results += [
            _result(step, item, "SyncFailed" if item.error is not None else "Pruned")
            for item in results
        ]
        gone = [item for item in results if item.error is None and item.live is None]
        self._forget(progress, (item.change.ref for item in gone if not item.is_anothers))
        self._drop(progress, [item.change.ref for item in gone if item.is_anothers])

    async def _wait_gone(self, step: Step, progress: Progress) -> None:
        entries = progress.inventory.entries
        left = [ref for ref in step.refs if ref in entries]
        gone = [
            ref
            for ref in left
            if self._table.get(ref) is None and await self._applier.gone(ref, entries[ref].uid)
        ]
        self._forget(progress, gone)
        done = {*gone, *progress.doubted}
        stuck = [ref for ref in left if ref not in done]
        if stuck and not progress.errors:
            reason = await self._applier.why_not_gone(stuck[0])
            more = f" and {len(stuck) - 1} more" if len(stuck) > 1 else ""
            progress.wait(Phase.PRUNING, f"{stuck[0]}{more} {reason}", _LOOK_GONE)

    def _forget(self, progress: Progress, refs: Iterable[ObjectRef]) -> None:
        """Take off the record what is gone; what may still appear stays on it, and nothing waits for that."""
        gone = []
        for ref in refs:
            if left := self._doubts.left(ref):
                progress.doubt(ref, left)
            else:
                gone.append(ref)
        self._drop(progress, gone)

    def _drop(self, progress: Progress, gone: list[ObjectRef]) -> None:
        if gone:
            self._pacer.clear(gone)
            progress.inventory = progress.inventory.without(gone)
            self._inventories.note(progress.inventory)


def _goes_on(step: Step, failed_at: Place) -> bool:
    """After a failure the objects of the same place are applied, and nothing else is done."""
    return step.place == failed_at and step.verb is Verb.APPLY


def _wait_hooks(step: Step, progress: Progress) -> None:
    record = progress.inventory.operation
    left = record.pending(step.hooks) if record is not None else step.hooks
    if left:
        first, more = left[0].ref, f" and {len(left) - 1} more" if len(left) > 1 else ""
        progress.wait(
            Phase.APPLYING,
            f"{step.title}: waits for {first.kind} {first.name}{more}",
            _LOOK_AGAIN,
        )


def _has_failed_hooks(progress: Progress) -> bool:
    record = progress.inventory.operation
    return record is not None and bool(record.failed) and not record.stage.is_over


def _result(step: Step, item: Applied, status: str) -> ResourceResult:
    return ResourceResult(
        ref=str(item.change.ref),
        status=status,
        phase=step.phase.value,
        message=str(item.error) if item.error is not None else "",
    )

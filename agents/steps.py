"""Carries out a plan step by step, keeping the inventory true, until it is done or has to wait.

Nothing is awaited that may take long: where a wave has to become healthy or an object has to go, the run ends, and
the event that changes it starts the next one, which plans anew from what is there then.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from agents import failpoints
from agents.apply import Applied, Applier
from agents.inventory import Inventories
from agents.live import LiveTable
from agents.pacing import Pacer
from fleet.errors import FleetError, NotReady, Transient
from fleet.health.result import is_ignored
from fleet.kube.port import Propagation
from fleet.model.assignment import Section
from fleet.model.identity import ObjectRef
from fleet.model.report import Health, Phase
from fleet.sync.desired import Desired
from fleet.sync.inventory import Inventory
from fleet.sync.plan import Change, Plan, Reason, Step, Verb, wait_healthy

_KEEP_IGNORED = "RespectIgnoreDifferences=true"
_PROPAGATION = "PrunePropagationPolicy="
_LOOK_AGAIN = 30.0
_LOOK_GONE = 3.0
_REPAIRS = frozenset((Reason.DRIFT, Reason.MISSING))


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How the steps of one target are to be carried out."""

    keep_ignored: bool = False
    """Leave ignored fields of live objects as they are."""
    propagation: Propagation = Propagation.FOREGROUND


def manner_of(section: Section) -> Manner:
    """What an application's sync options say about it."""
    wanted = [
        option.removeprefix(_PROPAGATION)
        for option in section.sync_options
        if option.startswith(_PROPAGATION)
    ]
    words = {"background": Propagation.BACKGROUND, "orphan": Propagation.ORPHAN}
    return Manner(
        keep_ignored=_KEEP_IGNORED in section.sync_options,
        propagation=words.get(wanted[-1] if wanted else "", Propagation.FOREGROUND),
    )


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far a run came."""

    inventory: Inventory
    phase: Phase = Phase.IDLE
    message: str = ""
    is_waiting: bool = False
    errors: list[FleetError] = field(default_factory=list)
    look_again: float = float("inf")
    """Seconds after which to look again even if nothing happens."""

    def wait(self, phase: Phase, message: str, seconds: float) -> None:
        """Note that the run ends here for now."""
        self.is_waiting = True
        self.phase, self.message = phase, message
        self.look_again = min(self.look_again, seconds)

    def error(self) -> FleetError | None:
        """The error to raise: what needs a human first, then what may come by itself, then what failed outside."""
        ranked = sorted(
            self.errors, key=lambda e: (isinstance(e, Transient), isinstance(e, NotReady))
        )
        return ranked[0] if ranked else None


class Steps:
    """Carries out plans in one cluster."""

    def __init__(
        self, applier: Applier, inventories: Inventories, table: LiveTable, pacer: Pacer
    ) -> None:
        self._applier = applier
        self._inventories = inventories
        self._table = table
        self._pacer = pacer

    def paced(self, plan: Plan, progress: Progress) -> tuple[Step, ...]:
        """Leave out what may not be written again yet, and what comes after an object that cannot be written."""
        steps: list[Step] = []
        failed_wave: int | None = None
        for step in plan.steps:
            if failed_wave is not None and (
                step.wave != failed_wave or step.verb is not Verb.APPLY
            ):
                break
            if step.verb is not Verb.APPLY:
                steps.append(step)
                continue
            ready = tuple(change for change in step.changes if self._is_due(change, progress))
            if ready:
                steps.append(Step(verb=step.verb, wave=step.wave, changes=ready))
            if progress.errors:
                failed_wave = step.wave
        return tuple(steps)

    async def carry_out(
        self, steps: Iterable[Step], desired: Desired, progress: Progress, manner: Manner
    ) -> None:
        """Do the steps in order; errors end the wave they are in, waiting ends the run."""
        failed_wave: int | None = None
        for step in steps:
            if failed_wave is not None and (
                step.wave != failed_wave or step.verb is not Verb.APPLY
            ):
                return
            match step.verb:
                case Verb.APPLY:
                    await self._apply(step, progress, manner)
                    failed_wave = step.wave if progress.errors else None
                case Verb.WAIT_HEALTHY:
                    self._wait_healthy(step, desired, progress)
                case Verb.PRUNE:
                    await self._prune(step, progress, manner)
                case Verb.WAIT_GONE:
                    await self._wait_gone(step, progress)
            if progress.is_waiting:
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
        results = await self._applier.apply(step.changes, keep_ignored=manner.keep_ignored)
        failpoints.reach("apply.after-batch")
        done = []
        for item in results:
            manifest = item.change.manifest
            assert manifest is not None, "the planner gives every apply its manifest"
            if item.error is not None:
                self._pacer.failed(item.change.ref, manifest.digest, item.error)
                if not isinstance(item.error, NotReady):
                    # Neither the end of an outage nor what a person repairs in the cluster is told by an event.
                    wait = self._pacer.wait(item.change.ref, manifest.digest)
                    progress.look_again = min(progress.look_again, wait)
                progress.errors.append(item.error)
            elif item.live is not None:
                done.append((manifest, item.live))
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
                f"wave {step.wave} waits for {first} ({word.value}){more}",
                _LOOK_AGAIN,
            )

    async def _prune(self, step: Step, progress: Progress, manner: Manner) -> None:
        failpoints.reach("prune.before-batch")
        results = await self._applier.delete(
            step.changes, progress.inventory.target, manner.propagation
        )
        failpoints.reach("prune.after-batch")
        progress.errors.extend(item.error for item in results if item.error is not None)
        self._forget(progress, (item.change.ref for item in results if _is_gone(item)))

    async def _wait_gone(self, step: Step, progress: Progress) -> None:
        entries = progress.inventory.entries
        left = [ref for ref in step.refs if ref in entries]
        gone = [
            ref
            for ref in left
            if self._table.get(ref) is None and await self._applier.gone(ref, entries[ref].uid)
        ]
        self._forget(progress, gone)
        stuck = [ref for ref in left if ref in progress.inventory.entries]
        if stuck and not progress.errors:
            reason = await self._applier.why_not_gone(stuck[0])
            more = f" and {len(stuck) - 1} more" if len(stuck) > 1 else ""
            progress.wait(Phase.PRUNING, f"{stuck[0]}{more} {reason}", _LOOK_GONE)

    def _forget(self, progress: Progress, refs: Iterable[ObjectRef]) -> None:
        gone = tuple(refs)
        if gone:
            self._pacer.clear(gone)
            progress.inventory = progress.inventory.without(gone)
            self._inventories.note(progress.inventory)


def _is_gone(item: Applied) -> bool:
    return item.error is None and item.live is None

"""Record: how far an operation of a target has come, as it is kept in the inventory before every step it allows.

An operation is asked for by a person, or starts by itself when an automated target gets another artifact (``auto-`` and
the digest). The record says which of its hooks were started and how they ended, so that no hook runs twice for one
try of it, wherever the agent dies; and it stays after the end, so that nothing is done anew that was done.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import msgspec

from fleet.model.identity import ObjectRef
from fleet.model.report import ResourceResult
from fleet.sync.hooks import Attempt, HookTask
from fleet.sync.phases import HookEvent, HookState, Stage, SyncPhase, after_event

AUTOMATED_PREFIX = "auto-"
MAX_RESULTS = 50
MAX_TEXT = 1000
"""Of one message: the record is a part of an inventory, which is kept in pieces of a bounded size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HookRun:
    """How one run of a hook stands."""

    phase: SyncPhase
    ref: ObjectRef
    state: HookState = HookState.STARTING
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationRecord:
    """An operation under way or finished."""

    id: str
    stage: Stage = Stage.RUNNING
    kind: str = "sync"
    artifact: str = ""
    """What it brings the target to."""
    started: int = 0
    """Seconds since the epoch, like the next three."""
    attempt: int = 0
    """When the present try began: hooks are named after it."""
    finished: int = 0
    due: int = 0
    """When the next try begins."""
    retries: int = 0
    phase: SyncPhase = SyncPhase.PRE_SYNC
    wave: int = 0
    message: str = ""
    is_final: bool = False
    """It failed on something that does not pass by itself: a hook, or somebody who stopped it."""
    is_partial: bool = False
    """It is about some objects only: it says nothing about the artifact."""
    is_blocked: bool = False
    """It is about some objects only, and the sync of the whole before it failed for good: that still counts."""
    pruned_waves: tuple[int, ...] = ()
    """Waves of everything that this try prunes: they are mirrored among each other, also when some is gone."""
    is_touched: bool = False
    """Something was applied, pruned or run for it."""
    hooks: tuple[HookRun, ...] = ()
    results: tuple[ResourceResult, ...] = ()
    """Objects that were pruned, or could not be applied."""

    @property
    def is_automated(self) -> bool:
        """Whether nobody asked for it."""
        return self.id.startswith(AUTOMATED_PREFIX)

    @property
    def names(self) -> Attempt:
        """What its present try's hooks are named after."""
        return Attempt(
            operation=self.id, artifact=self.artifact, started=self.attempt, number=self.retries
        )

    @property
    def active(self) -> tuple[HookRun, ...]:
        """Hooks that may be at work."""
        return tuple(run for run in self.hooks if run.state.is_active)

    @property
    def failed(self) -> tuple[HookRun, ...]:
        """Hooks that failed, those for failures left out."""
        return tuple(
            run
            for run in self.hooks
            if run.state is HookState.FAILED and run.phase is not SyncPhase.SYNC_FAIL
        )

    def run_of(self, task: HookTask) -> HookRun | None:
        """How a task's run stands; None where it was never started."""
        for run in self.hooks:
            if run.phase is task.phase and run.ref == task.ref:
                return run
        return None

    def starting(self, tasks: Iterable[HookTask]) -> OperationRecord:
        """Note that hooks are about to be created."""
        known = {(run.phase, run.ref) for run in self.hooks}
        fresh = [
            HookRun(phase=task.phase, ref=task.ref)
            for task in tasks
            if (task.phase, task.ref) not in known
        ]
        return replace(self, hooks=(*self.hooks, *fresh)) if fresh else self

    def after(self, run: HookRun, event: HookEvent, message: str = "") -> OperationRecord:
        """Note what was found out about a run."""
        state = after_event(run.state, event)
        changed = replace(run, state=state, message=shortened(message))
        hooks = tuple(
            changed if (item.phase, item.ref) == (run.phase, run.ref) else item
            for item in self.hooks
        )
        return replace(self, hooks=hooks)

    def without(self, run: HookRun) -> OperationRecord:
        """Forget a run that never began."""
        hooks = tuple(item for item in self.hooks if (item.phase, item.ref) != (run.phase, run.ref))
        return replace(self, hooks=hooks)

    def pending(self, tasks: Iterable[HookTask]) -> tuple[HookTask, ...]:
        """Tasks that are not through, those that were started marked."""
        left = []
        for task in tasks:
            run = self.run_of(task)
            if run is None or run.state.is_active:
                left.append(replace(task, is_started=run is not None))
        return tuple(left)

    def with_results(self, found: Sequence[ResourceResult]) -> OperationRecord:
        """Note results of objects: the newest of each, a bounded number of them."""
        if not found:
            return self
        short = (msgspec.structs.replace(item, message=shortened(item.message)) for item in found)
        by_ref = {(item.ref, item.phase): item for item in (*self.results, *short)}
        return replace(self, results=tuple(by_ref.values())[-MAX_RESULTS:])


def shortened(text: str) -> str:
    """Cut a message that is too long to be kept."""
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"


def automated_id(artifact: str) -> str:
    """Name the operation that brings an automated target to an artifact."""
    return f"{AUTOMATED_PREFIX}{artifact.removeprefix('sha256:')[:16]}"

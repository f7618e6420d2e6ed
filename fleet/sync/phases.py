"""Phases of a sync, and the states of a hook and of an operation: two tables of (state, event) -> state.

A hook is started once, runs, and ends; an operation works through its phases, and where something of it failed, runs
the SyncFail hooks before it ends or is tried again. Every state is in the inventory before the step it allows, so
that a process that dies anywhere is continued by the next one.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from fleet.errors import FleetError
from fleet.health.result import HealthResult
from fleet.model.report import Health


class SyncPhase(StrEnum):
    """When an object's turn comes; in this order. The last two are for an application that leaves."""

    PRE_SYNC = "PreSync"
    SYNC = "Sync"
    POST_SYNC = "PostSync"
    SYNC_FAIL = "SyncFail"
    PRE_DELETE = "PreDelete"
    POST_DELETE = "PostDelete"

    @property
    def rank(self) -> int:
        """Its place in the order."""
        return _RANKS[self]


_RANKS = {phase: rank for rank, phase in enumerate(SyncPhase)}


class HookState(StrEnum):
    """How far one run of a hook has come."""

    STARTING = "Starting"
    """Its creation may have been asked for: before anything else, look whether it is there."""
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"

    @property
    def is_active(self) -> bool:
        """Whether it may be at work in the cluster."""
        return self in (HookState.STARTING, HookState.RUNNING)


class HookEvent(StrEnum):
    """What was found out about a run of a hook."""

    CREATED = "created"
    REFUSED = "refused"
    """It cannot be created, and trying again will not help."""
    BUSY = "busy"
    DONE = "done"
    BAD = "bad"
    VANISHED = "vanished"
    """It was there and is not any more, and nobody saw its result."""
    STOPPED = "stopped"


_HOOKS: Mapping[tuple[HookState, HookEvent], HookState] = {
    (HookState.STARTING, HookEvent.CREATED): HookState.RUNNING,
    (HookState.STARTING, HookEvent.REFUSED): HookState.FAILED,
    (HookState.STARTING, HookEvent.STOPPED): HookState.FAILED,
    (HookState.RUNNING, HookEvent.BUSY): HookState.RUNNING,
    (HookState.RUNNING, HookEvent.DONE): HookState.SUCCEEDED,
    (HookState.RUNNING, HookEvent.BAD): HookState.FAILED,
    (HookState.RUNNING, HookEvent.VANISHED): HookState.FAILED,
    (HookState.RUNNING, HookEvent.STOPPED): HookState.FAILED,
}


def after_event(state: HookState, event: HookEvent) -> HookState:
    """Return a hook's next state; raises FleetError for an event that cannot come there."""
    found = _HOOKS.get((state, event))
    if found is None:
        raise FleetError(f"a hook that is {state.value} cannot be {event.value}")
    return found


def event_of(health: HealthResult | None) -> HookEvent:
    """Judge a hook that is there by its health; one without a rule is done when it is created."""
    match health.status if health is not None else Health.HEALTHY:
        case Health.HEALTHY:
            return HookEvent.DONE
        case Health.DEGRADED | Health.UNKNOWN:
            return HookEvent.BAD
        case _:
            return HookEvent.BUSY


class Stage(StrEnum):
    """How far an operation has come. People are shown fewer words: `shown`."""

    RUNNING = "Running"
    FAILING = "Failing"
    """Something failed: its SyncFail hooks run."""
    RETRYING = "Retrying"
    """It failed and will be tried again."""
    TERMINATING = "Terminating"
    """Somebody stopped it: its running hooks are being deleted."""
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    EXPIRED = "Expired"
    """It came too late to be started."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes of it by itself."""
        return self in (Stage.SUCCEEDED, Stage.FAILED, Stage.EXPIRED)

    @property
    def shown(self) -> str:
        """The word in reports, which is Argo CD's."""
        return "Running" if self in (Stage.FAILING, Stage.RETRYING) else self.value


class StageEvent(StrEnum):
    """What happens to an operation."""

    DONE = "done"
    BROKE = "broke"
    GAVE_UP = "gave up"
    """Its SyncFail hooks are through, and it is not tried again."""
    RETRY = "retry"
    """Its SyncFail hooks are through, and it is tried again later."""
    DUE = "due"
    STOP = "stop"
    STOPPED = "stopped"
    PASSED = "passed"
    """What it failed on is not so any more."""


_STAGES: Mapping[tuple[Stage, StageEvent], Stage] = {
    (Stage.RUNNING, StageEvent.DONE): Stage.SUCCEEDED,
    (Stage.RUNNING, StageEvent.BROKE): Stage.FAILING,
    (Stage.RUNNING, StageEvent.STOP): Stage.TERMINATING,
    (Stage.FAILING, StageEvent.GAVE_UP): Stage.FAILED,
    (Stage.FAILING, StageEvent.RETRY): Stage.RETRYING,
    (Stage.FAILING, StageEvent.STOP): Stage.TERMINATING,
    (Stage.RETRYING, StageEvent.DUE): Stage.RUNNING,
    (Stage.RETRYING, StageEvent.PASSED): Stage.RUNNING,
    (Stage.RETRYING, StageEvent.STOP): Stage.TERMINATING,
    (Stage.TERMINATING, StageEvent.STOP): Stage.TERMINATING,
    (Stage.TERMINATING, StageEvent.STOPPED): Stage.FAILED,
    (Stage.FAILED, StageEvent.PASSED): Stage.RUNNING,
}


def next_stage(stage: Stage, event: StageEvent) -> Stage:
    """Return an operation's next stage; raises FleetError for an event that cannot come there."""
    found = _STAGES.get((stage, event))
    if found is None:
        raise FleetError(f"an operation that is {stage.value} cannot be {event.value}")
    return found

"""Conclusions: what every run of a target makes of its operation's record, up to the end of it and the next try. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from fleet.errors import Corrupt, FleetError
from fleet.model.assignment import RetryPolicy
from fleet.sync import retry
from fleet.sync.desired import Desired
from fleet.sync.hooks import HookTask
from fleet.sync.phases import Stage, StageEvent, next_stage
from fleet.sync.record import OperationRecord, shortened


def due(record: OperationRecord | None, now: datetime) -> OperationRecord | None:
    """Begin the next try of an operation whose time has come; None where there is none."""
    if record is None or record.stage is not Stage.RETRYING or record.active:
        return None
    if now.timestamp() < record.due:
        return None
    return replace(
        record,
        stage=next_stage(record.stage, StageEvent.DUE),
        attempt=int(now.timestamp()),
        retries=record.retries + 1,
        due=0,
        message="",
        is_final=False,
        hooks=(),
        results=(),
        pruned_waves=(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a run of a target came to."""

    error: FleetError | None = None
    broken: str = ""
    """An object that had to become healthy and is Degraded."""
    is_waiting: bool = False
    was_worked: bool = True
    """Whether the operation was worked on: a target that has to wait, or is blocked, says nothing."""
    fail_hooks: Sequence[HookTask] | None = ()
    """Hooks for failures that are not through; None where nobody knows, for the artifact cannot be read."""


def concluded(
    record: OperationRecord, found: Findings, policy: RetryPolicy, now: datetime
) -> OperationRecord:
    """Draw the conclusion of one run: through the stages until one is reached where more has to happen."""
    while True:
        after = _concluded(record, found, policy, now)
        if after.stage is record.stage:
            return after
        record = after


def _concluded(
    record: OperationRecord, found: Findings, policy: RetryPolicy, now: datetime
) -> OperationRecord:
    match record.stage:
        case Stage.RUNNING:
            return _while_running(record, found, now)
        case Stage.FAILING if found.fail_hooks is not None and not found.fail_hooks:
            again = retry.next_try(policy, record.retries, now)
            if again is None:
                return _ended(record, StageEvent.GAVE_UP, record.message, now)
            return replace(
                record,
                stage=next_stage(record.stage, StageEvent.RETRY),
                due=int(again.timestamp()) + 1,
            )
        case Stage.TERMINATING if not record.active:
            stopped = _ended(record, StageEvent.STOPPED, "terminated", now)
            return replace(stopped, is_final=True)
        case Stage.RETRYING | Stage.FAILED if not record.is_final and found.was_worked:
            return _when_passed(record, found)
        case _:
            return record


def _while_running(record: OperationRecord, found: Findings, now: datetime) -> OperationRecord:
    if record.active:
        # What is at work ends first: nothing is done about a failure beside a hook that runs.
        return record
    if record.failed:
        run = record.failed[0]
        text = f"{run.phase.value} hook {run.ref.kind} {run.ref.name} failed"
        message = f"{text}: {run.message}" if run.message else text
        return _broken(record, message, is_final=True)
    if not found.was_worked:
        return record
    if found.error is not None and is_attempt(found.error):
        return _broken(record, str(found.error), is_final=False)
    if found.broken:
        return _broken(record, found.broken, is_final=False)
    if found.error is not None or found.is_waiting:
        return record
    return _ended(record, StageEvent.DONE, "", now)


def _when_passed(record: OperationRecord, found: Findings) -> OperationRecord:
    if found.broken or (found.error is not None and is_attempt(found.error)):
        text = shortened(found.broken or str(found.error))
        return replace(record, message=text) if text != record.message else record
    if found.error is not None:
        return record
    stage = next_stage(record.stage, StageEvent.PASSED)
    return replace(record, stage=stage, message="", due=0, finished=0)


def is_attempt(error: FleetError) -> bool:
    """Whether an error ends a try: nobody's word that passes by itself, nor damage that is repaired by fetching anew."""
    return retry.is_attempt(error) and not isinstance(error, Corrupt)


def is_invalid(desired: Desired) -> bool:
    """Whether an artifact holds what nobody can apply, and no waiting will change it."""
    return any(is_attempt(problem.error) for problem in desired.problems)


def _broken(record: OperationRecord, message: str, *, is_final: bool) -> OperationRecord:
    stage = next_stage(record.stage, StageEvent.BROKE)
    return replace(record, stage=stage, message=shortened(message), is_final=is_final)


def _ended(
    record: OperationRecord, event: StageEvent, message: str, now: datetime
) -> OperationRecord:
    stage = next_stage(record.stage, event)
    return replace(record, stage=stage, message=message, finished=int(now.timestamp()))

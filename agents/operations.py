"""Which operation a target is under, how far it is, and what comes next: started once, finished once, reported until the
hub has let it go. Pure: every function makes a record of a record.

A sync that a person asked for goes before one that starts by itself. Whatever replaces an operation waits until no hook
of it is at work: a migration is not killed by the next commit, only by `terminate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum

from agents.assignment import is_overdue
from fleet.errors import BadInput, FleetError
from fleet.model.assignment import Operation
from fleet.model.report import OperationResult, ResourceResult
from fleet.sync.inventory import Inventory
from fleet.sync.phases import Stage, StageEvent, next_stage
from fleet.sync.record import MAX_RESULTS, HookRun, OperationRecord, automated_id
from fleet.sync.request import request_of

SYNC, REFRESH, TERMINATE = "sync", "refresh", "terminate"


class SyncFailed(FleetError):
    """A sync failed, and what has to change for another try is not to be seen from here."""

    reason = "SyncFailed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """What a target wants by itself at the moment."""

    artifact: str = ""
    applied: str = ""
    """Artifact last applied completely."""
    automated: bool = False
    """Another artifact is applied without being asked for."""
    may_start: bool = True
    """Now, that is: not by policy alone."""
    gated: bool = False
    """It has to wait for others, or its cluster is detached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What a target is under, and the records to keep before anything is done about it."""

    operation: Operation | None = None
    """The sync that was asked for."""
    refresh: bool = False
    record: OperationRecord | None = None
    answer: OperationRecord | None = None
    waits_for: tuple[HookRun, ...] = ()
    """Hooks of the operation before, which have to end first."""


class Mode(Enum):
    """What may be done in a run, as far as the operation goes."""

    PLAIN = "plain"
    """No operation, or one that is through: level by level, without hooks."""
    WORK = "work"
    """Everything in its order, hooks among it."""
    HOLD = "hold"
    """Only wait for hooks that are at work."""
    FAIL = "fail"
    """Only the hooks for failures."""
    STOP = "stop"
    """Only end the hooks."""
    BLOCKED = "blocked"
    """It failed for good: only what was applied already is held in place."""


def choose(
    asked: Sequence[Operation],
    record: OperationRecord | None,
    answer: OperationRecord | None,
    want: Want,
    now: datetime,
) -> Choice:
    """Choose what to work on, and the records to keep before that.

    What is finished and still asked for only waits for the hub to see its result; until then no other starts.
    """
    record, answer = _answered(asked, record, answer, now)
    syncs = {item.id: item for item in sorted(asked, key=lambda item: item.id) if item.kind == SYNC}
    ids = {item.id for item in asked}
    is_answering = answer is not None and answer.id in ids
    refresh = is_answering and answer is not None and not answer.stage.is_over
    chosen = Choice(record=record, answer=answer, refresh=refresh)
    if record is not None and record.stage is Stage.TERMINATING:
        # Its end comes before everything else, also before what waits for it.
        return replace(chosen, operation=syncs.get(record.id))
    if record is not None and record.id in syncs:
        return _going_on(chosen, record, syncs[record.id], want, now)
    for operation in syncs.values():
        if is_answering:
            break
        if is_overdue(operation, now):
            late = _answer(operation, Stage.EXPIRED, now, "it came too late to be started")
            return replace(chosen, answer=late)
        if problem := _problem(operation):
            return replace(chosen, answer=_answer(operation, Stage.FAILED, now, problem))
        if not want.artifact:
            continue  # nothing to bring it to yet: doing nothing would pass for a sync that succeeded
        return _instead(chosen, _started(operation.id, want, now, operation), operation)
    return _by_itself(chosen, want, now)


def _problem(operation: Operation) -> str:
    """Say what is wrong with the arguments of a sync."""
    try:
        request_of(operation)
    except BadInput as error:
        return str(error)
    return ""


def _answered(
    asked: Sequence[Operation],
    record: OperationRecord | None,
    answer: OperationRecord | None,
    now: datetime,
) -> tuple[OperationRecord | None, OperationRecord | None]:
    """Answer what is no sync: one at a time, the end of an operation first."""
    if answer is not None and any(item.id == answer.id for item in asked):
        return record, answer
    others = sorted(
        (item for item in asked if item.kind != SYNC),
        key=lambda item: (item.kind != TERMINATE, item.id),
    )
    for operation in others:
        if operation.kind == TERMINATE:
            if record is not None and not record.stage.is_over:
                record = replace(record, stage=next_stage(record.stage, StageEvent.STOP))
            return record, _answer(operation, Stage.SUCCEEDED, now)
        if is_overdue(operation, now):
            return record, _answer(operation, Stage.EXPIRED, now, "it came too late to be started")
        if operation.kind == REFRESH:
            return record, _answer(operation, Stage.RUNNING, now)
        text = f"this agent knows no operation {operation.kind!r}"
        return record, _answer(operation, Stage.FAILED, now, text)
    return record, answer


def _going_on(
    chosen: Choice, record: OperationRecord, operation: Operation, want: Want, now: datetime
) -> Choice:
    if record.stage.is_over:
        return chosen
    if want.gated or not want.artifact or record.artifact == want.artifact:
        return replace(chosen, operation=operation)
    if record.active:
        return replace(chosen, waits_for=record.active)
    anew = replace(_started(operation.id, want, now, operation), started=record.started)
    return replace(chosen, operation=operation, record=anew)


def _instead(chosen: Choice, fresh: OperationRecord, operation: Operation | None) -> Choice:
    """Start another operation when nothing of the one before is at work."""
    before = chosen.record
    if before is not None and before.active:
        return replace(chosen, waits_for=before.active)
    if fresh.is_partial and _is_blocked(before, fresh.artifact):
        fresh = replace(fresh, is_blocked=True)
    return replace(chosen, record=fresh, operation=operation)


def _is_blocked(record: OperationRecord | None, artifact: str) -> bool:
    """Whether a sync of a whole artifact failed for good, as far as the last record tells."""
    if record is None or record.artifact != artifact:
        return False
    if record.is_partial:
        return record.is_blocked
    return record.stage is Stage.FAILED and record.is_final


def _by_itself(chosen: Choice, want: Want, now: datetime) -> Choice:
    """Nobody asks: an automated target that wants another artifact syncs by itself, once."""
    record = chosen.record
    if record is not None and not record.stage.is_over and not record.is_automated:
        chosen = _closed(chosen, record, "nobody asks for it any more", now)
        record = chosen.record
    if chosen.waits_for:
        return chosen
    if want.gated or not want.artifact:
        return chosen
    is_tried = record is not None and record.artifact == want.artifact
    if record is not None and record.is_partial and not record.is_blocked:
        is_tried = False
    if not want.automated:
        if record is not None and not record.stage.is_over:
            return _closed(chosen, record, "syncs are not automated any more", now)
        return chosen
    is_touched = record is not None and record.is_touched and not record.is_partial
    if is_tried or (want.applied == want.artifact and not is_touched):
        if record is not None and not record.stage.is_over and not is_tried:
            return _closed(chosen, record, "another artifact is wanted", now)
        return chosen
    if not want.may_start:
        return chosen
    return _instead(chosen, _started(automated_id(want.artifact), want, now), None)


def _closed(chosen: Choice, record: OperationRecord, why: str, now: datetime) -> Choice:
    if record.active:
        return replace(chosen, waits_for=record.active)
    ended = replace(record, stage=Stage.FAILED, message=why, finished=int(now.timestamp()))
    return replace(chosen, record=ended)


def _started(
    name: str, want: Want, now: datetime, operation: Operation | None = None
) -> OperationRecord:
    seconds = int(now.timestamp())
    return OperationRecord(
        id=name,
        artifact=want.artifact,
        started=seconds,
        attempt=seconds,
        is_partial=operation is not None and is_partial(operation),
    )


def _answer(
    operation: Operation, stage: Stage, now: datetime, message: str = ""
) -> OperationRecord:
    seconds = int(now.timestamp())
    return OperationRecord(
        id=operation.id,
        kind=operation.kind,
        stage=stage,
        started=seconds,
        finished=seconds if stage.is_over else 0,
        message=message,
    )


def is_partial(operation: Operation) -> bool:
    """Whether a sync is about some objects only, or about none: it says nothing about the artifact."""
    return bool(operation.arguments.get("resources")) or operation.arguments.get("dryRun") is True


def runs_hooks(operation: Operation | None) -> bool:
    """Whether a sync runs hooks: not one of some objects, nor one by strategy ``apply``."""
    if operation is None:
        return True
    return not is_partial(operation) and operation.arguments.get("strategy") != "apply"


def mode_of(choice: Choice, want: Want) -> Mode:
    """Decide what may be done in this run."""
    record = choice.record
    if choice.waits_for:
        return Mode.HOLD
    if record is None:
        return Mode.PLAIN
    match record.stage:
        case Stage.TERMINATING:
            return Mode.STOP
        case Stage.FAILING:
            return Mode.FAIL
        case Stage.RUNNING:
            if want.gated or not want.artifact:
                return Mode.PLAIN
            return Mode.HOLD if record.failed else Mode.WORK
        case Stage.FAILED | Stage.RETRYING:
            return _mode_after_failure(record, want)
        case Stage.SUCCEEDED | Stage.EXPIRED:
            return Mode.BLOCKED if _is_blocked(record, want.artifact) else Mode.PLAIN


def _mode_after_failure(record: OperationRecord, want: Want) -> Mode:
    """What may pass by itself is tried on; what a hook or a person ended is not."""
    if want.gated or record.artifact != want.artifact:
        return Mode.PLAIN
    if record.is_partial:
        return Mode.BLOCKED if record.is_blocked else Mode.PLAIN
    if record.is_final:
        return Mode.BLOCKED
    if record.stage is Stage.FAILED and not want.automated:
        return Mode.PLAIN
    return Mode.WORK


def failure(record: OperationRecord | None, want: Want) -> SyncFailed | None:
    """What a target shows for a sync of its artifact that failed and is not tried again."""
    if record is None or record.stage is not Stage.FAILED or record.artifact != want.artifact:
        return None
    if not want.automated or record.is_partial:
        return None
    return SyncFailed(record.message or "the sync failed")


def result(
    inventory: Inventory, asked: Sequence[Operation], message: str = ""
) -> OperationResult | None:
    """Say it in a report: the answer as long as it is asked for, else the last sync."""
    answer, record = inventory.answer, inventory.operation
    if answer is not None and (record is None or any(item.id == answer.id for item in asked)):
        record = answer
    if record is None:
        return None
    return OperationResult(
        id=record.id,
        phase=record.stage.shown,
        message=record.message or ("" if record.stage.is_over else message),
        kind=record.kind,
        artifact=record.artifact,
        started_at=_stamp(record.started),
        finished_at=_stamp(record.finished),
        retries=record.retries,
        resources=_resources(record),
    )


def _resources(record: OperationRecord) -> tuple[ResourceResult, ...]:
    hooks = [
        ResourceResult(
            ref=str(run.ref),
            status="Running" if run.state.is_active else run.state.value,
            phase=run.phase.value,
            hook=True,
            message=run.message,
        )
        for run in record.hooks
    ]
    return (*hooks, *record.results)[:MAX_RESULTS]


def _stamp(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat() if seconds else ""

"""Operation records as they lie in an inventory; what an older agent wrote is read, too."""

from __future__ import annotations

import msgspec

from fleet.errors import BadInput, Corrupt
from fleet.model.identity import ObjectRef
from fleet.model.report import ResourceResult
from fleet.sync.phases import HookState, Stage, SyncPhase
from fleet.sync.record import HookRun, OperationRecord

_HookRow = tuple[SyncPhase, str, HookState, str]


class RecordText(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A record on disk. ``phase`` is its stage: the word is older than hooks."""

    id: str
    phase: Stage = Stage.RUNNING
    kind: str = "sync"
    artifact: str = ""
    started: int = 0
    attempt: int = 0
    finished: int = 0
    due: int = 0
    retries: int = 0
    sync_phase: SyncPhase = SyncPhase.PRE_SYNC
    wave: int = 0
    message: str = ""
    is_final: bool = False
    is_partial: bool = False
    is_blocked: bool = False
    is_touched: bool = False
    pruned_waves: tuple[int, ...] = ()
    hooks: tuple[_HookRow, ...] = ()
    results: tuple[ResourceResult, ...] = ()


def encode(record: OperationRecord | None) -> RecordText | None:
    """Write a record."""
    if record is None:
        return None
    return RecordText(
        id=record.id,
        phase=record.stage,
        kind=record.kind,
        artifact=record.artifact,
        started=record.started,
        attempt=record.attempt,
        finished=record.finished,
        due=record.due,
        retries=record.retries,
        sync_phase=record.phase,
        wave=record.wave,
        message=record.message,
        is_final=record.is_final,
        is_partial=record.is_partial,
        is_blocked=record.is_blocked,
        is_touched=record.is_touched,
        pruned_waves=record.pruned_waves,
        hooks=tuple((run.phase, str(run.ref), run.state, run.message) for run in record.hooks),
        results=record.results,
    )


def decode(text: RecordText | None) -> OperationRecord | None:
    """Read a record; raises Corrupt."""
    if text is None:
        return None
    return OperationRecord(
        id=text.id,
        stage=text.phase,
        kind=text.kind,
        artifact=text.artifact,
        started=text.started,
        attempt=text.attempt,
        finished=text.finished,
        due=text.due,
        retries=text.retries,
        phase=text.sync_phase,
        wave=text.wave,
        message=text.message,
        is_final=text.is_final,
        is_partial=text.is_partial,
        is_blocked=text.is_blocked,
        is_touched=text.is_touched,
        pruned_waves=text.pruned_waves,
        hooks=tuple(_run(row) for row in text.hooks),
        results=text.results,
    )


def _run(row: _HookRow) -> HookRun:
    phase, ref, state, message = row
    try:
        return HookRun(phase=phase, ref=ObjectRef.parse(ref), state=state, message=message)
    except BadInput as error:
        raise Corrupt(f"inventory holds a hook that cannot be read: {error.message}") from error

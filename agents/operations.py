"""Which operation a target is under, and what its record says: started once, finished once, reported until the hub
has let it go. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from agents.assignment import is_overdue
from fleet.errors import BadInput, Denied, FleetError
from fleet.model.assignment import Operation
from fleet.model.report import OperationResult
from fleet.sync.inventory import OperationRecord

RUNNING, SUCCEEDED, FAILED, EXPIRED = "Running", "Succeeded", "Failed", "Expired"


def current(
    asked: Sequence[Operation], record: OperationRecord | None, now: datetime
) -> tuple[Operation | None, OperationRecord | None]:
    """Choose the operation to work on, and the record to keep before that.

    A finished one that is still asked for only waits for the hub to see its result; until then no other starts.
    """
    by_id = {operation.id: operation for operation in asked}
    if record is not None and record.id in by_id:
        if record.phase != RUNNING:
            return None, record
        if any(operation.kind == "terminate" for operation in asked):
            return None, replace(record, phase=FAILED, message="terminated")
        return by_id[record.id], record
    for operation in sorted(asked, key=lambda item: (item.kind != "terminate", item.id)):
        if operation.kind == "terminate":
            return None, OperationRecord(id=operation.id, phase=SUCCEEDED)
        if is_overdue(operation, now):
            return None, OperationRecord(
                id=operation.id, phase=EXPIRED, message="it came too late to be started"
            )
        if operation.kind not in ("sync", "refresh"):
            return None, OperationRecord(
                id=operation.id,
                phase=FAILED,
                message=f"this agent knows no operation {operation.kind!r}",
            )
        return operation, OperationRecord(id=operation.id, phase=RUNNING)
    return None, None


def finished(
    record: OperationRecord, *, error: FleetError | None, is_waiting: bool
) -> OperationRecord:
    """What a run of a target makes of its operation's record."""
    if isinstance(error, (BadInput, Denied)):
        return replace(record, phase=FAILED, message=str(error))
    if error is not None:
        return replace(record, message=str(error))
    return record if is_waiting else replace(record, phase=SUCCEEDED, message="")


def result(record: OperationRecord | None) -> OperationResult | None:
    """Say it in a report."""
    if record is None:
        return None
    return OperationResult(id=record.id, phase=record.phase, message=record.message)

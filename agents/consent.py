"""What a run may not do although the policy would let it: outside of sync windows, and what a person has to confirm.

Decided by `fleet.sync.windows` and `fleet.sync.protection`, joined with the run here. A blocked target writes nothing: it
goes on showing how it differs, its operation stays Running without beginning anything, and it is looked at again when
the block ends. A sync that would prune what is to be confirmed does all the rest, and waits.
"""

from __future__ import annotations

from datetime import UTC, datetime

from agents.operations import Mode
from agents.run import Run
from fleet.model.application import DELETION_APPROVED
from fleet.model.assignment import Operation, Section
from fleet.model.report import Phase
from fleet.sync.protection import is_confirmed
from fleet.sync.record import OperationRecord

_BLOCKED = "Sync operation blocked by sync window"
_FOREVER = float("inf")


def may_start(section: Section, now: datetime) -> bool:
    """Whether a sync may start by itself, as far as sync windows go."""
    if not section.windows:
        return True
    from fleet.sync import windows  # an agent without windows does not pay for them

    return windows.decide(section.windows, now, manual=section.ungated) == windows.ALLOWED


def block(run: Run, now: datetime) -> None:
    """Hold a run to the windows of its target; hooks that are at work go on."""
    section = run.section
    if not section.windows or is_rehearsal(run.operation):
        return
    from fleet.sync import windows  # an agent without windows does not pay for them

    found = windows.decide(
        section.windows,
        now,
        manual=section.ungated or _is_manual(run.operation),
        started_at=_began(run.progress.inventory.operation),
    )
    if isinstance(found, windows.Blocked):
        run.blocked, run.blocked_until = found.message, found.until


def show_block(run: Run, now: datetime) -> None:
    """Say what is blocked, if anything is, and look again when the block ends."""
    if not run.blocked or run.blocked_until is None:
        return
    is_running = _is_running(run.progress.inventory.operation)
    if not is_running and not run.out_of_sync:
        return
    if not run.progress.message:
        run.progress.message = f"{_BLOCKED}: {run.blocked}" if is_running else run.blocked
    seconds = (run.blocked_until - now).total_seconds() + 1.0
    run.progress.look_again = min(run.progress.look_again, max(1.0, seconds))


def is_approved(run: Run) -> bool:
    """Whether a person approved the deletions of the sync that is under way, or was the last."""
    record, approved = run.progress.inventory.operation, run.section.deletion_approved
    if record is None or not approved:
        return False
    return is_confirmed(approved, datetime.fromtimestamp(record.started, UTC))


def await_approval(run: Run) -> None:
    """A sync that would prune what a person has to confirm goes on when they did."""
    if not run.unconfirmed or run.progress.is_waiting or run.mode is not Mode.WORK:
        return
    more = f" and {len(run.unconfirmed) - 1} more" if len(run.unconfirmed) > 1 else ""
    run.progress.wait(
        Phase.WAITING,
        f"waits for confirmation to prune {run.unconfirmed[0]}{more}: set the application's "
        f"annotation {DELETION_APPROVED} to the present time",
        _FOREVER,
    )


def is_rehearsal(operation: Operation | None) -> bool:
    """Whether a sync was asked for that writes nothing."""
    return operation is not None and operation.arguments.get("dryRun") is True


def _is_manual(operation: Operation | None) -> bool:
    return operation is not None and operation.arguments.get("automated") is not True


def _is_running(record: OperationRecord | None) -> bool:
    return record is not None and not record.stage.is_over


def _began(record: OperationRecord | None) -> datetime | None:
    """When the sync under way began, if anything was done for it."""
    if record is None or not _is_running(record) or not record.is_touched:
        return None
    return datetime.fromtimestamp(record.started, UTC)

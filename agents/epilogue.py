"""The end of every run, whatever happened in it: readiness, the status and one line of log."""

from __future__ import annotations

from collections.abc import Collection

import structlog

from agents import operations
from agents.apply import Applier
from agents.board import Board
from agents.live import LiveTable
from agents.readiness import Readiness
from agents.run import Run
from fleet.errors import FleetError
from fleet.model.identity import ObjectRef
from fleet.model.report import Phase, Ready, TargetStatus
from fleet.runtime import log as fields
from fleet.sync.status import Progress as Shown
from fleet.sync.status import target_status

log = structlog.get_logger(__name__)


class Epilogue:
    """Shows how targets stand."""

    def __init__(
        self,
        table: LiveTable,
        applier: Applier,
        readiness: Readiness,
        board: Board,
    ) -> None:
        self._table = table
        self._applier = applier
        self._readiness = readiness
        self._board = board
        self._logged: dict[str, str] = {}

    def keep_only(self, present: Collection[str]) -> None:
        """Forget all other targets."""
        self._readiness.keep_only(present)
        for target in self._logged.keys() - set(present):
            del self._logged[target]

    async def finish(self, run: Run) -> None:
        """Judge readiness, show the status, say what is wrong."""
        if run.section.ready_when:
            run.ready = await self._judge(run)
        self.show(run)
        self._log(run)

    def _log(self, run: Run) -> None:
        """Say what is wrong, once."""
        target = run.section.target
        error = run.error or run.failure
        text = str(error) if error is not None else ""
        if text and self._logged.get(target) != text:
            log.warning("not in sync", **{fields.TARGET: target, fields.ERROR: text})
        self._logged[target] = text

    async def _judge(self, run: Run) -> Ready:
        section = run.section
        if not section.artifact or section.artifact != run.progress.inventory.applied:
            return Ready(ready=False, message="its assigned version is not applied yet")
        if run.desired is None or run.out_of_sync is None:
            return Ready(ready=False, message="its objects could not be looked at")
        try:
            return await self._ask(run, sorted(item.ref for item in run.desired.manifests))
        except FleetError as error:
            return Ready(ready=False, message=f"its objects could not be read: {error.message}")

    async def _ask(self, run: Run, refs: list[ObjectRef]) -> Ready:
        objects = self._table.bodies(refs)
        there = self._table.index(refs)
        if len(objects) < len(there):
            # Seen before anybody asked for whole objects of this target.
            await self._applier.whole(there)
            objects = self._table.bodies(refs)
        return await self._readiness.judge(run.section.ready_when, objects, self._status(run))

    def show(self, run: Run) -> None:
        """Put the status as it is now on the board."""
        self._board.put(self._status(run))

    def _status(self, run: Run) -> TargetStatus:
        progress = run.progress
        phase = progress.phase
        error = run.error or run.failure
        if error is not None:
            phase = Phase.FAILED
        elif run.is_gated and phase is Phase.IDLE:
            phase = Phase.WAITING
        held = run.section.held.message if run.section.held is not None else ""
        warnings = run.desired.warnings if run.desired is not None else ()
        notes = (progress.message, run.refused, held, run.warning, *warnings)
        shown = Shown(
            phase=phase,
            applied=progress.inventory.applied,
            ready=run.ready,
            waiting_for=run.waiting_for,
            message=next((note for note in notes if note), ""),
            error=error,
            operation=operations.result(progress.inventory, run.asked, progress.message),
        )
        health = self._table.health(run.desired.refs if run.desired is not None else ())
        return target_status(run.section, run.desired, run.out_of_sync, health, shown)

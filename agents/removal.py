"""Takes leave of a target whose section is absent from a verified head: by the policy in its inventory, dependents
first, with the hooks of its application before and after. A detached cluster takes leave of nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from agents.assignment import Assignment
from agents.board import Board
from agents.desired import DesiredStates
from agents.inventory import Inventories
from agents.leaving import Leaving
from agents.live import LiveTable
from agents.observe import Observer
from agents.progress import Progress
from agents.steps import Steps
from fleet.errors import BadInput, Denied, FleetError
from fleet.kube.port import ClusterPort
from fleet.model.identity import ObjectRef
from fleet.model.report import Phase, TargetStatus
from fleet.runtime.reconciler import Done, Outcome, RequeueAfter
from fleet.sync import farewell
from fleet.sync.desired import Desired
from fleet.sync.gate import removal_waits_for
from fleet.sync.inventory import Inventory
from fleet.sync.manner import Dependents, Manner
from fleet.sync.phases import SyncPhase
from fleet.sync.plan import Plan, plan_removal

_LOOK_AGAIN = 30.0
_LEFT = "its application left this cluster"


@dataclass(kw_only=True)
class Removal:
    """Ends targets that have left the assignment."""

    cluster: ClusterPort
    table: LiveTable
    observer: Observer
    inventories: Inventories
    states: DesiredStates
    board: Board
    steps: Steps
    leaving: Leaving

    async def leave(self, target: str, assignment: Assignment) -> Outcome:
        """Delete what may be deleted; when nothing is left, forget the target."""
        inventory = self.inventories.get(target)
        if assignment.head.detached or assignment.head.additive:
            return Done()
        if inventory is None:
            self.board.remove(target)
            return Done()
        if target in assignment.head.released:
            inventory = replace(inventory, deletion="orphan")
        waiting = removal_waits_for(target, self.inventories.leaving(assignment.sections))
        if waiting:
            self._show(inventory, f"waits for {', '.join(waiting)} to be deleted first")
            return RequeueAfter(_LOOK_AGAIN)
        progress = Progress(inventory=inventory)
        try:
            is_through = await self._take_leave(progress, assignment)
        except FleetError as error:
            return self._failed(progress.inventory, error)
        return await self._end(target, progress, is_through=is_through)

    async def _take_leave(self, progress: Progress, assignment: Assignment) -> bool:
        """Go through what has to be done, as far as it can be done now; whether that is all of it."""
        inventory, manner = progress.inventory, _manner(progress.inventory)
        found = await self._plan(inventory.target, inventory, assignment)
        if found.forget:
            progress.inventory = progress.inventory.without(found.forget)
        if found.refused or inventory.deletion == "orphan":
            self._show(inventory, found.refused or _LEFT)
            await self.leaving.release(progress)
            return _is_certain(progress)
        shown = self.board.statuses.get(inventory.target)
        if shown is None or shown.phase is not Phase.DELETING:
            self._show(inventory, _LEFT)
        await self.leaving.begin(progress, manner)
        if not await self.leaving.run(SyncPhase.PRE_DELETE, progress, manner):
            return False
        await self.leaving.clear(progress, manner)
        nothing = Desired(target=inventory.target, artifact="")
        await self.steps.carry_out(found.steps, nothing, progress, manner)
        if progress.is_waiting or progress.errors:
            return False
        if not await self.leaving.run(SyncPhase.POST_DELETE, progress, manner):
            return False
        await self.leaving.end(progress, manner)
        return _is_certain(progress)

    async def _plan(self, target: str, inventory: Inventory, assignment: Assignment) -> Plan:
        discovery = await self.cluster.discovery()
        own = (hook.ref for hook in farewell.decode(inventory.farewell))
        kinds = {(ref.group, ref.kind) for ref in (*inventory.entries, *inventory.hooks, *own)}
        served = (discovery.preferred(*kind) for kind in sorted(kinds))
        await self.observer.ensure(
            (item for item in served if item is not None),
            lambda kind: self.table.needs_whole(*kind),
        )
        claimed: Mapping[ObjectRef, str] = {}
        if inventory.deletion != "orphan":
            claimed = self.states.claims(assignment, discovery, target)
        return plan_removal(inventory, self.table.index(inventory.entries), claimed=claimed)

    async def _end(self, target: str, progress: Progress, *, is_through: bool) -> Outcome:
        error = progress.error()
        if error is not None:
            return self._failed(progress.inventory, error)
        if not is_through:
            self._show(progress.inventory, progress.message)
            return RequeueAfter(min(progress.look_again, _LOOK_AGAIN))
        await self.inventories.drop(target)
        self.board.remove(target)
        return Done()

    def _failed(self, inventory: Inventory, error: FleetError) -> Outcome:
        """Say what stands in the way; that a refusal is lifted, no event tells."""
        self._show(inventory, str(error), error)
        if isinstance(error, (BadInput, Denied)):
            return RequeueAfter(_LOOK_AGAIN)
        raise error

    def _show(self, inventory: Inventory, message: str, error: FleetError | None = None) -> None:
        self.board.put(
            TargetStatus(
                target=inventory.target,
                phase=Phase.DELETING,
                applied=inventory.applied,
                message=message,
                reason=error.reason if error else "",
                objects=len(inventory.entries),
            )
        )


def _is_certain(progress: Progress) -> bool:
    """Whether nothing more of the application can appear: once it is forgotten nobody would clear that away."""
    if progress.doubted:
        text = f"waits to see whether {progress.doubted[0]} appears: its creation was not answered"
        progress.wait(Phase.DELETING, text, _LOOK_AGAIN)
    return not progress.doubted


def _manner(inventory: Inventory) -> Manner:
    is_background = inventory.deletion == "background"
    return Manner(dependents=Dependents.BACKGROUND if is_background else Dependents.FOREGROUND)

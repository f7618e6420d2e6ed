"""What hooks leave in the cluster: let go of when they are through, deleted as their policies say, never lost.

Most are on record. Two kinds are not, and are found by what is written on them: one whose creation was not answered
and that appears when its operation is long over, and one that a record which was lost knew. Both are told by our
finalizer on an object that carries this target's mark and that no record names; the watches show them, so nothing is
listed for it. Nobody waits for such a hook any more: it is ended and deleted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import structlog

from agents.doubts import Doubts
from agents.hookobjects import HookObjects
from agents.inventory import Inventories
from agents.live import LiveTable
from agents.progress import Progress
from fleet.errors import FleetError
from fleet.kube.port import Propagation
from fleet.model.identity import ObjectRef
from fleet.runtime import log as fields
from fleet.sync import hooks as hooks_of
from fleet.sync.inventory import HookEntry
from fleet.sync.manifest import TRACKING_ID, annotation, parse_tracking_id

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Leftovers:
    """Clears away after hooks."""

    objects: HookObjects
    table: LiveTable
    inventories: Inventories
    doubts: Doubts

    async def tidy(self, progress: Progress, propagation: Propagation) -> None:
        """Let go of the hooks that are through, and delete those that are not wanted any more."""
        changed: list[HookEntry] = []
        gone: list[ObjectRef] = []
        for entry in [*_through(progress), *await self._strays(progress)]:
            try:
                after = await self._tidied(entry, progress.inventory.target, propagation)
            except FleetError as error:
                progress.errors.append(error)
                after = entry
            if after is None and (left := self.doubts.left(entry.ref)):
                progress.doubt(entry.ref, left)
                after = replace(entry, held=True, unwanted=True)
            if after is None:
                gone.append(entry.ref)
            elif after != progress.inventory.hooks.get(entry.ref):
                changed.append(after)
        if changed or gone:
            progress.inventory = progress.inventory.with_hooks(changed, gone)
            self.inventories.note(progress.inventory)

    async def _tidied(
        self, entry: HookEntry, target: str, propagation: Propagation
    ) -> HookEntry | None:
        """Do what is left to be done about an object; None where nothing is to be remembered of it."""
        if entry.unwanted:
            if await self.objects.clear(entry.ref, target, propagation):
                self.doubts.seen(entry.ref)
            return None
        if entry.held:
            is_there = await self.objects.release(entry.ref)
            return replace(entry, held=False, unanswered=False) if is_there else None
        return None if await self._went(entry.ref) else entry

    async def _went(self, ref: ObjectRef) -> bool:
        """Whether a hook's object that we let go of is gone, so that generated names do not pile up."""
        if self.table.get(ref) is not None:
            return False
        try:
            return await self.objects.live(ref) is None
        except FleetError:
            return False

    async def _strays(self, progress: Progress) -> list[HookEntry]:
        """Objects that are held as this target's hooks, and that no record names."""
        target, known = progress.inventory.target, progress.inventory.hooks
        found = []
        for ref in self.table.held(target):
            if ref in known:
                continue
            try:
                live = await self.objects.live(ref)
            except FleetError as error:
                progress.errors.append(error)
                continue
            if live is None or not hooks_of.is_held(live):
                continue  # the watch has not seen yet that we let go of it
            if parse_tracking_id(annotation(live, TRACKING_ID)) != (target, ref):
                continue
            run = annotation(live, hooks_of.RUN)
            log.warning(
                "a hook that nobody waits for is deleted",
                **{fields.TARGET: target, "object": str(ref), "run": run},
            )
            policies = hooks_of.policies_of(live)
            found.append(HookEntry(ref=ref, policies=policies, unwanted=True))
        return found


def _through(progress: Progress) -> Iterator[HookEntry]:
    record = progress.inventory.operation
    active = {run.ref for run in record.active} if record is not None else set()
    return (entry for entry in progress.inventory.hooks.values() if entry.ref not in active)

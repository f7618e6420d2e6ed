"""Runs hooks in the cluster: has their objects created and sees how they end. `agents.leftovers` clears them away.

A hook runs once for one try of an operation, wherever this process dies. So its start is on record before its object is
created; an object is created by its name and never over another; what became of a creation that was not answered is
looked up by that name and the run that is written on the object; and our finalizer holds the object until its result
is on record, so that "not there" means "never made".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from agents import failpoints
from agents.apply import together
from agents.doubts import Doubts
from agents.hookobjects import HookObjects
from agents.inventory import Inventories
from agents.progress import Progress
from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput, Denied, FleetError
from fleet.kube.errors import NotFound
from fleet.kube.port import Propagation
from fleet.model.identity import ObjectRef
from fleet.model.report import Phase
from fleet.sync import hooks as hooks_of
from fleet.sync.hooks import RUN, DeletePolicy, HookTask
from fleet.sync.manifest import TRACKING_ID, annotation, parse_tracking_id
from fleet.sync.manner import Manner
from fleet.sync.phases import HookEvent, HookState, event_of
from fleet.sync.record import HookRun, OperationRecord, shortened

_LOOK_NOW_AND_THEN = 5.0
"""What happens to other applications' objects tells us no event."""
_LOOK_SOON = 1.0


class HookRunner:
    """Starts hooks, follows them, and ends them."""

    def __init__(self, objects: HookObjects, inventories: Inventories, doubts: Doubts) -> None:
        self._objects = objects
        self._inventories = inventories
        self._doubts = doubts

    async def look(self, progress: Progress) -> None:
        """Note on record what has become of the hooks that run."""
        record = progress.inventory.operation
        if record is None:
            return
        after = record
        for run in record.active:
            if run.state is HookState.RUNNING:
                event, message = await self._event(run)
                if event is not HookEvent.BUSY or shortened(message) != run.message:
                    after = after.after(run, event, message)
        await self._keep(progress, record, after)

    async def settle(self, progress: Progress) -> None:
        """Find out which of the hooks that were about to be made are there; those that are not never were."""
        record = progress.inventory.operation
        if record is None:
            return
        after = record
        for run in record.active:
            if run.state is not HookState.STARTING:
                continue
            live = await self._objects.live(run.ref)
            if live is not None and annotation(live, RUN) == record.names.run_in(run.phase):
                after = after.after(run, HookEvent.CREATED)
                progress.inventory = progress.inventory.answered_hook(run.ref)
            else:
                after = after.without(run)
        await self._keep(progress, record, after)

    async def start(self, tasks: Sequence[HookTask], progress: Progress, manner: Manner) -> None:
        """Create the objects of hooks of one kind in parallel; those that are there from before go first."""
        record = progress.inventory.operation
        assert record is not None, "hooks are planned for an operation"
        fresh = [task for task in tasks if _is_to_start(record, task)]
        if not fresh:
            return
        found = await together(self._objects.there(task) for task in fresh)
        there = {task.ref: live for task, live in zip(fresh, found, strict=True)}
        target = progress.inventory.target
        if busy := next((task for task in fresh if _worker(task, there[task.ref], target)), None):
            what = f"{busy.ref.kind} {busy.ref.name}"
            text = (
                f"waits for {what}, a hook of application {_worker(busy, there[busy.ref], target)}"
            )
            progress.wait(
                Phase.APPLYING, f"{busy.phase.value} wave {busy.wave}: {text}", _LOOK_NOW_AND_THEN
            )
            return
        foreign = [task for task in fresh if _is_foreign(task, there[task.ref], target)]
        if foreign:
            await self._refuse(foreign, progress)
            return
        old = [task for task in fresh if _is_in_the_way(task, there[task.ref])]
        if old:
            await self._make_room(old, there, progress)
            return
        await self._begin(fresh, progress)
        made = await together(self._tried(task, there[task.ref], target, manner) for task in fresh)
        for task, result in zip(fresh, made, strict=True):
            await self._started(task, result, progress)

    async def stop(self, progress: Progress) -> None:
        """Delete the hooks that run, and note that they were stopped."""
        record = progress.inventory.operation
        if record is None or not record.active:
            return
        after = record
        for run in record.active:
            text = "terminated"
            try:
                target = progress.inventory.target
                await self._objects.clear(run.ref, target, Propagation.BACKGROUND)
            except (BadInput, Denied) as error:
                # It runs on, and there is nothing to wait for.
                text = f"{text}, but its object could not be deleted: {error.message}"
            after = after.after(run, HookEvent.STOPPED, text)
        await self._keep(progress, record, after)

    async def is_there(self, ref: ObjectRef) -> bool:
        """Look whether a hook's object is in the cluster."""
        return await self._objects.live(ref) is not None

    async def _begin(self, tasks: Iterable[HookTask], progress: Progress) -> None:
        """Write down that hooks start, before the first of them exists."""
        record = progress.inventory.operation
        assert record is not None, "hooks are planned for an operation"
        tasks = list(tasks)
        after = replace(
            record.starting(tasks), phase=tasks[0].phase, wave=tasks[0].wave, is_touched=True
        )
        progress.inventory = progress.inventory.with_operation(after).starting_hooks(tasks)
        failpoints.reach("operation.before-record")
        await self._inventories.store(progress.inventory)
        failpoints.reach("operation.after-record")

    async def _refuse(self, tasks: Iterable[HookTask], progress: Progress) -> None:
        """Fail hooks whose name somebody else's object has."""
        tasks = list(tasks)
        await self._begin(tasks, progress)
        text = "an object of this name is there already, and it is no hook"
        for task in tasks:
            await self._started(task, BadInput(text), progress)

    async def _tried(
        self, task: HookTask, there: JsonObject | None, app: str, manner: Manner
    ) -> FleetError | None:
        """Make a hook's object, or return why it could not be made."""
        try:
            await self._objects.make(task, there, app, manner)
        except FleetError as error:
            self._doubts.take_in(task.ref, error)
            return error
        self._doubts.seen(task.ref)
        return None

    async def _started(self, task: HookTask, result: FleetError | None, progress: Progress) -> None:
        """Note what became of a hook's creation."""
        record = progress.inventory.operation
        run = record.run_of(task) if record is not None else None
        assert record is not None, "its start is on record"
        assert run is not None, "its start is on record"
        if isinstance(result, BadInput | Denied):
            after = record.after(run, HookEvent.REFUSED, str(result))
        elif result is not None:
            # It may have been made all the same: the next run looks before it does anything.
            progress.errors.append(result)
            return
        else:
            after = self._created(record, run, task.ref)
        progress.inventory = progress.inventory.answered_hook(task.ref)
        await self._keep(progress, record, after)

    def _created(self, record: OperationRecord, run: HookRun, ref: ObjectRef) -> OperationRecord:
        """Note that a hook is there; one of a kind that nobody rates is through with that."""
        after = record.after(run, HookEvent.CREATED)
        seen = self._objects.known(ref)
        if seen is None or seen.health is not None:
            return after
        return after.after(replace(run, state=HookState.RUNNING), event_of(None))

    async def _make_room(
        self, tasks: list[HookTask], there: dict[ObjectRef, JsonObject | None], progress: Progress
    ) -> None:
        """Delete what hooks of an earlier operation left; the next run creates."""
        for task in tasks:
            live = there[task.ref]
            if live is not None:
                await self._objects.make_room(task, live)
        first = tasks[0]
        progress.wait(
            Phase.APPLYING,
            f"{first.phase.value} wave {first.wave}: waits for the {first.ref.kind} {first.ref.name} of an earlier "
            "sync to be deleted",
            _LOOK_SOON,
        )

    async def _event(self, run: HookRun) -> tuple[HookEvent, str]:
        """Find out how a hook is that was created."""
        seen = self._objects.known(run.ref)
        if seen is None:
            if not await self._objects.is_served(run.ref):
                return HookEvent.VANISHED, "the cluster does not serve its kind any more"
            try:
                seen = await self._objects.observe(run.ref)
            except NotFound:
                return HookEvent.VANISHED, "it was deleted before it was through"
            if seen is None:
                return HookEvent.BUSY, run.message
        event = event_of(seen.health)
        message = seen.health.message if seen.health is not None else ""
        if event is HookEvent.BUSY and seen.live.deleting:
            return HookEvent.VANISHED, "it was deleted before it was through"
        return event, message

    async def _keep(
        self, progress: Progress, before: OperationRecord, after: OperationRecord
    ) -> None:
        """Write down what was found out; nothing it allows happens before."""
        if after == before:
            return
        progress.inventory = progress.inventory.with_operation(after)
        if len(after.active) < len(before.active):
            failpoints.reach("operation.before-result")
            await self._inventories.store(progress.inventory)
            failpoints.reach("operation.after-result")
        else:
            self._inventories.note(progress.inventory)


def _is_to_start(record: OperationRecord, task: HookTask) -> bool:
    run = record.run_of(task)
    return run is None or run.state is HookState.STARTING


def _is_in_the_way(task: HookTask, live: JsonObject | None) -> bool:
    return (
        live is not None
        and annotation(live, RUN) != task.run
        and DeletePolicy.BEFORE_CREATION in task.hook.policies
    )


def _is_foreign(task: HookTask, live: JsonObject | None, target: str) -> bool:
    """Only what was made as a hook, by whatever program, or is this application's own, gives way to a hook."""
    if live is None or hooks_of.is_someones_hook(live):
        return False
    return parse_tracking_id(annotation(live, TRACKING_ID)) != (target, task.ref)


def _worker(task: HookTask, live: JsonObject | None, target: str) -> str:
    """Name another application for which the object of a hook's name is a hook at work."""
    if live is None or not hooks_of.is_held(live):
        return ""
    owner = parse_tracking_id(annotation(live, TRACKING_ID))
    return owner[0] if owner is not None and owner[0] != target and owner[1] == task.ref else ""

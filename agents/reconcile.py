"""Reconcile one target: what its section asks for against what is in the cluster. Level, not edge.

One run looks at the facts, decides by the pure rules of `fleet.sync` (gate, permission, plan), carries out what may
be done now, and shows the result (`agents.epilogue`). Whatever it has to wait for (a dependency, health, a deletion) enqueues the target
when it changes. The status is written in one place, whatever happened before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace

import msgspec

from agents import consent, sharing
from agents.apply import Applier, propagation_of
from agents.assignment import Assignment
from agents.board import Board
from agents.comparisons import Comparisons
from agents.conduct import Conductor
from agents.desired import DesiredStates
from agents.doubts import Doubts
from agents.epilogue import Epilogue
from agents.hookobjects import HookObjects
from agents.hooks import HookRunner
from agents.inventory import Inventories
from agents.leftovers import Leftovers
from agents.live import KindKey, LiveTable
from agents.observe import Observer
from agents.operations import Mode
from agents.orphans import Orphans
from agents.pacing import Pacer
from agents.planning import Planning
from agents.progress import Progress
from agents.readiness import Readiness
from agents.rehearsal import Rehearsal
from agents.run import Run
from agents.sharing import Sharing
from agents.steps import Steps
from agents.writing import Writer
from fleet.errors import Denied, FleetError, NotReady
from fleet.kube.port import ClusterPort, Discovery
from fleet.model.assignment import Section
from fleet.model.healthrules import HealthRules
from fleet.model.identity import ObjectRef
from fleet.model.report import Phase
from fleet.runtime.clock import Clock
from fleet.runtime.reconciler import Done, Outcome, RequeueAfter
from fleet.sync import farewell
from fleet.sync.desired import Desired
from fleet.sync.gate import satisfied
from fleet.sync.inventory import Inventory
from fleet.sync.manner import manner_of
from fleet.sync.plan import Plan
from fleet.sync.policy import permission
from fleet.sync.record import OperationRecord
from fleet.sync.steps import Step, Verb

_WRITING = frozenset((Verb.APPLY, Verb.PRUNE, Verb.START_HOOKS))
_QUICK = 0.25
_QUICK_TRIES = 20


@dataclass(kw_only=True)
class TargetSync:
    """Keeps the targets that are in the assignment."""

    cluster: ClusterPort
    table: LiveTable
    observer: Observer
    applier: Applier
    comparisons: Comparisons
    inventories: Inventories
    states: DesiredStates
    board: Board
    pacer: Pacer
    readiness: Readiness
    orphans: Orphans
    clock: Clock
    compare: set[str] = field(default_factory=set)
    """Targets whose objects are to be read and compared in full in their next run."""
    _unknown: dict[str, int] = field(default_factory=dict)
    """How often in a row a target had kinds that the cluster does not serve."""
    _released: dict[str, str] = field(default_factory=dict)
    """Artifacts by target whose dependencies were satisfied once: they do not wait again."""

    def __post_init__(self) -> None:
        self.sharing = Sharing()
        doubts = Doubts(self.clock, self.inventories.unanswered())
        objects = HookObjects(self.cluster, self.table, self.applier)
        self.hooks = HookRunner(objects, self.inventories, doubts)
        self.leftovers = Leftovers(objects, self.table, self.inventories, doubts)
        self.steps = Steps(
            self.applier, self.inventories, self.table, self.pacer, self.hooks, doubts
        )
        self.conductor = Conductor(
            self.inventories, self.hooks, self.leftovers, self.pacer, self.clock
        )
        self.planning = Planning(self.comparisons, self.states, self.conductor)
        self.rehearsal = Rehearsal(self.cluster, self.applier, Writer(self.cluster, self.clock))
        self.epilogue = Epilogue(self.table, self.applier, self.readiness, self.board)

    def use_rules(self, rules: HealthRules) -> None:
        """Rate objects by the fleet's own rules from now on; what they concern is looked at again."""
        if rules != self.table.rules:
            self.observer.relist(self.table.use(rules))

    def keep_only(self, present: Collection[str]) -> None:
        """Forget what is known of all other targets: one that comes back starts afresh, and waits again."""
        self.states.forget(present)
        self.epilogue.keep_only(present)
        self.comparisons.keep_only(present)
        self.sharing.keep_only(present)
        self.compare.intersection_update(present)
        for known in (self._unknown, self._released):
            for target in known.keys() - set(present):
                known.pop(target)

    async def sync(self, section: Section, assignment: Assignment) -> Outcome:
        """Do what can be done for one target now, and show how it stands."""
        inventory = self.inventories.of(section.target)
        run = Run(
            section=section,
            working=section,
            progress=Progress(inventory=inventory),
        )
        try:
            await self._start(run, assignment)
            await self._work(run, assignment)
            run.error = run.progress.error() or run.working_error()
        except FleetError as error:
            run.error = error
        self.conductor.conclude(run)
        await self.epilogue.finish(run)
        if run.error is not None and run.progress.look_again == float("inf"):
            raise run.error
        seconds = run.progress.look_again
        return Done() if seconds == float("inf") else RequeueAfter(seconds)

    async def _start(self, run: Run, assignment: Assignment) -> None:
        """Find whether dependencies hold the target back, and the operation it is under."""
        section, inventory = run.section, run.progress.inventory
        is_change = section.artifact not in ("", inventory.applied) and not section.ungated
        if is_change and not self._is_released(section, inventory):
            _, run.waiting_for = satisfied(
                section.depends_on, self.board.statuses, assignment.sections
            )
            if run.is_gated:
                run.working = msgspec.structs.replace(section, artifact=inventory.applied)
            else:
                self._released[section.target] = section.artifact
        by_itself = permission(run.working, None, detached=assignment.head.detached)
        may_start = by_itself.apply_new and consent.may_start(section, self.clock.now())
        await self.conductor.begin(run, assignment, may_start=may_start)
        consent.block(run, self.clock.now())

    def _is_released(self, section: Section, inventory: Inventory) -> bool:
        """Whether a target began to move to its artifact: then it goes on, also after a restart."""
        record = inventory.operation
        is_moving = record is not None and record.is_touched and not record.stage.is_over
        if is_moving and record is not None and record.artifact == section.artifact:
            return True
        return self._released.get(section.target) == section.artifact

    async def _work(self, run: Run, assignment: Assignment) -> None:
        await self._attend(run)
        inventory = run.progress.inventory
        compare_all = run.section.target in self.compare or run.is_refresh
        self.compare.discard(run.section.target)
        whole = compare_all or run.working.artifact != inventory.applied
        desired, discovery = await self._desired(run, whole=whole)
        run.desired = self.states.light(run.section, discovery) if run.is_gated else desired
        refs = desired.refs | inventory.entries.keys()
        await self._observe(run.section, refs, discovery)
        found = await self.planning.plan(
            run, desired, assignment, discovery, compare_all=compare_all
        )
        run.out_of_sync, run.refused = found.out_of_sync, found.refused
        self._take_findings(run.progress, found)
        await self._note_policy(run, desired)
        self._share(run, found)
        if consent.is_rehearsal(run.operation):
            if run.mode is Mode.WORK:
                await self.rehearsal.perform(run, self._with_bodies(run, desired, discovery), found)
            return
        await self._carry_out(run, desired, found, assignment, discovery)
        self._complete(run, desired, assignment)
        consent.show_block(run, self.clock.now())

    def _share(self, run: Run, found: Plan) -> None:
        """Tell everybody whose objects are shared; raises Denied where the application does not want to share."""
        target = run.section.target
        self.sharing.note(target, found.shared)
        shared = sharing.warning(target, {**self.sharing.of(target), **found.shared})
        run.warning = "; ".join(filter(None, (shared, self.orphans.warning(target))))
        is_refused = manner_of(run.section, run.operation).fail_on_shared
        if found.shared and is_refused and run.mode is Mode.WORK:
            raise Denied(
                sharing.warning(target, found.shared),
                hint="it has FailOnSharedResource=true: leave the object to one of them",
            )

    def _complete(self, run: Run, desired: Desired, assignment: Assignment) -> None:
        """Note that an artifact is applied completely, where it is."""
        done = run.progress
        if run.is_gated or (done.is_waiting and not done.is_applied) or assignment.head.detached:
            return
        if run.mode not in (Mode.PLAIN, Mode.WORK) or _has_failed(done.inventory.operation):
            return
        is_meant = desired.artifact and (not desired.is_empty or not run.refused)
        if not (is_meant and done.inventory.has_applied(desired)):
            return
        was_confirmed = done.inventory.confirmed
        done.inventory = done.inventory.completed(desired.artifact)
        self.inventories.note(done.inventory)
        if not was_confirmed:
            # What may be deleted now was not before.
            done.look_again = 0.0

    async def _desired(self, run: Run, *, whole: bool) -> tuple[Desired, Discovery]:
        """Make the desired state; kinds that are not known may have come since discovery was asked last."""
        make = self.states.full if whole else self.states.light
        discovery = await self.cluster.discovery()
        desired = make(run.working, discovery)
        if not any(isinstance(problem.error, NotReady) for problem in desired.problems):
            self._unknown.pop(run.section.target, None)
            return desired, discovery
        fresh = await self.cluster.discovery(refresh=True)
        if fresh is not discovery:
            desired = make(run.working, fresh)
        if any(isinstance(problem.error, NotReady) for problem in desired.problems):
            tries = self._unknown[run.section.target] = self._unknown.get(run.section.target, 0) + 1
            if tries < _QUICK_TRIES:
                run.progress.look_again = _QUICK
        return desired, fresh

    async def _observe(
        self, section: Section, refs: Iterable[ObjectRef], discovery: Discovery
    ) -> None:
        kinds = {(ref.group, ref.kind) for ref in refs}
        found = (discovery.preferred(*kind) for kind in sorted(kinds))
        whole = bool(section.ready_when)

        def needs_whole(kind: KindKey) -> bool:
            return whole or self.table.needs_whole(*kind)

        await self.observer.ensure((item for item in found if item is not None), needs_whole)

    def _take_findings(self, progress: Progress, found: Plan) -> None:
        if found.equal:
            progress.inventory = progress.inventory.found_equal(found.equal)
        if found.forget:
            progress.inventory = progress.inventory.without(found.forget)
        if found.equal or found.forget:
            self.inventories.note(progress.inventory)

    async def _attend(self, run: Run) -> None:
        """See to the hooks of the operation, which need no artifact for that."""
        known = run.progress.inventory.hooks
        if known:
            await self._observe(run.section, known, await self.cluster.discovery())
        await self.conductor.attend(run, propagation_of(manner_of(run.section)))

    async def _note_policy(self, run: Run, desired: Desired) -> None:
        """The deletion policy, the edges and the hooks for the end must be on record when the section is gone."""
        nothing = Desired(target=run.section.target, artifact="")
        before = run.progress.inventory
        inventory = before.planned(run.section, nothing)
        if not run.is_gated:
            inventory = inventory.with_farewell(farewell.encode(desired.hooks))
        if inventory != before and (inventory.entries or inventory.farewell):
            run.progress.inventory = inventory
            await self.inventories.store(inventory)

    async def _carry_out(
        self,
        run: Run,
        desired: Desired,
        found: Plan,
        assignment: Assignment,
        discovery: Discovery,
    ) -> None:
        progress = run.progress
        steps = self.steps.paced(found, progress)
        if not steps:
            consent.await_approval(run)
            return
        if any(step.verb in _WRITING for step in steps):
            whole = self._with_bodies(run, desired, discovery)
            steps = tuple(_with_bodies(step, whole) for step in steps)
            progress.inventory = _begun(
                run, progress.inventory.planned(run.section, desired), found
            )
            await self.inventories.store(progress.inventory)
        progress.phase = Phase.APPLYING
        self.epilogue.show(run)
        await self.steps.carry_out(steps, desired, progress, manner_of(run.section, run.operation))
        consent.await_approval(run)
        if not progress.is_waiting:
            progress.phase = Phase.IDLE
        after = await self.planning.plan(run, desired, assignment, discovery)
        run.out_of_sync, run.refused = after.out_of_sync, after.refused
        self._take_findings(progress, after)

    def _with_bodies(self, run: Run, desired: Desired, discovery: Discovery) -> Desired:
        bodies = [item.body for item in desired.manifests] + [hook.body for hook in desired.hooks]
        is_whole = all("kind" in body for body in bodies)
        return desired if is_whole else self.states.full(run.working, discovery)


def _with_bodies(step: Step, whole: Desired) -> Step:
    if step.verb is Verb.START_HOOKS:
        hooks = {hook.ref: hook for hook in whole.hooks}
        tasks = tuple(replace(task, hook=hooks[task.hook.ref]) for task in step.hooks)
        return replace(step, hooks=tasks)
    if step.verb is not Verb.APPLY:
        return step
    manifests = {item.ref: item for item in whole.manifests}
    return replace(step, changes=tuple(replace(c, manifest=manifests[c.ref]) for c in step.changes))


def _begun(run: Run, inventory: Inventory, found: Plan) -> Inventory:
    """Note in the operation's record that something is done for it."""
    record = inventory.operation
    if run.mode is not Mode.WORK or record is None:
        return inventory
    touched = replace(record, is_touched=True, pruned_waves=found.pruned_waves)
    return inventory.with_operation(touched)


def _has_failed(record: OperationRecord | None) -> bool:
    return record is not None and not record.stage.is_over and bool(record.failed)

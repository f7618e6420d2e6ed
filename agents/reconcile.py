"""Reconcile one target: what its section asks for against what is in the cluster. Level, not edge.

One run looks at the facts, decides by the pure rules of `fleet.sync` (gate, permission, plan), carries out what may
be done now, and shows the result (`agents.epilogue`). Whatever it has to wait for (a dependency, health, a deletion) enqueues the target
when it changes. The status is written in one place, whatever happened before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

import msgspec

from agents import operations
from agents.apply import Applier
from agents.assignment import Assignment
from agents.board import Board
from agents.comparisons import Comparisons
from agents.desired import DesiredStates
from agents.epilogue import Epilogue
from agents.inventory import Inventories
from agents.live import KindKey, LiveTable
from agents.observe import Observer
from agents.pacing import Pacer
from agents.readiness import Readiness
from agents.run import Run
from agents.steps import Progress, Steps, manner_of
from fleet.errors import FleetError, NotReady
from fleet.health.assess import has_rule
from fleet.kube.port import ClusterPort, Discovery
from fleet.model.assignment import Operation, Section
from fleet.model.identity import ObjectRef
from fleet.model.report import Phase
from fleet.runtime.clock import Clock
from fleet.runtime.reconciler import Done, Outcome, RequeueAfter
from fleet.sync.desired import Desired
from fleet.sync.drift import LiveObject
from fleet.sync.gate import satisfied
from fleet.sync.inventory import Inventory
from fleet.sync.manifest import Manifest, parse_tracking_id
from fleet.sync.plan import Plan, Step, Verb, plan, to_compare
from fleet.sync.policy import Permission, permission

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
    clock: Clock
    compare: set[str] = field(default_factory=set)
    """Targets whose objects are to be read and compared in full in their next run."""
    _unknown: dict[str, int] = field(default_factory=dict)
    """How often in a row a target had kinds that the cluster does not serve."""
    _released: dict[str, str] = field(default_factory=dict)
    """Artifacts by target whose dependencies were satisfied once: they do not wait again."""

    def __post_init__(self) -> None:
        self.steps = Steps(self.applier, self.inventories, self.table, self.pacer)
        self.epilogue = Epilogue(
            self.inventories, self.table, self.applier, self.readiness, self.board
        )

    def keep_only(self, present: Collection[str]) -> None:
        """Forget what is known of all other targets: one that comes back starts afresh, and waits again."""
        self.states.forget(present)
        self.epilogue.keep_only(present)
        self.comparisons.keep_only(present)
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
        await self.epilogue.finish(run)
        if run.error is not None and run.progress.look_again == float("inf"):
            raise run.error
        seconds = run.progress.look_again
        return Done() if seconds == float("inf") else RequeueAfter(seconds)

    async def _start(self, run: Run, assignment: Assignment) -> None:
        """Find the operation and whether dependencies hold the target back."""
        section, inventory = run.section, run.progress.inventory
        run.operation, record = operations.current(
            assignment.operations_for(section.target), inventory.operation, self.clock.now()
        )
        if record != inventory.operation:
            run.progress.inventory = inventory.with_operation(record)
            await self.inventories.store(run.progress.inventory)
            self.pacer.clear(inventory.entries)
        is_change = section.artifact not in ("", inventory.applied) and not section.ungated
        if is_change and self._released.get(section.target) != section.artifact:
            _, run.waiting_for = satisfied(
                section.depends_on, self.board.statuses, assignment.sections
            )
            if run.is_gated:
                run.working = msgspec.structs.replace(section, artifact=inventory.applied)
            else:
                self._released[section.target] = section.artifact

    async def _work(self, run: Run, assignment: Assignment) -> None:
        inventory = run.progress.inventory
        compare_all = run.section.target in self.compare or _is_refresh(run.operation)
        self.compare.discard(run.section.target)
        whole = compare_all or run.working.artifact != inventory.applied
        desired, discovery = await self._desired(run, whole=whole)
        run.desired = self.states.light(run.section, discovery) if run.is_gated else desired
        refs = desired.refs | inventory.entries.keys()
        await self._observe(run.section, refs, discovery)
        found = await self._plan(run, desired, assignment, discovery, compare_all=compare_all)
        run.out_of_sync, run.refused = found.out_of_sync, found.refused
        self._take_findings(run.progress, found)
        await self._note_policy(run)
        await self._carry_out(run, desired, found, assignment, discovery)
        self._complete(run, desired, assignment)

    def _complete(self, run: Run, desired: Desired, assignment: Assignment) -> None:
        """Note that an artifact is applied completely, where it is."""
        done = run.progress
        if run.is_gated or done.is_waiting or assignment.head.detached:
            return
        is_meant = desired.artifact and (desired.manifests or not run.refused)
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
            return whole or has_rule(*kind)

        await self.observer.ensure((item for item in found if item is not None), needs_whole)

    async def _plan(
        self,
        run: Run,
        desired: Desired,
        assignment: Assignment,
        discovery: Discovery,
        *,
        compare_all: bool = False,
    ) -> Plan:
        inventory = run.progress.inventory
        await self.comparisons.check(desired)
        live = self.comparisons.live(desired, inventory)
        wanted = (
            [item for item in desired.manifests if item.ref in live and item.tracked]
            if compare_all
            else list(to_compare(desired, inventory, live))
        )
        if wanted:
            await self.comparisons.compare(
                run.working,
                discovery,
                {item.ref for item in wanted},
                inventory,
                afresh=compare_all and _is_refresh(run.operation),
            )
            live = self.comparisons.live(desired, inventory)
        allowed = self._permission(run, assignment)
        claimed: Mapping[ObjectRef, str] = {}
        if _needs_claims(desired, inventory, live):
            try:
                claimed = self.states.claims(assignment, discovery, run.section.target)
            except NotReady:
                # An artifact that is not here yet may name what would be deleted.
                claimed = self.states.known_claims(run.section.target)
                allowed = replace(allowed, prune=False)
                run.progress.look_again = 1.0
        return plan(desired, inventory, live, allowed, claimed=claimed)

    def _permission(self, run: Run, assignment: Assignment) -> Permission:
        allowed = permission(run.working, run.operation, detached=assignment.head.detached)
        if run.is_gated:
            return replace(allowed, apply_new=False, prune=False, allow_empty=False)
        return allowed

    def _take_findings(self, progress: Progress, found: Plan) -> None:
        if found.equal:
            progress.inventory = progress.inventory.found_equal(found.equal)
        if found.forget:
            progress.inventory = progress.inventory.without(found.forget)
        if found.equal or found.forget:
            self.inventories.note(progress.inventory)

    async def _note_policy(self, run: Run) -> None:
        """The deletion policy and the edges must be on record when the section is gone."""
        nothing = Desired(target=run.section.target, artifact="")
        inventory = run.progress.inventory.planned(run.section, nothing)
        if inventory.entries:
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
            return
        if any(step.verb is Verb.APPLY for step in steps):
            bodies = {m.ref: m for m in self._with_bodies(run, desired, discovery).manifests}
            steps = tuple(_with_bodies(step, bodies) for step in steps)
            progress.inventory = progress.inventory.planned(run.section, desired)
            await self.inventories.store(progress.inventory)
        progress.phase = Phase.APPLYING
        self.epilogue.show(run)
        await self.steps.carry_out(steps, desired, progress, manner_of(run.section))
        if not progress.is_waiting:
            progress.phase = Phase.IDLE
        after = await self._plan(run, desired, assignment, discovery)
        run.out_of_sync, run.refused = after.out_of_sync, after.refused
        self._take_findings(progress, after)

    def _with_bodies(self, run: Run, desired: Desired, discovery: Discovery) -> Desired:
        is_whole = all("kind" in item.body for item in desired.manifests)
        return desired if is_whole else self.states.full(run.working, discovery)


def _needs_claims(
    desired: Desired, inventory: Inventory, live: Mapping[ObjectRef, LiveObject]
) -> bool:
    """Whether it matters what other targets name: something may be deleted, or is marked as another's."""
    if inventory.entries.keys() - desired.refs:
        return True
    return any(
        (owner := parse_tracking_id(item.tracking)) is not None and owner[0] != desired.target
        for item in live.values()
    )


def _with_bodies(step: Step, manifests: Mapping[ObjectRef, Manifest]) -> Step:
    if step.verb is not Verb.APPLY:
        return step
    return replace(step, changes=tuple(replace(c, manifest=manifests[c.ref]) for c in step.changes))


def _is_refresh(operation: Operation | None) -> bool:
    return operation is not None and operation.kind == "refresh"

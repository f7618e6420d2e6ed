"""Reconcile one target: what its section asks for against what is in the cluster. Level, not edge.

One run looks at the facts, decides by the pure rules of `fleet.sync` (gate, permission, plan), carries out what may
be done now, and shows the result. Whatever it has to wait for (a dependency, health, a deletion) enqueues the target
when it changes. The status is written in one place, whatever happened before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

import msgspec
import structlog

from agents import operations
from agents.apply import Applier
from agents.assignment import Assignment
from agents.board import Board
from agents.desired import DesiredStates
from agents.inventory import Inventories
from agents.live import KindKey, LiveTable
from agents.observe import Observer
from agents.pacing import Pacer
from agents.readiness import Readiness
from agents.steps import Progress, Steps, manner_of
from fleet.errors import FleetError, NotReady
from fleet.health.assess import has_rule
from fleet.kube.port import ClusterPort, Discovery
from fleet.model.assignment import Operation, Section
from fleet.model.identity import ObjectRef
from fleet.model.report import Phase, Ready, TargetStatus
from fleet.runtime import log as fields
from fleet.runtime.clock import Clock
from fleet.runtime.reconciler import Done, Outcome, RequeueAfter
from fleet.sync.compare import matches
from fleet.sync.desired import Desired
from fleet.sync.drift import LiveObject
from fleet.sync.gate import satisfied
from fleet.sync.inventory import Inventory
from fleet.sync.manifest import Manifest, parse_tracking_id
from fleet.sync.plan import Plan, Step, Verb, plan, to_compare
from fleet.sync.policy import Permission, permission
from fleet.sync.status import Progress as Shown
from fleet.sync.status import target_status

log = structlog.get_logger(__name__)

_QUICK = 0.25
_QUICK_TRIES = 20


@dataclass(slots=True, kw_only=True)
class _Run:
    """The facts and the findings of one run."""

    section: Section
    working: Section
    """The section whose artifact is worked on: the assigned one, or the one applied before while it has to wait."""
    progress: Progress
    desired: Desired | None = None
    """Of the assigned artifact; None while it is not known."""
    operation: Operation | None = None
    out_of_sync: Mapping[ObjectRef, str] | None = None
    """What differs; None until it was looked at."""
    waiting_for: tuple[str, ...] = ()
    refused: str = ""
    error: FleetError | None = None
    ready: Ready | None = None

    @property
    def is_gated(self) -> bool:
        return bool(self.waiting_for)

    def working_error(self) -> FleetError | None:
        """What is wrong with the desired state; what is wrong with one that has to wait may pass by itself."""
        return None if self.is_gated or self.desired is None else self.desired.error()


@dataclass(kw_only=True)
class TargetSync:
    """Keeps the targets that are in the assignment."""

    cluster: ClusterPort
    table: LiveTable
    observer: Observer
    applier: Applier
    inventories: Inventories
    states: DesiredStates
    board: Board
    pacer: Pacer
    readiness: Readiness
    clock: Clock
    compare: set[str] = field(default_factory=set)
    """Targets whose objects are to be read and compared in full in their next run."""
    _compared: dict[str, dict[ObjectRef, tuple[str, int, bool]]] = field(default_factory=dict)
    """Results of full comparisons by target: digest and version that were compared, and whether they agreed."""
    _logged: dict[str, str] = field(default_factory=dict)
    _unknown: dict[str, int] = field(default_factory=dict)
    """How often in a row a target had kinds that the cluster does not serve."""
    _released: dict[str, str] = field(default_factory=dict)
    """Artifacts by target whose dependencies were satisfied once: they do not wait again."""

    def __post_init__(self) -> None:
        self.steps = Steps(self.applier, self.inventories, self.table, self.pacer)

    def keep_only(self, present: Collection[str]) -> None:
        """Forget what is known of all other targets: one that comes back starts afresh, and waits again."""
        self.states.forget(present)
        self.readiness.keep_only(present)
        self.compare.intersection_update(present)
        for known in (self._compared, self._logged, self._unknown, self._released):
            for target in known.keys() - set(present):
                known.pop(target)

    async def sync(self, section: Section, assignment: Assignment) -> Outcome:
        """Do what can be done for one target now, and show how it stands."""
        inventory = self.inventories.of(section.target)
        run = _Run(
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
        await self._finish(run)
        self._log(run)
        if run.error is not None and run.progress.look_again == float("inf"):
            raise run.error
        seconds = run.progress.look_again
        return Done() if seconds == float("inf") else RequeueAfter(seconds)

    async def _start(self, run: _Run, assignment: Assignment) -> None:
        """Find the operation and whether dependencies hold the target back."""
        section, inventory = run.section, run.progress.inventory
        run.operation, record = operations.current(
            assignment.operations_for(section.target), inventory.operation, self.clock.now()
        )
        if record != inventory.operation:
            run.progress.inventory = inventory.with_operation(record)
            await self.inventories.store(run.progress.inventory)
            self.pacer.clear(inventory.entries)
        is_change = section.artifact not in ("", inventory.applied)
        if is_change and self._released.get(section.target) != section.artifact:
            _, run.waiting_for = satisfied(
                section.depends_on, self.board.statuses, assignment.sections
            )
            if run.is_gated:
                run.working = msgspec.structs.replace(section, artifact=inventory.applied)
            else:
                self._released[section.target] = section.artifact

    async def _work(self, run: _Run, assignment: Assignment) -> None:
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

    def _complete(self, run: _Run, desired: Desired, assignment: Assignment) -> None:
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

    async def _desired(self, run: _Run, *, whole: bool) -> tuple[Desired, Discovery]:
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
        run: _Run,
        desired: Desired,
        assignment: Assignment,
        discovery: Discovery,
        *,
        compare_all: bool = False,
    ) -> Plan:
        inventory = run.progress.inventory
        live = self._live(desired, inventory)
        wanted = (
            [item for item in desired.manifests if item.ref in live and item.tracked]
            if compare_all
            else list(to_compare(desired, inventory, live))
        )
        if wanted:
            await self._compare(run, discovery, {item.ref for item in wanted})
            live = self._live(desired, inventory)
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

    def _permission(self, run: _Run, assignment: Assignment) -> Permission:
        allowed = permission(run.working, run.operation, detached=assignment.head.detached)
        if run.is_gated:
            return replace(allowed, apply_new=False, prune=False, allow_empty=False)
        return allowed

    def _live(self, desired: Desired, inventory: Inventory) -> dict[ObjectRef, LiveObject]:
        """What is there, with the results of comparisons that still hold."""
        live = self.table.index(desired.refs | inventory.entries.keys())
        known = self._compared.get(desired.target, {})
        for item in desired.manifests:
            compared = known.get(item.ref)
            seen = self.table.get(item.ref)
            if compared and seen and compared[:2] == (item.digest, seen.version):
                live[item.ref] = replace(seen.live, matches=compared[2])
        return live

    async def _compare(self, run: _Run, discovery: Discovery, refs: set[ObjectRef]) -> None:
        """Read objects whole and note whether each is as desired, for this digest and this version of it."""
        whole = await self.applier.whole(refs)
        before = self._compared.get(run.section.target, {})
        after = self._compared[run.section.target] = {}
        for item in self.states.full(run.working, discovery).manifests:
            seen = self.table.get(item.ref)
            if item.ref in whole and seen is not None:
                same = matches(item.body, whole[item.ref], item.ignore)
                after[item.ref] = (item.digest, seen.version, same)
            elif item.ref in before:
                after[item.ref] = before[item.ref]

    def _take_findings(self, progress: Progress, found: Plan) -> None:
        if found.equal:
            progress.inventory = progress.inventory.found_equal(found.equal)
        if found.forget:
            progress.inventory = progress.inventory.without(found.forget)
        if found.equal or found.forget:
            self.inventories.note(progress.inventory)

    async def _note_policy(self, run: _Run) -> None:
        """The deletion policy and the edges must be on record when the section is gone."""
        nothing = Desired(target=run.section.target, artifact="")
        inventory = run.progress.inventory.planned(run.section, nothing)
        if inventory.entries:
            run.progress.inventory = inventory
            await self.inventories.store(inventory)

    async def _carry_out(
        self,
        run: _Run,
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
        self._show(run)
        await self.steps.carry_out(steps, desired, progress, manner_of(run.section))
        if not progress.is_waiting:
            progress.phase = Phase.IDLE
        after = await self._plan(run, desired, assignment, discovery)
        run.out_of_sync, run.refused = after.out_of_sync, after.refused
        self._take_findings(progress, after)

    def _with_bodies(self, run: _Run, desired: Desired, discovery: Discovery) -> Desired:
        is_whole = all("kind" in item.body for item in desired.manifests)
        return desired if is_whole else self.states.full(run.working, discovery)

    async def _finish(self, run: _Run) -> None:
        """The one epilogue: the operation's record, readiness, and the status."""
        record = run.progress.inventory.operation
        if run.operation is not None and record is not None:
            waiting = run.progress.is_waiting or run.is_gated
            after = operations.finished(record, error=run.error, is_waiting=waiting)
            if after != record:
                run.progress.inventory = run.progress.inventory.with_operation(after)
                self.inventories.note(run.progress.inventory)
        section = run.section
        if section.ready_when:
            run.ready = await self._judge(run)
        self._show(run)

    def _log(self, run: _Run) -> None:
        """Say what is wrong, once."""
        target = run.section.target
        text = str(run.error) if run.error is not None else ""
        if text and self._logged.get(target) != text:
            log.warning("not in sync", **{fields.TARGET: target, fields.ERROR: text})
        self._logged[target] = text

    async def _judge(self, run: _Run) -> Ready:
        section = run.section
        if not section.artifact or section.artifact != run.progress.inventory.applied:
            return Ready(ready=False, message="its assigned version is not applied yet")
        if run.desired is None or run.out_of_sync is None:
            return Ready(ready=False, message="its objects could not be looked at")
        try:
            return await self._ask(run, sorted(run.desired.refs))
        except FleetError as error:
            return Ready(ready=False, message=f"its objects could not be read: {error.message}")

    async def _ask(self, run: _Run, refs: list[ObjectRef]) -> Ready:
        objects = self.table.bodies(refs)
        there = self.table.index(refs)
        if len(objects) < len(there):
            # Seen before anybody asked for whole objects of this target.
            await self.applier.whole(there)
            objects = self.table.bodies(refs)
        return await self.readiness.judge(run.section.ready_when, objects, self._status(run))

    def _show(self, run: _Run) -> None:
        self.board.put(self._status(run))

    def _status(self, run: _Run) -> TargetStatus:
        progress = run.progress
        phase = progress.phase
        if run.error is not None:
            phase = Phase.FAILED
        elif run.is_gated and phase is Phase.IDLE:
            phase = Phase.WAITING
        held = run.section.held.message if run.section.held is not None else ""
        shown = Shown(
            phase=phase,
            applied=progress.inventory.applied,
            ready=run.ready,
            waiting_for=run.waiting_for,
            message=progress.message or run.refused or held,
            error=run.error,
            operation=operations.result(progress.inventory.operation),
        )
        health = self.table.health(run.desired.refs if run.desired is not None else ())
        return target_status(run.section, run.desired, run.out_of_sync, health, shown)


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

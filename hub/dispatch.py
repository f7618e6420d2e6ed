"""Dispatch: per cluster, from targets and decisions to a signed assignment that agents can fetch.

One key per cluster, level-based: decide every target (`fleet.moves`), write its section, and if anything differs
from the assignment that stands, commit a new generation (`hub.assignments`). A cluster that left git is frozen as it
is and marked detached.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

import structlog

from fleet import guard, moves
from fleet.model.assignment import Head, Held, SectionRef
from fleet.model.identity import AppName, ClusterName, TargetId
from fleet.model.target import Target
from fleet.moves import Facts, Gate
from fleet.pki.keys import SigningKey
from fleet.runtime import log as fields
from fleet.runtime.reconciler import Done, Outcome
from fleet.wire.heads import sign_head
from fleet.wire.rules import encode_rules
from hub import state as hubstate
from hub.assignments import AssignmentRecord, AssignmentRecords, Draft, TargetRecord
from hub.operations import Operations
from hub.sections import ProjectsHere, WrittenSections
from hub.state import State

log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class Dispatcher:
    """Keeps the assignments of all clusters up to date."""

    assignments: AssignmentRecords
    state: State
    operations: Operations
    hub_id: str
    epoch: int
    keys: Callable[[], Iterable[SigningKey]]
    cluster_uid: Callable[[ClusterName], str]
    """UID of the control plane, bound when its agent joined; empty while none has."""
    removing: Callable[[ClusterName], bool]
    """Whether an admin asked to take everything off the cluster (``cluster remove --cascade``)."""
    assigned: Callable[[frozenset[TargetId]], None]
    """Told which targets were assigned another digest."""
    turned: Callable[[frozenset[TargetId]], None]
    """Told which targets began to wait for another cluster, or wait no more: those that need them look again."""
    approval_used: Callable[[str], Awaitable[None]]
    """Told the subject of an approval that has served."""
    gate: Callable[[Target], Gate | None]
    """What the rollout of its ApplicationSet says about a target; None where there is none."""
    keeps: Callable[[TargetId], bool]
    """Whether a target of a removed set has to wait until it is its turn to go."""
    _written: dict[ClusterName, WrittenSections] = field(default_factory=dict)

    async def reconcile(self, cluster: ClusterName) -> Outcome:
        """Bring one cluster's assignment up to date."""
        uid = self.cluster_uid(cluster)
        if not uid:
            self._written.pop(cluster, None)
        if not uid or not self.state.desired.evaluated:
            return Done()
        record = self.assignments.get(cluster)
        waited = self.state.waiting(cluster)
        draft = self._draft(cluster, record)
        turned = waited ^ self.state.waiting(cluster)
        if turned:
            self.turned(turned)
        if record is None or self._differs(cluster, uid, record, draft):
            await self._commit(cluster, uid, record, draft)
        await self._spend_approvals(cluster)
        return Done()

    def is_bound(self, cluster: ClusterName) -> bool:
        """Whether an agent has joined for the cluster."""
        return bool(self.cluster_uid(cluster))

    # drafting

    def _draft(self, cluster: ClusterName, record: AssignmentRecord | None) -> Draft:
        if self.removing(cluster):
            return {}
        if cluster in self.state.desired.detached or cluster not in self.state.desired.clusters:
            return self._kept(record.targets if record else {})
        facts = self.state.facts()
        desired = self.state.desired
        projects = ProjectsHere(desired.projects, desired.clusters.get(cluster))
        written = self._written.setdefault(cluster, WrittenSections())
        written.begin(record.targets if record else {})
        draft = {
            str(name): self._draft_target(target, facts, projects, written)
            for name, target in self.state.on_cluster(cluster).items()
        }
        if record is not None:
            leaving = {name: old for name, old in record.targets.items() if name not in draft}
            draft |= self._kept(
                {name: old for name, old in leaving.items() if self._stays(cluster, name)}
            )
        return draft

    def _draft_target(
        self, target: Target, facts: Facts, projects: ProjectsHere, written: WrittenSections
    ) -> tuple[TargetRecord, bytes]:
        # What may not be on its cluster does not move there by hand either.
        pin = self.state.pins.get(target.id) if not target.held else None
        gate = self.gate(target)
        decision = (
            moves.pinned(pin.digest, pin.words)
            if pin is not None
            else moves.decide(target, facts, over_budget=self._over_budget(target), gate=gate)
        )
        self.state.decisions[target.id] = decision
        section, data = written.write(target, decision, projects)
        candidate = self.state.candidates.get(target.id)
        moved = candidate is not None and candidate.digest == decision.digest
        kinds = candidate.kinds if candidate and moved else self.state.kinds.get(target.id, {})
        if pin is not None:
            kinds = pin.kinds
            self.state.holds.pop(f"app/{target.id}", None)  # nobody judges it meanwhile
        elif gate is not None and gate.returned and not target.held:
            kinds = gate.kinds
        record = TargetRecord(
            section=section,
            artifact=decision.digest,
            kinds=dict(kinds),
            needs=tuple(
                sorted(
                    str(id_)
                    for edge in target.edges
                    for id_ in edge.targets
                    if id_.cluster != target.id.cluster
                )
            ),
        )
        return record, data

    def _over_budget(self, target: Target) -> str:
        subject = f"app/{target.id}"
        candidate = self.state.candidates.get(target.id)
        assigned = self.state.assigned.get(target.id)
        if candidate is None or candidate.error or not assigned or candidate.digest == assigned:
            self.state.holds.pop(subject, None)
            return ""
        automated = target.application.sync_policy.automated
        verdict = guard.judge_objects(
            self.state.kinds.get(target.id, {}),
            candidate.kinds,
            allow_empty=bool(automated and automated.allow_empty),
            what=f"application {target.id.app!r} on {target.id.cluster}",
        )
        approved = self.state.approvals.get(subject) == candidate.digest
        if not verdict.held or approved:
            self.state.holds.pop(subject, None)
            return ""
        self.state.holds[subject] = hubstate.Hold(
            subject=subject,
            message=verdict.message,
            removed=verdict.removed,
            digest=candidate.digest,
        )
        return verdict.message

    def _stays(self, cluster: ClusterName, name: str) -> bool:
        """Whether a target that is no longer desired must stay in the assignment for now."""
        if AppName(name) in self.state.desired.refused:
            return True
        leaving = TargetId(cluster, AppName(name))
        if self.keeps(leaving):
            return True
        users = self.assignments.users_elsewhere(leaving)
        gone = frozenset(user for user in users if self.state.status(user) is None)
        staying = frozenset(user for user in users if user in self.state.desired.targets)
        return not moves.may_leave(leaving, users, gone, staying)

    def _kept(self, targets: Mapping[str, TargetRecord]) -> Draft:
        return {name: (record, b"") for name, record in targets.items()}

    # committing

    def _differs(
        self,
        cluster: ClusterName,
        uid: str,
        record: AssignmentRecord,
        draft: Draft,
    ) -> bool:
        # needs on other clusters are in no section; the order of a later removal is read off them
        old = {name: (item.section, item.needs) for name, item in record.targets.items()}
        new = {name: (item.section, item.needs) for name, (item, _) in draft.items()}
        head = record.head
        return (
            old != new
            or record.detached != self._is_detached(cluster, record)
            or record.settled != self._is_settled(record)
            or head.operations != self.operations.open_for(cluster)
            or head.released != self._released(cluster, head.released, record.targets, draft)
            or head.cluster_uid != uid
            or head.keys != self._announced()
            or record.epoch != self.epoch
            or record.rules != self._rules(cluster, record)[0]
        )

    def _released(
        self,
        cluster: ClusterName,
        before: tuple[str, ...],
        old: Mapping[str, object],
        draft: Mapping[str, object],
    ) -> tuple[str, ...]:
        """Name what moved to another cluster, until the agent reports that it let go of it."""
        known = self.state.statuses.get(cluster, {})
        return tuple(
            sorted(
                name
                for name in {*before, *old}
                if name not in draft
                and name in known
                and self.state.is_elsewhere(AppName(name), cluster)
            )
        )

    def _announced(self) -> tuple[str, ...]:
        """Return the keys that agents shall trust from now on: those that sign, a new one beside the old."""
        return tuple(sorted(key.public for key in self.keys()))

    def _is_settled(self, record: AssignmentRecord | None) -> bool:
        """Whether absence counts: once a hub was certain of all rows, its last good ones stand for the rest."""
        return self.state.desired.certain or (record is not None and record.settled)

    def _is_detached(self, cluster: ClusterName, record: AssignmentRecord | None) -> bool:
        """Whether git forgot the cluster; while a fleet repository is unread, what was known of it stands.

        A new one that no evaluation has seen counts as detached: its agent may have an inventory of an earlier life,
        and an empty assignment would take everything away.
        """
        desired = self.state.desired
        if self.removing(cluster) or cluster in desired.clusters:
            return False
        return cluster in desired.detached or record is None or record.detached

    async def _commit(
        self,
        cluster: ClusterName,
        uid: str,
        record: AssignmentRecord | None,
        draft: Draft,
    ) -> None:
        targets = {name: item for name, (item, _) in sorted(draft.items())}
        before = record.head if record else NO_HEAD
        last = record.generation if record else await self.assignments.past_generation(cluster)
        if self.cluster_uid(cluster) != uid:
            return  # it was removed meanwhile, or another agent joined
        generation = last + 1 if record is None or record.epoch == self.epoch else 1
        rules, rules_data = self._rules(cluster, record)
        head = Head(
            hub=self.hub_id,
            cluster=cluster,
            cluster_uid=uid,
            epoch=self.epoch,
            generation=generation,
            sections=tuple(
                SectionRef(target=name, digest=item.section) for name, item in targets.items()
            ),
            operations=self.operations.open_for(cluster),
            released=self._released(
                cluster, before.released, record.targets if record else {}, draft
            ),
            keys=self._announced(),
            additive=not self._is_settled(record),
            detached=self._is_detached(cluster, record),
            rules=rules,
        )
        new = AssignmentRecord(
            epoch=self.epoch,
            generation=generation,
            signed=sign_head(head, self.keys()),
            targets=targets,
            detached=head.detached,
            settled=not head.additive,
            left=self._left(cluster, record, targets),
            rules=rules,
        )
        moved = await self.assignments.commit(cluster, new, draft, rules_data)
        log.info(
            "assigned",
            **{fields.CLUSTER: cluster, fields.COUNT: len(targets)},
            generation=generation,
            moved=len(moved),
            held=sum(1 for name in targets if self._held(cluster, name) is not None),
        )
        if moved:
            self.assigned(moved)

    def _rules(self, cluster: ClusterName, record: AssignmentRecord | None) -> tuple[str, bytes]:
        """Digest and bytes of the rules for a cluster; one that left git keeps those it has."""
        if cluster in self.state.desired.clusters:
            return encode_rules(self.state.rules)
        return (record.rules if record else ""), b""

    def _left(
        self, cluster: ClusterName, record: AssignmentRecord | None, targets: Mapping[str, object]
    ) -> dict[str, tuple[str, ...]]:
        """What holds dependencies on other clusters back, durable: a restart must not let them go early."""
        if record is None:
            return {}
        known = self.state.statuses.get(cluster, {})
        leaving = record.left | {name: item.needs for name, item in record.targets.items()}
        return {
            name: needs
            for name, needs in sorted(leaving.items())
            if needs and name not in targets and name in known
        }

    async def _spend_approvals(self, cluster: ClusterName) -> None:
        """Forget approvals that have served: the same loss at another time is asked about again."""
        served = [
            subject
            for subject, digest in self.state.approvals.items()
            if subject.startswith(f"app/{cluster}/")
            and (
                digest == self.state.assigned.get(_target_of(subject))
                or _target_of(subject) not in self.state.desired.targets
            )
        ]
        for subject in served:
            await self.approval_used(subject)

    def _held(self, cluster: ClusterName, name: str) -> Held | None:
        decision = self.state.decisions.get(TargetId(cluster, AppName(name)))
        return decision.held if decision else None


NO_HEAD = Head(hub="", cluster="", cluster_uid="", epoch=0, generation=0, sections=())


def _target_of(subject: str) -> TargetId:
    return TargetId.parse(subject.removeprefix("app/"))

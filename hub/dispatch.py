"""Dispatch: per cluster, from targets and decisions to a signed assignment that agents can fetch.

One key per cluster, level-based: decide every target (`fleet.rollout`), write its section, and if anything differs
from the assignment that stands, commit a new generation and wake the cluster's parked polls. Nothing is handed
out before it is durable. A cluster that left git is frozen as it is and marked detached.

An artifact or section is readable by a cluster only if one of that cluster's recent assignments names it, or an
earlier one named it and the cluster still has it applied.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

import msgspec
import structlog
from prometheus_client import Counter

from fleet import guard, rollout
from fleet.codec.canonical import Digest
from fleet.errors import NotReady
from fleet.model.assignment import Head, Held, ProjectRules, SectionRef, SignedHead
from fleet.model.identity import AppName, ClusterName, TargetId
from fleet.model.target import Target
from fleet.pki.keys import SigningKey
from fleet.rollout import Facts
from fleet.runtime import log as fields
from fleet.runtime.reconciler import Done, Outcome
from fleet.store.port import ArtifactStore, Change, Delete, Kind, Put, Store
from fleet.wire.heads import head_digest, payload_of, sign_head
from fleet.wire.sections import encode_section, section_digest
from hub import state as hubstate
from hub.gateway import CurrentHead
from hub.operations import Operations
from hub.sections import project_rules, section_for
from hub.state import State

log = structlog.get_logger(__name__)

KEPT_GENERATIONS = 2
"""Earlier assignments whose content stays readable: an agent may still be fetching it."""

RECENT_SECTIONS = 4_000
"""Sections kept in memory: most are fetched right after they were written."""

_PAST = "past-generation/"

_GENERATIONS = Counter("fleet_hub_generations_total", "New assignments handed out.")


class _TargetRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of an assigned target besides its section."""

    section: str
    artifact: str
    kinds: dict[str, int] = {}
    needs: tuple[str, ...] = ()
    """Targets on other clusters that this one depends on, for the order of removal."""


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    """An assignment as it stands, durable."""

    epoch: int
    generation: int
    signed: SignedHead
    targets: dict[str, _TargetRecord]
    readable: tuple[tuple[str, ...], ...] = ()
    """Digests named by this assignment and by the ones before it, newest first."""
    applied: tuple[str, ...] = ()
    """Digests named by still earlier ones that the cluster reports as applied."""
    left: dict[str, tuple[str, ...]] = {}
    """What targets that left needed on other clusters, until they are reported gone."""
    detached: bool = False
    settled: bool = False
    """Whether there was an evaluation that was certain of everything since this cluster has an assignment."""


@dataclass(slots=True)
class _Line:
    """A cluster's assignment in memory and the polls that wait for the next one."""

    record: _Record | None = None
    head: CurrentHead | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    readable: frozenset[str] = frozenset()
    """Digests named by the recent assignments, or by earlier ones and still applied."""
    artifacts: frozenset[str] = frozenset()
    """Those of them that the assignment that stands names as artifacts."""
    coming: frozenset[str] = frozenset()
    """Digests named by an assignment that is being committed: they are in use already."""

    def stand(self, record: _Record) -> None:
        self.record = record
        self.head = CurrentHead(record.signed, head_digest(record.signed))
        self.readable = frozenset(
            digest for group in (*record.readable, record.applied) for digest in group
        )
        self.artifacts = frozenset(item.artifact for item in record.targets.values())


@dataclass(slots=True, kw_only=True)
class Dispatcher:
    """Implements `hub.gateway.Assignments`."""

    store: Store
    artifacts: ArtifactStore
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
    approval_used: Callable[[str], Awaitable[None]]
    """Told the subject of an approval that has served."""
    _lines: dict[ClusterName, _Line] = field(default_factory=dict)
    _sections: OrderedDict[str, bytes] = field(default_factory=OrderedDict)

    async def restore(self) -> None:
        """Read the assignments that stand."""
        for name, data in (await self.store.load(Kind.ASSIGNMENTS)).items():
            self._install(ClusterName(name), msgspec.json.decode(data, type=_Record))

    async def reconcile(self, cluster: ClusterName) -> Outcome:
        """Bring one cluster's assignment up to date."""
        uid = self.cluster_uid(cluster)
        if not uid or not self.state.desired.evaluated:
            return Done()
        line = self._lines.setdefault(cluster, _Line())
        draft = self._draft(cluster, line.record)
        if line.record is None or self._differs(cluster, uid, line.record, draft):
            await self._commit(cluster, uid, line, draft)
        await self._spend_approvals(cluster)
        return Done()

    async def forget(self, cluster: ClusterName) -> None:
        """Drop a removed cluster's assignment; should it join again, generations go on from there."""
        last = str(self.generation(cluster)).encode()
        await self.store.commit(
            Delete(Kind.ASSIGNMENTS, cluster), Put(Kind.META, f"{_PAST}{cluster}", last)
        )
        self._lines.pop(cluster, None)
        self.state.forget_cluster(cluster)

    def generation(self, cluster: ClusterName) -> int:
        """Return the generation that stands; 0 before the first."""
        line = self._lines.get(cluster)
        return line.record.generation if line and line.record else 0

    def named(self) -> frozenset[str]:
        """Return every digest that the recent assignments of any cluster name."""
        lines = self._lines.values()
        return frozenset(digest for line in lines for digest in (*line.readable, *line.coming))

    def is_bound(self, cluster: ClusterName) -> bool:
        """Whether an agent has joined for the cluster."""
        return bool(self.cluster_uid(cluster))

    # hub.gateway.Assignments

    def current(self, cluster: ClusterName) -> CurrentHead | None:
        """Return the head that stands."""
        line = self._lines.get(cluster)
        return line.head if line else None

    async def changed(self, cluster: ClusterName, etag: str, timeout: float) -> CurrentHead | None:  # noqa: ASYNC109  # the port's word
        """Wait for another head than the one named."""
        line = self._lines.setdefault(cluster, _Line())
        try:
            async with asyncio.timeout(timeout):
                while line.head is None or line.head.etag == etag:
                    await line.changed.wait()
        except TimeoutError:
            return None
        return line.head

    async def section(self, cluster: ClusterName, digest: Digest) -> bytes | None:
        """Return a section of one of the cluster's recent assignments."""
        line = self._lines.get(cluster)
        if line is None or digest not in line.readable or digest in line.artifacts:
            return None
        return self._sections.get(digest) or await self.store.get(Kind.SECTIONS, digest)

    async def artifact(self, cluster: ClusterName, digest: Digest) -> bytes | None:
        """Return an artifact that a recent assignment named, or an earlier one if it is still applied."""
        line = self._lines.get(cluster)
        if line is None or digest not in line.readable:
            return None
        try:
            return await self.artifacts.get(digest)
        except NotReady:
            return None

    def _still_applied(self, cluster: ClusterName, record: _Record | None) -> tuple[str, ...]:
        """What was assigned once and is reported as applied: a report alone opens nothing."""
        if record is None:
            return ()
        assigned = {*record.applied, *(digest for group in record.readable for digest in group)}
        statuses = self.state.statuses.get(cluster, {}).values()
        return tuple(sorted(assigned & {status.applied for status in statuses}))

    # drafting

    def _draft(
        self, cluster: ClusterName, record: _Record | None
    ) -> dict[str, tuple[_TargetRecord, bytes]]:
        if self.removing(cluster):
            return {}
        if cluster in self.state.desired.detached or cluster not in self.state.desired.clusters:
            return self._kept(record.targets if record else {})
        facts = self.state.facts()
        desired = self.state.desired
        rules_of = project_rules(desired.projects, desired.clusters.get(cluster))
        draft = {
            str(name): self._draft_target(target, facts, rules_of)
            for name, target in self.state.on_cluster(cluster).items()
        }
        if record is not None:
            leaving = {name: old for name, old in record.targets.items() if name not in draft}
            draft |= self._kept(
                {name: old for name, old in leaving.items() if self._stays(cluster, name)}
            )
        return draft

    def _draft_target(
        self, target: Target, facts: Facts, rules_of: Callable[[str], ProjectRules]
    ) -> tuple[_TargetRecord, bytes]:
        decision = rollout.decide(target, facts, over_budget=self._over_budget(target))
        self.state.decisions[target.id] = decision
        section = section_for(target, decision, rules_of)
        candidate = self.state.candidates.get(target.id)
        moved = candidate is not None and candidate.digest == decision.digest
        kinds = candidate.kinds if candidate and moved else self.state.kinds.get(target.id, {})
        record = _TargetRecord(
            section=section_digest(section),
            artifact=section.artifact,
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
        return record, encode_section(section)

    def _over_budget(self, target: Target) -> str:
        subject = f"app/{target.id}"
        candidate = self.state.candidates.get(target.id)
        if candidate is None or candidate.error or not self.state.assigned.get(target.id):
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
        if not verdict.held or approved or candidate.digest == self.state.assigned[target.id]:
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
        word = str(leaving)
        users = [
            TargetId(other, AppName(app))
            for other, line in self._lines.items()
            if other != cluster and line.record is not None
            for app, record in line.record.targets.items()
            if word in record.needs
        ]
        users += [user for user, needs in self.state.past_needs.items() if word in needs]
        gone = frozenset(user for user in users if self.state.status(user) is None)
        staying = frozenset(user for user in users if user in self.state.desired.targets)
        return not rollout.may_leave(leaving, users, gone, staying)

    def _kept(self, targets: Mapping[str, _TargetRecord]) -> dict[str, tuple[_TargetRecord, bytes]]:
        return {name: (record, b"") for name, record in targets.items()}

    # committing

    def _differs(
        self,
        cluster: ClusterName,
        uid: str,
        record: _Record,
        draft: Mapping[str, tuple[_TargetRecord, bytes]],
    ) -> bool:
        old = {name: item.section for name, item in record.targets.items()}
        new = {name: item.section for name, (item, _) in draft.items()}
        head = _head(record)
        return (
            old != new
            or record.detached != self._is_detached(cluster, record)
            or record.settled != self._is_settled(record)
            or head.operations != self.operations.open_for(cluster)
            or head.released != self._released(cluster, head.released, record.targets, draft)
            or head.cluster_uid != uid
            or head.keys != self._announced()
            or record.epoch != self.epoch
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

    def _is_settled(self, record: _Record | None) -> bool:
        """Whether absence counts: once a hub was certain of all rows, its last good ones stand for the rest."""
        return self.state.desired.certain or (record is not None and record.settled)

    def _is_detached(self, cluster: ClusterName, record: _Record | None) -> bool:
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
        line: _Line,
        draft: Mapping[str, tuple[_TargetRecord, bytes]],
    ) -> None:
        record = line.record
        targets = {name: item for name, (item, _) in sorted(draft.items())}
        before = _head(record) if record else NO_HEAD
        last = record.generation if record else await self._past_generation(cluster)
        generation = last + 1 if record is None or record.epoch == self.epoch else 1
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
        )
        named = tuple(
            sorted({d for item in targets.values() for d in (item.section, item.artifact) if d})
        )
        earlier = record.readable if record else ()
        new = _Record(
            epoch=self.epoch,
            generation=generation,
            signed=sign_head(head, self.keys()),
            targets=targets,
            readable=(named, *earlier)[: 1 + KEPT_GENERATIONS],
            applied=self._still_applied(cluster, record),
            detached=head.detached,
            settled=not head.additive,
            left=self._left(cluster, record, targets),
        )
        known = {item.section for item in record.targets.values()} if record else set()
        changes: list[Change] = [
            Put(Kind.SECTIONS, item.section, data)
            for item, data in draft.values()
            if data and item.section not in known
        ]
        line.coming = frozenset(named)
        try:
            await self.store.commit(
                *changes, Put(Kind.ASSIGNMENTS, cluster, msgspec.json.encode(new))
            )
        finally:
            line.coming = frozenset()
        self._keep_sections(draft)
        moved = self._install(cluster, new)
        _GENERATIONS.inc()
        log.info(
            "assigned",
            **{fields.CLUSTER: cluster, fields.COUNT: len(targets)},
            generation=generation,
            moved=len(moved),
            held=sum(1 for name in targets if self._held(cluster, name) is not None),
        )
        if moved:
            self.assigned(moved)

    def _keep_sections(self, draft: Mapping[str, tuple[_TargetRecord, bytes]]) -> None:
        self._sections |= {item.section: data for item, data in draft.values() if data}
        while len(self._sections) > RECENT_SECTIONS:
            self._sections.popitem(last=False)

    def _left(
        self, cluster: ClusterName, record: _Record | None, targets: Mapping[str, object]
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

    async def _past_generation(self, cluster: ClusterName) -> int:
        """The last generation of a cluster that was removed: its agent goes back behind nothing it has seen."""
        return int(await self.store.get(Kind.META, f"{_PAST}{cluster}") or 0)

    def _held(self, cluster: ClusterName, name: str) -> Held | None:
        decision = self.state.decisions.get(TargetId(cluster, AppName(name)))
        return decision.held if decision else None

    def _install(self, cluster: ClusterName, record: _Record) -> frozenset[TargetId]:
        line = self._lines.setdefault(cluster, _Line())
        moved: set[TargetId] = set()
        for name, item in record.targets.items():
            id_ = TargetId(cluster, AppName(name))
            if self.state.assigned.get(id_, "") != item.artifact:
                moved.add(id_)
            self.state.assigned[id_] = item.artifact
            self.state.kinds[id_] = item.kinds
        before = line.record.targets if line.record else {}
        for name in before.keys() - record.targets.keys():
            id_ = TargetId(cluster, AppName(name))
            self.state.assigned.pop(id_, None)
            self.state.kinds.pop(id_, None)
            self.state.decisions.pop(id_, None)
            moved.add(id_)
        past = line.record.left.keys() if line.record else set()
        for name in past - record.left.keys():
            self.state.past_needs.pop(TargetId(cluster, AppName(name)), None)
        for name, needs in record.left.items():
            self.state.past_needs[TargetId(cluster, AppName(name))] = needs
        line.stand(record)
        line.changed.set()
        line.changed = asyncio.Event()
        return frozenset(moved)


NO_HEAD = Head(hub="", cluster="", cluster_uid="", epoch=0, generation=0, sections=())


def _head(record: _Record) -> Head:
    return msgspec.json.decode(payload_of(record.signed), type=Head)


def _target_of(subject: str) -> TargetId:
    return TargetId.parse(subject.removeprefix("app/"))

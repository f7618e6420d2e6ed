"""Assignments as they stand: one signed head a cluster, what it names, and who may read that.

Durable before visible: `AssignmentRecords.commit` writes the record with the new sections, then shows it in the shared
state and wakes the cluster's parked polls. What goes into an assignment is decided in `hub.dispatch`.

An artifact or section is readable by a cluster only if one of that cluster's recent assignments names it, or an
earlier one named it and the cluster still has it applied.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
from prometheus_client import Counter

from fleet.codec.canonical import Digest
from fleet.errors import NotReady
from fleet.model.assignment import Head, SignedHead
from fleet.model.identity import AppName, ClusterName, TargetId
from fleet.store.port import ArtifactStore, Change, Delete, Kind, Put, Store
from fleet.wire.heads import head_digest, payload_of
from hub.agentports import CurrentHead
from hub.state import State

KEPT_GENERATIONS = 2
"""Earlier assignments whose content stays readable: an agent may still be fetching it."""

RECENT_SECTIONS = 4_000
"""Sections kept in memory: most are fetched right after they were written."""

_PAST = "past-generation/"

_GENERATIONS = Counter("fleet_hub_generations_total", "New assignments handed out.")


class TargetRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of an assigned target besides its section."""

    section: str
    artifact: str
    kinds: dict[str, int] = {}
    needs: tuple[str, ...] = ()
    """Targets on other clusters that this one depends on, for the order of removal."""


class AssignmentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An assignment as it stands, durable."""

    epoch: int
    generation: int
    signed: SignedHead
    targets: dict[str, TargetRecord]
    readable: tuple[tuple[str, ...], ...] = ()
    """Digests named by this assignment and by the ones before it, newest first."""
    applied: tuple[str, ...] = ()
    """Digests named by still earlier ones that the cluster reports as applied."""
    left: dict[str, tuple[str, ...]] = {}
    """What targets that left needed on other clusters, until they are reported gone."""
    detached: bool = False
    settled: bool = False
    """Whether there was an evaluation that was certain of everything since this cluster has an assignment."""
    rules: str = ""
    """Digest of the cluster's rules."""

    @property
    def head(self) -> Head:
        """What was signed."""
        return msgspec.json.decode(payload_of(self.signed), type=Head)

    @property
    def named(self) -> tuple[str, ...]:
        """Digests of the sections, artifacts and rules that it names."""
        digests = {
            digest for item in self.targets.values() for digest in (item.section, item.artifact)
        }
        return tuple(sorted((digests | {self.rules}) - {""}))


Draft = Mapping[str, tuple[TargetRecord, bytes]]
"""An assignment by target, with the bytes of its sections; none where the section is known already."""


@dataclass(slots=True)
class _Line:
    """A cluster's assignment in memory and the polls that wait for the next one."""

    record: AssignmentRecord | None = None
    head: CurrentHead | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    readable: frozenset[str] = frozenset()
    """Digests named by the recent assignments, or by earlier ones and still applied."""
    artifacts: frozenset[str] = frozenset()
    """Those of them that the assignment that stands names as artifacts."""
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    is_gone: bool = False
    """The cluster was removed: what was about to be committed for it is for nobody."""
    coming: frozenset[str] = frozenset()
    """Digests named by an assignment that is being committed: they are in use already."""

    def stand(self, record: AssignmentRecord) -> None:
        self.record = record
        self.head = CurrentHead(record.signed, head_digest(record.signed))
        self.readable = frozenset(
            digest for group in (*record.readable, record.applied) for digest in group
        )
        self.artifacts = frozenset(item.artifact for item in record.targets.values())


@dataclass(slots=True, kw_only=True)
class AssignmentRecords:
    """The assignments of all clusters; implements `hub.agentports.Assignments`."""

    store: Store
    artifacts: ArtifactStore
    state: State
    _lines: dict[ClusterName, _Line] = field(default_factory=dict)
    _sections: OrderedDict[str, bytes] = field(default_factory=OrderedDict)
    _users: dict[str, set[TargetId]] = field(default_factory=dict)
    """By what is needed from another cluster: the assigned targets that need it."""

    async def restore(self) -> None:
        """Read the assignments that stand."""
        for name, data in (await self.store.load(Kind.ASSIGNMENTS)).items():
            self._install(ClusterName(name), msgspec.json.decode(data, type=AssignmentRecord))

    def get(self, cluster: ClusterName) -> AssignmentRecord | None:
        """Return the assignment that stands."""
        line = self._lines.get(cluster)
        return line.record if line else None

    def generation(self, cluster: ClusterName) -> int:
        """Return the generation that stands; 0 before the first."""
        record = self.get(cluster)
        return record.generation if record else 0

    def named(self) -> frozenset[str]:
        """Return every digest that the recent assignments of any cluster name."""
        lines = self._lines.values()
        return frozenset(digest for line in lines for digest in (*line.readable, *line.coming))

    def users_elsewhere(self, needed: TargetId) -> list[TargetId]:
        """Return the targets on other clusters that need this one, those included that have left."""
        word = str(needed)
        users = [id_ for id_ in self._users.get(word, ()) if id_.cluster != needed.cluster]
        return users + [user for user, needs in self.state.past_needs.items() if word in needs]

    async def past_generation(self, cluster: ClusterName) -> int:
        """The last generation of a cluster that was removed: its agent goes back behind nothing it has seen."""
        return int(await self.store.get(Kind.META, f"{_PAST}{cluster}") or 0)

    async def commit(
        self, cluster: ClusterName, record: AssignmentRecord, draft: Draft, rules: bytes = b""
    ) -> frozenset[TargetId]:
        """Put a new assignment in force; returns the targets that have another digest by it."""
        line = self._lines.setdefault(cluster, _Line())
        async with line.writing:
            return await self._commit(line, cluster, record, draft, rules)

    async def _commit(
        self,
        line: _Line,
        cluster: ClusterName,
        record: AssignmentRecord,
        draft: Draft,
        rules: bytes,
    ) -> frozenset[TargetId]:
        if line.is_gone:
            return frozenset()
        before = line.record
        new = msgspec.structs.replace(
            record,
            readable=(record.named, *(before.readable if before else ()))[: 1 + KEPT_GENERATIONS],
            applied=self._still_applied(cluster, before),
        )
        known = {item.section for item in before.targets.values()} if before else set()
        changes: list[Change] = [
            Put(Kind.SECTIONS, item.section, data)
            for item, data in draft.values()
            if data and item.section not in known
        ]
        if record.rules and record.rules != (before.rules if before else ""):
            changes.append(Put(Kind.SECTIONS, record.rules, rules))
        line.coming = frozenset(new.named)
        try:
            await self.store.commit(
                *changes, Put(Kind.ASSIGNMENTS, cluster, msgspec.json.encode(new))
            )
        finally:
            line.coming = frozenset()
        self._keep_sections(draft)
        _GENERATIONS.inc()
        return self._install(cluster, new)

    async def forget(self, cluster: ClusterName) -> None:
        """Drop a removed cluster's assignment; should it join again, generations go on from there.

        It may be dropped already: removals that a stop cut short begin anew, and two people may ask for the same one.
        """
        line = self._lines.setdefault(cluster, _Line())
        async with line.writing:
            if line.is_gone:
                return
            last = max(self.generation(cluster), await self.past_generation(cluster))
            await self.store.commit(
                Delete(Kind.ASSIGNMENTS, cluster),
                Put(Kind.META, f"{_PAST}{cluster}", str(last).encode()),
            )
            line.is_gone = True
            if self._lines.get(cluster) is line:
                del self._lines[cluster]
            self._note_needs(cluster, line.record.targets if line.record else {}, {})
            self.state.forget_cluster(cluster)

    # hub.agentports.Assignments

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

    def _still_applied(
        self, cluster: ClusterName, record: AssignmentRecord | None
    ) -> tuple[str, ...]:
        """What was assigned once and is reported as applied: a report alone opens nothing."""
        if record is None:
            return ()
        assigned = {*record.applied, *(digest for group in record.readable for digest in group)}
        statuses = self.state.statuses.get(cluster, {}).values()
        return tuple(sorted(assigned & {status.applied for status in statuses}))

    def _keep_sections(self, draft: Draft) -> None:
        self._sections |= {item.section: data for item, data in draft.values() if data}
        while len(self._sections) > RECENT_SECTIONS:
            self._sections.popitem(last=False)

    def _note_needs(
        self,
        cluster: ClusterName,
        before: Mapping[str, TargetRecord],
        after: Mapping[str, TargetRecord],
    ) -> None:
        for name in before.keys() | after.keys():
            old = before[name].needs if name in before else ()
            new = after[name].needs if name in after else ()
            if old == new:
                continue
            id_ = TargetId(cluster, AppName(name))
            for needed in old:
                self._users[needed].discard(id_)
                if not self._users[needed]:
                    del self._users[needed]
            for needed in new:
                self._users.setdefault(needed, set()).add(id_)

    def _install(self, cluster: ClusterName, record: AssignmentRecord) -> frozenset[TargetId]:
        line = self._lines.setdefault(cluster, _Line())
        moved: set[TargetId] = set()
        for name, item in record.targets.items():
            id_ = TargetId(cluster, AppName(name))
            if self.state.assigned.get(id_, "") != item.artifact:
                moved.add(id_)
            self.state.assigned[id_] = item.artifact
            self.state.kinds[id_] = item.kinds
        before = line.record.targets if line.record else {}
        self._note_needs(cluster, before, record.targets)
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

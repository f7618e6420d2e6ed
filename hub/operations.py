"""Operations: what somebody asked of a target once (sync now), as durable state until it is reported done.

An operation rides in the head of its cluster's assignment; the agent carries it out once and reports its result
with the target's status. One that nobody took up in time expires on both sides.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from fleet.model.assignment import Operation
from fleet.model.identity import AppName, ClusterName, TargetId
from fleet.model.report import TargetStatus
from fleet.runtime.clock import Clock
from fleet.store.port import Delete, Kind, Put, Store

LIFETIME = timedelta(hours=1)
FINISHED = frozenset(("Succeeded", "Failed", "Expired"))


class _Record(msgspec.Struct, frozen=True):
    cluster: str
    operation: Operation


@dataclass(slots=True, kw_only=True)
class Operations:
    """The open operations of all clusters."""

    store: Store
    clock: Clock
    changed: Callable[[ClusterName], None]
    _open: dict[str, _Record] = field(default_factory=dict)
    _of_target: dict[TargetId, set[str]] = field(default_factory=dict)
    """Their ids by target."""

    async def restore(self) -> None:
        """Read those that were open."""
        for id_, data in (await self.store.load(Kind.OPERATIONS)).items():
            self._add(id_, msgspec.json.decode(data, type=_Record))

    async def ask(
        self, target: TargetId, kind: str, arguments: dict[str, str | bool | int | list[str]]
    ) -> Operation:
        """Record an operation; an open one of the same kind and target with the same arguments is returned."""
        for record in self._open.values():
            same = record.operation
            if (
                (record.cluster, same.target, same.kind) == (target.cluster, target.app, kind)
                and same.arguments == arguments
                and not self._expired(same)
            ):
                return same
        operation = Operation(
            id=secrets.token_hex(8),
            target=target.app,
            kind=kind,
            arguments=arguments,
            not_after=(self.clock.now() + LIFETIME).isoformat(),
        )
        record = _Record(target.cluster, operation)
        # a cluster that never reports again settles nothing: what it let expire goes here
        stale = [id_ for id_, old in self._open.items() if self._expired(old.operation)]
        await self.store.commit(
            Put(Kind.OPERATIONS, operation.id, msgspec.json.encode(record)),
            *(Delete(Kind.OPERATIONS, id_) for id_ in stale),
        )
        self._add(operation.id, record)
        for id_ in stale:
            self._remove(id_)
        self.changed(target.cluster)
        return operation

    def open_for(self, cluster: ClusterName) -> tuple[Operation, ...]:
        """Return a cluster's open operations, oldest id order being irrelevant: sorted by id."""
        return tuple(
            record.operation
            for _, record in sorted(self._open.items())
            if record.cluster == cluster and not self._expired(record.operation)
        )

    def is_asked(self, target: TargetId) -> bool:
        """Whether something is asked of a target that its agent has not reported as finished."""
        ids = self._of_target.get(target, ())
        return any(not self._expired(self._open[id_].operation) for id_ in ids)

    async def settle(self, cluster: ClusterName, statuses: dict[str, TargetStatus]) -> None:
        """Close what the cluster reports as finished, and what is too old."""
        results = {
            status.operation.id
            for status in statuses.values()
            if status.operation is not None and status.operation.phase in FINISHED
        }
        over = [
            id_
            for id_, record in self._open.items()
            if record.cluster == cluster and (id_ in results or self._expired(record.operation))
        ]
        if not over:
            return
        await self.store.commit(*(Delete(Kind.OPERATIONS, id_) for id_ in over))
        for id_ in over:
            self._remove(id_)  # two reports may settle the same one
        self.changed(cluster)

    async def forget(self, cluster: ClusterName) -> None:
        """Drop what was asked of a cluster that was removed: another one may come under its name."""
        over = [id_ for id_, record in self._open.items() if record.cluster == cluster]
        if over:
            await self.store.commit(*(Delete(Kind.OPERATIONS, id_) for id_ in over))
        for id_ in over:
            self._remove(id_)

    def _add(self, id_: str, record: _Record) -> None:
        self._open[id_] = record
        self._of_target.setdefault(_target_of(record), set()).add(id_)

    def _remove(self, id_: str) -> None:
        record = self._open.pop(id_, None)
        if record is None:
            return
        target = _target_of(record)
        self._of_target[target].discard(id_)
        if not self._of_target[target]:
            del self._of_target[target]

    def _expired(self, operation: Operation) -> bool:
        return bool(operation.not_after) and (
            datetime.fromisoformat(operation.not_after) < self.clock.now()
        )


def _target_of(record: _Record) -> TargetId:
    return TargetId(ClusterName(record.cluster), AppName(record.operation.target))

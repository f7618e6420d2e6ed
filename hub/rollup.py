"""Rollup: reports of agents, durable before they are acknowledged, become the status of targets and clusters.

A report says everything, cheaply: changed parts with the digest of the whole. Where the digest does not fit what
is known here, the answer is "send all". What changed wakes the clusters whose targets wait for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec
import structlog
from prometheus_client import Counter

from fleet.model.identity import AppName, ClusterName, TargetId
from fleet.model.report import ClusterFacts, Health, Report, ReportAnswer, Sync, TargetStatus
from fleet.runtime import log as fields
from fleet.runtime.clock import Clock
from fleet.store.port import Delete, Kind, Put, Store
from fleet.wire.reports import SendAll, Whole, apply_report
from hub.operations import Operations
from hub.state import Seen, State

log = structlog.get_logger(__name__)

_REPORTS = Counter("fleet_hub_reports_total", "Reports of agents by result.", ["result"])


class _Record(msgspec.Struct, frozen=True):
    """A cluster's last report, whole, and when it came."""

    at: datetime
    report: Report


@dataclass(slots=True, kw_only=True)
class Rollup:
    """Implements `hub.gateway.Reports`."""

    store: Store
    state: State
    operations: Operations
    clock: Clock
    lease: timedelta
    status_changed: Callable[[ClusterName, frozenset[TargetId]], None]
    released: Callable[[TargetId], None]
    """Told a target that a gone one needed: it may leave now, if it wants to."""
    facts_changed: Callable[[ClusterName], None]
    came_back: Callable[[ClusterName], None]
    """Told a cluster that is heard of again after the lease, or for the first time."""
    _wholes: dict[ClusterName, Whole] = field(default_factory=dict)

    async def restore(self) -> None:
        """Read the last report of every cluster."""
        for name, data in (await self.store.load(Kind.REPORTS)).items():
            record = msgspec.json.decode(data, type=_Record)
            whole = apply_report(None, record.report)
            assert isinstance(whole, Whole), "stored reports are complete"
            cluster = ClusterName(name)
            self._wholes[cluster] = whole
            self.state.statuses[cluster] = dict(whole.statuses)
            self.state.seen[cluster] = Seen(at=record.at, facts=record.report.facts)

    async def accept(self, cluster: ClusterName, report: Report) -> ReportAnswer:
        """Take a report: durable, then visible, then acknowledged."""
        whole = apply_report(self._wholes.get(cluster), report)
        if isinstance(whole, SendAll):
            _REPORTS.labels("send_all").inc()
            log.info(
                "asking for a whole report", **{fields.CLUSTER: cluster, fields.REASON: whole.why}
            )
            return ReportAnswer(send_all=True)
        complete = msgspec.structs.replace(
            report,
            changed=tuple(whole.statuses[name] for name in sorted(whole.statuses)),
            removed=(),
            complete=True,
        )
        record = _Record(self.clock.now(), complete)
        await self.store.commit(Put(Kind.REPORTS, cluster, msgspec.json.encode(record)))
        _REPORTS.labels("accepted").inc()
        self._wholes[cluster] = whole
        self._take(cluster, dict(whole.statuses), report.facts)
        await self.operations.settle(cluster, self.state.statuses[cluster])
        return ReportAnswer()

    def seen(self, cluster: ClusterName) -> None:
        """Note a sign of life."""
        was_connected = self.is_connected(cluster)
        self.state.seen.setdefault(cluster, Seen()).at = self.clock.now()
        if not was_connected:
            self.came_back(cluster)

    async def forget(self, cluster: ClusterName) -> None:
        """Drop what a removed cluster reported."""
        await self.store.commit(Delete(Kind.REPORTS, cluster))
        self._wholes.pop(cluster, None)
        self.state.statuses.pop(cluster, None)
        self.state.seen.pop(cluster, None)

    def is_connected(self, cluster: ClusterName) -> bool:
        """Whether the cluster was heard of within the lease."""
        seen = self.state.seen.get(cluster)
        return bool(seen and seen.at and self.clock.now() - seen.at <= self.lease)

    def age(self, cluster: ClusterName) -> timedelta | None:
        """Time since the last sign of life."""
        seen = self.state.seen.get(cluster)
        return self.clock.now() - seen.at if seen and seen.at else None

    def shown(self, target: TargetId) -> TargetStatus:
        """Return what may be said about a target: Unknown after the lease ran out, never an old Synced."""
        status = self.state.status(target)
        if status is None:
            return TargetStatus(target=target.app, message="not reported yet")
        if self.is_connected(target.cluster):
            return status
        age = self.age(target.cluster)
        words = f"no contact for {int(age.total_seconds())} s" if age else "no contact"
        return msgspec.structs.replace(
            status,
            sync=Sync.UNKNOWN,
            health=Health.UNKNOWN,
            message=f"{words}; {status.message}".rstrip("; "),
        )

    def _take(
        self,
        cluster: ClusterName,
        whole: dict[str, TargetStatus],
        facts: ClusterFacts,
    ) -> None:
        known = self.state.statuses.get(cluster, {})
        seen = self.state.seen.setdefault(cluster, Seen())
        news = seen.facts != facts
        seen.at, seen.facts = self.clock.now(), facts
        self.state.statuses[cluster] = whole
        changed = frozenset(
            TargetId(cluster, AppName(name))
            for name in known.keys() | whole.keys()
            if known.get(name) != whole.get(name)
        )
        for gone in known.keys() - whole.keys():
            needed = self.state.past_needs.pop(TargetId(cluster, AppName(gone)), ())
            for name in needed:
                self.released(TargetId.parse(name))
            log.info("target gone", **{fields.CLUSTER: cluster, fields.TARGET: gone})
        if changed:
            self.status_changed(cluster, changed)
        if news:
            self.facts_changed(cluster)

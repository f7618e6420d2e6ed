"""Parked polls: which agent holds which cluster, and how to cut a poll short.

An agent process names itself by a random id. As long as one process of a cluster is heard of, another one with the
same identity (a copied machine) is refused, rather than both taking turns. A process whose connection is gone, or
that was silent longer than a poll lasts, holds nothing.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from prometheus_client import Counter, Gauge

from fleet.errors import Denied
from fleet.model.identity import ClusterName
from fleet.runtime import log as fields
from fleet.runtime.clock import Clock
from fleet.wire.routes import MAX_WAIT

log = structlog.get_logger(__name__)

SILENCE = MAX_WAIT + 10
"""Seconds after which a silent process holds its cluster no longer."""

_PARKED = Gauge("fleet_hub_parked_polls", "Assignment polls that are held open.")
_DOUBLES = Counter("fleet_hub_double_agents_total", "Requests refused to a second agent process.")


class SecondAgent(Denied):
    """Another process with this cluster's identity is at work."""

    reason = "Conflict"


@dataclass(slots=True)
class _Holder:
    instance: str
    transport: asyncio.BaseTransport
    heard: float


class Sessions:
    """Who polls for which cluster."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._holders: dict[ClusterName, _Holder] = {}
        self._parked: defaultdict[ClusterName, set[asyncio.Timeout]] = defaultdict(set)

    def admit(self, cluster: ClusterName, instance: str) -> None:
        """Raise SecondAgent where another process holds the cluster."""
        holder = self._holders.get(cluster)
        if holder is None or not instance or holder.instance == instance:
            return
        is_silent = self._clock.monotonic() - holder.heard > SILENCE
        if not is_silent and not holder.transport.is_closing():
            _DOUBLES.inc()
            log.error("second agent refused", **{fields.CLUSTER: cluster}, audit=True)
            raise SecondAgent(f"another agent process works for cluster {cluster} already")

    @contextmanager
    def parked(
        self,
        cluster: ClusterName,
        instance: str,
        transport: asyncio.BaseTransport,
        scope: asyncio.Timeout,
    ) -> Iterator[None]:
        """Hold the cluster, and be cuttable, while inside; an older poll for the cluster is cut."""
        self.cut(cluster)
        if instance:
            self._holders[cluster] = _Holder(instance, transport, self._clock.monotonic())
        self._parked[cluster].add(scope)
        _PARKED.inc()
        try:
            yield
        finally:
            _PARKED.dec()
            self._parked[cluster].discard(scope)
            if not self._parked[cluster]:
                del self._parked[cluster]

    def cut(self, cluster: ClusterName) -> None:
        """End a cluster's polls now."""
        now = asyncio.get_running_loop().time()
        for scope in self._parked.get(cluster, ()):
            if not scope.expired():
                scope.reschedule(now)

    def cut_all(self) -> None:
        """End all polls now."""
        for cluster in list(self._parked):
            self.cut(cluster)

    def forget(self, cluster: ClusterName) -> None:
        """End a cluster's polls, and let any process hold it next."""
        self._holders.pop(cluster, None)
        self.cut(cluster)

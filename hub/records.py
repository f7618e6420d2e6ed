"""Records that only the hub holds: clusters added by command, removals under way, and approvals."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from fleet.errors import BadInput
from fleet.model.cluster import Cluster, ClusterSource, default_server
from fleet.model.identity import ClusterName
from fleet.store.port import Delete, Kind, Put, Store


class ClusterRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A cluster as ``fleet cluster add`` made it. Without ``declared`` it is only an identity: git decides
    whether it belongs to the fleet."""

    declared: bool = False
    labels: dict[str, str] = {}
    server: str = ""
    project: str = ""
    removing: bool = False


@dataclass(slots=True)
class Records:
    """Written through to the store."""

    store: Store
    _clusters: dict[ClusterName, ClusterRecord] = field(default_factory=dict)
    approvals: dict[str, str] = field(default_factory=dict)
    """Subject to digest; shared with `State.approvals`."""

    async def restore(self) -> None:
        """Read everything."""
        self._clusters = {
            ClusterName(name): msgspec.json.decode(data, type=ClusterRecord)
            for name, data in (await self.store.load(Kind.CLUSTERS)).items()
        }
        approvals = await self.store.load(Kind.APPROVALS)
        self.approvals.update({subject: data.decode() for subject, data in approvals.items()})

    def names(self) -> frozenset[ClusterName]:
        """Return all clusters that were ever added and not removed."""
        return frozenset(self._clusters)

    def get(self, name: ClusterName) -> ClusterRecord | None:
        """Return a cluster's record."""
        return self._clusters.get(name)

    def declared(self) -> list[Cluster]:
        """Return the clusters that count where git has none of that name."""
        return [
            Cluster(
                name=name,
                server=record.server or default_server(name),
                project=record.project,
                labels=record.labels,
                source=ClusterSource.HUB,
            )
            for name, record in sorted(self._clusters.items())
            if record.declared and not record.removing
        ]

    def is_removing(self, name: ClusterName) -> bool:
        """Whether everything is being taken off this cluster."""
        record = self._clusters.get(name)
        return record is not None and record.removing

    def removing(self) -> frozenset[ClusterName]:
        """Clusters that everything is being taken off, one whose removal a stop cut short included."""
        return frozenset(name for name, record in self._clusters.items() if record.removing)

    async def put(self, name: ClusterName, record: ClusterRecord) -> None:
        """Write a cluster's record."""
        await self.store.commit(Put(Kind.CLUSTERS, name, msgspec.json.encode(record)))
        self._clusters[name] = record

    async def remove(self, name: ClusterName) -> None:
        """Forget a cluster."""
        await self.store.commit(Delete(Kind.CLUSTERS, name))
        self._clusters.pop(name, None)

    async def approve(self, subject: str, digest: str) -> None:
        """Say yes to exactly what a digest names."""
        if not digest:
            raise BadInput(f"nothing of {subject} is held")
        await self.store.commit(Put(Kind.APPROVALS, subject, digest.encode()))
        self.approvals[subject] = digest

    async def used(self, subject: str) -> None:
        """Forget an approval that has served."""
        await self.store.commit(Delete(Kind.APPROVALS, subject))
        self.approvals.pop(subject, None)

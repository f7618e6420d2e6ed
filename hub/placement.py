"""Where desired targets are and who needs them: the questions of every dispatch and report, answered beforehand.

A placement is never changed: of the next one, only what is different is made anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from fleet.graph import dependents
from fleet.model.identity import AppName, ClusterName, TargetId
from fleet.model.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Targets by cluster, clusters by application, and the targets that need each target directly."""

    targets: Mapping[TargetId, Target] = field(default_factory=dict)
    on_cluster: Mapping[ClusterName, Mapping[AppName, Target]] = field(default_factory=dict)
    places: Mapping[AppName, frozenset[ClusterName]] = field(default_factory=dict)
    users: Mapping[TargetId, frozenset[TargetId]] = field(default_factory=dict)

    def followed_by(self, targets: Mapping[TargetId, Target]) -> Placement:
        """Return the placement of other targets; the cost is that of the difference."""
        if targets is self.targets:
            return self
        if targets.keys() != self.targets.keys():
            return _placement(targets)
        changed = [item for id_, item in targets.items() if self.targets[id_] is not item]
        fresh: dict[ClusterName, dict[AppName, Target]] = {}
        for item in changed:
            cluster = item.id.cluster
            if cluster not in fresh:
                fresh[cluster] = dict(self.on_cluster[cluster])
            fresh[cluster][item.id.app] = item
        same_edges = all(item.edges == self.targets[item.id].edges for item in changed)
        users = self.users if same_edges else dependents(targets.values())
        return replace(self, targets=targets, on_cluster={**self.on_cluster, **fresh}, users=users)


def _placement(targets: Mapping[TargetId, Target]) -> Placement:
    on_cluster: defaultdict[ClusterName, dict[AppName, Target]] = defaultdict(dict)
    places: defaultdict[AppName, set[ClusterName]] = defaultdict(set)
    for id_, target in targets.items():
        on_cluster[id_.cluster][id_.app] = target
        places[id_.app].add(id_.cluster)
    return Placement(
        targets=targets,
        on_cluster=dict(on_cluster),
        places={name: frozenset(clusters) for name, clusters in places.items()},
        users=dependents(targets.values()),
    )

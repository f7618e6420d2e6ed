"""Where desired targets are and who needs them: the questions of every dispatch and report, answered beforehand.

A placement is never changed: of the next one, only what is different is made anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sized
from dataclasses import dataclass, field, replace
from typing import TypeAlias, TypeVar

from fleet.codec.identity import has_same_keys, renewed
from fleet.model.identity import AppName, ClusterName, TargetId
from fleet.model.target import Edge, Target

K = TypeVar("K")
V = TypeVar("V", bound=Sized)
_Targets: TypeAlias = Mapping[TargetId, Target]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Targets by cluster, clusters by application, and the targets that need each target directly."""

    targets: Mapping[TargetId, Target] = field(default_factory=dict)
    on_cluster: Mapping[ClusterName, Mapping[AppName, Target]] = field(default_factory=dict)
    places: Mapping[AppName, frozenset[ClusterName]] = field(default_factory=dict)
    users: Mapping[TargetId, frozenset[TargetId]] = field(default_factory=dict)

    def followed_by(self, targets: Mapping[TargetId, Target]) -> Placement:
        """Return the placement of other targets; the cost is that of the difference."""
        changed = renewed(targets, self.targets)
        is_alike = has_same_keys(targets, self.targets, changed)
        gone = [] if is_alike else [id_ for id_ in self.targets if id_ not in targets]
        if not (changed or gone):
            return self if targets is self.targets else replace(self, targets=targets)
        moved = [id_ for id_ in (*changed, *gone) if self._edges(id_) != _edges(targets, id_)]
        return Placement(
            targets=targets,
            on_cluster=self._on_cluster(targets, changed, gone),
            places=self.places if is_alike else self._places(targets, changed, gone),
            users=self._users(targets, moved) if moved else self.users,
        )

    def _on_cluster(
        self, targets: _Targets, changed: Iterable[TargetId], gone: Iterable[TargetId]
    ) -> dict[ClusterName, Mapping[AppName, Target]]:
        fresh: dict[ClusterName, dict[AppName, Target]] = {}
        for id_ in (*changed, *gone):
            if id_.cluster not in fresh:
                fresh[id_.cluster] = {**self.on_cluster.get(id_.cluster, {})}
            if id_ in targets:
                fresh[id_.cluster][id_.app] = targets[id_]
            else:
                del fresh[id_.cluster][id_.app]
        return _filled(self.on_cluster, fresh)

    def _places(
        self, targets: _Targets, changed: Iterable[TargetId], gone: Iterable[TargetId]
    ) -> dict[AppName, frozenset[ClusterName]]:
        fresh: dict[AppName, set[ClusterName]] = {}
        for id_ in (*changed, *gone):
            if id_.app not in fresh:
                fresh[id_.app] = {*self.places.get(id_.app, ())}
            if id_ in targets:
                fresh[id_.app].add(id_.cluster)
            else:
                fresh[id_.app].discard(id_.cluster)
        return _filled(self.places, {name: frozenset(each) for name, each in fresh.items()})

    def _users(
        self, targets: _Targets, moved: Iterable[TargetId]
    ) -> dict[TargetId, frozenset[TargetId]]:
        fresh: dict[TargetId, set[TargetId]] = {}
        for id_ in moved:
            before, after = self._edges(id_), _edges(targets, id_)
            for needed in _needed(before) | _needed(after):
                if needed not in fresh:
                    fresh[needed] = {*self.users.get(needed, ())}
            for needed in _needed(before):
                fresh[needed].discard(id_)
            for needed in _needed(after):
                fresh[needed].add(id_)
        return _filled(self.users, {id_: frozenset(users) for id_, users in fresh.items()})

    def _edges(self, id_: TargetId) -> tuple[Edge, ...]:
        return _edges(self.targets, id_)


def _edges(targets: _Targets, id_: TargetId) -> tuple[Edge, ...]:
    return targets[id_].edges if id_ in targets else ()


def _needed(edges: Iterable[Edge]) -> set[TargetId]:
    return {needed for edge in edges for needed in edge.targets}


def _filled(known: Mapping[K, V], fresh: Mapping[K, V]) -> dict[K, V]:
    """Put what is new over what is known; what became empty is left out."""
    found = {**known, **fresh}
    for key, item in fresh.items():
        if not item:
            del found[key]
    return found

"""What the hub knows of the targets of a rollout, for `fleet.rollouts`.

Nothing is let go on an incomplete picture: while a target of the set is being rendered, or two that share their sources
were rendered at different commits, nobody knows yet which of them changed, and a later step could overtake an earlier
one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from fleet import moves
from fleet.model.identity import ClusterName, TargetId
from fleet.model.report import Health, Sync, TargetStatus
from fleet.model.rollout import Rollout, RolloutPlan, TargetState
from fleet.model.target import Target
from fleet.rollouts.facts import Facts, TargetFacts
from fleet.runtime.clock import Clock
from hub.state import Desired, State

Sources = tuple[tuple[str, str, str], ...]
"""Repository, revision and chart of each source: targets that share them are rendered at the same commit."""

_UNDECIDED = (None, TargetState.WAITING, TargetState.PENDING)
"""States in which what else could hold a target back matters."""


@dataclass(slots=True, kw_only=True)
class RolloutFacts:
    """Reads the shared state."""

    state: State
    clock: Clock
    lease: timedelta
    is_rendering: Callable[[TargetId], bool]
    has_failed: Callable[[TargetId], bool]
    """Whether the last try to render a target failed."""
    _desired: Desired | None = None
    _by_set: Mapping[str, tuple[tuple[Target, Sources], ...]] = field(default_factory=dict)
    _started: datetime | None = None

    def begin(self) -> None:
        """Count the time that agents have to be heard of from now on."""
        self._started = self.clock.now()

    def targets(self, name: str) -> tuple[Target, ...]:
        """Return the targets of a set."""
        return tuple(target for target, _ in self._of_set(name))

    def of(self, name: str, plan: RolloutPlan, rollout: Rollout | None) -> Facts:
        """Return the facts about every target of a set that a step selects."""
        targets = self._of_set(name)
        current = self._current(targets)
        known = rollout.members if rollout else {}
        found = {}
        for target, _ in targets:
            step = plan.step_of(target.application.labels)
            if step is None:
                continue
            member = known.get(target.id)
            found[target.id] = self._of_target(
                target, step, member.state if member else None, is_current=target.id in current
            )
        return found

    def present(self, id_: TargetId) -> bool:
        """Whether a target that leaves is still there, or may be: nobody waits for a cluster that is away."""
        if id_ in self.state.assigned:
            return True
        return self.state.status(id_) is not None and self.offline_at(id_.cluster) is not None

    def offline_at(self, cluster: ClusterName) -> datetime | None:
        """Return when a cluster will count as offline; None when it does."""
        seen = self.state.seen.get(cluster)
        if seen is None or seen.at is None:
            return None
        end = max(seen.at, self._started or seen.at) + self.lease
        return end if end > self.clock.now() else None

    def _of_target(
        self, target: Target, step: int, state: TargetState | None, *, is_current: bool
    ) -> TargetFacts:
        id_ = target.id
        candidate = self.state.candidates.get(id_)
        assigned = self.state.assigned.get(id_, "")
        status = self.state.status(id_) or TargetStatus(target=id_.app)
        speaks = bool(assigned) and status.assigned == assigned
        is_held_back = speaks and bool(status.waiting_for) and status.applied != assigned
        offline_at = self.offline_at(id_.cluster)
        blocked, lacks = "", frozenset[TargetId]()
        if state in _UNDECIDED or is_held_back:
            facts = self.state.facts()
            hold = self.state.holds.get(f"app/{id_}")
            blocked = moves.obstacle(target, facts, over_budget=hold.message if hold else "")
            lacks = frozenset(moves.lacking(target, facts))
        return TargetFacts(
            step=step,
            candidate=candidate.digest if candidate and not candidate.error else "",
            is_current=is_current,
            assigned=assigned,
            is_applied=target.application.sync_policy.automated is not None
            or (speaks and status.applied == assigned),
            is_good=speaks
            and status.sync is Sync.SYNCED
            and status.health is Health.HEALTHY
            and offline_at is not None,
            is_held_back=is_held_back,
            blocked=blocked,
            needs=frozenset(needed for edge in target.edges for needed in edge.targets),
            lacks=lacks,
            is_pinned=id_ in self.state.pins,
            is_online=offline_at is not None,
            offline_at=offline_at,
            kinds=self.state.kinds.get(id_, {}),
        )

    def _of_set(self, name: str) -> tuple[tuple[Target, Sources], ...]:
        desired = self.state.desired
        if desired is not self._desired:
            by_set: defaultdict[str, list[tuple[Target, Sources]]] = defaultdict(list)
            for id_ in sorted(desired.targets):
                target = desired.targets[id_]
                application = target.application
                if application.appset:
                    by_set[application.appset].append((target, _sources(target)))
            self._by_set = {key: tuple(items) for key, items in by_set.items()}
            self._desired = desired
        return self._by_set.get(name, ())

    def _current(self, targets: tuple[tuple[Target, Sources], ...]) -> frozenset[TargetId]:
        """Return the targets of which the newest word is known."""
        if any(self.is_rendering(target.id) for target, _ in targets):
            return frozenset()
        good = [
            (target.id, sources) for target, sources in targets if not self.has_failed(target.id)
        ]
        revisions: defaultdict[Sources, set[str]] = defaultdict(set)
        for id_, sources in good:
            revisions[sources].add(self.state.revisions.get(id_, ""))
        return frozenset(id_ for id_, sources in good if len(revisions[sources]) == 1)


def _sources(target: Target) -> Sources:
    return tuple(
        (source.repo_url, source.target_revision, source.chart)
        for source in target.application.sources
    )

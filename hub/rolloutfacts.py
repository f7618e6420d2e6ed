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
from fleet.argo.windows import windows_for
from fleet.errors import BadInput
from fleet.model.assignment import Window
from fleet.model.identity import ClusterName, TargetId
from fleet.model.project import AppProject
from fleet.model.report import Health, Sync
from fleet.model.rollout import RolloutPlan
from fleet.model.target import Target
from fleet.rollouts.facts import Facts, TargetFacts
from fleet.runtime.clock import Clock
from fleet.sync import windows
from hub.state import Desired, State

Sources = tuple[tuple[str, str, str], ...]
"""Repository, revision and chart of each source: targets that share them are rendered at the same commit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """What does not change about a target between two evaluations."""

    target: Target
    sources: Sources
    needs: frozenset[TargetId]
    is_automated: bool
    windows: tuple[Window, ...]
    """The sync windows that concern it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What one look at a set goes by."""

    now: datetime
    facts: moves.Facts
    judged: int
    """Steps up to this one are judged: what else could hold their targets back is found out."""


@dataclass(slots=True, kw_only=True)
class RolloutFacts:
    """Reads the shared state."""

    state: State
    clock: Clock
    lease: timedelta
    is_rendering: Callable[[TargetId], bool]
    has_failed: Callable[[TargetId], bool]
    """Whether the last try to render a target failed."""
    is_removing: Callable[[ClusterName], bool]
    """Whether everything is being taken off a cluster: nobody waits for it then."""
    _desired: Desired | None = None
    _by_set: Mapping[str, tuple[_Place, ...]] = field(default_factory=dict)
    _steps: dict[str, tuple[RolloutPlan, tuple[tuple[_Place, int], ...]]] = field(
        default_factory=dict
    )
    """The targets of each set that a step of its plan selects."""
    _started: datetime | None = None

    def begin(self) -> None:
        """Count the time that agents have to be heard of from now on."""
        self._started = self.clock.now()

    def targets(self, name: str) -> tuple[Target, ...]:
        """Return the targets of a set."""
        return tuple(place.target for place in self._of_set(name))

    def of(self, name: str, plan: RolloutPlan, *, judged: int) -> Facts:
        """Return the facts about every target of a set that a step selects.

        Only the targets of steps up to the index ``judged`` are asked what else holds them back, for that costs.
        """
        places = self._of_set(name)
        current = self._current(places)
        look = _Look(now=self.clock.now(), facts=self.state.facts(), judged=judged)
        return {
            place.target.id: self._of_target(
                place, step, look, is_current=place.target.id in current
            )
            for place, step in self._placed(name, plan)
        }

    def unmatched(self, name: str, plan: RolloutPlan) -> tuple[TargetId, ...]:
        """Return the targets of a set that no step selects."""
        placed = {place.target.id for place, _ in self._placed(name, plan)}
        return tuple(target.id for target in self.targets(name) if target.id not in placed)

    def present(self, id_: TargetId) -> bool:
        """Whether a target that leaves is still there, or may be: nobody waits for a cluster that is away."""
        if id_ in self.state.assigned:
            return True
        return self.state.status(id_) is not None and self.offline_at(id_.cluster) is not None

    def offline_at(self, cluster: ClusterName) -> datetime | None:
        """Return when a cluster will count as offline; None when it does."""
        return self._offline_at(cluster, self.clock.now())

    def _offline_at(self, cluster: ClusterName, now: datetime) -> datetime | None:
        seen = self.state.seen.get(cluster)
        if seen is None or seen.at is None or self.is_removing(cluster):
            return None
        end = max(seen.at, self._started or seen.at) + self.lease
        return end if end > now else None

    def _of_target(self, place: _Place, step: int, look: _Look, *, is_current: bool) -> TargetFacts:
        target, id_ = place.target, place.target.id
        candidate = self.state.candidates.get(id_)
        assigned = self.state.assigned.get(id_, "")
        status = self.state.status(id_)
        speaks = status is not None and bool(assigned) and status.assigned == assigned
        applied = status.applied if status is not None and speaks else ""
        is_idle = status is not None and speaks and applied != assigned
        window = _window(place, look.now) if is_idle else ""
        is_held_back = bool(is_idle and status and (status.waiting_for or window))
        offline_at = self._offline_at(id_.cluster, look.now)
        is_judged = step <= look.judged
        blocked, lacks = "", _NOBODY
        if (
            is_judged and not (applied and applied == assigned == _digest(candidate))
        ) or is_held_back:
            hold = self.state.holds.get(f"app/{id_}")
            blocked = moves.obstacle(target, look.facts, over_budget=hold.message if hold else "")
            blocked = blocked or window
            lacks = frozenset(moves.lacking(target, look.facts)) if place.needs else _NOBODY
        return TargetFacts(
            step=step,
            candidate=_digest(candidate),
            is_current=is_current,
            assigned=assigned,
            is_applied=place.is_automated or (bool(applied) and applied == assigned),
            is_good=status is not None
            and speaks
            and status.sync is Sync.SYNCED
            and status.health is Health.HEALTHY
            and offline_at is not None,
            is_held_back=is_held_back,
            is_judged=is_judged,
            blocked=blocked,
            needs=place.needs,
            lacks=lacks,
            is_pinned=id_ in self.state.pins,
            is_online=offline_at is not None,
            offline_at=offline_at,
            kinds=self.state.kinds.get(id_, _NO_KINDS),
        )

    def _placed(self, name: str, plan: RolloutPlan) -> tuple[tuple[_Place, int], ...]:
        known = self._steps.get(name)
        if known is None or known[0] is not plan:
            found = (
                (place, plan.step_of(place.target.application.labels))
                for place in self._of_set(name)
            )
            known = plan, tuple((place, step) for place, step in found if step is not None)
            self._steps[name] = known
        return known[1]

    def _of_set(self, name: str) -> tuple[_Place, ...]:
        desired = self.state.desired
        if desired is not self._desired:
            by_set: defaultdict[str, list[_Place]] = defaultdict(list)
            for id_ in sorted(desired.targets):
                target = desired.targets[id_]
                if target.application.appset:
                    by_set[target.application.appset].append(_place(target, desired.projects))
            self._by_set = {key: tuple(places) for key, places in by_set.items()}
            self._steps = {}
            self._desired = desired
        return self._by_set.get(name, ())

    def _current(self, places: tuple[_Place, ...]) -> frozenset[TargetId]:
        """Return the targets of which the newest word is known."""
        if any(self.is_rendering(place.target.id) for place in places):
            return frozenset()
        good = [place for place in places if not self.has_failed(place.target.id)]
        revisions: defaultdict[Sources, set[str]] = defaultdict(set)
        for place in good:
            revisions[place.sources].add(self.state.revisions.get(place.target.id, ""))
        return frozenset(place.target.id for place in good if len(revisions[place.sources]) == 1)


_NOBODY: frozenset[TargetId] = frozenset()
_NO_KINDS: Mapping[str, int] = {}


def _digest(candidate: moves.Candidate | None) -> str:
    return candidate.digest if candidate is not None and not candidate.error else ""


def _window(place: _Place, now: datetime) -> str:
    """Say which sync window holds a target back: it has its artifact and waits, which is no failure."""
    try:
        found = windows.decide(place.windows, now) if place.windows else windows.ALLOWED
    except BadInput:  # a time zone that this machine lacks: its agent decides
        return ""
    return found.message if isinstance(found, windows.Blocked) else ""


def _place(target: Target, projects: Mapping[str, AppProject]) -> _Place:
    application = target.application
    project = projects.get(application.project)
    return _Place(
        target=target,
        sources=tuple(
            (source.repo_url, source.target_revision, source.chart)
            for source in application.sources
        ),
        needs=frozenset(needed for edge in target.edges for needed in edge.targets),
        is_automated=application.sync_policy.automated is not None,
        windows=windows_for(project.windows, application) if project else (),
    )

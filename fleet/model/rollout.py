"""A rollout: an ApplicationSet's new artifacts handed out step by step, and how far that is.

`RolloutPlan` is what the set's document asks for (``spec.strategy`` and our annotations). `Rollout` is the durable
state: one `Member` a target, and where the rollout as a whole stands. `fleet.rollout` moves it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from fleet.model.identity import TargetId


class Operator(StrEnum):
    """How a label is compared; Argo CD's steps know these two."""

    IN = "In"
    NOT_IN = "NotIn"


class OnFailure(StrEnum):
    """What happens when more targets of a step failed than the budget allows."""

    STOP = "stop"
    RETURN = "return"
    """Stop, and bring what moved in the failed step back to the artifact that it had before."""


class Offline(StrEnum):
    """What a rollout does about clusters that were not heard of within the lease."""

    SKIP = "skip"
    """Set them aside; they are caught up through the same gates when they come back."""
    WAIT = "wait"


class DeletionOrder(StrEnum):
    """How the Applications of a removed set go."""

    ALL_AT_ONCE = "AllAtOnce"
    REVERSE = "Reverse"
    """One at a time, the last step first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A number of targets, or a share of them in percent."""

    amount: int
    is_percent: bool = False

    def of(self, count: int) -> int:
        """Return how many of so many targets that is, rounded down."""
        return count * self.amount // 100 if self.is_percent else self.amount

    def __str__(self) -> str:
        return f"{self.amount}%" if self.is_percent else str(self.amount)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRule:
    """One of a step's ``matchExpressions``, over the labels of the generated Application."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the rule holds; without the label In does not, and NotIn does."""
        return (labels.get(self.key) in self.values) is (self.operator is Operator.IN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step; all of its rules must hold."""

    rules: tuple[LabelRule, ...] = ()
    max_update: Limit | None = None
    """How many targets may move at the same time; None: all of them."""
    soak: timedelta = timedelta()
    """How long all of its targets must have been Synced and Healthy before the next step opens."""

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an Application with these labels belongs to the step."""
        return all(rule.matches(labels) for rule in self.rules)

    def room(self, count: int) -> int:
        """Return how many of the step's ``count`` targets may move at once: a share of more than 0 % is at least one."""
        if self.max_update is None:
            return count
        least = 1 if self.max_update.is_percent and self.max_update.amount > 0 else 0
        return max(least, self.max_update.of(count))


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutPlan:
    """What an ApplicationSet asks for; without annotations exactly Argo CD's RollingSync."""

    steps: tuple[Step, ...] = ()
    health_window: timedelta | None = None
    """A target that is not Synced and Healthy so long after it was let go has failed; None: nothing ever fails."""
    max_failures: Limit = field(default_factory=lambda: Limit(amount=0))
    """Failed targets that a step may have and still go on."""
    on_failure: OnFailure = OnFailure.STOP
    offline: Offline = Offline.SKIP
    deletion_order: DeletionOrder = DeletionOrder.ALL_AT_ONCE
    invalid: str = ""
    """Why nothing may be rolled out by it; empty when it may."""

    def step_of(self, labels: Mapping[str, str]) -> int | None:
        """Return the index of the first step that an Application belongs to; None: of no step."""
        return next((n for n, step in enumerate(self.steps) if step.matches(labels)), None)

    def steps_of(self, labels: Mapping[str, str]) -> tuple[int, ...]:
        """Return the index of every step that selects an Application."""
        return tuple(n for n, step in enumerate(self.steps) if step.matches(labels))


class TargetState(StrEnum):
    """Where one target stands in a rollout; the first four are Argo CD's."""

    WAITING = "Waiting"
    """Its artifact is new, and it is not its turn."""
    PENDING = "Pending"
    """Let go, not assigned yet."""
    PROGRESSING = "Progressing"
    """Assigned, not Synced and Healthy yet."""
    HEALTHY = "Healthy"
    FAILED = "Failed"
    """Not Synced and Healthy in time."""
    RETURNED = "Returned"
    """Brought back to the artifact that it had before."""
    SET_ASIDE = "SetAside"
    """Its cluster is offline: nobody waits for it."""


class RolloutState(StrEnum):
    """Where a rollout as a whole stands."""

    PROGRESSING = "Progressing"
    SOAKING = "Soaking"
    """All targets of the open step are Synced and Healthy, and have to stay so for a while."""
    PAUSED = "Paused"
    """By a person: nothing more is let go."""
    RETURNING = "Returning"
    """The failed step goes back to its previous artifacts."""
    STOPPED = "Stopped"
    """More targets failed than the budget allows."""
    ABORTED = "Aborted"
    """By a person: this version goes no further."""
    DONE = "Done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One target of a rollout, durable."""

    state: TargetState
    digest: str
    """The artifact that this is about; another candidate makes a new start."""
    since: datetime
    """When it came into its state."""
    step: int
    previous: str | None = None
    """The last artifact that was not in doubt when it was let go; empty: there was none. None: it never moved."""
    previous_kinds: Mapping[str, int] = field(default_factory=dict)
    moved: bool = False
    """Whether it was let go to its digest, and not found there."""
    excused: bool = False
    """Whether a person said to go on although it failed."""
    refused: bool = False
    """Whether a person said that it does not go to its digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a rollout stands besides its members, durable."""

    state: RolloutState = RolloutState.PROGRESSING
    version: int = 1
    """Grows whenever a member has another artifact to go to."""
    passed: int = 0
    """Steps that are done in this version."""
    promoted: int = 0
    """Steps that a person opened: neither their limit nor their soak counts."""
    is_full: bool = False
    """Whether a person opened all steps at once."""
    since: datetime | None = None
    started: datetime | None = None
    """When this version began."""
    reason: str = ""
    """Why it is paused, stopped or aborted."""
    plan: RolloutPlan = field(default_factory=RolloutPlan)
    """The last one: it goes on where the document cannot be read, and says how a removed set goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """A rollout of one ApplicationSet."""

    standing: Standing = field(default_factory=Standing)
    members: Mapping[TargetId, Member] = field(default_factory=dict)

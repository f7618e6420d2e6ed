"""The rollout machine: two tables (state, event) -> state, one for a target and one for the rollout of a set.

    Waiting --RELEASED--> Pending --ASSIGNED--> Progressing --GOOD--> Healthy
       ^ CHANGED (from all)                          | EXPIRED
       |                                             v
    Returned <--RETURN-- what moved in a step that <-- Failed

What happened is found by `fleet.rollouts`: `following` for one target, `gates` for the steps, `advance` for both;
`orders` is what a person may say. An event that a state does not know is an error, never ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from fleet.errors import FleetError
from fleet.model.rollout import Member, RolloutState, Standing, TargetState


class WrongEvent(FleetError):
    """A state does not know an event."""

    reason = "WrongEvent"


class TargetEvent(StrEnum):
    """What can happen to a target."""

    CHANGED = "changed"
    """It has another artifact to go to."""
    FOUND = "found"
    """It is at its artifact already, without having been let go."""
    RELEASED = "released"
    """Its step is open and there is room."""
    ORDERED = "ordered"
    """A person lets it go, whatever the steps say."""
    ASSIGNED = "assigned"
    """Its artifact is assigned, and no dependency on its cluster holds it back."""
    BLOCKED = "blocked"
    """A dependency on its cluster holds it back although it is assigned."""
    WITHDRAWN = "withdrawn"
    """It was let go and not assigned yet, and the rollout stopped."""
    GOOD = "good"
    """It is Synced and Healthy at its artifact."""
    FELL = "fell"
    """It is so no more, while its step soaks."""
    EXPIRED = "expired"
    """The health window is over."""
    LOST = "lost"
    """Its cluster is offline."""
    HEARD = "heard"
    """Its cluster is back."""
    RETURN = "return"
    """It goes back to the artifact that it had before."""
    RETRY = "retry"
    """A person says that it shall try its artifact again."""


class RolloutEvent(StrEnum):
    """What can happen to a rollout."""

    NEW_VERSION = "new-version"
    MOVING = "moving"
    """The open step has something to do."""
    SOAK = "soak"
    """All targets of the open step are good, and not for long enough."""
    FINISHED = "finished"
    """All steps are done."""
    SPENT = "spent"
    """More targets failed than the budget allows."""
    SPENT_RETURN = "spent-return"
    """The same, and what moved in the step goes back."""
    BACK = "back"
    """Everything that was to go back is back."""
    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"
    RETRY = "retry"
    ABORT = "abort"
    ABORT_RETURN = "abort-return"


_T, _E = TargetState, TargetEvent

TARGETS: Mapping[tuple[TargetState, TargetEvent], TargetState] = {
    **{(state, _E.CHANGED): _T.WAITING for state in _T},
    (_T.WAITING, _E.FOUND): _T.HEALTHY,
    (_T.WAITING, _E.RELEASED): _T.PENDING,
    (_T.WAITING, _E.ORDERED): _T.PENDING,
    (_T.SET_ASIDE, _E.ORDERED): _T.PENDING,
    (_T.RETURNED, _E.ORDERED): _T.PENDING,
    (_T.FAILED, _E.ORDERED): _T.PROGRESSING,
    (_T.PENDING, _E.ASSIGNED): _T.PROGRESSING,
    (_T.WAITING, _E.ASSIGNED): _T.PROGRESSING,
    (_T.PROGRESSING, _E.BLOCKED): _T.PENDING,
    (_T.PENDING, _E.WITHDRAWN): _T.WAITING,
    (_T.PROGRESSING, _E.GOOD): _T.HEALTHY,
    (_T.FAILED, _E.GOOD): _T.HEALTHY,
    (_T.HEALTHY, _E.FELL): _T.PROGRESSING,
    (_T.PROGRESSING, _E.EXPIRED): _T.FAILED,
    (_T.WAITING, _E.LOST): _T.SET_ASIDE,
    (_T.PENDING, _E.LOST): _T.SET_ASIDE,
    (_T.PROGRESSING, _E.LOST): _T.SET_ASIDE,
    (_T.SET_ASIDE, _E.HEARD): _T.WAITING,
    (_T.PENDING, _E.RETURN): _T.RETURNED,
    (_T.PROGRESSING, _E.RETURN): _T.RETURNED,
    (_T.HEALTHY, _E.RETURN): _T.RETURNED,
    (_T.FAILED, _E.RETURN): _T.RETURNED,
    (_T.SET_ASIDE, _E.RETURN): _T.RETURNED,
    (_T.FAILED, _E.RETRY): _T.PROGRESSING,
    (_T.RETURNED, _E.RETRY): _T.WAITING,
}  # fmt: skip
"""Every transition of a target."""

_R, _V = RolloutState, RolloutEvent
_RUNNING = (_R.PROGRESSING, _R.SOAKING, _R.DONE)
_HELD = (_R.PAUSED, _R.STOPPED, _R.ABORTED)

ROLLOUTS: Mapping[tuple[RolloutState, RolloutEvent], RolloutState] = {
    **{(state, _V.NEW_VERSION): _R.PROGRESSING for state in _R if state is not _R.PAUSED},
    (_R.PAUSED, _V.NEW_VERSION): _R.PAUSED,
    **{(state, _V.MOVING): _R.PROGRESSING for state in _RUNNING},
    **{(state, _V.SOAK): _R.SOAKING for state in _RUNNING},
    **{(state, _V.FINISHED): _R.DONE for state in _RUNNING},
    **{(state, _V.SPENT): _R.STOPPED for state in _RUNNING},
    **{(state, _V.SPENT_RETURN): _R.RETURNING for state in _RUNNING},
    (_R.RETURNING, _V.BACK): _R.STOPPED,
    **{(state, _V.PAUSE): _R.PAUSED for state in _RUNNING},
    **{(state, _V.RESUME): _R.PROGRESSING for state in _HELD},
    **{(state, _V.PROMOTE): _R.PROGRESSING for state in (_R.PROGRESSING, _R.SOAKING)},
    **{(state, _V.RETRY): _R.PROGRESSING for state in _R if state is not _R.PAUSED},
    **{(state, _V.ABORT): _R.ABORTED for state in _R if state not in (_R.DONE, _R.ABORTED)},
    **{(state, _V.ABORT_RETURN): _R.RETURNING for state in _R if state is not _R.RETURNING},
}  # fmt: skip
"""Every transition of a rollout."""


LET_GO = frozenset((_T.PENDING, _T.PROGRESSING, _T.HEALTHY, _T.FAILED))
"""States in which a target may have its new artifact."""


def moved(member: Member, event: TargetEvent, now: datetime) -> Member:
    """Return a target after an event; raises WrongEvent."""
    state = TARGETS.get((member.state, event))
    if state is None:
        raise WrongEvent(f"a target that is {member.state} does not know {event}")
    return replace(member, state=state, since=now)


def stands(standing: Standing, event: RolloutEvent, now: datetime) -> Standing:
    """Return where a rollout stands after an event; raises WrongEvent. Its time is that of the last real change."""
    state = ROLLOUTS.get((standing.state, event))
    if state is None:
        raise WrongEvent(f"a rollout that is {standing.state} does not know {event}")
    return standing if state is standing.state else replace(standing, state=state, since=now)

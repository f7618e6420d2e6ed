"""How ApplicationSets stand, as Argo CD rates them: what waves of an app of apps wait for. Pure reading.

A set is rated by its conditions (`fleet.health`), which the hub has no object for and says here: errors make it Degraded,
a rollout under way or a result that waits for an approval Progressing. How its Applications are does not count, unless a
rollout waits for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fleet.argo.application import API_VERSION
from fleet.codec.jsontypes import JsonObject
from fleet.health.assess import assess
from fleet.model.identity import TargetId
from fleet.model.report import Health
from fleet.model.target import Target
from hub.state import SetStatus, State

IsRendering = Callable[[TargetId], bool]


def health(state: State, name: str, is_rendering: IsRendering = lambda _id: False) -> Health:
    """Rate a set as it is now; ``is_rendering``: whether a target is about to be looked at."""
    return rate(state.desired.sets.get(name), is_rolling=_is_rolling(state, name, is_rendering))


def rate(status: SetStatus | None, *, is_rolling: bool) -> Health:
    """Rate a set by its last evaluation; None: there was none yet."""
    conditions: dict[str, bool] = {}
    if status is not None:
        conditions = {
            "ErrorOccurred": bool(status.errors),
            "RolloutProgressing": is_rolling,
            "ResourcesUpToDate": not (status.errors or status.held),
        }
    found: JsonObject = {
        "apiVersion": API_VERSION,
        "kind": "ApplicationSet",
        "status": {
            "conditions": [
                {"type": word, "status": "True"} for word, holds in conditions.items() if holds
            ]
        },
    }
    result = assess(found)
    return result.status if result else Health.UNKNOWN


def _is_rolling(state: State, name: str, is_rendering: IsRendering) -> bool:
    """Whether a set has a rollout that has not brought all of its targets to what git wants now."""
    appset = state.desired.appsets.get(name)
    plan = appset.rollout if appset else None
    if (
        plan is None or plan.invalid
    ):  # in Argo CD that is a condition of its own, which is not rated
        return False
    seen = state.rolled.get(name)
    if seen is None:
        return True
    return any(
        is_rendering(target.id)
        or (candidate := state.candidates.get(target.id)) is None
        or candidate.digest != seen.get(target.id)
        for target in _targets(state, name)
        if plan.step_of(target.application.labels) is not None
    )


def _targets(state: State, name: str) -> Iterator[Target]:
    status = state.desired.sets.get(name)
    for application in status.applications if status else ():
        for cluster in state.placement.places.get(application, ()):
            yield state.on_cluster(cluster)[application]

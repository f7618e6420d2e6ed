"""Health of kinds without a rule of their own, from the conventions that controllers follow.

In this order: a controller that has not seen the newest generation; conditions that say failure or pause; conditions
that say readiness (Ready, Available, ...Ready), whose False means broken or merely not yet, by the words of the
reason; conditions that say work (Reconciling, Progressing); words in phase or state; counts of replicas. An object
that says nothing of this has no rule (None) and counts as done, unless its group is known to report: then the report
is still to come.
"""

from __future__ import annotations

from fleet.codec.jsontypes import JsonObject
from fleet.health.fields import (
    at,
    is_behind,
    is_older,
    map_at,
    maps_at,
    number_at,
    optional_number_at,
    text_at,
)
from fleet.health.reporting import reports
from fleet.health.result import HealthResult
from fleet.health.words import (
    is_on_its_way,
    says_failure,
    says_fine,
    says_pause,
    word_health,
    words_of,
)
from fleet.model.report import Health

_RANK = {health: rank for rank, health in enumerate(Health)}
_BEHIND = HealthResult(Health.PROGRESSING, "the controller has not seen the newest generation yet")
_FAILURE_TYPES = frozenset(
    ("Stalled", "Failed", "Failure", "Degraded", "Error", "Invalid", "InvalidSpec", "ACK.Terminal", "FetchFailed",
     "ReplicaFailure", "ErrorOccurred", "Orphan")
)  # fmt: skip
_FAILURE_ENDS = frozenset(("error", "failed", "failure"))
_WORK_TYPES = frozenset(
    (
        "Reconciling",
        "Progressing",
        "Updating",
        "Upgrading",
        "Creating",
        "InProgress",
        "Pending",
        "Issuing",
    )
)
_PLACES = ("parents", "ancestors", "ingress")
_PAUSED_TYPES = frozenset(("Paused", "Suspended"))
_MAIN_TYPES = ("Ready", "Available", "Healthy")
_OTHER_TYPES = frozenset(
    ("Synced", "Complete", "Completed", "Succeeded", "Established", "Programmed", "Admitted", "Valid", "Accepted",
     "Running", "Deployed", "ResolvedRefs")
)  # fmt: skip
_READY_ENDS = frozenset(("ready", "available", "healthy", "success", "applied", "synced", "valid"))


def generic(body: JsonObject) -> HealthResult | None:
    """Judge by the general conventions; None where the object says nothing."""
    status = map_at(body, "status")
    conditions = [item for item in maps_at(status, "conditions") if text_at(item, "type")]
    if is_behind(body):
        return _current_failure(conditions, body) or _BEHIND
    said = _by_conditions(conditions, body) or _by_places(status, body)
    by_words = _by_words(status)
    if by_words and (said is None or by_words.status in (Health.DEGRADED, Health.SUSPENDED)):
        said = by_words
    found = said or _by_error(status) or _by_counts(status)
    if found is None and reports(body):
        return HealthResult(Health.PROGRESSING, "waits for its status")
    return found


def _by_conditions(conditions: list[JsonObject], body: JsonObject) -> HealthResult | None:
    for judge in (_failure, _pause):
        found = next((item for item in conditions if judge(item)), None)
        if found is not None:
            status = Health.DEGRADED if judge is _failure else Health.SUSPENDED
            return HealthResult(status, _message(found))
    working = next((item for item in conditions if _works(item)), None)
    readiness = _readiness(conditions)
    for item in readiness:
        if not _holds(item):
            return HealthResult(_not_ready(item, working), _message(item))
    if any(is_older(item.get("observedGeneration"), body) for item in readiness):
        return _BEHIND
    if working is not None:
        return HealthResult(Health.PROGRESSING, _message(working))
    return HealthResult(Health.HEALTHY, _message(readiness[0])) if readiness else None


def _by_places(status: JsonObject, body: JsonObject) -> HealthResult | None:
    """The worst of the places that each report for themselves (Gateway API, OpenShift routes)."""
    found = []
    for name in _PLACES:
        for place in maps_at(status, name):
            conditions = [item for item in maps_at(place, "conditions") if text_at(item, "type")]
            result = _by_conditions(conditions, body)
            if result is not None:
                found.append(result)
    return max(found, key=lambda result: _RANK[result.status], default=None)


def _current_failure(conditions: list[JsonObject], body: JsonObject) -> HealthResult | None:
    """A failure about the newest generation; some controllers count only successes as observed."""
    for item in conditions:
        seen = item.get("observedGeneration")
        if _failure(item) and isinstance(seen, int) and not is_older(seen, body):
            return HealthResult(Health.DEGRADED, _message(item))
    return None


def _readiness(conditions: list[JsonObject]) -> list[JsonObject]:
    """The conditions that say whether it is ready, the one that matters most first."""
    main = [item for name in _MAIN_TYPES for item in conditions if item["type"] == name]
    others = [item for item in conditions if item["type"] in _OTHER_TYPES]
    if main:
        # Beside the main one, another kind of readiness counts when it reports a failure.
        return main[:1] + [item for item in others if _fails(item)]
    return others + [item for item in conditions if _last_word(item) in _READY_ENDS]


def _holds(item: JsonObject) -> bool:
    return item.get("status") in ("True", "true", True)


def _denied(item: JsonObject) -> bool:
    return item.get("status") in ("False", "false", False)


def _fails(item: JsonObject) -> bool:
    return _denied(item) and says_failure(text_at(item, "reason"))


def _failure(item: JsonObject) -> bool:
    if _holds(item):
        if item["type"] == "NotReady":
            return not is_on_its_way(text_at(item, "reason"))
        return item["type"] in _FAILURE_TYPES or _last_word(item) in _FAILURE_ENDS
    is_readiness = item["type"] in _MAIN_TYPES or item["type"] in _OTHER_TYPES
    return _fails(item) and (is_readiness or item["type"] in _WORK_TYPES)


def _pause(item: JsonObject) -> bool:
    if _holds(item):
        return item["type"] in _PAUSED_TYPES
    return says_pause(text_at(item, "reason"))


def _works(item: JsonObject) -> bool:
    if item["type"] not in _WORK_TYPES:
        return False
    # Deployments and what imitates them keep Progressing=True when they are done, with a reason that says so.
    return not _denied(item) and not says_fine(text_at(item, "reason").removeprefix("New"))


def _not_ready(item: JsonObject, working: JsonObject | None) -> Health:
    if not _denied(item) or working is not None:
        return Health.PROGRESSING
    reason = text_at(item, "reason")
    return Health.PROGRESSING if not reason or is_on_its_way(reason) else Health.DEGRADED


def _by_words(status: JsonObject) -> HealthResult | None:
    """The worst of what phase, state and health say."""
    found = []
    for name in ("phase", "state", "health", "status"):
        text = text_at(status, name)
        health = word_health(text) if text else None
        if health is not None:
            found.append(HealthResult(health, text_at(status, "message") or text))
    return max(found, key=lambda result: _RANK[result.status], default=None)


def _by_error(status: JsonObject) -> HealthResult | None:
    error = at(status, "error")
    if error:
        return HealthResult(
            Health.DEGRADED, text_at(status, "error", "message") or str(error)[:200]
        )
    for name in ("ready", "readyToUse"):
        value = at(status, name)
        if isinstance(value, bool):
            return HealthResult(Health.HEALTHY if value else Health.PROGRESSING, "")
    return None


def _by_counts(status: JsonObject) -> HealthResult | None:
    wanted, ready = optional_number_at(status, "replicas"), number_at(status, "readyReplicas")
    if wanted is None:
        return None
    if ready < wanted:
        return HealthResult(Health.PROGRESSING, f"{ready} of {wanted} replicas are ready")
    return HealthResult(Health.HEALTHY)


def _last_word(item: JsonObject) -> str:
    words = words_of(text_at(item, "type"))
    name = text_at(item, "type").lower()
    return next((word for word in sorted(words) if name.endswith(word)), "")


def _message(item: JsonObject) -> str:
    return text_at(item, "message") or text_at(item, "reason")

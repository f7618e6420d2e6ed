"""Health of kinds without a rule of their own, from the conventions that controllers follow.

In this order: a pause that the spec asks for; a controller that has not seen the newest generation; conditions that say
failure or pause; conditions that say readiness (Ready, Available, ...Ready), whose False means broken or merely not
yet, by the words of the reason or message; conditions that say work (Reconciling, Progressing); words in phase or
state; a failure message; counts of replicas; any other condition whose reason names a failure. An object
that says nothing of this has no rule (None) and counts as done: many controllers never say anything.
"""

from __future__ import annotations

from fleet.codec.jsontypes import JsonObject
from fleet.health.fields import (
    at,
    is_behind,
    is_older,
    map_at,
    maps_at,
    optional_number_at,
    text_at,
)
from fleet.health.result import HealthResult
from fleet.health.words import (
    is_on_its_way,
    says_failure,
    says_fine,
    says_pause,
    starts_with_failure,
    tells_failure,
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
_FAILURE_ENDS = frozenset(
    (
        "degraded",
        "error",
        "errors",
        "failed",
        "failure",
        "failing",
        "invalid",
        "irreconcilable",
        "misconfigured",
        "stalled",
        "unhealthy",
        "unreachable",
        "unsupported",
    )
)
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
_WORK_ENDS = frozenset(("progressing", "reconciling", "upgrading"))
_RUN_OF_ANSIBLE = "Running reconciliation"
"""What operators made with Ansible say of Running while a run goes on; else it is True as well."""
_OFFERS = frozenset(("update", "updates", "upgrade", "upgrades", "version", "versions"))
"""What may be available without anything waiting for it."""
_COUNTS = ("readyReplicas", "availableReplicas", "updatedReadyReplicas", "updatedAvailableReplicas")
_PLACES = ("parents", "ancestors", "ingress")
_PAUSED_ENDS = frozenset(("paused", "suspended", "stopped", "hibernated", "hibernation"))
_PAUSES = ("suspend", "suspended", "paused")
_MAIN_TYPES = ("Ready", "Available", "Healthy")
_OTHER_TYPES = frozenset(
    ("Synced", "Complete", "Completed", "Succeeded", "Established", "Programmed", "Admitted", "Valid", "Accepted",
     "Running", "Deployed", "ResolvedRefs", "Active", "Configured", "Connected", "Installed", "Online", "Provisioned",
     "Reconciled", "Registered", "Serving", "Successful")
)  # fmt: skip
_READY_ENDS = frozenset(("ready", "available", "healthy", "success", "applied", "synced", "valid"))


def generic(body: JsonObject) -> HealthResult | None:
    """Judge by the general conventions; None where the object says nothing."""
    status = map_at(body, "status")
    conditions = [item for item in maps_at(status, "conditions") if text_at(item, "type")]
    if any(at(body, "spec", name) is True for name in _PAUSES):
        return HealthResult(Health.SUSPENDED, "its spec asks for a pause")
    if is_behind(body):
        return _current_failure(conditions, body) or _BEHIND
    said = _by_conditions(conditions, body) or _by_places(status, body)
    by_words = _by_words(status)
    if by_words is not None and (said is None or _outweighs(by_words, said, conditions)):
        said = by_words
    return _by_error(status, said) or said or _by_counts(body) or _by_reasons(conditions)


def _outweighs(words: HealthResult, said: HealthResult, conditions: list[JsonObject]) -> bool:
    """Whether a phase is believed over conditions: one that names trouble is, and one that names work over minor ones."""
    if words.status in (Health.DEGRADED, Health.SUSPENDED):
        return True
    if words.status is Health.PROGRESSING and said.status is Health.DEGRADED:
        return not any(_tells_of_failure(item) for item in conditions)
    has_main = any(item["type"] in _MAIN_TYPES for item in conditions)
    return (words.status, said.status, has_main) == (Health.PROGRESSING, Health.HEALTHY, False)


def _tells_of_failure(item: JsonObject) -> bool:
    """Whether a condition names a failure in its reason or message, rather than merely not to be ready."""
    if _failure(item, is_working=True):
        return True
    message = text_at(item, "message")
    return not _holds(item) and (says_failure(text_at(item, "reason")) or tells_failure(message))


def _by_conditions(conditions: list[JsonObject], body: JsonObject) -> HealthResult | None:
    working = next((item for item in conditions if _works(item)), None)
    for item in conditions:
        if _failure(item, is_working=working is not None):
            return HealthResult(Health.DEGRADED, _message(item))
    for item in conditions:
        if _pause(item):
            return HealthResult(Health.SUSPENDED, _message(item))
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
        if _failure(item, is_working=False) and isinstance(seen, int) and not is_older(seen, body):
            return HealthResult(Health.DEGRADED, _message(item))
    return None


def _readiness(conditions: list[JsonObject]) -> list[JsonObject]:
    """The conditions that say whether it is ready, the one that matters most first."""
    main = [item for name in _MAIN_TYPES for item in conditions if item["type"] == name]
    others = [item for item in conditions if item["type"] in _OTHER_TYPES and not _has_run(item)]
    if main:
        # Beside the main one, another kind of readiness counts when it reports a failure.
        return main[:1] + [item for item in others if _fails(item)]
    return others + [item for item in conditions if _ends_ready(item)]


def _ends_ready(item: JsonObject) -> bool:
    return _last_word(item) in _READY_ENDS and not words_of(text_at(item, "type")) & _OFFERS


def _has_run(item: JsonObject) -> bool:
    """Whether it does not run any more because it is done."""
    reason = text_at(item, "reason").replace("Running", "")
    return item["type"] == "Running" and _denied(item) and says_fine(reason)


def _holds(item: JsonObject) -> bool:
    return item.get("status") in ("True", "true", True)


def _denied(item: JsonObject) -> bool:
    return item.get("status") in ("False", "false", False)


def _fails(item: JsonObject, *, is_working: bool = False) -> bool:
    return _denied(item) and says_failure(text_at(item, "reason"), is_working=is_working)


def _failure(item: JsonObject, *, is_working: bool) -> bool:
    if _holds(item):
        if item["type"] == "NotReady":
            return not is_on_its_way(text_at(item, "reason"))
        return _is_trouble(item)
    is_readiness = item["type"] in _MAIN_TYPES or item["type"] in _OTHER_TYPES
    return _fails(item, is_working=is_working) and (is_readiness or item["type"] in _WORK_TYPES)


def _pause(item: JsonObject) -> bool:
    if _holds(item):
        return _last_word(item) in _PAUSED_ENDS
    return says_pause(text_at(item, "reason"))


def _works(item: JsonObject) -> bool:
    if item["type"] == "Running":
        return _holds(item) and text_at(item, "message") == _RUN_OF_ANSIBLE
    if item["type"] not in _WORK_TYPES and not (_holds(item) and _last_word(item) in _WORK_ENDS):
        return False
    # Deployments and what imitates them keep Progressing=True when they are done, with a reason that says so.
    return not _denied(item) and not says_fine(text_at(item, "reason").removeprefix("New"))


def _not_ready(item: JsonObject, working: JsonObject | None) -> Health:
    if not _denied(item) or working is not None:
        return Health.PROGRESSING
    reason, message = text_at(item, "reason"), text_at(item, "message")
    if not reason:
        return Health.DEGRADED if tells_failure(message) else Health.PROGRESSING
    is_working = is_on_its_way(reason) and not starts_with_failure(message)
    return Health.PROGRESSING if is_working else Health.DEGRADED


def _by_words(status: JsonObject) -> HealthResult | None:
    """The worst of what phase, state and health say."""
    found = []
    for name in ("phase", "state", "health", "status"):
        text = text_at(status, name)
        health = word_health(text) if text else None
        if health is not None:
            found.append(HealthResult(health, text_at(status, "message") or text))
    return max(found, key=lambda result: _RANK[result.status], default=None)


def _by_error(status: JsonObject, said: HealthResult | None) -> HealthResult | None:
    """Fields that tell an error, and those that tell readiness where nothing else does."""
    for name in ("failureMessage", "failureReason", "errorMessage"):
        if failure := text_at(status, name):
            return HealthResult(Health.DEGRADED, failure)
    if said is not None:
        return None
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


def _by_counts(body: JsonObject) -> HealthResult | None:
    status = map_at(body, "status")
    wanted = optional_number_at(status, "replicas")
    counts = [count for name in _COUNTS if (count := optional_number_at(status, name)) is not None]
    # A count of none is often left out: then only a spec with replicas tells that they are counted at all.
    if wanted is None or (not counts and at(body, "spec", "replicas") is None):
        return None
    ready = min(counts, default=0)
    if ready < wanted:
        return HealthResult(Health.PROGRESSING, f"{ready} of {wanted} replicas are ready")
    return HealthResult(Health.HEALTHY)


def _by_reasons(conditions: list[JsonObject]) -> HealthResult | None:
    for item in conditions:
        if _denied(item) and not _is_trouble(item) and _fails(item):
            return HealthResult(Health.DEGRADED, _message(item))
    return None


def _is_trouble(item: JsonObject) -> bool:
    """Whether a condition names something bad, so that False is good."""
    return item["type"] in _FAILURE_TYPES or _last_word(item) in _FAILURE_ENDS


def _last_word(item: JsonObject) -> str:
    words = words_of(text_at(item, "type"))
    name = text_at(item, "type").lower()
    return next((word for word in sorted(words) if name.endswith(word)), "")


def _message(item: JsonObject) -> str:
    return text_at(item, "message") or text_at(item, "reason")

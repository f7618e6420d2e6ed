"""Health of an Argo Rollout, also of old controllers that wrote no phase.

Source: the Rollout's status as Argo Rollouts documents it and Argo CD reads it; a phase is believed where there is one.
"""

from __future__ import annotations

from fleet.codec.jsontypes import JsonObject
from fleet.health.fields import at, list_at, map_at, maps_at, number_at, optional_number_at, text_at
from fleet.health.result import HEALTHY, HealthResult
from fleet.health.rows import BEHIND
from fleet.model.report import Health

_PHASES = {
    "Healthy": Health.HEALTHY,
    "Paused": Health.SUSPENDED,
    "Progressing": Health.PROGRESSING,
    "Degraded": Health.DEGRADED,
}
_ENDED = frozenset(("RolloutAborted", "ProgressDeadlineExceeded"))
_WORKLOAD_GENERATION = "rollout.argoproj.io/workload-generation"


def rollout(body: JsonObject) -> HealthResult:
    """Judge a Rollout."""
    status = map_at(body, "status")
    if not _is_observed(body):
        return BEHIND
    if phase := text_at(status, "phase"):
        return HealthResult(_PHASES.get(phase, Health.UNKNOWN), text_at(status, "message"))
    return (
        _failure(status)
        or _pause(body, status)
        or _replicas(body, status)
        or _cutover(body, status)
    )


def _progressing(message: str) -> HealthResult:
    return HealthResult(Health.PROGRESSING, message)


def _is_observed(body: JsonObject) -> bool:
    """Whether the newest spec, and that of the workload it refers to, has been seen; old controllers wrote a hash."""
    if not isinstance(at(body, "status"), dict):
        return False
    observed = _number(at(body, "status", "observedGeneration"))
    generation = number_at(body, "metadata", "generation")
    if observed is not None and observed < generation:
        return False
    if at(body, "spec", "workloadRef") is None or at(body, "metadata", "annotations") is None:
        return True
    wanted = _number(at(body, "metadata", "annotations", _WORKLOAD_GENERATION))
    return wanted == _number(at(body, "status", "workloadObservedGeneration"))


def _number(value: object) -> int | None:
    return int(value) if isinstance(value, (int, str)) and str(value).isdecimal() else None


def _failure(status: JsonObject) -> HealthResult | None:
    for item in maps_at(status, "conditions"):
        is_ended = item.get("type") == "Progressing" and text_at(item, "reason") in _ENDED
        if item.get("type") == "InvalidSpec" or is_ended:
            return HealthResult(Health.DEGRADED, text_at(item, "message"))
    return None


def _pause(body: JsonObject, status: JsonObject) -> HealthResult | None:
    if list_at(status, "pauseConditions") or at(body, "spec", "paused") is True:
        return HealthResult(Health.SUSPENDED, "paused")
    return None


def _replicas(body: JsonObject, status: JsonObject) -> HealthResult | None:
    if not text_at(status, "currentPodHash"):
        return _progressing("waits for its status")
    wanted = optional_number_at(body, "spec", "replicas")
    wanted = 1 if wanted is None else wanted
    updated = number_at(status, "updatedReplicas")
    available = number_at(status, "availableReplicas")
    if updated < wanted:
        return _progressing(f"{updated} of {wanted} replicas are updated")
    if available < updated:
        return _progressing(f"{available} of {updated} updated replicas are available")
    return None


def _cutover(body: JsonObject, status: JsonObject) -> HealthResult:
    current = text_at(status, "currentPodHash")
    stable = text_at(status, "stableRS") or text_at(status, "canary", "stableRS")
    if at(body, "spec", "strategy", "blueGreen") is not None:
        if text_at(status, "blueGreen", "activeSelector") != current:
            return _progressing("the active service has not been switched yet")
        if stable not in ("", current):
            return _progressing("waits for its analysis")
    elif at(body, "spec", "strategy", "canary") is not None:
        old = number_at(status, "replicas") - number_at(status, "updatedReplicas")
        if old > 0:
            return _progressing(f"{old} old replicas are still there")
        if stable != current:
            return _progressing("its steps are not done")
    return HEALTHY

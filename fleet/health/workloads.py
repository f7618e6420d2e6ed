"""Health of what runs: Deployment, StatefulSet, DaemonSet, ReplicaSet, Pod, Job, CronJob.

Rules: argo.md 2.7, first match wins. Differences from Argo CD: a Job's condition counts only while it is not False
(a Job that was resumed keeps the condition Suspended=False and is not finished by that).
"""

from __future__ import annotations

from fleet.codec.jsontypes import JsonObject
from fleet.health.fields import (
    at,
    condition,
    list_at,
    map_at,
    maps_at,
    number_at,
    optional_number_at,
    text_at,
)
from fleet.health.result import HEALTHY, HealthResult
from fleet.model.report import Health

IGNORE_RESTART_POLICY = "argocd.argoproj.io/ignore-restart-policy"


def _progressing(message: str) -> HealthResult:
    return HealthResult(Health.PROGRESSING, message)


_BEHIND = _progressing("the controller has not seen the newest generation yet")


def _observed(body: JsonObject) -> bool:
    return number_at(body, "metadata", "generation") <= number_at(
        body, "status", "observedGeneration"
    )


def deployment(body: JsonObject) -> HealthResult:
    """Judge a Deployment of apps/v1."""
    if at(body, "spec", "paused") is True:
        return HealthResult(Health.SUSPENDED, "paused")
    if not _observed(body):
        return _BEHIND
    if text_at(condition(body, "Progressing"), "reason") == "ProgressDeadlineExceeded":
        return HealthResult(Health.DEGRADED, "progress deadline exceeded")
    wanted = optional_number_at(body, "spec", "replicas")
    status = map_at(body, "status")
    updated, available = (
        number_at(status, "updatedReplicas"),
        number_at(status, "availableReplicas"),
    )
    if wanted is not None and updated < wanted:
        return _progressing(f"{updated} of {wanted} replicas are updated")
    if (total := number_at(status, "replicas")) > updated:
        return _progressing(f"{total - updated} old replicas are still there")
    if available < updated:
        return _progressing(f"{available} of {updated} updated replicas are available")
    return HEALTHY


def stateful_set(body: JsonObject) -> HealthResult:
    """Judge a StatefulSet."""
    status, spec = map_at(body, "status"), map_at(body, "spec")
    if number_at(status, "observedGeneration") == 0 or not _observed(body):
        return _BEHIND
    wanted = optional_number_at(spec, "replicas")
    ready, updated = number_at(status, "readyReplicas"), number_at(status, "updatedReplicas")
    if wanted is not None and ready < wanted:
        return _progressing(f"{ready} of {wanted} pods are ready")
    strategy = map_at(spec, "updateStrategy")
    rolling = at(strategy, "rollingUpdate")
    if text_at(strategy, "type") == "RollingUpdate" and rolling is not None:
        partition = optional_number_at(strategy, "rollingUpdate", "partition")
        if wanted is not None and partition is not None and updated < wanted - partition:
            return _progressing(f"{updated} of {wanted - partition} pods are updated")
        return HEALTHY
    if text_at(strategy, "type") == "OnDelete":
        return HEALTHY
    if text_at(status, "updateRevision") != text_at(status, "currentRevision"):
        return _progressing(f"{updated} pods are at the new revision")
    return HEALTHY


def daemon_set(body: JsonObject) -> HealthResult:
    """Judge a DaemonSet."""
    if not _observed(body):
        return _BEHIND
    status = map_at(body, "status")
    if text_at(body, "spec", "updateStrategy", "type") == "OnDelete":
        return HEALTHY
    wanted = number_at(status, "desiredNumberScheduled")
    if (updated := number_at(status, "updatedNumberScheduled")) < wanted:
        return _progressing(f"{updated} of {wanted} pods are updated")
    if (available := number_at(status, "numberAvailable")) < wanted:
        return _progressing(f"{available} of {wanted} pods are available")
    return HEALTHY


def replica_set(body: JsonObject) -> HealthResult:
    """Judge a ReplicaSet."""
    if not _observed(body):
        return _BEHIND
    failure = condition(body, "ReplicaFailure")
    if failure.get("status") == "True":
        return HealthResult(Health.DEGRADED, text_at(failure, "message"))
    wanted = optional_number_at(body, "spec", "replicas")
    available = number_at(body, "status", "availableReplicas")
    if wanted is not None and available < wanted:
        return _progressing(f"{available} of {wanted} replicas are available")
    return HEALTHY


def job(body: JsonObject) -> HealthResult:
    """Judge a Job."""
    holding = {
        text_at(item, "type"): text_at(item, "message")
        for item in maps_at(body, "status", "conditions")
        if item.get("status") != "False"
    }
    if "Failed" in holding:
        return HealthResult(Health.DEGRADED, holding["Failed"])
    if "Suspended" in holding:
        return HealthResult(Health.SUSPENDED, holding["Suspended"])
    if "Complete" in holding:
        return HealthResult(Health.HEALTHY, holding["Complete"])
    return _progressing("running")


def cron_job(body: JsonObject) -> HealthResult:
    """Judge a CronJob: unhealthy only when nothing runs and the last run is known not to have succeeded.

    One that is suspended is as its author wants it, and must not hold up an application: Healthy, as with Argo CD.
    """
    status = at(body, "status")
    if at(body, "spec", "suspend") is True:
        return HealthResult(Health.HEALTHY, "suspended")
    if status is None:
        return _progressing("waits for its status")
    last, success = text_at(status, "lastScheduleTime"), text_at(status, "lastSuccessfulTime")
    if not last or not success or list_at(status, "active"):
        return HEALTHY
    # Both are RFC 3339 in UTC with whole seconds: they sort as texts.
    if success < last:
        return HealthResult(Health.DEGRADED, f"the run of {last} has not succeeded")
    return HEALTHY


def pod(body: JsonObject) -> HealthResult:
    """Judge a Pod."""
    status = map_at(body, "status")
    phase, message = text_at(status, "phase"), text_at(status, "message")
    always = text_at(body, "spec", "restartPolicy") in ("Always", "")
    ignoring = text_at(body, "metadata", "annotations", IGNORE_RESTART_POLICY) == "true"
    if (always or ignoring) and (stuck := _waiting_with_error(status)):
        return HealthResult(Health.DEGRADED, stuck)
    match phase:
        case "Pending":
            return _progressing(message or "pending")
        case "Succeeded":
            return HealthResult(Health.HEALTHY, message)
        case "Failed":
            return HealthResult(Health.DEGRADED, message or _exit_message(status))
        case "Running":
            return _running_pod(body, always=always)
        case _:
            return HealthResult(Health.UNKNOWN, message)


def _running_pod(body: JsonObject, *, always: bool) -> HealthResult:
    if not always:
        return _progressing("running")
    if condition(body, "Ready").get("status") == "True":
        return HEALTHY
    status = map_at(body, "status")
    if any(
        map_at(item, "lastState", "terminated") for item in maps_at(status, "containerStatuses")
    ):
        return HealthResult(Health.DEGRADED, text_at(status, "message") or "a container ended")
    return _progressing(text_at(condition(body, "Ready"), "message") or "not ready")


def _waiting_with_error(status: JsonObject) -> str:
    for item in (*list_at(status, "initContainerStatuses"), *list_at(status, "containerStatuses")):
        waiting = map_at(item, "state", "waiting")
        reason = text_at(waiting, "reason")
        if reason.startswith("Err") or reason.endswith(("Error", "BackOff")):
            return text_at(waiting, "message") or reason
    return ""


def _exit_message(status: JsonObject) -> str:
    for item in (*list_at(status, "initContainerStatuses"), *list_at(status, "containerStatuses")):
        ended = map_at(item, "state", "terminated")
        code = number_at(ended, "exitCode")
        if text_at(ended, "reason") == "OOMKilled":
            return f"container {text_at(item, 'name')} ran out of memory"
        if code:
            return (
                text_at(ended, "message")
                or f"container {text_at(item, 'name')} failed with exit code {code}"
            )
    return ""

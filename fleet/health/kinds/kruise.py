"""Health of OpenKruise's workloads, which can stop half-way on purpose: at a pause or at a partition.

Sources: the update strategies as OpenKruise documents them. A rollout that has done all that its partition lets it do
waits for a person (Suspended).
"""

from __future__ import annotations

from fleet.codec.jsontypes import JsonObject
from fleet.health.fields import at, map_at, maps_at, number_at, optional_number_at, text_at
from fleet.health.result import HEALTHY, HealthResult
from fleet.health.rows import BEHIND
from fleet.model.report import Health

_PAUSED = HealthResult(Health.SUSPENDED, "paused")
_PARTITIONED = HealthResult(Health.SUSPENDED, "waits at its partition for somebody to go on")
_SOME_DOWN = HealthResult(Health.DEGRADED, "some updated replicas are not available")


def clone_set(body: JsonObject) -> HealthResult:
    """Judge a CloneSet."""
    strategy, status = map_at(body, "spec", "updateStrategy"), map_at(body, "status")
    if not _is_seen(body):
        return BEHIND
    if _is_paused(strategy, status, "updatedAvailableReplicas"):
        return _PAUSED
    if _is_partitioned(strategy, body):
        expected = number_at(status, "expectedUpdatedReplicas")
        return _at_partition(done=number_at(status, "updatedReplicas") >= expected)
    return _all_available(status)


def stateful_set(body: JsonObject) -> HealthResult:
    """Judge an advanced StatefulSet."""
    rolling = map_at(body, "spec", "updateStrategy", "rollingUpdate")
    status = map_at(body, "status")
    if not _is_seen(body):
        return BEHIND
    if _is_paused(rolling, status, "updatedAvailableReplicas"):
        return _PAUSED
    if _is_partitioned(rolling, body):
        kept = number_at(status, "replicas") - number_at(rolling, "partition")
        return _at_partition(done=number_at(status, "updatedReplicas") > kept)
    return _all_available(status)


def daemon_set(body: JsonObject) -> HealthResult:
    """Judge an advanced DaemonSet."""
    rolling = map_at(body, "spec", "updateStrategy", "rollingUpdate")
    status = map_at(body, "status")
    if not _is_seen(body):
        return BEHIND
    if _is_paused(rolling, status, "updatedNumberScheduled"):
        return _PAUSED
    wanted = number_at(status, "desiredNumberScheduled")
    updated = number_at(status, "updatedNumberScheduled")
    if _is_partitioned(rolling, body):
        return _at_partition(done=updated > wanted - number_at(rolling, "partition"))
    if updated == wanted == number_at(status, "numberAvailable"):
        return HEALTHY
    if updated == wanted == number_at(status, "numberUnavailable"):
        return HealthResult(Health.DEGRADED, "no pod is available")
    return HealthResult(Health.PROGRESSING, f"{updated} of {wanted} pods are updated")


def game_server_set(body: JsonObject) -> HealthResult:
    """Judge a GameServerSet."""
    rolling = map_at(body, "spec", "updateStrategy", "rollingUpdate")
    status = map_at(body, "status")
    if not _is_seen(body):
        return BEHIND
    if at(rolling, "paused") is True:
        return _PAUSED
    total, partition = number_at(status, "replicas"), number_at(rolling, "partition")
    if partition and number_at(status, "updatedReplicas") >= total - partition:
        return _PARTITIONED
    ready = number_at(status, "updatedReadyReplicas")
    if ready == total:
        return HEALTHY
    return HealthResult(Health.PROGRESSING, f"{ready} of {total} replicas are updated and ready")


def game_server(body: JsonObject) -> HealthResult:
    """Judge a GameServer: it is on its way while its state is not the one that is wanted."""
    if not at(body, "status"):
        return HealthResult(Health.UNKNOWN, "says nothing yet")
    current, wanted = (text_at(body, "status", name) for name in ("currentState", "desiredState"))
    if current != wanted:
        return HealthResult(Health.PROGRESSING, f"is {current or 'unknown'}, shall be {wanted}")
    for item in maps_at(body, "status", "podStatus", "conditions"):
        if item.get("type") == "KruisePodReady" and item.get("status") != "True":
            return HealthResult(Health.DEGRADED, "its pod is not ready")
    return HealthResult(Health.HEALTHY if current == "Ready" else Health.UNKNOWN, current)


def _is_seen(body: JsonObject) -> bool:
    status = map_at(body, "status")
    seen = at(status, "observedGeneration")
    return bool(status) and seen == at(body, "metadata", "generation")


def _is_paused(strategy: JsonObject, status: JsonObject, count: str) -> bool:
    """Paused by somebody; a controller that has not counted yet looks the same to its users."""
    return at(strategy, "paused") is True or optional_number_at(status, count) is None


def _is_partitioned(strategy: JsonObject, body: JsonObject) -> bool:
    partition = at(strategy, "partition")
    return partition not in (None, 0, "0", "0%") and number_at(body, "metadata", "generation") > 1


def _at_partition(*, done: bool) -> HealthResult:
    return _PARTITIONED if done else HealthResult(Health.PROGRESSING, "on its way to its partition")


def _all_available(status: JsonObject) -> HealthResult:
    is_up = number_at(status, "updatedAvailableReplicas") == number_at(status, "replicas")
    return HEALTHY if is_up else _SOME_DOWN

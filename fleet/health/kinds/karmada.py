"""Health of what Karmada spreads over clusters: every cluster has to report, and none that it is unhealthy."""

from __future__ import annotations

from fleet.codec.jsontypes import JsonObject
from fleet.health.fields import at, list_at, maps_at, text_at
from fleet.health.result import HEALTHY, HealthResult
from fleet.model.report import Health

_WAITS = HealthResult(Health.PROGRESSING, "not every cluster has reported yet")


def resource_binding(body: JsonObject) -> HealthResult:
    """Judge a ResourceBinding; one that only follows another names no clusters."""
    if at(body, "spec", "clusters") is None:
        return _by_reports(body) if list_at(body, "status", "aggregatedStatus") else _WAITS
    return cluster_resource_binding(body)


def cluster_resource_binding(body: JsonObject) -> HealthResult:
    """Judge a ClusterResourceBinding."""
    clusters = list_at(body, "spec", "clusters")
    if not clusters or len(clusters) != len(list_at(body, "status", "aggregatedStatus")):
        return _WAITS
    return _by_reports(body)


def _by_reports(body: JsonObject) -> HealthResult:
    for item in maps_at(body, "status", "aggregatedStatus"):
        health = text_at(item, "health")
        if health == "Unhealthy" or (health == "Unknown" and item.get("applied") is not True):
            name = text_at(item, "clusterName") or "a cluster"
            message = text_at(item, "appliedMessage") or "unhealthy"
            return HealthResult(Health.DEGRADED, f"{name}: {message}")
    return HEALTHY

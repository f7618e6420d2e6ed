"""Health of a ClusterExternalSecret, which appends what it says: the last condition is the one that counts."""

from __future__ import annotations

from fleet.codec.jsontypes import JsonObject
from fleet.health.fields import maps_at, text_at
from fleet.health.result import HealthResult
from fleet.model.report import Health

_TYPES = {
    "Ready": Health.HEALTHY,
    "PartiallyReady": Health.DEGRADED,
    "NotReady": Health.DEGRADED,
}


def cluster_external_secret(body: JsonObject) -> HealthResult:
    """Judge a ClusterExternalSecret."""
    last: JsonObject = {}
    for item in maps_at(body, "status", "conditions"):
        last = item
    if last.get("status") == "True" and text_at(last, "type") in _TYPES:
        return HealthResult(_TYPES[text_at(last, "type")], text_at(last, "message"))
    return HealthResult(Health.PROGRESSING, "waits for its status")

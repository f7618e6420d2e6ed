"""Health of old Crossplane stacks, whose conditions lie one level deeper."""

from __future__ import annotations

from fleet.codec.jsontypes import JsonObject
from fleet.health.fields import maps_at, text_at
from fleet.health.result import HealthResult
from fleet.model.report import Health


def conditioned(body: JsonObject) -> HealthResult:
    """Judge what keeps its conditions under ``status.conditionedStatus``."""
    for item in maps_at(body, "status", "conditionedStatus", "conditions"):
        if item.get("type") == "Ready":
            is_ready = item.get("status") == "True"
            status = Health.HEALTHY if is_ready else Health.PROGRESSING
            return HealthResult(status, text_at(item, "reason"))
    return HealthResult(Health.PROGRESSING, "waits for its status")

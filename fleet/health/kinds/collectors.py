"""Health of an OpenTelemetryCollector, which writes its replicas as ``2/3``."""

from __future__ import annotations

from fleet.codec.jsontypes import JsonObject
from fleet.health.fields import at, text_at
from fleet.health.result import HEALTHY, HealthResult
from fleet.model.report import Health


def open_telemetry(body: JsonObject) -> HealthResult:
    """Judge an OpenTelemetryCollector; one that runs as sidecars has no replicas of its own."""
    if at(body, "status") is None:
        return HealthResult(Health.PROGRESSING, "waits for its status")
    mode, replicas = (
        text_at(body, "spec", "mode"),
        text_at(body, "status", "scale", "statusReplicas"),
    )
    ready, _, total = replicas.partition("/")
    if not (ready.isdecimal() and total.isdecimal()):
        is_sidecar = mode == "sidecar" and not replicas
        return HEALTHY if is_sidecar else HealthResult(Health.PROGRESSING, "not scaled yet")
    message = f"{ready} of {total} replicas are ready"
    if int(ready) == 0:
        has_no_node = mode == "daemonset" and int(total) == 0
        return HealthResult(Health.HEALTHY if has_no_node else Health.DEGRADED, message)
    is_up = int(ready) == int(total)
    return HealthResult(Health.HEALTHY if is_up else Health.PROGRESSING, message)

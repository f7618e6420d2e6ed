"""Health of PostgreSQL clusters: CloudNativePG, whose phase is a sentence, and Crunchy, which counts its instances.

Sources: both projects' API references; the phases of CloudNativePG rated as Argo CD does: while the primary moves or restarts, the cluster is Degraded; what
waits for a person is Suspended.
"""

from __future__ import annotations

from fleet.codec.jsontypes import JsonObject
from fleet.health.fields import at, condition, list_at, maps_at, number_at, text_at
from fleet.health.result import HEALTHY, HealthResult
from fleet.health.rows import BEHIND
from fleet.model.report import Health

_PHASES = {
    Health.HEALTHY: ("Cluster in healthy state",),
    Health.PROGRESSING: (
        "Setting up primary",
        "Creating a new replica",
        "Upgrading cluster",
        "Waiting for the instances to become active",
        "Promoting to primary cluster",
    ),
    Health.DEGRADED: (
        "Switchover in progress",
        "Failing over",
        "Upgrading Postgres major version",
        "Cluster upgrade delayed",
        "Waiting for user action",
        "Primary instance is being restarted in-place",
        "Primary instance is being restarted without a switchover",
        "Cluster cannot execute instance online upgrade due to missing architecture binary",
        "Online upgrade in progress",
        "Applying configuration",
    ),
    Health.SUSPENDED: (
        "Unable to create required cluster objects",
        "Cluster cannot proceed to reconciliation due to an unknown plugin being required",
        "Cluster has incomplete or invalid image catalog",
        "Cluster is unrecoverable and needs manual intervention",
    ),
}
_BY_PHASE = {phase: health for health, phases in _PHASES.items() for phase in phases}


def cluster(body: JsonObject) -> HealthResult:
    """Judge a Cluster."""
    if text_at(body, "metadata", "annotations", "cnpg.io/reconciliationLoop") == "disabled":
        return HealthResult(Health.SUSPENDED, "its reconciliation is switched off")
    message = text_at(body, "status", "phaseReason")
    if not list_at(body, "status", "conditions"):
        return HealthResult(Health.PROGRESSING, message or "waits for its status")
    if hibernation := condition(body, "cnpg.io/hibernation"):
        is_asleep = hibernation.get("status") == "True"
        status = Health.SUSPENDED if is_asleep else Health.DEGRADED
        return HealthResult(status, text_at(hibernation, "message"))
    phase = text_at(body, "status", "phase")
    return HealthResult(_BY_PHASE.get(phase, Health.UNKNOWN), message or phase)


def crunchy_cluster(body: JsonObject) -> HealthResult:
    """Judge a PostgresCluster: every instance set has its replicas ready."""
    for name in ("paused", "shutdown"):
        if at(body, "spec", name) is True:
            return HealthResult(Health.SUSPENDED, name)
    if at(body, "status", "observedGeneration") != at(body, "metadata", "generation"):
        return BEHIND
    sets = list(maps_at(body, "status", "instances"))
    for item in sets:
        ready, wanted = number_at(item, "readyReplicas"), number_at(item, "replicas")
        if ready < wanted:
            return HealthResult(
                Health.PROGRESSING,
                f"set {text_at(item, 'name')}: {ready} of {wanted} instances are ready",
            )
    return HEALTHY if sets else HealthResult(Health.PROGRESSING, "waits for its instances")

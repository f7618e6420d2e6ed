"""Health of what serves the workloads: claims, services, ingresses, autoscalers, API extensions, budgets.

Rules: argo.md 2.7. CustomResourceDefinition is ours: objects of its kind wait for it (`fleet.sync.plan`).
"""

from __future__ import annotations

from fleet.codec import canonical
from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput
from fleet.health.fields import condition, is_behind, list_at, maps_at, text_at
from fleet.health.result import HEALTHY, HealthResult
from fleet.model.report import Health

_CRD_TROUBLE = (
    ("Terminating", "True", Health.PROGRESSING),
    ("NamesAccepted", "False", Health.DEGRADED),
    ("NonStructuralSchema", "True", Health.DEGRADED),
)


def persistent_volume_claim(body: JsonObject) -> HealthResult:
    """Judge a PersistentVolumeClaim."""
    words = {
        "Lost": Health.DEGRADED,
        "Pending": Health.PROGRESSING,
        "Bound": Health.HEALTHY,
    }
    phase = text_at(body, "status", "phase")
    return HealthResult(words.get(phase, Health.UNKNOWN), phase)


def service(body: JsonObject) -> HealthResult:
    """Judge a Service: only those of type LoadBalancer wait for anything."""
    if text_at(body, "spec", "type") != "LoadBalancer" or list_at(
        body, "status", "loadBalancer", "ingress"
    ):
        return HEALTHY
    return HealthResult(Health.PROGRESSING, "waits for an address of its load balancer")


def ingress(body: JsonObject) -> HealthResult:
    """Judge an Ingress."""
    if list_at(body, "status", "loadBalancer", "ingress"):
        return HEALTHY
    return HealthResult(Health.PROGRESSING, "waits for an address")


def api_service(body: JsonObject) -> HealthResult:
    """Judge an APIService."""
    available = condition(body, "Available")
    message = text_at(available, "message")
    if available.get("status") == "True":
        return HealthResult(Health.HEALTHY, message)
    return HealthResult(Health.PROGRESSING, message or "waits to be processed")


def custom_resource_definition(body: JsonObject) -> HealthResult:
    """Judge a CustomResourceDefinition: healthy when objects of its kind can be made."""
    for type_, bad, health in _CRD_TROUBLE:
        if (found := condition(body, type_)).get("status") == bad:
            return HealthResult(health, text_at(found, "message"))
    established = condition(body, "Established")
    if established.get("status") == "True":
        return HEALTHY
    has_said = bool(list_at(body, "status", "conditions"))
    is_failed = has_said and text_at(established, "reason") != "Installing"
    return HealthResult(Health.DEGRADED if is_failed else Health.PROGRESSING, "not established")


def pod_disruption_budget(body: JsonObject) -> HealthResult:
    """Judge a PodDisruptionBudget; one that allows no disruption for want of pods does what it is for."""
    if is_behind(body):
        return HealthResult(Health.PROGRESSING, "the newest generation was not seen yet")
    found = [
        item
        for item in maps_at(body, "status", "conditions")
        if item.get("type") == "DisruptionAllowed"
    ]
    for item in found:
        reason = text_at(item, "reason")
        if item.get("status") == "False" and reason != "InsufficientPods":
            return HealthResult(Health.DEGRADED, text_at(item, "message") or reason)
    return HEALTHY if found else HealthResult(Health.PROGRESSING, "waits for its status")


_BAD_REASONS = {
    "AbleToScale": frozenset(("FailedGetScale", "FailedUpdateScale")),
    "ScalingActive": frozenset(
        ("FailedGetResourceMetric", "FailedGetObjectMetric", "FailedGetPodsMetric", "FailedGetExternalMetric",
         "FailedComputeMetricsReplicas", "InvalidSelector")
    ),
}  # fmt: skip
_HPA_V1_CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"


def horizontal_pod_autoscaler(body: JsonObject) -> HealthResult:
    """Judge a HorizontalPodAutoscaler of autoscaling/v1 or v2."""
    version = text_at(body, "apiVersion")
    if version not in ("autoscaling/v1", "autoscaling/v2"):
        return HealthResult(Health.UNKNOWN, f"{version} is not supported")
    conditions = list(maps_at(body, "status", "conditions"))
    if version == "autoscaling/v1":
        conditions = _v1_conditions(body)
    for item in conditions:
        if text_at(item, "reason") in _BAD_REASONS.get(text_at(item, "type"), ()):
            return HealthResult(Health.DEGRADED, text_at(item, "message"))
    for item in conditions:
        if (
            text_at(item, "type") in ("AbleToScale", "ScalingLimited")
            and item.get("status") == "True"
        ):
            return HealthResult(Health.HEALTHY, text_at(item, "message"))
    return HealthResult(Health.PROGRESSING, "waits to autoscale")


def _v1_conditions(body: JsonObject) -> list[JsonObject]:
    text = text_at(body, "metadata", "annotations", _HPA_V1_CONDITIONS)
    try:
        found = canonical.decode(text) if text else []
    except BadInput:
        return []
    return list(maps_at({"conditions": found}, "conditions"))

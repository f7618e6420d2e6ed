"""Assess: the health of one object, by a table from kind to rule.

A kind that is not in the table is judged by general conventions (`fleet.health.generic`), or not at all: None means
"no rule", which counts as done. Child Applications have no rule on purpose: as with Argo CD, an application of
applications does not wait for its children unless it is told to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fleet.codec.jsontypes import JsonObject
from fleet.health import platform, workloads
from fleet.health.fields import at, text_at
from fleet.health.generic import generic
from fleet.health.result import HealthResult
from fleet.model.report import Health

Rule = Callable[[JsonObject], HealthResult | None]


def _no_rule(_body: JsonObject) -> None:
    return None


RULES: Mapping[tuple[str, str], Rule] = {
    ("", "PersistentVolumeClaim"): platform.persistent_volume_claim,
    ("", "Pod"): workloads.pod,
    ("", "Service"): platform.service,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): platform.custom_resource_definition,
    ("apiregistration.k8s.io", "APIService"): platform.api_service,
    ("apps", "DaemonSet"): workloads.daemon_set,
    ("apps", "Deployment"): workloads.deployment,
    ("apps", "ReplicaSet"): workloads.replica_set,
    ("apps", "StatefulSet"): workloads.stateful_set,
    ("argoproj.io", "Application"): _no_rule,
    ("argoproj.io", "Workflow"): platform.argo_workflow,
    ("autoscaling", "HorizontalPodAutoscaler"): platform.horizontal_pod_autoscaler,
    ("batch", "Job"): workloads.job,
    ("extensions", "Ingress"): platform.ingress,
    ("networking.k8s.io", "Ingress"): platform.ingress,
    ("policy", "PodDisruptionBudget"): platform.pod_disruption_budget,
}

_BUILT_IN_GROUPS = frozenset(
    ("", "apps", "batch", "autoscaling", "policy", "extensions", "networking.k8s.io", "rbac.authorization.k8s.io",
     "storage.k8s.io", "scheduling.k8s.io", "coordination.k8s.io", "discovery.k8s.io", "node.k8s.io",
     "admissionregistration.k8s.io", "certificates.k8s.io", "flowcontrol.apiserver.k8s.io",
     "apiextensions.k8s.io", "apiregistration.k8s.io", "events.k8s.io", "authorization.k8s.io")
)  # fmt: skip


def assess(object: JsonObject) -> HealthResult | None:  # noqa: A002  # the domain's word
    """Judge one live object; None where no rule applies."""
    if at(object, "metadata", "deletionTimestamp"):
        return HealthResult(Health.PROGRESSING, "is being deleted")
    group, _, _ = text_at(object, "apiVersion").rpartition("/")
    rule = RULES.get((group, text_at(object, "kind")))
    if rule is not None:
        return rule(object)
    return None if group in _BUILT_IN_GROUPS else generic(object)


def has_rule(group: str, kind: str) -> bool:
    """Whether objects of a kind have to be seen whole to be judged (false: metadata is enough).

    Kinds of custom groups may say something in their status, so they count as having a rule.
    """
    rule = RULES.get((group, kind))
    return rule is not _no_rule if rule is not None else group not in _BUILT_IN_GROUPS

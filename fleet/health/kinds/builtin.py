"""Kubernetes' own kinds. Those that are not named here say nothing about their health."""

from __future__ import annotations

from collections.abc import Mapping

from fleet.health import platform, workloads
from fleet.health.kinds.entry import Entry

ROWS: Mapping[str, Mapping[str, Entry]] = {
    "": {
        "*": None,
        "PersistentVolumeClaim": platform.persistent_volume_claim,
        "Pod": workloads.pod,
        "Service": platform.service,
    },
    "apiextensions.k8s.io": {
        "*": None,
        "CustomResourceDefinition": platform.custom_resource_definition,
    },
    "apiregistration.k8s.io": {"*": None, "APIService": platform.api_service},
    "apps": {
        "*": None,
        "DaemonSet": workloads.daemon_set,
        "Deployment": workloads.deployment,
        "ReplicaSet": workloads.replica_set,
        "StatefulSet": workloads.stateful_set,
    },
    "autoscaling": {"*": None, "HorizontalPodAutoscaler": platform.horizontal_pod_autoscaler},
    "batch": {"*": None, "CronJob": workloads.cron_job, "Job": workloads.job},
    "extensions": {"*": None, "Ingress": platform.ingress},
    "networking.k8s.io": {"*": None, "Ingress": platform.ingress},
    "policy": {"*": None, "PodDisruptionBudget": platform.pod_disruption_budget},
    "admissionregistration.k8s.io authentication.k8s.io authorization.k8s.io certificates.k8s.io "
    "coordination.k8s.io discovery.k8s.io events.k8s.io flowcontrol.apiserver.k8s.io metrics.k8s.io node.k8s.io "
    "rbac.authorization.k8s.io resource.k8s.io scheduling.k8s.io storage.k8s.io": {"*": None},
}

"""The kinds that the in-memory cluster serves from the start, and those that a CRD adds."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.codec.jsontypes import JsonObject
from fleet.kube.port import Resource

_VERBS = frozenset(
    ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
)
_BUILT_IN = """
v1 ConfigMap configmaps n
v1 Secret secrets n
v1 Service services n
v1 ServiceAccount serviceaccounts n
v1 Pod pods n
v1 Event events n
v1 PersistentVolumeClaim persistentvolumeclaims n
v1 Namespace namespaces c
v1 Node nodes c
apps/v1 Deployment deployments n
apps/v1 StatefulSet statefulsets n
apps/v1 DaemonSet daemonsets n
apps/v1 ReplicaSet replicasets n
batch/v1 Job jobs n
batch/v1 CronJob cronjobs n
autoscaling/v2 HorizontalPodAutoscaler horizontalpodautoscalers n
networking.k8s.io/v1 Ingress ingresses n
policy/v1 PodDisruptionBudget poddisruptionbudgets n
rbac.authorization.k8s.io/v1 Role roles n
rbac.authorization.k8s.io/v1 RoleBinding rolebindings n
rbac.authorization.k8s.io/v1 ClusterRole clusterroles c
rbac.authorization.k8s.io/v1 ClusterRoleBinding clusterrolebindings c
apiextensions.k8s.io/v1 CustomResourceDefinition customresourcedefinitions c
coordination.k8s.io/v1 Lease leases n
"""
_WITHOUT_STATUS = {
    "ConfigMap", "Secret", "Event", "ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "Lease",
}  # fmt: skip


def built_in() -> tuple[Resource, ...]:
    """A selection of Kubernetes' own kinds."""
    return tuple(_row(line) for line in _BUILT_IN.strip().splitlines())


def _row(line: str) -> Resource:
    api_version, kind, plural, scope = line.split()
    group, _, version = api_version.rpartition("/")
    return Resource(
        group=group,
        version=version,
        kind=kind,
        plural=plural,
        namespaced=scope == "n",
        verbs=_VERBS,
    )


def has_status(resource: Resource, definitions: dict[tuple[str, str], JsonObject]) -> bool:
    """Whether the kind keeps its status in a subresource."""
    definition = definitions.get((resource.group, resource.kind))
    if definition is None:
        return resource.kind not in _WITHOUT_STATUS
    return any("status" in (v.get("subresources") or {}) for v in definition["spec"]["versions"])


def defined_by(definition: JsonObject) -> Iterator[Resource]:
    """The resources that a CustomResourceDefinition adds, newest version first as it lists them."""
    spec = definition["spec"]
    for version in spec["versions"]:
        if version.get("served"):
            yield Resource(
                group=spec["group"],
                version=version["name"],
                kind=spec["names"]["kind"],
                plural=spec["names"]["plural"],
                namespaced=spec["scope"] == "Namespaced",
                verbs=_VERBS,
            )

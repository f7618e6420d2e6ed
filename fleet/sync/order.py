"""Order: in which sequence objects are applied and pruned. Argo CD's rules, as one sort key.

Applying: wave, then kind, then name. A Namespace comes before everything in it and a CRD before every object of
its kind, even when their own waves say otherwise. Pruning mirrors it. Hooks are not ordered here: applications
that have them are held (`fleet.sync.options.unsupported`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import TypeVar

from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput
from fleet.model.identity import ObjectRef
from fleet.sync.manifest import CRD, NAMESPACE, annotation

WAVE = "argocd.argoproj.io/sync-wave"
HELM_WEIGHT = "helm.sh/hook-weight"

_KINDS = (
    "Namespace", "NetworkPolicy", "ResourceQuota", "LimitRange", "PodSecurityPolicy", "PodDisruptionBudget",
    "ServiceAccount", "Secret", "SecretList", "ConfigMap", "StorageClass", "PersistentVolume",
    "PersistentVolumeClaim", "CustomResourceDefinition", "ClusterRole", "ClusterRoleList", "ClusterRoleBinding",
    "ClusterRoleBindingList", "Role", "RoleList", "RoleBinding", "RoleBindingList", "Service", "DaemonSet", "Pod",
    "ReplicationController", "ReplicaSet", "Deployment", "HorizontalPodAutoscaler", "StatefulSet", "Job", "CronJob",
    "IngressClass", "Ingress", "APIService",
)  # fmt: skip
_INDEX = {kind: index for index, kind in enumerate(_KINDS)}
LAST = len(_KINDS)

Key = tuple[int, int, str, str, str, str]


def wave_of(body: JsonObject) -> int:
    """Return the wave an object's author asks for; raises BadInput for one that is no number."""
    text = annotation(body, WAVE) or annotation(body, HELM_WEIGHT) or "0"
    try:
        return int(text)
    except ValueError as error:
        raise BadInput(f"sync wave {text!r} is not a whole number") from error


def kind_index(group: str, kind: str) -> int:
    """Return the place of a kind among those with an order; all others come last.

    Custom kinds that share a name with a built-in one are "others", so that they follow their CRD.
    """
    built_in = "." not in group or group.endswith(".k8s.io")
    return _INDEX.get(kind, LAST) if built_in else LAST


def key_of(ref: ObjectRef, wave: int) -> Key:
    """Make the one sort key."""
    return wave, kind_index(ref.group, ref.kind), ref.name, ref.group, ref.kind, ref.namespace


def effective_waves(
    waves: Mapping[ObjectRef, int], kinds_by_crd: Mapping[ObjectRef, tuple[str, str]]
) -> dict[ObjectRef, int]:
    """Lower the waves of namespaces and CRDs to that of the first object that needs them.

    ``kinds_by_crd`` says which (group, kind) each CRD among the objects defines.
    """
    result = dict(waves)
    first_of_kind = _lowest((ref.group, ref.kind, wave) for ref, wave in waves.items())
    for crd, kind in kinds_by_crd.items():
        if crd in result:
            result[crd] = min(result[crd], first_of_kind.get(kind, result[crd]))
    first_in = _lowest(("", ref.namespace, wave) for ref, wave in waves.items() if ref.namespace)
    for ref, wave in waves.items():
        if (ref.group, ref.kind) == NAMESPACE:
            result[ref] = min(wave, first_in.get(("", ref.name), wave))
    return result


def defined_kind(crd: JsonObject) -> tuple[str, str] | None:
    """Return the (group, kind) that a CRD defines."""
    spec = crd.get("spec")
    names = spec.get("names") if isinstance(spec, dict) else None
    if not isinstance(spec, dict) or not isinstance(names, dict):
        return None
    return str(spec.get("group") or ""), str(names.get("kind") or "")


def prune_key(ref: ObjectRef, wave: int) -> Key:
    """Make the sort key for deleting: the highest wave first, kinds backwards, CRDs and namespaces last."""
    late = LAST + 1 if (ref.group, ref.kind) in (CRD, NAMESPACE) else 0
    rank = late - kind_index(ref.group, ref.kind)
    return -wave, rank, ref.name, ref.group, ref.kind, ref.namespace


T = TypeVar("T")


def batches(items: Iterable[tuple[Key, T]]) -> list[tuple[int, list[list[T]]]]:
    """Split sorted items into waves, and each wave into groups of one kind place: a group may go in parallel."""
    ordered = sorted(items, key=lambda item: item[0])
    result = []
    for wave, in_wave in groupby(ordered, key=lambda item: item[0][0]):
        groups = groupby(in_wave, key=lambda item: item[0][1])
        result.append((wave, [[value for _, value in group] for _, group in groups]))
    return result


def _lowest(items: Iterable[tuple[str, str, int]]) -> dict[tuple[str, str], int]:
    lowest: dict[tuple[str, str], int] = {}
    for first, second, wave in items:
        lowest[first, second] = min(wave, lowest.get((first, second), wave))
    return lowest

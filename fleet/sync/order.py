"""Order: in which sequence objects are applied and pruned. Argo CD's rules, as one sort key.

Phase, then wave, then kind, then name. A Namespace comes before everything in it and a CRD before every object of its
kind, even when their own places say otherwise: they inherit the phase and wave of the first that needs them. What is
pruned has the waves of all that is pruned, mirrored; or comes after everything else (PruneLast).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import TypeVar

from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput
from fleet.model.identity import ObjectRef
from fleet.sync.manifest import CRD, NAMESPACE, annotation
from fleet.sync.phases import SyncPhase

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

Key = tuple[int, int, int, str, str, str, str]
"""Rank of the phase, wave, place of the kind, name, group, kind, namespace."""

Place = tuple[int, int]
"""Rank of the phase, and wave: what has one place is done together."""


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


def key_of(ref: ObjectRef, wave: int, phase: SyncPhase = SyncPhase.SYNC) -> Key:
    """Make the one sort key."""
    place = kind_index(ref.group, ref.kind)
    return phase.rank, wave, place, ref.name, ref.group, ref.kind, ref.namespace


def effective_places(
    places: Mapping[ObjectRef, Place],
    kinds_by_crd: Mapping[ObjectRef, tuple[str, str]],
    hooks: Iterable[tuple[ObjectRef, Place]] = (),
) -> dict[ObjectRef, Place]:
    """Move namespaces and CRDs to the place of the first object that needs them, hooks among those.

    ``kinds_by_crd`` says which (group, kind) each CRD among the objects defines.
    """
    result = dict(places)
    needing = [*places.items(), *hooks]
    first_of_kind = _lowest((ref.group, ref.kind, place) for ref, place in needing)
    for crd, kind in kinds_by_crd.items():
        if crd in result:
            result[crd] = min(result[crd], first_of_kind.get(kind, result[crd]))
    first_in = _lowest(("", ref.namespace, place) for ref, place in needing if ref.namespace)
    for ref, place in places.items():
        if (ref.group, ref.kind) == NAMESPACE:
            result[ref] = min(place, first_in.get(("", ref.name), place))
    return result


def mirrored(waves: Iterable[int]) -> dict[int, int]:
    """Map each wave of what is pruned to its mirror image among them: the highest goes first."""
    ordered = sorted(set(waves))
    return dict(zip(ordered, reversed(ordered), strict=True))


def defined_kind(crd: JsonObject) -> tuple[str, str] | None:
    """Return the (group, kind) that a CRD defines."""
    spec = crd.get("spec")
    names = spec.get("names") if isinstance(spec, dict) else None
    if not isinstance(spec, dict) or not isinstance(names, dict):
        return None
    return str(spec.get("group") or ""), str(names.get("kind") or "")


def prune_key(ref: ObjectRef, wave: int) -> Key:
    """Make the sort key for deleting what goes together: kinds backwards, CRDs and namespaces last."""
    late = LAST + 1 if is_late(ref) else 0
    rank = late - kind_index(ref.group, ref.kind)
    return SyncPhase.SYNC.rank, wave, rank, ref.name, ref.group, ref.kind, ref.namespace


def is_late(ref: ObjectRef) -> bool:
    """Whether an object is deleted only when what may live in it, or be of it, is gone."""
    return (ref.group, ref.kind) in (CRD, NAMESPACE)


T = TypeVar("T")


def groups(items: Iterable[tuple[Key, T]]) -> dict[Place, list[list[T]]]:
    """Split items by place, and each place into groups of one kind: a group may go in parallel. All in order."""
    ordered = sorted(items, key=lambda item: item[0])
    result = {}
    for place, at_place in groupby(ordered, key=lambda item: item[0][:2]):
        kinds = groupby(at_place, key=lambda item: item[0][2])
        result[place] = [[value for _, value in group] for _, group in kinds]
    return result


def _lowest(items: Iterable[tuple[str, str, Place]]) -> dict[tuple[str, str], Place]:
    lowest: dict[tuple[str, str], Place] = {}
    for first, second, place in items:
        lowest[first, second] = min(place, lowest.get((first, second), place))
    return lowest

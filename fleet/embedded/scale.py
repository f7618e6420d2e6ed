"""The scale subresource: replicas seen as an object of its own."""

from __future__ import annotations

from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.embedded.kinds import Kind

_BUILT_IN = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.replicas",
    "labelSelectorPath": ".spec.selector",
}


def of(kind: Kind, obj: JsonObject) -> JsonObject:
    """An object's Scale."""
    paths = kind.scale or _BUILT_IN
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status: JsonObject = {"replicas": _at(obj, paths["statusReplicasPath"]) or 0}
    selector = _at(obj, paths.get("labelSelectorPath") or "")
    if isinstance(selector, dict):
        labels = (selector.get("matchLabels") or {}).items()
        selector = ",".join(f"{key}={value}" for key, value in sorted(labels))
    if selector:
        status["selector"] = selector
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: value for key, value in obj["metadata"].items() if key in kept},
        "spec": {"replicas": _at(obj, paths["specReplicasPath"]) or 0},
        "status": status,
    }


def as_patch(kind: Kind, wanted: JsonObject) -> JsonObject:
    """The merge patch that brings an object to a Scale."""
    patch: JsonValue = (wanted.get("spec") or {}).get("replicas") or 0
    for part in reversed((kind.scale or _BUILT_IN)["specReplicasPath"].strip(".").split(".")):
        patch = {part: patch}
    found: JsonObject = patch
    return found


def _at(obj: JsonValue, path: str) -> JsonValue:
    for part in filter(None, path.split(".")):
        obj = obj.get(part) if isinstance(obj, dict) else None
    return obj if path else None

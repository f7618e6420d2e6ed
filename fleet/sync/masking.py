"""Masking: objects as they may leave a cluster or be shown, without the values of Secrets. Pure.

Equal values get the same mark, a changed one a mark that says which side it is of. A digest would let everybody who
reads it try passwords against it. A Secret's last-applied annotation repeats its values, so it is masked as well.
"""

from __future__ import annotations

from fleet.codec.jsontypes import JsonObject, JsonValue

MASK = "***"
_VALUES = ("data", "stringData")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def masked(body: JsonObject) -> JsonObject:
    """Return one object without secret values."""
    return _masked(body, body, "")


def masked_pair(
    old: JsonObject | None, new: JsonObject | None
) -> tuple[JsonObject | None, JsonObject | None]:
    """Return two states of one object so that it shows which values differ; None: there is none."""
    return (
        _masked(old, new, " (old value)") if old is not None else None,
        _masked(new, old, " (new value)") if new is not None else None,
    )


def _masked(body: JsonObject, other: JsonObject | None, differs: str) -> JsonObject:
    if body.get("kind") != "Secret" or body.get("apiVersion") != "v1":
        return body
    twin = other or {}
    result = dict(body)
    for field in _VALUES:
        values = body.get(field)
        if isinstance(values, dict):
            result[field] = _marks(values, twin.get(field), differs)
        elif values is not None:
            result[field] = MASK
    metadata = body.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    if isinstance(annotations, dict) and _LAST_APPLIED in annotations:
        hidden = {**annotations, _LAST_APPLIED: MASK}
        result["metadata"] = {**body["metadata"], "annotations": hidden}
    return result


def _marks(values: JsonObject, others: JsonValue, differs: str) -> JsonObject:
    known = others if isinstance(others, dict) else {}
    return {
        key: MASK if key not in known or known[key] == value else f"{MASK}{differs}"
        for key, value in values.items()
    }

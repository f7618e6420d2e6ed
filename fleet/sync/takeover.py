"""Takeover: making our server-side apply the owner of what earlier tools wrote from the same manifests.

Server-side apply removes a field that git no longer has only where nobody else owns it. Objects that ``kubectl apply`` or
Argo CD brought have their fields owned by these, so removing one from git would change nothing, for ever. What they own
is therefore made ours once, and the next apply takes away what is not in git. What ``kubectl create`` owns beside
us is left to us alone, and what it owns without us stays: nobody keeps that in git.

Source: kubectl's csaupgrade (KEP 2155), argo.md 2.3 (ClientSideApplyMigration).
"""

from __future__ import annotations

from collections.abc import Collection

from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.sync.drift import MANAGER
from fleet.sync.fieldset import FieldTree, union
from fleet.sync.manifest import metadata_of

DECLARED: Collection[tuple[object, object]] = frozenset(
    (
        ("kubectl-client-side-apply", "Update"),
        ("argocd-controller", "Update"),
        ("argocd-controller", "Apply"),
        ("argocd-application-controller", "Update"),
        (MANAGER, "Update"),
    )
)
"""Managers and operations by which manifests were applied: what they own and git does not have goes."""
CREATED: Collection[tuple[object, object]] = frozenset((("kubectl-create", "Update"),))
"""Managers that wrote an object once."""


def taken_over(live: JsonObject) -> list[JsonValue] | None:
    """Return the managedFields to write to an object that we applied just now; None where nothing is to be taken."""
    entries = metadata_of(live).get("managedFields")
    if not isinstance(entries, list):
        return None
    ours = next((entry for entry in entries if _is_ours(entry)), None)
    if ours is None:
        return None
    fields = _fields(ours)
    declared = [entry for entry in entries if _is_one_of(entry, DECLARED)]
    for entry in declared:
        fields = union(fields, _fields(entry))
    result: list[JsonValue] = []
    for entry in entries:
        if entry is ours:
            result.append({**ours, "fieldsV1": fields})
        elif entry in declared:
            continue
        elif _is_one_of(entry, CREATED):
            result += _with_fields(entry, minus(_fields(entry), fields))
        else:
            result.append(entry)
    return result if result != entries else None


def in_served_version(
    live: JsonObject, served: Collection[str], version: str
) -> list[JsonValue] | None:
    """Return managedFields in which every entry is in a version that is served; None where all are.

    The names of fields are taken to be the same: so it is where a CustomResourceDefinition converts nothing, and only
    there an API server stumbles over a retired version instead of dropping the entry.
    """
    entries = metadata_of(live).get("managedFields")
    if not isinstance(entries, list):
        return None
    result: list[JsonValue] = [
        {**entry, "apiVersion": version}
        if isinstance(entry, dict) and entry.get("apiVersion") not in served
        else entry
        for entry in entries
    ]
    return result if result != entries else None


def minus(tree: FieldTree, other: FieldTree) -> FieldTree:
    """Return what a tree owns and the other does not."""
    result: FieldTree = {}
    for step, below in tree.items():
        if step not in other or (other[step] and not below):
            result[step] = below
        elif below and other[step] and (rest := minus(below, other[step])):
            result[step] = rest
    return {} if set(result) == {"."} else result


def _is_ours(entry: JsonValue) -> bool:
    return _is_one_of(entry, ((MANAGER, "Apply"),))


def _is_one_of(entry: JsonValue, wanted: Collection[tuple[object, object]]) -> bool:
    return (
        isinstance(entry, dict)
        and not entry.get("subresource")
        and (entry.get("manager"), entry.get("operation")) in wanted
    )


def _fields(entry: JsonObject) -> FieldTree:
    fields = entry.get("fieldsV1")
    return fields if isinstance(fields, dict) else {}


def _with_fields(entry: JsonObject, fields: FieldTree) -> list[JsonValue]:
    return [{**entry, "fieldsV1": fields}] if fields else []

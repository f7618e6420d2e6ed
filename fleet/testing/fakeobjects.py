"""Objects of the in-memory cluster as values: views, selectors, patches, field managers, validation."""

from __future__ import annotations

import base64
import copy
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.errors import Where
from fleet.kube.errors import FieldCause, Invalid
from fleet.kube.port import EventType, Resource
from fleet.testing import fieldsets

KindKey = tuple[str, str]
"""Group and kind."""


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the event log."""

    version: int
    kind: KindKey
    type: EventType
    before: JsonObject | None
    after: JsonObject


def kind_key(resource: Resource) -> KindKey:
    """How objects are kept apart: a kind has one store, whatever the version."""
    return resource.group, resource.kind


def identity_of(body: JsonObject) -> tuple[str, str]:
    """Namespace and name."""
    metadata = body.get("metadata") or {}
    return str(metadata.get("namespace") or ""), str(metadata.get("name") or "")


def where_of(resource: Resource, body: JsonObject) -> Where:
    """The object's place in messages."""
    return Where(object=resource.describe(*identity_of(body)))


def timestamp() -> str:
    """The time as the API writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def spec_of(obj: JsonObject) -> JsonObject:
    """Everything that counts for the generation."""
    return {key: value for key, value in obj.items() if key not in ("metadata", "status")}


def plain(body: JsonObject) -> JsonObject:
    """The body as the server would read it: a copy, with raw parts decoded."""
    value: JsonObject = msgspec.json.decode(msgspec.json.encode(body))
    return value


def view(obj: JsonObject, resource: Resource, *, metadata_only: bool = False) -> JsonObject:
    """A copy to hand out."""
    shown = {"apiVersion": resource.api_version, "kind": resource.kind}
    if metadata_only:
        return {**shown, "metadata": copy.deepcopy(obj["metadata"])}
    return {**copy.deepcopy(obj), **shown}


def is_selected(obj: JsonObject, selector: str) -> bool:
    """Whether a label selector takes the object in."""
    labels = obj["metadata"].get("labels") or {}
    for part in filter(None, (item.strip() for item in selector.split(","))):
        key, equals, value = part.partition("=")
        if equals and labels.get(key) != value.lstrip("="):
            return False
        if not equals and key not in labels:
            return False
    return True


def as_event(change: Change, namespace: str, selector: str) -> tuple[EventType, JsonObject] | None:
    """How a change looks through a selector: leaving it is a deletion, entering it an addition."""
    if namespace and change.after["metadata"].get("namespace") != namespace:
        return None
    was = change.before is not None and is_selected(change.before, selector)
    now = is_selected(change.after, selector)
    if change.type is EventType.DELETED:
        return (EventType.DELETED, change.after) if was or now else None
    if now:
        return (EventType.MODIFIED if was else EventType.ADDED), change.after
    return (EventType.DELETED, change.after) if was else None


def bookmark(resource: Resource, version: int) -> JsonObject:
    """The object of a bookmark event."""
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"resourceVersion": str(version)},
    }


def user_metadata(body: JsonObject) -> JsonObject:
    """The part of metadata that clients write."""
    metadata = body.get("metadata") or {}
    kept = ("labels", "annotations", "finalizers", "ownerReferences")
    return {key: metadata[key] for key in kept if key in metadata}


def manager_sets(obj: JsonObject) -> dict[tuple[str, str], fieldsets.FieldSet]:
    """Field sets by (manager, operation)."""
    return {
        (entry["manager"], entry["operation"]): fieldsets.from_fields_v1(entry["fieldsV1"])
        for entry in obj["metadata"].get("managedFields") or ()
    }


def with_manager_sets(
    obj: JsonObject,
    before: JsonObject,
    sets: dict[tuple[str, str], fieldsets.FieldSet],
    api_version: str,
) -> JsonObject:
    """Write managedFields; an entry whose set stays keeps its time, so that nothing changes without need."""
    known = {
        (e["manager"], e["operation"]): e for e in before["metadata"].get("managedFields") or ()
    }
    entries = []
    for (manager, operation), fields in sets.items():
        fields_v1 = fieldsets.to_fields_v1(fields)
        old = known.get((manager, operation))
        if not fields:
            continue
        if old is not None and old["fieldsV1"] == fields_v1:
            entries.append(old)
            continue
        entries.append(
            {
                "manager": manager,
                "operation": operation,
                "apiVersion": api_version,
                "time": timestamp(),
                "fieldsType": "FieldsV1",
                "fieldsV1": fields_v1,
            }
        )
    return {**obj, "metadata": {**obj["metadata"], "managedFields": entries}}


def without_owner(obj: JsonObject, uid: str) -> JsonObject:
    """The object without one of its owners."""
    owners = [o for o in obj["metadata"].get("ownerReferences") or () if o.get("uid") != uid]
    return {**obj, "metadata": {**obj["metadata"], "ownerReferences": owners}}


def merge_patch(target: JsonValue, patch: JsonValue) -> JsonValue:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def json_patch(target: JsonObject, operations: JsonValue, where: str) -> JsonObject:
    """The part of RFC 6902 that tests use."""
    result = copy.deepcopy(target)
    for operation in operations:
        *parents, last = [
            part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]
        ]
        node: JsonValue = result
        for part in parents:
            node = node[int(part)] if isinstance(node, list) else node.get(part)
            if node is None:
                raise Invalid("the patch names a path that is not there", where=Where(object=where))
        match operation["op"]:
            case "add" | "replace":
                node[last] = operation["value"]
            case "remove" if last in node:
                del node[last]
            case "test" if node.get(last) == operation["value"]:
                pass
            case _:
                raise Invalid("the patch does not fit the object", where=Where(object=where))
    return result


def validate(
    resource: Resource, body: JsonObject, where: str, live: JsonObject | None = None
) -> None:
    """The little validation that tests rely on: string maps, and what an immutable object refuses."""
    if resource.kind in ("ConfigMap", "Secret"):
        for field in ("data", "stringData"):
            for key, value in (body.get(field) or {}).items():
                if not isinstance(value, str):
                    path = f".{field}.{key}"
                    raise Invalid(f"{path}: not what the schema wants", where=Where(object=where))
                if field == "data" and resource.kind == "Secret" and not _is_base64(value):
                    raise Invalid(f".{field}.{key}: not base64", where=Where(object=where))
    if live is not None and live.get("immutable") and live.get("data") != body.get("data"):
        cause = FieldCause(field="data", message="field is immutable when `immutable` is set")
        raise Invalid(f"data: {cause.message}", where=Where(object=where), fields=(cause,))


def _is_base64(value: str) -> bool:
    try:
        base64.b64decode(value, validate=True)
    except ValueError:
        return False
    return True

"""Objects of the in-memory cluster as values: views, selectors, patches, field managers, validation."""

from __future__ import annotations

import base64
import copy
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.embedded import patches, selectors
from fleet.embedded.errors import Refusal
from fleet.errors import Where
from fleet.kube.errors import FieldCause, Invalid
from fleet.kube.port import EventType, Resource

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
    return selectors.selects(selectors.parse_labels(selector), obj["metadata"].get("labels"))


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


def without_owner(obj: JsonObject, uid: str) -> JsonObject:
    """The object without one of its owners."""
    owners = [o for o in obj["metadata"].get("ownerReferences") or () if o.get("uid") != uid]
    return {**obj, "metadata": {**obj["metadata"], "ownerReferences": owners}}


def json_patch(target: JsonObject, operations: JsonValue, where: str) -> JsonObject:
    """RFC 6902."""
    try:
        found: JsonObject = patches.json_patch(target, operations)
    except Refusal as refusal:
        raise Invalid("the patch does not fit the object", where=Where(object=where)) from refusal
    return found


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

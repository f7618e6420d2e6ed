"""Makes a body conform to its kind: what is stored, and what is applied; and the words in which it is refused."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.embedded import builtin, errors
from fleet.embedded.errors import Cause, Refusal
from fleet.embedded.kinds import Kind
from fleet.embedded.schema import Node
from fleet.embedded.shaping import Shaper


@dataclass(slots=True, kw_only=True)
class Write:
    """How a write is meant; warnings for the client gather in it."""

    manager: str = "unknown"
    dry_run: bool = False
    validation: str = "Warn"
    """What unknown fields lead to: Ignore, Warn or Strict."""
    force: bool = False
    subresource: str = ""
    warnings: list[str] = field(default_factory=list)


def shaped(kind: Kind, obj: JsonObject, write: Write, metadata: Node) -> JsonObject:
    """The object in its schema's form; refused where that is not possible."""
    shaper = Shaper(is_custom=kind.is_custom, metadata=metadata)
    found: JsonObject = shaper.shape(obj, kind.schema)
    if shaper.mistyped:
        raise _mistyped(kind, found, shaper)
    if shaper.unknown:
        _complain(kind, shaper.unknown, write)
    causes = builtin.relevant(kind, shaper.causes)
    if causes:
        raise errors.invalid(kind.group, kind.kind, obj["metadata"]["name"], causes)
    return found


def declared(
    kind: Kind, body: JsonObject, write: Write, metadata: Node, *, sent: JsonObject
) -> JsonObject:
    """An applied body without what its schema does not declare, and without defaults; ``sent`` names it in messages."""
    shaper = Shaper(is_custom=kind.is_custom, metadata=metadata, fills=False)
    found: JsonObject = shaper.shape(body, kind.schema)
    head = sent.get("metadata") or {}
    place = f"{head.get('namespace') or ''}/{head.get('name') or ''}"
    named = f"failed to create typed patch object ({place}; {kind.group}/{kind.version}, Kind={kind.kind})"
    if shaper.mistyped:
        path, wanted, value = shaper.mistyped[0]
        raise errors.internal(
            f"{named}: .{path}: expected {_WORDS.get(wanted, wanted)}, got {_go(value)}"
        )
    if shaper.duplicates:
        path, names = shaper.duplicates[0]
        shown = ",".join(f"{key}={json.dumps(value)}" for key, value in sorted(names.items()))
        raise errors.internal(f"{named}: .{path}: duplicate entries for key [{shown}]")
    if shaper.unknown and (not kind.is_custom or write.validation == "Strict"):
        raise errors.internal(f"{named}: .{shaper.unknown[0]}: field not declared in schema")
    return found


def _complain(kind: Kind, unknown: list[str], write: Write) -> None:
    listed = [f'unknown field "{path}"' for path in unknown]
    if write.validation == "Strict":
        message = f"strict decoding error: {', '.join(listed)}"
        if not kind.is_custom:
            message = f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {message}'
        raise errors.bad_request(message)
    if write.validation == "Warn":
        write.warnings.extend(listed)


_WORDS = {
    "object": "map",
    "array": "list",
    "integer": "numeric (int or float)",
    "number": "numeric (int or float)",
}


def _go(value: JsonValue) -> str:
    """A value the way the API server quotes it."""
    text = f"{value}" if not isinstance(value, bool) else str(value).lower()
    return f"&value.valueUnstructured{{Value:{text}}}"


def _mistyped(kind: Kind, obj: JsonObject, shaper: Shaper) -> Refusal:
    path, wanted, value = shaper.mistyped[0]
    if not kind.is_custom:
        word = {dict: "object", list: "array", str: "string", bool: "bool"}.get(
            type(value), "number"
        )
        return errors.bad_request(
            f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: json: cannot '
            f"unmarshal {word} into Go struct field {kind.kind}.{path} of type {wanted}"
        )
    causes = [
        Cause(
            reason="FieldValueTypeInvalid",
            field=place,
            message=f'Invalid value: "{_json_type(found)}": {place} in body must be of type {needed}: "{_json_type(found)}"',
        )
        for place, needed, found in shaper.mistyped
    ]
    return errors.invalid(kind.group, kind.kind, obj["metadata"]["name"], causes + shaper.causes)


def _json_type(value: JsonValue) -> str:
    names = {
        dict: "object",
        list: "array",
        str: "string",
        bool: "boolean",
        int: "integer",
        float: "number",
    }
    return names.get(type(value), "null")

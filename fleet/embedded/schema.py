"""Schemas compiled for use: which fields there are, how lists are merged, what is filled in.

One form for Kubernetes' own kinds (from the recorded OpenAPI) and for the structural schemas of CRDs. `ANY` stands for what
nobody described: maps are merged by key, lists are replaced as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fleet.codec.jsontypes import JsonObject, JsonValue


@dataclass(slots=True, eq=False)
class Node:
    """A place in a schema; made once, then only read."""

    type: str = ""
    """object, array, string, integer, number, boolean, int-or-string; empty = anything."""
    fields: dict[str, Node] = field(default_factory=dict)
    values: Node | None = None
    """What undeclared keys of a map hold."""
    items: Node | None = None
    list_type: str = "atomic"
    """atomic, set or map."""
    keys: tuple[str, ...] = ()
    atomic: bool = False
    """A map that is replaced as a whole."""
    preserve: bool = False
    """Whether undeclared fields are kept."""
    nullable: bool = False
    embedded: bool = False
    """An object with apiVersion, kind and metadata of its own."""
    required: tuple[str, ...] = ()
    defaults: dict[str, JsonValue] = field(default_factory=dict)
    """What absent fields get, by name."""
    omits: frozenset[str] = frozenset()
    """Fields that Go leaves out where they are zero."""
    rules: JsonObject = field(default_factory=dict)
    """Value checks: enum, pattern, bounds, lengths, format."""
    patch_strategy: str = ""
    patch_key: str = ""

    def child(self, key: str) -> Node | None:
        """What a key of a map holds; None where the schema has no such field."""
        found = self.fields.get(key)
        if found is not None:
            return found
        if self.values is not None:
            return self.values
        return ANY if self.preserve or not self.type else None

    def declares(self, key: str) -> bool:
        """Whether the key is a field of a structure, not a key of a map."""
        return key in self.fields


ANY = Node(preserve=True)
_RULES = (
    "enum", "pattern", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength",
    "minItems", "maxItems", "minProperties", "maxProperties", "multipleOf", "uniqueItems", "oneOf", "anyOf", "allOf", "not",
    "x-kubernetes-validations",
)  # fmt: skip


class Compiler:
    """Compiles schemas; those with names (``$ref``) once each, however they refer to one another."""

    def __init__(self, named: Mapping[str, JsonObject] | None = None) -> None:
        self._named = named or {}
        self._made: dict[str, Node] = {}

    def node(self, schema: JsonObject) -> Node:
        """The compiled form of one schema."""
        name = _reference(schema)
        if name is None:
            return self._fill(Node(), schema)
        made = self._made.get(name)
        if made is None:
            # known before it is filled: a schema may contain itself
            made = self._made[name] = Node()
            self._fill(
                made, self._named.get(name) or {"x-kubernetes-preserve-unknown-fields": True}
            )
        return made

    def _fill(self, node: Node, schema: JsonObject) -> Node:
        node.type = _type_of(schema)
        node.preserve = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
        node.embedded = bool(schema.get("x-kubernetes-embedded-resource"))
        node.nullable = bool(schema.get("nullable"))
        node.atomic = schema.get("x-kubernetes-map-type") == "atomic"
        node.list_type = str(schema.get("x-kubernetes-list-type") or "atomic")
        node.keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
        node.patch_strategy = str(schema.get("x-kubernetes-patch-strategy") or "")
        node.patch_key = str(schema.get("x-kubernetes-patch-merge-key") or "")
        node.required = tuple(schema.get("required") or ())
        node.omits = frozenset(schema.get("x-omit-zero") or ())
        node.rules = {key: schema[key] for key in _RULES if key in schema}
        for name, inner in (schema.get("properties") or {}).items():
            node.fields[name] = self.node(inner)
            if "default" in inner:
                node.defaults[name] = inner["default"]
        extra = schema.get("additionalProperties")
        if isinstance(extra, dict):
            node.values = self.node(extra)
        if isinstance(schema.get("items"), dict):
            node.items = self.node(schema["items"])
        if node.type == "object" and not node.fields and node.values is None and extra is not False:
            node.preserve = node.preserve or "properties" not in schema
        return node


def _reference(schema: JsonObject) -> str | None:
    """The name that a schema refers to; Kubernetes writes a reference with siblings as an ``allOf`` of one."""
    only = schema.get("allOf")
    if isinstance(only, list) and len(only) == 1 and "$ref" in only[0]:
        schema = only[0]
    reference = schema.get("$ref")
    return str(reference).rpartition("/")[2] if reference else None


def _type_of(schema: JsonObject) -> str:
    if schema.get("x-kubernetes-int-or-string") or schema.get("format") == "int-or-string":
        return "int-or-string"
    found = str(schema.get("type") or "")
    if not found and "properties" in schema:
        return "object"
    return found

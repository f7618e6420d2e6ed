"""Gives what a client sent the form that its kind's schema asks for.

Fields that nobody declared are taken out and counted, declared defaults filled in, types and value rules checked. One pass over
the value; what comes out shares unchanged parts with what went in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import msgspec

from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.embedded.errors import Cause
from fleet.embedded.schema import ANY, Node

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "int-or-string": (int, str),
}


@dataclass(slots=True)
class Shaper:
    """One pass; what was wrong is in its lists afterwards."""

    is_custom: bool
    """Whether the schema is a CRD's: its defaults and rules hold, and empty values stay."""
    metadata: Node = ANY
    """What embedded objects have as metadata."""
    fills: bool = True
    """Whether defaults are filled in and rules checked; an applied body is taken as it is."""
    unknown: list[str] = field(default_factory=list)
    mistyped: list[tuple[str, str, JsonValue]] = field(default_factory=list)
    """Path, wanted type and value."""
    causes: list[Cause] = field(default_factory=list)
    duplicates: list[tuple[str, JsonObject]] = field(default_factory=list)
    """Lists with several items of one key: path and key."""

    def shape(self, value: JsonValue, node: Node, path: str = "") -> JsonValue:
        """The value in the form of its schema."""
        if value is None:
            if self.fills and not node.nullable and node.type:
                self.mistyped.append((path, node.type, value))
            return value
        wanted = _TYPES.get(node.type)
        if wanted is not None and not _is_of(value, wanted):
            self.mistyped.append((path, node.type, value))
            return value
        if not self.fills or not node.rules:
            pass
        elif self.is_custom:
            self.causes.extend(broken_rules(value, node.rules, path))
        elif "enum" in node.rules and value != "":
            self.causes.extend(_broken_enum(value, node.rules["enum"], path))
        if isinstance(value, dict):
            return self._map(value, node, path)
        if isinstance(value, list):
            return self._list(value, node, path)
        return value

    def _map(self, value: JsonObject, node: Node, path: str) -> JsonObject:
        if node is ANY:
            return value
        result: JsonObject = {}
        for key, item in value.items():
            inner = node.child(key)
            if inner is None and node.embedded and key in ("apiVersion", "kind", "metadata"):
                inner = self.metadata if key == "metadata" else ANY
            here = _joined(path, key)
            if inner is None:
                self.unknown.append(here)
                continue
            if item is None and self._drops_null(inner, node, key):
                continue
            shaped = self.shape(item, inner, here)
            if self.fills and self._is_void(shaped, inner, node, key):
                continue
            result[key] = shaped
        if self.fills:
            self._complete(result, node, path)
        return result

    def _complete(self, result: JsonObject, node: Node, path: str) -> None:
        for key, default in node.defaults.items():
            if key in result:
                continue
            inner = node.fields[key]
            if self.is_custom or _is_real_default(default, inner):
                result[key] = self.shape(default, inner, _joined(path, key))
        for key in node.required:
            if result.get(key) is None:
                self.causes.append(
                    Cause(
                        reason="FieldValueRequired",
                        field=_joined(path, key),
                        message="Required value",
                    )
                )

    def _list(self, value: list[JsonValue], node: Node, path: str) -> list[JsonValue]:
        inner = node.items or ANY
        result = [self.shape(item, inner, f"{path}[{index}]") for index, item in enumerate(value)]
        if node.list_type == "map":
            self._check_keys(result, node, path)
        elif node.list_type == "set" and self.is_custom and self.fills:
            self._check_set(result, path)
        return result

    def _check_set(self, items: list[JsonValue], path: str) -> None:
        seen: set[bytes] = set()
        for index, item in enumerate(items):
            text = msgspec.json.encode(item)
            if text in seen:
                self.causes.append(
                    Cause(
                        reason="FieldValueDuplicate",
                        field=f"{path}[{index}]",
                        message=f"Duplicate value: {text.decode()}",
                    )
                )
            seen.add(text)

    def _check_keys(self, items: list[JsonValue], node: Node, path: str) -> None:
        seen: set[str] = set()
        for index, item in enumerate(items):
            if not isinstance(item, dict):
                continue
            defaults = node.items.defaults if node.items else {}
            names = {key: item.get(key, defaults.get(key)) for key in node.keys}
            name = text = msgspec.json.encode(names).decode()
            if name in seen:
                self.duplicates.append((path, names))
            if name in seen and self.is_custom and self.fills:
                self.causes.append(
                    Cause(
                        reason="FieldValueDuplicate",
                        field=f"{path}[{index}]",
                        message=f"Duplicate value: {text}",
                    )
                )
            seen.add(name)

    def _drops_null(self, inner: Node, parent: Node, key: str) -> bool:
        """Go's types have no nulls; of custom resources only fields with a default lose theirs."""
        if inner.nullable or inner is ANY or not self.fills:
            return False
        return not self.is_custom or key in parent.defaults

    def _is_void(self, value: JsonValue, node: Node, parent: Node, key: str) -> bool:
        """Whether Go's ``omitempty`` would leave it out: zeros, and empty lists and maps that are not required."""
        if key in parent.omits and not value:
            return True
        if self.is_custom or value not in ([], {}) or key in parent.required:
            return False
        return isinstance(value, list) or (not node.fields and node.values is not None)


def _is_real_default(value: JsonValue, node: Node) -> bool:
    """The OpenAPI of built-in kinds names Go's zero values as defaults; only structures appear by themselves."""
    if value == {}:
        return node.type == "object" and bool(node.fields)
    return value not in ("", 0, False, None)


def _is_of(value: JsonValue, wanted: tuple[type, ...]) -> bool:
    if isinstance(value, bool):
        return bool in wanted
    if isinstance(value, float) and int in wanted and float not in wanted:
        return value.is_integer()
    return isinstance(value, wanted)


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


# -- value rules ------------------------------------------------------------------------------


def broken_rules(value: JsonValue, rules: JsonObject, path: str) -> list[Cause]:
    """The value rules of a structural schema that do not hold."""
    found: list[Cause] = []
    if "enum" in rules:
        found.extend(_broken_enum(value, rules["enum"], path))
    if isinstance(value, str):
        found.extend(_broken_text(value, rules, path))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        found.extend(_broken_number(value, rules, path))
    elif isinstance(value, list):
        found.extend(_broken_count(len(value), rules, "Items", "items", path))
    elif isinstance(value, dict):
        found.extend(_broken_count(len(value), rules, "Properties", "properties", path))
    return found


def _broken_enum(value: JsonValue, allowed: list[JsonValue], path: str) -> list[Cause]:
    if value in allowed:
        return []
    listed = ", ".join(msgspec.json.encode(item).decode() for item in allowed)
    message = (
        f"Unsupported value: {msgspec.json.encode(value).decode()}: supported values: {listed}"
    )
    return [Cause(reason="FieldValueNotSupported", field=path, message=message)]


def _broken_text(value: str, rules: JsonObject, path: str) -> list[Cause]:
    found: list[Cause] = []
    if "pattern" in rules and not re.search(rules["pattern"], value):
        found.append(_invalid(value, f"should match '{rules['pattern']}'", path))
    if len(value) < rules.get("minLength", 0):
        found.append(_invalid(value, f"should be at least {rules['minLength']} chars long", path))
    if "maxLength" in rules and len(value) > rules["maxLength"]:
        message = f"Too long: may not be more than {rules['maxLength']} bytes"
        found.append(Cause(reason="FieldValueTooLong", field=path, message=message))
    return found


def _broken_number(value: float, rules: JsonObject, path: str) -> list[Cause]:
    found: list[Cause] = []
    low, high = rules.get("minimum"), rules.get("maximum")
    if low is not None and (value < low or (value == low and rules.get("exclusiveMinimum"))):
        than = "greater than" if rules.get("exclusiveMinimum") else "greater than or equal to"
        found.append(_invalid(value, f"should be {than} {low}", path))
    if high is not None and (value > high or (value == high and rules.get("exclusiveMaximum"))):
        than = "less than" if rules.get("exclusiveMaximum") else "less than or equal to"
        found.append(_invalid(value, f"should be {than} {high}", path))
    if rules.get("multipleOf") and value % rules["multipleOf"]:
        found.append(_invalid(value, f"should be a multiple of {rules['multipleOf']}", path))
    return found


def _broken_count(count: int, rules: JsonObject, what: str, word: str, path: str) -> list[Cause]:
    found: list[Cause] = []
    if count < rules.get(f"min{what}", 0):
        found.append(_invalid(count, f"should have at least {rules[f'min{what}']} {word}", path))
    if f"max{what}" in rules and count > rules[f"max{what}"]:
        message = f"Too many: {count}: must have at most {rules[f'max{what}']} {word}"
        found.append(Cause(reason="FieldValueTooMany", field=path, message=message))
    return found


def _invalid(value: JsonValue, rule: str, path: str) -> Cause:
    shown = msgspec.json.encode(value).decode()
    return Cause(
        reason="FieldValueInvalid",
        field=path,
        message=f"Invalid value: {shown}: {path} in body {rule}",
    )

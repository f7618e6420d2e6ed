"""Settings: a YAML file against a dataclass or msgspec.Struct, strictly.

The type is the schema: an unknown key, a wrong type or a missing field is BadInput with file, line and field path,
and the nearest known name where there is one. ``timedelta`` reads ``30s``, ``1h30m``, ``24h``; `Size` reads ``64Mi``;
`Path` is relative to the file. ``fleet.runtime.settingsdoc`` prints the same types as a commented file.
What a setting means is decided by who asked for it.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any, Literal, NewType, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import msgspec

from fleet.codec import yamldoc
from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.errors import BadInput, Where

T = TypeVar("T")

Size = NewType("Size", int)
"""Bytes, written ``64Mi``, ``1G`` or as a number."""

_Steps = tuple[str | int, ...]


def load_settings(path: Path, type_: type[T], defaults: Mapping[str, JsonValue] | None = None) -> T:
    """Read a settings file; ``defaults`` fill keys that the file leaves out, before the type's own do."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise BadInput(
            f"settings cannot be read: {error.strerror or error}", where=Where(file=str(path))
        ) from error
    documents = yamldoc.load_documents(text, source=str(path), positions=True)
    if len(documents) > 1:
        raise BadInput(
            "settings are one YAML document", where=Where(file=str(path), line=documents[1].line)
        )
    document = documents[0] if documents else yamldoc.Document({}, str(path), 1)
    value = document.value if document.value is not None else {}
    if defaults and isinstance(value, dict):
        value = _merged(dict(defaults), value)
    return cast("T", _Reader(document, path.parent).read(value, type_, ()))


def parse_settings(value: JsonValue, type_: type[T], *, folder: Path, source: str = "") -> T:
    """Read settings that are already a value, such as ones made by a test or from arguments."""
    document = yamldoc.Document(value, source, 0)
    return cast("T", _Reader(document, folder).read(value, type_, ()))


@dataclass(frozen=True, slots=True)
class SettingField:
    """One field of a settings type: its name in YAML, its attribute, type, and whether it may be left out."""

    key: str
    attribute: str
    type: Any
    required: bool
    default: Any = None


def setting_fields(type_: type) -> tuple[SettingField, ...]:
    """Return the fields of a dataclass or Struct in order; keys are camelCase, as in Kubernetes files."""
    hints = get_type_hints(type_)
    if dataclasses.is_dataclass(type_):
        return tuple(
            SettingField(camel(item.name), item.name, hints[item.name], *_dataclass_default(item))
            for item in dataclasses.fields(type_)
            if item.init
        )
    return tuple(
        SettingField(
            item.encode_name if item.encode_name != item.name else camel(item.name),
            item.name,
            hints[item.name],
            item.required,
            item.default
            if item.default is not msgspec.NODEFAULT
            else item.default_factory()
            if item.default_factory is not msgspec.NODEFAULT
            else None,
        )
        for item in msgspec.structs.fields(type_)
    )


def is_settings_type(type_: Any) -> bool:
    """Tell whether a type is read field by field."""
    return isinstance(type_, type) and (
        dataclasses.is_dataclass(type_) or issubclass(type_, msgspec.Struct)
    )


def camel(name: str) -> str:
    """Return the YAML name of a field: camelCase, with initials in capitals as Kubernetes writes them (repoURL)."""
    first, *rest = name.split("_")
    return first + "".join(part.upper() if part in _INITIALS else part.title() for part in rest)


_INITIALS = frozenset(("url", "http", "tls", "ca", "id"))


_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def parse_duration(text: str) -> timedelta:
    """Read ``30s``, ``1h30m``, ``250ms``, ``7d``; raises BadInput."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise BadInput(f"not a duration: {text!r}", hint="write 30s, 5m, 24h")
    return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in parts))


_SIZES = {
    "": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40,
}  # fmt: skip
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([A-Za-z]*)\Z")


def parse_size(text: str) -> Size:
    """Read ``64Mi``, ``1.5G``, ``1024``; raises BadInput."""
    match = _SIZE.match(text)
    if not match or match[2] not in _SIZES:
        raise BadInput(f"not a size: {text!r}", hint="write 64Mi, 1Gi, 500k")
    return Size(int(float(match[1]) * _SIZES[match[2]]))


def _dataclass_default(item: dataclasses.Field[Any]) -> tuple[bool, Any]:
    if item.default is not dataclasses.MISSING:
        return False, item.default
    if item.default_factory is not dataclasses.MISSING:
        return False, item.default_factory()
    return True, None


def _merged(low: JsonObject, high: JsonObject) -> JsonObject:
    result = dict(low)
    for key, value in high.items():
        below = result.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            result[key] = _merged(below, value)
        else:
            result[key] = value
    return result


class _Reader:
    """Converts values of one document, keeping the way to each for messages."""

    def __init__(self, document: yamldoc.Document, folder: Path) -> None:
        self._document = document
        self._folder = folder

    def fail(self, steps: _Steps, message: str, hint: str = "") -> BadInput:
        line = self._document.line_of(steps)
        where = Where(file=self._document.source, line=line, field=field_path(steps))
        return BadInput(message, where=where, hint=hint)

    def read(self, value: JsonValue, type_: Any, steps: _Steps) -> Any:
        if is_settings_type(type_):
            return self.struct(value, type_, steps)
        origin = get_origin(type_)
        if origin in (Union, types.UnionType):
            return self.union(value, get_args(type_), steps)
        if origin is Literal:
            return self.choice(value, {str(item): item for item in get_args(type_)}, steps)
        if origin in (tuple, list, Sequence, frozenset, set):
            return self.items(value, type_, origin, steps)
        if origin in (dict, Mapping) or type_ is dict:
            return self.mapping(value, get_args(type_), steps)
        if isinstance(type_, type) and issubclass(type_, Enum):
            return self.choice(value, {str(item.value): item for item in type_}, steps)
        return self.scalar(value, type_, steps)

    def struct(self, value: JsonValue, type_: type, steps: _Steps) -> Any:
        if not isinstance(value, dict):
            raise self.fail(steps, f"a map is expected, not {_shown(value)}")
        known = {item.key: item for item in setting_fields(type_)}
        for key in value:
            if key not in known:
                near = difflib.get_close_matches(key, known, 1, 0.6)
                hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(known))}"
                raise self.fail((*steps, key), f"unknown key {key!r}", hint)
        arguments = {}
        for item in known.values():
            # A section whose keys are all commented out reads as null.
            blank = (
                is_settings_type(item.type) and value.get(item.key) is None and not item.required
            )
            if item.key in value and not blank:
                arguments[item.attribute] = self.read(
                    value[item.key], item.type, (*steps, item.key)
                )
            elif item.required:
                raise self.fail(steps, f"{item.key!r} is required and missing")
        try:
            return type_(**arguments)
        except (ValueError, TypeError) as error:
            raise self.fail(steps, str(error)) from error
        except BadInput as error:
            at = self.fail(steps, "").where
            raise error.at(file=at.file, line=at.line, field=at.field) from error

    def union(self, value: JsonValue, members: tuple[Any, ...], steps: _Steps) -> Any:
        real = [member for member in members if member is not type(None)]
        if value is None and len(real) < len(members):
            return None
        for number, member in enumerate(real):
            try:
                return self.read(value, member, steps)
            except BadInput:
                if number == len(real) - 1:
                    raise
        raise self.fail(steps, f"unexpected {_shown(value)}")

    def choice(self, value: JsonValue, choices: dict[str, Any], steps: _Steps) -> Any:
        if not isinstance(value, bool) and str(value) in choices:
            return choices[str(value)]
        raise self.fail(steps, f"{_shown(value)} is not one of {', '.join(choices)}")

    def items(self, value: JsonValue, type_: Any, origin: Any, steps: _Steps) -> Any:
        if not isinstance(value, list):
            raise self.fail(steps, f"a list is expected, not {_shown(value)}")
        member = get_args(type_)[0]
        read = [self.read(item, member, (*steps, number)) for number, item in enumerate(value)]
        return tuple(read) if origin in (tuple, Sequence) else origin(read)

    def mapping(self, value: JsonValue, members: tuple[Any, ...], steps: _Steps) -> Any:
        if not isinstance(value, dict):
            raise self.fail(steps, f"a map is expected, not {_shown(value)}")
        member = members[1] if members else Any
        return {key: self.read(item, member, (*steps, key)) for key, item in value.items()}

    def scalar(self, value: JsonValue, type_: Any, steps: _Steps) -> Any:
        if type_ is Any:
            return value
        if type_ is timedelta and isinstance(value, str):
            return self.parsed(parse_duration, value, steps)
        if type_ is Size and isinstance(value, (str, int)) and not isinstance(value, bool):
            return self.parsed(parse_size, str(value), steps)
        plain = getattr(type_, "__supertype__", type_) if type_ is not Size else None
        if plain is Path and isinstance(value, str) and value:
            return self._folder / Path(value).expanduser()
        if plain is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if plain in (str, int, float, bool) and type(value) is plain:
            return value
        raise self.fail(steps, f"{type_name(type_)} is expected, not {_shown(value)}")

    def parsed(self, parse: Any, value: str, steps: _Steps) -> Any:
        try:
            return parse(value)
        except BadInput as error:
            raise self.fail(steps, error.message, error.hint) from error


_NAMES: dict[Any, str] = {
    str: "a text", int: "a whole number", float: "a number", bool: "true or false", Path: "a path",
    timedelta: "a duration such as 30s", Size: "a size such as 64Mi", type(None): "null",
}  # fmt: skip


def type_name(type_: Any) -> str:
    """Say a type of values in words, for messages and documentation."""
    if get_origin(type_) is Literal:
        return " or ".join(str(item) for item in get_args(type_))
    if get_origin(type_) in (Union, types.UnionType):
        return " or ".join(type_name(item) for item in get_args(type_))
    return _NAMES.get(type_) or _NAMES.get(getattr(type_, "__supertype__", None)) or str(type_)


def field_path(steps: _Steps) -> str:
    """Write a path as users do: ``repositories[0].url``."""
    text = ""
    for step in steps:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def _shown(value: JsonValue) -> str:
    if isinstance(value, dict):
        return "a map"
    if isinstance(value, list):
        return "a list"
    return "nothing" if value is None else repr(value)[:80]

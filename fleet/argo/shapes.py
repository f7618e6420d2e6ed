"""What a document may look like: the little language in which `fleet.argo.fields` describes Argo CD's kinds.

`check` walks a value along its shape. It gives back the value without the fields nobody knows and without
nulls (the API server drops both), and findings: unknown names, wrong types, missing fields, and fields that
Argo CD knows and this project does not build. Whether a finding stops the document is the caller's decision.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from fleet.codec.jsontypes import JsonValue

Path: TypeAlias = tuple[str | int, ...]


class Support(StrEnum):
    """What this project does with a field that Argo CD knows."""

    BUILT = "built"
    SILENT = "silent"
    """It means nothing here and nobody misses it."""
    SAFE = "safe"
    """Not built; ignoring it does no harm: a warning."""
    UNSAFE = "unsafe"
    """Not built; ignoring it would do something the owner did not ask for: the target is held."""


@dataclass(frozen=True, slots=True)
class Text:
    """A string, maybe one of a few."""

    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Whole:
    """An integer."""


@dataclass(frozen=True, slots=True)
class Flag:
    """A boolean."""


@dataclass(frozen=True, slots=True)
class WholeOrText:
    """Kubernetes' IntOrString."""


@dataclass(frozen=True, slots=True)
class Anything:
    """Free JSON: not looked into."""


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    item: Shape


@dataclass(frozen=True, slots=True)
class Table:
    """A map from free names to values of one shape."""

    item: Shape


@dataclass(frozen=True, slots=True)
class Record:
    """A map with known fields."""

    fields: Mapping[str, Field]


Shape: TypeAlias = Text | Whole | Flag | WholeOrText | Anything | Items | Table | Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a record; ``keep`` says that Kubernetes prints it even when it is empty."""

    shape: Shape
    required: bool = False
    keep: bool = False
    support: Support = Support.BUILT


class FindingKind(StrEnum):
    """What is the matter with a field."""

    UNKNOWN = "unknown"
    WRONG = "wrong"
    MISSING = "missing"
    SAFE = "safe"
    UNSAFE = "unsafe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One remark about one field."""

    kind: FindingKind
    path: Path
    message: str

    @property
    def field(self) -> str:
        """The path as people write it: ``spec.generators[0].git``."""
        return dotted(self.path)


@dataclass(slots=True)
class Checked:
    """The cleaned value and what was found on the way."""

    value: JsonValue
    findings: list[Finding] = field(default_factory=list)


def dotted(path: Path) -> str:
    """Write a path with dots and brackets."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def check(value: JsonValue, shape: Shape, path: Path = (), *, nulls: bool = False) -> Checked:
    """Compare a value with its shape; with ``nulls`` they stay (they mean something in patches)."""
    walk = _Walk(nulls=nulls, findings=[])
    return Checked(walk.visit(value, shape, path), walk.findings)


def nearest(name: str, known: Mapping[str, Field] | tuple[str, ...]) -> str:
    """Return `` (did you mean "x"?)`` where a known name is near, else an empty text."""
    by_lower = {word.lower(): word for word in known}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1)
    return f' (did you mean "{by_lower[close[0]]}"?)' if close else ""


@dataclass(slots=True)
class _Walk:
    nulls: bool
    findings: list[Finding]

    def visit(self, value: JsonValue, shape: Shape, path: Path) -> JsonValue:
        match shape:
            case Record(fields):
                return self.record(value, fields, path)
            case Table(item):
                return self.table(value, item, path)
            case Items(item):
                return self.items(value, item, path)
            case Anything():
                return value
            case _:
                problem = _scalar_problem(value, shape)
                if problem:
                    self.add(FindingKind.WRONG, path, problem)
                return value

    def record(self, value: JsonValue, fields: Mapping[str, Field], path: Path) -> JsonValue:
        if not isinstance(value, dict):
            return self.wrong(value, "an object", path)
        kept = {}
        for name, item in value.items():
            known = fields.get(name)
            if known is None:
                if not (self.nulls and name.startswith("$")):
                    message = f'unknown field "{name}"{nearest(name, fields)}'
                    self.add(FindingKind.UNKNOWN, (*path, name), message)
                    continue
            elif item is not None:
                kept[name] = self.visit(item, known.shape, (*path, name))
                self.judge(known.support, kept[name], (*path, name))
                continue
            elif not self.nulls:
                continue
            kept[name] = item
        for name, known in fields.items():
            if known.required and not self.nulls and name not in kept:
                self.add(FindingKind.MISSING, (*path, name), "required and missing")
        return kept

    def judge(self, support: Support, value: JsonValue, path: Path) -> None:
        if support in (Support.BUILT, Support.SILENT) or is_blank(value):
            return
        if support is Support.SAFE:
            self.add(FindingKind.SAFE, path, "has no effect here")
        else:
            self.add(FindingKind.UNSAFE, path, "is not supported yet")

    def table(self, value: JsonValue, item: Shape, path: Path) -> JsonValue:
        if not isinstance(value, dict):
            return self.wrong(value, "an object", path)
        return {
            key: None if member is None else self.visit(member, item, (*path, key))
            for key, member in value.items()
            if member is not None or self.nulls
        }

    def items(self, value: JsonValue, item: Shape, path: Path) -> JsonValue:
        if not isinstance(value, list):
            return self.wrong(value, "a list", path)
        return [
            self.visit(member, item, (*path, position))
            for position, member in enumerate(value)
            if member is not None
        ]

    def wrong(self, value: JsonValue, expected: str, path: Path) -> JsonValue:
        self.add(FindingKind.WRONG, path, f"must be {expected}, not {_described(value)}")
        return value

    def add(self, kind: FindingKind, path: Path, message: str) -> None:
        self.findings.append(Finding(kind=kind, path=path, message=message))


def is_blank(value: JsonValue) -> bool:
    """Tell whether a value says nothing: empty, false, zero, or made of such only."""
    if isinstance(value, dict):
        return all(is_blank(item) for item in value.values())
    return not value


def _scalar_problem(value: JsonValue, shape: Shape) -> str:
    match shape:
        case Text(choices):
            if not isinstance(value, str):
                quotes = ": put it in quotes" if isinstance(value, (bool, int, float)) else ""
                return f"must be a string, not {_described(value)}{quotes}"
            if choices and value not in choices:
                known = ", ".join(f'"{choice}"' for choice in choices)
                return f'must be one of {known}, not "{value}"'
        case Whole():
            if isinstance(value, bool) or not _is_whole(value):
                return f"must be an integer, not {_described(value)}"
        case Flag():
            if not isinstance(value, bool):
                return f"must be true or false, not {_described(value)}"
        case WholeOrText():
            if isinstance(value, bool) or not (isinstance(value, str) or _is_whole(value)):
                return f"must be an integer or a string, not {_described(value)}"
        case _:
            raise AssertionError(shape)
    return ""


def _is_whole(value: JsonValue) -> bool:
    return isinstance(value, int) or (isinstance(value, float) and value.is_integer())


def _described(value: JsonValue) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value}"
        case str():
            return f'the text "{value[:60]}"'
        case list():
            return "a list"
        case _:
            return "an object"

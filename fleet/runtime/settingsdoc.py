"""Settings that document themselves: a settings type as a commented YAML file.

The text under a field (its attribute docstring) is its documentation, in code and in the file, so the two cannot
drift apart. Every key is printed: required ones with a placeholder, the others with their default, commented out.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from enum import Enum
from typing import Any, get_args, get_origin

from fleet.codec import yamldoc
from fleet.runtime.settings import SettingField, Size, is_settings_type, setting_fields, type_name

_WIDTH = 100


def describe_settings(type_: type) -> str:
    """Print a type as YAML with comments; a reader can fill in the required keys and start."""
    lines = [*_comment(inspect.getdoc(type_) or "", 0), ""]
    lines += _fields(type_, 0, off=False)
    return "\n".join(lines).rstrip() + "\n"


def field_docs(type_: type) -> dict[str, str]:
    """Return the text under each field by attribute name."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(type_)))
    except (OSError, TypeError, SyntaxError):
        return {}
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    docs = {}
    for statement, following in itertools.pairwise(body):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
            and isinstance(following.value.value, str)
        ):
            docs[statement.target.id] = inspect.cleandoc(following.value.value)
    return docs


def _fields(type_: type, indent: int, *, off: bool, given: object = None) -> Iterator[str]:
    docs = field_docs(type_)
    for item in setting_fields(type_):
        if given is not None:
            item = replace(item, required=False, default=getattr(given, item.attribute))  # noqa: PLW2901
        yield from _comment(docs.get(item.attribute, "") or _section_doc(item.type), indent)
        yield from _field(item, indent, off=off)


def _field(item: SettingField, indent: int, *, off: bool) -> Iterator[str]:
    nested, listed = _nested(item.type)
    commented = off or not item.required
    if nested is None:
        value = f"<{_type_text(item.type)}>" if item.required else _default_text(item)
        yield _line(f"{item.key}: {value}", indent, off=commented)
        return
    inner = off or (commented and (listed or item.default is None))
    yield _line(f"{item.key}:", indent, off=inner)
    if listed:
        yield _line("-", indent + 2, off=inner)
    given = None if listed else item.default
    yield from _fields(nested, indent + (4 if listed else 2), off=inner, given=given)


def _section_doc(type_: Any) -> str:
    nested, _ = _nested(type_)
    text = inspect.getdoc(nested) if nested else None
    # a dataclass without a docstring gets its signature for one
    return "" if nested is None or not text or text.startswith(f"{nested.__name__}(") else text


def _nested(type_: Any) -> tuple[type | None, bool]:
    if is_settings_type(type_):
        return type_, False
    for member in get_args(type_):
        found, _ = _nested(member)
        if found:
            return found, get_origin(type_) in (tuple, list)
    return None, False


def _line(text: str, indent: int, *, off: bool) -> str:
    return f"{' ' * indent}{'# ' if off else ''}{text}"


def _comment(text: str, indent: int) -> Iterator[str]:
    paragraphs = text.replace("``", "`").split("\n\n") if text else []
    for number, paragraph in enumerate(paragraphs):
        if number:
            yield f"{' ' * indent}##"
        for line in textwrap.wrap(" ".join(paragraph.split()), _WIDTH - indent - 3):
            yield f"{' ' * indent}## {line}"


def _type_text(type_: Any) -> str:
    if isinstance(type_, type) and issubclass(type_, Enum):
        return " or ".join(str(item.value) for item in type_)
    return type_name(type_)


def _default_text(item: SettingField) -> str:
    value = item.default
    if item.type is Size:
        return size_text(value)
    if isinstance(value, timedelta):
        return duration_text(value)
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, (tuple, frozenset, set)):
        value = sorted(value) if isinstance(value, (set, frozenset)) else list(value)
    if not isinstance(value, (str, int, float, bool, list, dict, type(None))):
        value = str(value)
    if value in ([], {}):
        return "[]" if value == [] else "{}"
    return yamldoc.dump({"k": value}).removeprefix("k:").strip().replace("\n", " ")


def duration_text(value: timedelta) -> str:
    """Write a duration the way settings read it."""
    milliseconds = round(value.total_seconds() * 1000)
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if milliseconds and milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms" if milliseconds else "0s"


def size_text(value: Size) -> str:
    """Write a size the way settings read it."""
    for unit, size in (("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10)):
        if value and value % size == 0:
            return f"{value // size}{unit}"
    return str(value)

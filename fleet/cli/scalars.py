"""Changing one value in a YAML or JSON text and nothing else: comments, quotes and layout stay. Pure.

A candidate is only taken when the text, parsed again, is the old value with exactly that field changed; a value that
is written in a way that cannot be edited so (over several lines, through an alias) is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from fleet.codec import yamldoc
from fleet.codec.jsontypes import JsonValue
from fleet.codec.yamldoc import Document
from fleet.errors import BadInput, Where

Path = tuple[str | int, ...]


def set_scalar(text: str, source: str, index: int, path: Path, value: JsonValue) -> str:
    """Return the text with one field of its ``index``-th document changed; raises BadInput naming file and line."""
    documents = yamldoc.load_documents(text, source=source, positions=True)
    document = documents[index]
    expected = [item.value for item in documents]
    expected[index] = _with(document.value, path, value)
    for candidate in _candidates(text, document, path, value):
        if _values(candidate) == expected:
            return candidate
    raise BadInput(
        f"{dotted(path)} cannot be changed without writing the file anew",
        where=Where(file=source, line=document.line_of(path)),
        hint="put the value behind its key, on one line",
    )


def scalar_at(value: JsonValue, path: Path) -> JsonValue:
    """Return the value at a path that exists."""
    for step in path:
        value = value[step]
    return value


def dotted(path: Path) -> str:
    """Write a path as ``spec.sources[0].targetRevision``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)[1:]


def _candidates(text: str, document: Document, path: Path, value: JsonValue) -> Iterator[str]:
    lines = text.splitlines(keepends=True)
    number = document.line_of(path) - 1
    if number >= len(lines):
        return
    old = re.escape(_plain(scalar_at(document.value, path)))
    if isinstance(path[-1], int):  # an entry of a list has no key before it
        for match in re.finditer(old, lines[number]):
            line = lines[number][: match.start()] + _plain(value) + lines[number][match.end() :]
            yield "".join([*lines[:number], line, *lines[number + 1 :]])
        return
    key = re.escape(str(path[-1]))
    number_as_written = r"[-+.\w]+"  # 1.20 is read as 1.2
    pattern = re.compile(
        rf"""(?P<key>(?<![\w-])["']?{key}["']?\s*:\s*)"""
        rf"""(?P<quote>["']?)(?:{old}(?![\w.])|{number_as_written})(?P=quote)"""
    )
    for match in pattern.finditer(lines[number]):
        quote = match["quote"]
        for written in dict.fromkeys((f"{quote}{_plain(value)}{quote}", json.dumps(value))):
            line = lines[number][: match.start()] + match["key"] + written
            line += lines[number][match.end() :]
            yield "".join([*lines[:number], line, *lines[number + 1 :]])


def _plain(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _values(text: str) -> list[JsonValue] | None:
    try:
        return [item.value for item in yamldoc.load_documents(text)]
    except BadInput:
        return None


def _with(value: JsonValue, path: Path, new: JsonValue) -> JsonValue:
    if not path:
        return new
    head, rest = path[0], path[1:]
    if isinstance(value, list):
        return [_with(item, rest, new) if at == head else item for at, item in enumerate(value)]
    return {**value, head: _with(value[head], rest, new)}

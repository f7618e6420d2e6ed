"""The line of the field that a problem names, where the problem itself only knows its document."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from fleet.argo.reading import Problem
from fleet.codec.jsontypes import JsonValue
from fleet.codec.yamldoc import Document

_INDEX = re.compile(r"\[(\d+)\]")


class LineFinder:
    """Documents by the place where they begin."""

    def __init__(self, documents: Iterable[Document]) -> None:
        self._documents = {(item.source, item.line): item for item in documents}

    def exactly(self, problem: Problem) -> Problem:
        """Return the problem at its field's line, or at the line of the nearest parent that is there."""
        where = problem.where
        document = self._documents.get((where.file, where.line))
        if document is None or not where.field:
            return problem
        line = document.line_of(steps(document.value, where.field))
        return replace(problem, where=replace(where, line=line))


def steps(value: JsonValue, field: str) -> tuple[str | int, ...]:
    """Cut ``spec.generators[0].list`` into steps as far as the value has them; keys may have dots."""
    path: list[str | int] = []
    while field:
        index = _INDEX.match(field)
        if isinstance(value, list) and index and int(index[1]) < len(value):
            step: str | int = int(index[1])
            field = field[index.end() :]
        elif isinstance(value, dict) and (key := _key(value, field)):
            step = key
            field = field[len(key) :]
        else:
            break
        path.append(step)
        value = value[step]
        field = field.removeprefix(".")
    return tuple(path)


def _key(value: dict[str, JsonValue], field: str) -> str:
    fitting = [key for key in value if field == key or field.startswith((f"{key}.", f"{key}["))]
    return max(fitting, key=len, default="")

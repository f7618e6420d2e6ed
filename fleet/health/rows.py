"""Rows: how a kind's own status is read, in a notation small enough for one table of many kinds.

A row is lines (or parts between ``;``) of a health word and tests; the first line whose tests all hold decides, and a
line without tests always does. Tests are:

``Ready``             a condition of that type, a glob, is True
``Ready=False``       its status, here and below as words between ``|``, globs, or all but them after ``!``
``Ready=False:Busy``  its reason too; ``:Busy`` alone takes any status
``...@Error``         its severity (Cluster API); ``...~*quota*`` its message
``.status.phase``     a field that says something: there, and not false or empty
``.status.phase=Up``  a field's words; ``=.spec.x`` compares two fields, ``<.spec.x`` two numbers
``.a.b[].c``          any item of a list, ``.a{}.c`` any value of a map, ``.a[x.y/z]`` a key with dots
``behind``            the controller has seen an older generation than the object's, where it says so
``unseen``            it has seen another one, or says nothing
``stale``             a condition is about another generation
``!test``             the test does not hold

Where no line decides, the row ends in its last resort: Progressing for a kind of its own, general rules for a row
about all kinds of a group. A row that says Healthy of an older generation is not believed. Rows are read when the
first object of their kind is judged.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import translate

from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.health.fields import at, is_behind, maps_at, number_at, text_at
from fleet.health.result import HealthResult
from fleet.model.report import Health

BEHIND = HealthResult(Health.PROGRESSING, "the controller has not seen the newest generation yet")

_CONDITION = re.compile(
    r"(?P<type>[^=:@~]+)(?:=(?P<status>[^:@~]+))?(?::(?P<reason>[^@~]+))?(?:@(?P<severity>[^~]+))?(?:~(?P<message>.+))?"
)
_FIELD = re.compile(r"(?P<path>\.[^=<]+)(?:(?P<operator>[=<])(?P<value>.+))?")
_STEP = re.compile(r"\.(?P<key>[^.\[{]+)|\[(?P<quoted>[^\]]+)\]|(?P<items>\[\])|(?P<values>\{\})")
_EMPTY: tuple[JsonValue, ...] = (None, False, "", [], {})


@dataclass(frozen=True, slots=True)
class _Words:
    """Words and globs of which a text must match one, or none."""

    words: frozenset[str]
    globs: tuple[re.Pattern[str], ...]
    excluded: bool

    def hold(self, text: str) -> bool:
        found = text in self.words or any(glob.fullmatch(text) for glob in self.globs)
        return found is not self.excluded


@dataclass(frozen=True, slots=True)
class _ConditionTest:
    """A test of one condition; which texts it looks at, and the words for them."""

    type: _Words
    words: tuple[tuple[str, _Words], ...]
    negated: bool

    def message(self, body: JsonObject) -> str | None:
        for item in maps_at(body, "status", "conditions"):
            if self.type.hold(text_at(item, "type")) and self._fits(item):
                return (
                    None if self.negated else (text_at(item, "message") or text_at(item, "reason"))
                )
        return "" if self.negated else None

    def _fits(self, item: JsonObject) -> bool:
        return all(words.hold(_condition_text(item, name)) for name, words in self.words)


@dataclass(frozen=True, slots=True)
class _FieldTest:
    """A test of the values at a path."""

    path: str
    operator: str
    value: str
    words: _Words
    negated: bool

    def message(self, body: JsonObject) -> str | None:
        found = any(self._holds(value, body) for value in values_at(body, self.path))
        return "" if found is not self.negated else None

    def _holds(self, value: JsonValue, body: JsonObject) -> bool:
        if not self.operator:
            return not _is_empty(value)
        if not self.value.startswith("."):
            return value is not None and self.words.hold(_text(value))
        other = next(iter(values_at(body, self.value)), None)
        if self.operator == "=":
            return bool(value == other)
        return number_at({"": value}, "") < number_at({"": other}, "")


@dataclass(frozen=True, slots=True)
class _GenerationTest:
    """A test of which generation the status is about."""

    word: str
    negated: bool

    def message(self, body: JsonObject) -> str | None:
        return BEHIND.message if self._holds(body) is not self.negated else None

    def _holds(self, body: JsonObject) -> bool:
        generation = at(body, "metadata", "generation")
        if self.word == "behind":
            return is_behind(body)
        if self.word == "unseen":
            return bool(at(body, "status", "observedGeneration") != generation)
        seen = (item.get("observedGeneration") for item in maps_at(body, "status", "conditions"))
        return generation is not None and any(value not in (None, generation) for value in seen)


_Test = _ConditionTest | _FieldTest | _GenerationTest


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it is used."""

    lines: tuple[tuple[Health, tuple[_Test, ...]], ...]

    def judge(self, body: JsonObject) -> HealthResult | None:
        """Judge an object; None where no line decides."""
        for health, tests in self.lines:
            messages = [test.message(body) for test in tests]
            if any(message is None for message in messages):
                continue
            if health is Health.HEALTHY and is_behind(body):
                return BEHIND
            said = next((message for message in messages if message), "")
            return HealthResult(health, said or _own_message(body))
        return None


@functools.cache
def row(text: str) -> Row:
    """Read a row; raises ValueError for one that is not well formed."""
    return Row(tuple(_line(part) for part in re.split(r"[;\n]", text) if part.strip()))


def values_at(body: JsonObject, path: str) -> list[JsonValue]:
    """Return the values that a path of the notation leads to; without ``[]`` and ``{}`` there is one, or None."""
    found: list[JsonValue] = [body]
    for step in _STEP.finditer(path):
        key = step["key"] or step["quoted"]
        if key:
            found = [at(value, key) for value in found]
        else:
            found = [
                item for value in found for item in _inside(value, of_map=bool(step["values"]))
            ]
    return found


def _inside(value: JsonValue, *, of_map: bool) -> Iterable[JsonValue]:
    if of_map:
        return value.values() if isinstance(value, dict) else ()
    return value if isinstance(value, list) else ()


def _line(part: str) -> tuple[Health, tuple[_Test, ...]]:
    word, *tests = part.split()
    return Health(word), tuple(_test(text) for text in tests)


def _test(text: str) -> _Test:
    negated, text = text.startswith("!"), text.removeprefix("!")
    if text in ("behind", "unseen", "stale"):
        return _GenerationTest(text, negated)
    if text.startswith("."):
        field = _matched(_FIELD, text)
        value = field["value"] or ""
        return _FieldTest(field["path"], field["operator"] or "", value, _words(value), negated)
    parts = _matched(_CONDITION, text)
    given = {name: value for name, value in parts.groupdict().items() if value and name != "type"}
    if "status" not in given and "reason" not in given:
        given["status"] = "True"
    words = tuple((name, _words(value)) for name, value in given.items())
    return _ConditionTest(_words(parts["type"]), words, negated)


def _matched(pattern: re.Pattern[str], text: str) -> re.Match[str]:
    found = pattern.fullmatch(text)
    if found is None:
        raise ValueError(f"not a test: {text}")
    return found


def _words(text: str) -> _Words:
    excluded, text = text.startswith("!"), text.removeprefix("!")
    parts = text.split("|")
    globs = tuple(re.compile(translate(part)) for part in parts if "*" in part or "?" in part)
    return _Words(frozenset(parts), globs, excluded)


def _text(value: JsonValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (str, int, float)) else ""


def _condition_text(item: JsonObject, name: str) -> str:
    text = _text(item.get(name))
    return text.capitalize() if name == "status" else text


def _is_empty(value: JsonValue) -> bool:
    return any(
        value is empty or (value == empty and not isinstance(value, int)) for empty in _EMPTY
    )


def _own_message(body: JsonObject) -> str:
    for name in ("message", "reason", "phase", "state"):
        if found := text_at(body, "status", name):
            return found
    return ""

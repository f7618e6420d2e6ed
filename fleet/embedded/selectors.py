"""Label and field selectors, as clients write them in a query."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.embedded.errors import bad_request

_TERM = re.compile(
    r"\s*(?:(?P<absent>!)\s*(?P<absent_key>[^\s,=!()]+)"
    r"|(?P<key>[^\s,=!()<>]+)\s*(?:(?P<set>in|notin)\s*\((?P<values>[^()]*)\)|(?P<op>==|=|!=|<|>)\s*(?P<value>[^\s,()=!<>]*))?)\s*"
)
_TOKEN = re.compile(r"==|!=|=|[^\s,]+")


@dataclass(frozen=True, slots=True)
class Term:
    """One requirement on one key."""

    key: str
    operator: str
    """in, notin, exists, absent, gt or lt."""
    values: frozenset[str] = frozenset()

    def holds(self, found: str | None) -> bool:
        """Whether a value (None = absent) meets it."""
        match self.operator:
            case "in":
                return found in self.values
            case "notin":
                return found not in self.values
            case "exists":
                return found is not None
            case "absent":
                return found is None
            case _:
                return _is_beyond(found, self.operator, next(iter(self.values)))


Selector = tuple[Term, ...]


def parse_labels(text: str) -> Selector:
    """Read a label selector; raises the refusal of one that cannot be read."""
    terms: list[Term] = []
    position = 0
    while position < len(text.rstrip()):
        found = _TERM.match(text, position)
        if found is None or found.end() == position:
            raise bad_request(f"unable to parse requirement: found {text[position:]!r}")
        terms.append(_term(found))
        position = found.end()
        if position < len(text):
            if text[position] != ",":
                token = _TOKEN.match(text, position)
                shown = token[0] if token else text[position:]
                raise bad_request(f"found '{shown}', expected: ',' or 'end of string'")
            position += 1
    return tuple(terms)


def _term(found: re.Match[str]) -> Term:
    if found["absent"]:
        return Term(found["absent_key"], "absent")
    key = found["key"]
    if found["set"]:
        values = frozenset(part.strip() for part in found["values"].split(","))
        return Term(key, found["set"], values)
    match found["op"]:
        case None:
            return Term(key, "exists")
        case "!=":
            return Term(key, "notin", frozenset((found["value"],)))
        case "<" | ">" as operator:
            return Term(key, "lt" if operator == "<" else "gt", frozenset((found["value"],)))
        case _:
            return Term(key, "in", frozenset((found["value"],)))


def _is_beyond(found: str | None, operator: str, bound: str) -> bool:
    try:
        left, right = int(found or ""), int(bound)
    except ValueError:
        return False
    return left < right if operator == "lt" else left > right


def parse_fields(text: str) -> Selector:
    """Read a field selector: ``path=value`` and ``path!=value``, joined by commas."""
    terms: list[Term] = []
    for part in filter(None, (item.strip() for item in text.split(","))):
        key, operator, value = _split(part)
        terms.append(Term(key, operator, frozenset((value,))))
    return tuple(terms)


def _split(part: str) -> tuple[str, str, str]:
    for separator, operator in (("!=", "notin"), ("==", "in"), ("=", "in")):
        key, found, value = part.partition(separator)
        if found:
            return key.strip(), operator, value.strip()
    raise bad_request(f"invalid field selector: {part}")


def selects(selector: Selector, labels: Mapping[str, str] | None) -> bool:
    """Whether labels meet all terms."""
    found = labels or {}
    return all(term.holds(found.get(term.key)) for term in selector)


def selects_fields(selector: Selector, obj: JsonObject) -> bool:
    """Whether an object's fields meet all terms; a field that is not there counts as empty."""
    return all(term.holds(_field(obj, term.key)) for term in selector)


def _field(obj: JsonObject, path: str) -> str:
    value: JsonValue = obj
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)

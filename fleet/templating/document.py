"""Renders every text of a document: values and map keys, at any depth; everything else stays as it is."""

from __future__ import annotations

from collections.abc import Callable

from fleet.codec.jsontypes import JsonValue
from fleet.templating.errors import TemplateError

_MAX_DEPTH = 100


def render_document(document: JsonValue, render: Callable[[str], str]) -> JsonValue:
    """Return the document with its texts rendered; raises what ``render`` raises, and TemplateError for endless nesting.

    Of two keys that become the same text the later one stays.
    """
    return _rendered(document, render, 0)


def _rendered(value: JsonValue, render: Callable[[str], str], depth: int) -> JsonValue:
    if isinstance(value, str):
        return render(value)
    if isinstance(value, (dict, list)) and depth > _MAX_DEPTH:
        raise TemplateError(f"the document is nested deeper than {_MAX_DEPTH} levels")
    if isinstance(value, dict):
        return {render(key): _rendered(item, render, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_rendered(item, render, depth + 1) for item in value]
    return value

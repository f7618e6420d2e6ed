"""Argo CD's simple templates (``goTemplate: false``): ``{{ key }}`` with the text of a parameter, nothing else.

A key that is unknown, or whose value is no text, leaves its tag as it was written. A text in which no line holds a whole
tag is not a template at all; in all others every ``{{`` needs its ``}}``.
"""

from __future__ import annotations

from collections.abc import Mapping

from fleet.codec.jsontypes import JsonValue
from fleet.templating import text as go
from fleet.templating.errors import TemplateError, excerpt
from fleet.templating.lexer import LEFT, RIGHT
from fleet.templating.printing import quote


def render_fast(text: str, params: Mapping[str, JsonValue]) -> str:
    """Replace the tags of a text; raises TemplateError for one without an end."""
    if LEFT not in text or not _is_template(text):
        return text
    parts: list[str] = []
    pos = 0
    while (start := text.find(LEFT, pos)) >= 0:
        parts.append(text[pos:start])
        end = text.find(RIGHT, start + len(LEFT))
        if end < 0:
            raise _unclosed(text, start)
        parts.append(_value(text[start + len(LEFT) : end], params))
        pos = end + len(RIGHT)
    parts.append(text[pos:])
    return "".join(parts)


def _is_template(text: str) -> bool:
    return any(RIGHT in line.partition(LEFT)[2] for line in text.split("\n"))


def _value(tag: str, params: Mapping[str, JsonValue]) -> str:
    value = params.get(tag.strip(go.SPACES)) if tag.strip(go.SPACES) else None
    return value if isinstance(value, str) else f"{LEFT}{tag}{RIGHT}"


def _unclosed(text: str, start: int) -> TemplateError:
    rest = text[start + len(LEFT) :]
    detail = (
        f'Cannot find end tag="{RIGHT}" in the template={quote(excerpt(text))} '
        f"starting from {quote(excerpt(rest))}"
    )
    line = text.count("\n", 0, start) + 1
    column = start - (text.rfind("\n", 0, start) + 1)
    action = excerpt(text[start:])
    return TemplateError(
        f"invalid template: {detail}", line=line, column=column, action=action, detail=detail
    )

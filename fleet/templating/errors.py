"""Errors of the template engines: what a user sees, and what functions raise inside.

Functions of a template raise ``GoError`` with Go's own words; the evaluator adds the place and the action
and raises ``TemplateError``, the only error that leaves this room.
"""

from __future__ import annotations

from fleet.errors import BadInput

_SHOWN = 200


class TemplateError(BadInput):
    """A template cannot be parsed or executed.

    ``line`` (1-based, 0 = unknown) and ``column`` (0-based, in bytes, as Go counts) point into the template,
    ``action`` is the text of the action that failed, ``detail`` the bare reason in Go's words.
    """

    reason = "InvalidTemplate"

    def __init__(
        self,
        message: str,
        *,
        template: str = "",
        line: int = 0,
        column: int = 0,
        action: str = "",
        detail: str = "",
    ) -> None:
        super().__init__(message)
        self.template = template
        self.line = line
        self.column = column
        self.action = action
        self.detail = detail or message


class GoError(Exception):
    """A function of a template failed; the text is what Go's function would have said."""


class LimitError(Exception):
    """A template asked for more output, steps or nesting than it is allowed."""


def excerpt(text: str) -> str:
    """Shorten a template for use in a message; one that long is not read there anyway."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."

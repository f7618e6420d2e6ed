"""``gitopsfleet.io/ready-when``: a CEL expression that says when an application is ready for its dependents.

It sees ``objects`` (the live objects of the application) and ``app`` with ``sync``, ``health`` and ``digest``, and
gives true or false. Anything else, an error too, is not ready, with the reason as message. Reading an expression is
cheap and bounded; evaluating one may take as long as its author likes, so that happens in a child process with a
deadline (`fleet.health.readyworker`).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput
from fleet.health.celengine import engine, one_line, syntax_error, unknown_names
from fleet.model.report import Ready

MAX_LENGTH = 4096
"""The parser recurses: much longer chains end the process."""
_VARIABLES = frozenset(("objects", "app"))


@dataclass(frozen=True, slots=True, kw_only=True)
class AppFacts:
    """What an expression sees as ``app``."""

    sync: str
    health: str
    digest: str


def check_expression(text: str) -> None:
    """Check form and names without evaluating anything; raises BadInput."""
    program = _compiled(text)
    unknown = unknown_names(program, text, _VARIABLES)
    if unknown:
        raise BadInput(
            f"ready-when uses unknown names: {', '.join(unknown)}", hint="objects and app are known"
        )


def evaluate(text: str, objects: Sequence[JsonObject], app: AppFacts) -> Ready:
    """Evaluate an expression; never raises for what is wrong with it."""
    try:
        program = _compiled(text)
    except BadInput as error:
        return Ready(ready=False, message=error.message)
    try:
        result = program.execute({"objects": list(objects), "app": asdict(app)})
    except Exception as error:  # noqa: BLE001  # the library raises many types; each means "not ready"
        return Ready(ready=False, message=_reason(error))
    if isinstance(result, bool):
        return Ready(ready=result, message="" if result else "ready-when is false")
    return Ready(
        ready=False, message=f"ready-when must be true or false, not {type(result).__name__}"
    )


@functools.lru_cache(maxsize=256)
def _compiled(text: str) -> Any:
    if len(text) > MAX_LENGTH:
        raise BadInput(f"ready-when is longer than {MAX_LENGTH} characters")
    try:
        return engine().compile(text)
    except Exception as error:
        raise BadInput(f"ready-when is not valid CEL: {syntax_error(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"ready-when: no such key: {one_line(str(error))}"
    return f"ready-when: {one_line(str(error))}"

"""Health expressions in CEL: ``obj`` is the object; a status, or a map of status and message, is the answer."""

from __future__ import annotations

import functools
from typing import Any

from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput
from fleet.health.celengine import engine, one_line, syntax_error, unknown_names

_VARIABLES = frozenset(("obj",))


def check(expression: str) -> None:
    """Check form and names without evaluating anything; raises BadInput."""
    names = unknown_names(_compiled(expression), expression, _VARIABLES)
    if names:
        raise BadInput(f"uses unknown names: {', '.join(names)}", hint="obj is known")


def evaluate(expression: str, body: JsonObject) -> tuple[str, str] | None:
    """Return the status and message that an expression gives; None for null. Raises BadInput."""
    program = _compiled(expression)
    try:
        answer = program.execute({"obj": body})
    except KeyError as error:
        raise BadInput(
            f"no such key: {one_line(str(error))}", hint="ask has(obj.status) before what is in it"
        ) from error
    except Exception as error:
        raise BadInput(one_line(str(error))) from error
    match answer:
        case None:
            return None
        case str():
            return answer, ""
        case {"status": str() as status, **more}:
            message = more.get("message")
            return status, message if isinstance(message, str) else ""
        case _:
            raise BadInput("must give a status, or a map with status and message")


@functools.lru_cache(maxsize=256)
def _compiled(expression: str) -> Any:
    try:
        return engine().compile(expression)
    except Exception as error:
        raise BadInput(f"is not valid CEL: {syntax_error(error)}") from error

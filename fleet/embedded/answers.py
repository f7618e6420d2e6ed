"""Answers: JSON bodies, refusals as Status objects, warnings as headers."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from aiohttp import web

from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.embedded.errors import Refusal

_ENCODE = msgspec.json.Encoder().encode
_JSON = "application/json"


def encoded(value: JsonValue) -> bytes:
    """A value as JSON."""
    return _ENCODE(value)


def json_answer(
    value: JsonValue, *, status: int = 200, warnings: Iterable[str] = (), media: str = _JSON
) -> web.Response:
    """A body with its status."""
    response = web.Response(body=_ENCODE(value), status=status, headers={"Content-Type": media})
    for text in warnings:
        quoted = text.replace("\\", "\\\\").replace('"', '\\"')
        response.headers.add("Warning", f'299 - "{quoted}"')
    return response


def refused(error: Refusal) -> web.Response:
    """A refusal."""
    response = json_answer(error.status(), status=error.code)
    if error.retry_after:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def success(group: str, plural: str, name: str, uid: str) -> JsonObject:
    """The Status of a deletion that is done."""
    details = {"name": name, "group": group, "kind": plural, "uid": uid}
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {key: value for key, value in details.items() if value},
    }

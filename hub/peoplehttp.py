"""What the handlers for people share: reading a body, answering, finding the target that a path names."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from aiohttp import web

from fleet.errors import BadInput, FleetError
from fleet.model.identity import AppName, TargetId
from hub.state import State

MAX_BODY = 1024 * 1024

T = TypeVar("T")


class NotFound(FleetError):
    """What was asked about does not exist."""

    reason = "NotFound"


async def read_body(request: web.Request, kind: type[T]) -> T:
    """Read a JSON body; raises BadInput with what is wrong."""
    if request.content_type != "application/json" and request.can_read_body:
        raise BadInput("the body must be application/json")
    if (request.content_length or 0) > MAX_BODY:
        raise BadInput(f"the body is larger than {MAX_BODY} bytes")
    data = await request.read()
    try:
        return msgspec.json.decode(data or b"{}", type=kind)
    except msgspec.MsgspecError as error:
        raise BadInput(f"the body is not what this call takes: {error}") from error


def json_answer(value: msgspec.Struct, status: int = 200) -> web.Response:
    """Answer with a value."""
    return web.Response(
        body=msgspec.json.encode(value), status=status, content_type="application/json"
    )


def find_target(state: State, name: str) -> TargetId:
    """Find the target of ``NAME`` or ``CLUSTER~NAME``; raises NotFound with the reason where there is one."""
    cluster, _, app = name.rpartition("~")
    found = [
        id_
        for id_ in state.desired.targets
        if id_.app == app and (not cluster or id_.cluster == cluster)
    ]
    if not found:
        refused = state.desired.refused.get(AppName(app))
        raise NotFound(
            f"application {app!r} has no target: {refused}"
            if refused
            else f"there is no application {app!r}"
        )
    return found[0]

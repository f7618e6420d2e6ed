"""What people read from the cluster of an application: logs, events, live objects, manifests, differences.

The hub has none of it. It asks the agent (`hub.requests`) and hands on what comes, frame by frame of
`fleet.wire.requests`, while it comes. Everything that goes wrong before the first frame is an ordinary error; what goes
wrong later is the stream's last frame.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

import msgspec
import structlog
from aiohttp import hdrs, web

from fleet.codec.redaction import one_line
from fleet.errors import BadInput, FleetError, NotReady
from fleet.model.identity import ClusterName
from fleet.runtime import log as fields
from fleet.wire.references import parse_resource
from fleet.wire.requests import (
    ALL_LINES,
    ARGUMENTS,
    MEDIA_TYPE,
    Arguments,
    DiffArguments,
    Failure,
    LogArguments,
    ReadKind,
    encode_frame,
)
from fleet.wire.routes import MAX_WAIT
from hub.peoplehttp import find_target
from hub.requests import STALL_SECONDS, Exchange, Requests
from hub.state import State

log = structlog.get_logger(__name__)

HEARD_WITHIN = timedelta(seconds=MAX_WAIT + 10)
"""An agent polls more often than this, unless it cannot."""

_GLANCE = 0.25
"""Seconds after which it is looked whether the person is still there."""

_LONGEST_WORD = 4096

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(slots=True, kw_only=True)
class AppReads:
    """Handlers below ``/api/v1/apps``."""

    state: State
    requests: Requests
    heard: Callable[[ClusterName], timedelta | None]
    """Time since the agent of a cluster was last heard of; None: never."""

    def routes(self, prefix: str) -> list[web.RouteDef]:
        """Return the routes: one for each kind of read."""
        return [web.get(f"{prefix}/apps/{{name}}/{kind}", self._handler(kind)) for kind in ReadKind]

    def _handler(self, kind: ReadKind) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._read(request, kind)

        return handle

    async def _read(self, request: web.Request, kind: ReadKind) -> web.StreamResponse:
        target = find_target(self.state, request.match_info["name"])
        arguments = read_arguments(kind, request.query)
        self._check_connected(target.cluster)
        log.info(
            "read asked",
            kind=kind.value,
            **{fields.CLUSTER: target.cluster, fields.TARGET: target.app},
            audit=True,
        )
        with self.requests.ask(target, kind, arguments) as exchange:
            return await _Relay(request, exchange, self.requests).run()

    def _check_connected(self, cluster: ClusterName) -> None:
        """An agent that cannot be asked is said so at once."""
        age = self.heard(cluster)
        if age is None:
            raise NotReady(
                f"no agent of cluster {cluster} was ever heard of",
                hint="fleet cluster add makes a join token for it",
            )
        if age > HEARD_WITHIN:
            raise NotReady(f"cluster {cluster} was last heard of {_words(age)} ago")


class _Gone(Exception):
    """The person has hung up."""


class _Relay:
    """One answer on its way from an exchange to a person."""

    def __init__(self, request: web.Request, exchange: Exchange, requests: Requests) -> None:
        self._request = request
        self._exchange = exchange
        self._requests = requests
        self._is_between_lines = True

    async def run(self) -> web.StreamResponse:
        """Answer; raises what went wrong before there was anything to answer with."""
        response = web.StreamResponse()
        response.content_type = MEDIA_TYPE
        response.headers[hdrs.CACHE_CONTROL] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        try:
            part = await self._next()
            await response.prepare(self._request)
            await self._hand_on(response, part)
            await response.write_eof()
        except (_Gone, ConnectionError):
            pass  # whoever opened the exchange leaves it, and so the agent ends
        except TimeoutError:
            log.info("reader stalled", target=str(self._exchange.target))
            if self._request.transport is not None:
                self._request.transport.abort()
        return response

    async def _hand_on(self, response: web.StreamResponse, part: bytes | None) -> None:
        try:
            while part is not None:
                async with asyncio.timeout(STALL_SECONDS):
                    await response.write(part)
                self._is_between_lines = part.endswith(b"\n")
                part = await self._next()
        except FleetError as error:
            failure = Failure(reason=error.reason, message=one_line(str(error), 1000))
            # in the middle of a line the reader has to see where ours begins
            gap = b"" if self._is_between_lines else b"\n"
            await response.write(gap + encode_frame(failure))

    async def _next(self) -> bytes | None:
        """Wait for the next part, for as long as it may take and the person is there."""
        while True:
            part = await self._exchange.receive(_GLANCE)
            if part != b"":
                return part
            transport = self._request.transport
            if transport is None or transport.is_closing():
                raise _Gone
            self._requests.remind(self._exchange)
            if (late := self._exchange.overdue()) is not None:
                self._exchange.fail(late)


def read_arguments(kind: ReadKind, query: Mapping[str, str]) -> Arguments:
    """Read the parameters of a read from its URL; raises BadInput, naming the parameter."""
    wanted = ARGUMENTS[kind]
    known = set(wanted.__struct_fields__)
    for name, text in query.items():
        if name not in known:
            raise BadInput(
                f"{kind.value} takes no parameter {name!r}",
                hint=f"it takes {', '.join(sorted(known))}" if known else "it takes none",
            )
        if len(text) > _LONGEST_WORD:
            raise BadInput(f"parameter {name!r} is longer than {_LONGEST_WORD} characters")
    values: dict[str, object] = dict(query)
    if "refs" in values:
        values["refs"] = [text for text in query["refs"].split(",") if text]
    try:
        # numbers and truth values are texts in a URL
        arguments = msgspec.convert(values, wanted, strict=False)
    except msgspec.ValidationError as error:
        raise BadInput(f"a parameter of {kind.value} is not what it has to be: {error}") from error
    _check(arguments)
    return arguments


def _check(arguments: Arguments) -> None:
    match arguments:
        case LogArguments(follow=True, previous=True):
            raise BadInput("what a container wrote before its last restart cannot be followed")
        case LogArguments(tail=tail, since=since):
            if tail < ALL_LINES:
                raise BadInput(f"tail: {tail} is no number of lines; {ALL_LINES} means all")
            if since < 0:
                raise BadInput(f"since: {since} s is in the future")
        case DiffArguments(refs=refs):
            for text in refs:
                parse_resource(text)
        case _:
            pass


def _words(age: timedelta) -> str:
    """A time for people: whole seconds, minutes, hours or days."""
    seconds = int(age.total_seconds())
    for size, word in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {word}{'s' if count > 1 else ''}"
    return f"{seconds} seconds"

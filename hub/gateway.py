"""The agents' listener: TLS peer certificate in, own cluster's desired state out.

Who may do what is one table (`ROUTES`, default deny), checked for every request; what the routes do is in
`hub.agentapi`, how connections are let in in `hub.listener`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, auto

import structlog
from aiohttp import hdrs, web
from prometheus_client import Counter

from fleet.errors import FleetError
from fleet.runtime import log as fields
from fleet.runtime.clock import Clock
from fleet.wire import routes
from fleet.wire.errors import Unauthenticated
from hub import httpio
from hub.agentapi import PEER, AgentApi, certificate_of, instance_of
from hub.agentports import Assignments, CurrentHead, Reports
from hub.ca import Authority
from hub.identities import ClusterIdentity
from hub.listener import Listener, TokenBucket, renew_context, server_context
from hub.requests import Requests
from hub.sessions import Sessions

__all__ = [
    "ROUTES",
    "Access",
    "Assignments",
    "CurrentHead",
    "Gateway",
    "GatewaySettings",
    "Reports",
]

log = structlog.get_logger(__name__)

_REFRESH_SECONDS = 600.0
_KEEPALIVE_SECONDS = 20.0
_STOP_SECONDS = 5.0

_REQUESTS = Counter("fleet_hub_agent_requests_total", "Requests of agents.", ["route", "status"])

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """Where and how fast agents are let in."""

    listen: str
    """HOST:PORT."""
    handshakes_per_second: float = 400


class Access(Enum):
    """What a route asks of who calls it."""

    ANYONE = auto()
    TOKEN = auto()
    CERTIFICATE_OR_PROOF = auto()
    CERTIFICATE = auto()


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the table."""

    method: str
    path: str
    access: Access
    name: str


ROUTES: tuple[Route, ...] = (
    Route(hdrs.METH_GET, routes.CA, Access.ANYONE, "ca"),
    Route(hdrs.METH_GET, routes.NONCE, Access.ANYONE, "nonce"),
    Route(hdrs.METH_POST, routes.JOIN, Access.TOKEN, "join"),
    Route(hdrs.METH_POST, routes.RENEW, Access.CERTIFICATE_OR_PROOF, "renew"),
    Route(hdrs.METH_GET, routes.ASSIGNMENT, Access.CERTIFICATE, "assignment"),
    Route(hdrs.METH_GET, f"{routes.SECTIONS}/{{digest}}", Access.CERTIFICATE, "section"),
    Route(hdrs.METH_GET, f"{routes.ARTIFACTS}/{{digest}}", Access.CERTIFICATE, "artifact"),
    Route(hdrs.METH_POST, routes.FETCH, Access.CERTIFICATE, "fetch"),
    Route(hdrs.METH_POST, routes.REPORT, Access.CERTIFICATE, "report"),
    Route(hdrs.METH_GET, routes.REQUESTS, Access.CERTIFICATE, "requests"),
    Route(hdrs.METH_POST, f"{routes.REQUESTS}/{{id}}", Access.CERTIFICATE, "answer"),
)
"""What is not here is refused; without a certificate it is not even told apart from what is."""

_OPEN = frozenset(route.name for route in ROUTES if route.access is not Access.CERTIFICATE)


class Gateway:
    """The agents' listener."""

    def __init__(
        self,
        authority: Authority,
        assignments: Assignments,
        reports: Reports,
        requests: Requests,
        settings: GatewaySettings,
        clock: Clock,
    ) -> None:
        self._authority = authority
        self._settings = settings
        self._clock = clock
        self._sessions = Sessions(clock)
        self._requests = requests
        self._api = AgentApi(authority, assignments, reports, requests, self._sessions)
        self._runner: web.AppRunner | None = None
        self._listener: Listener | None = None
        self._refresh: asyncio.Task[None] | None = None
        authority.subscribe(self._sessions.forget)
        authority.subscribe(requests.forget)
        requests.listen(self._sessions.cut)

    @property
    def port(self) -> int:
        """The port that is bound."""
        assert self._listener is not None, "not started"
        return self._listener.port

    async def start(self) -> None:
        """Listen; raises Transient where the address cannot be had."""
        self._runner = web.AppRunner(
            self._application(),
            access_log=None,
            auto_decompress=False,  # limits come first: `httpio.read_body`
            handler_cancellation=True,  # a poll whose agent has gone holds nothing
            keepalive_timeout=_KEEPALIVE_SECONDS,
            shutdown_timeout=_STOP_SECONDS,
        )
        await self._runner.setup()
        assert self._runner.server is not None
        keyring = self._authority.keyring
        context = server_context(*keyring.server_certificate_files, keyring.bundle())
        admission = TokenBucket(self._settings.handshakes_per_second, self._clock)
        self._listener = Listener(self._settings.listen, context, self._runner.server, admission)
        await self._listener.start()
        self._refresh = asyncio.create_task(
            self._refresh_forever(context), name="gateway-certificates"
        )
        log.info("agents listener started", port=self.port)

    async def stop(self) -> None:
        """Accept no more, answer what is parked, let requests under way finish for a few seconds."""
        if self._listener is not None:
            await self._listener.stop()
        self._api.is_stopping = True
        self._requests.close()
        self._sessions.cut_all()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._refresh is not None:
            self._refresh.cancel()
            await asyncio.gather(self._refresh, return_exceptions=True)
        await self._api.finish()

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[self._guard])
        handlers = self._api.handlers()
        for route in ROUTES:
            application.router.add_route(
                route.method, route.path, handlers[route.name], name=route.name
            )
        return application

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let through what the table permits; every failure leaves in one form."""
        name = request.match_info.route.name or "none"
        try:
            peer = self._peer(request)
            if name not in _OPEN:
                peer = self._require(request, peer)
                await self._authority.confirm(peer)
            request[PEER] = peer
            response = await handler(request)
        except web.HTTPException as error:
            response = httpio.http_failure(error)
        except FleetError as error:
            response = httpio.failure(error)
        if response.status >= 400 and (name in _OPEN or response.status == 401):
            response.force_close()  # so that every attempt has to pass admission again
        _REQUESTS.labels(name, str(response.status)).inc()
        return response

    def _peer(self, request: web.Request) -> ClusterIdentity | None:
        certificate = certificate_of(request)
        return self._authority.identify(certificate) if certificate else None

    def _require(self, request: web.Request, peer: ClusterIdentity | None) -> ClusterIdentity:
        if peer is not None:
            self._sessions.admit(peer.name, instance_of(request))
            return peer
        certificate = certificate_of(request)
        if certificate is None:
            raise Unauthenticated("a client certificate is needed")
        why = self._authority.refusal(certificate)
        log.warning("certificate refused", reason=why, remote=request.remote)
        raise Unauthenticated(f"the client certificate is {why}")

    async def _refresh_forever(self, context: ssl.SSLContext) -> None:
        keyring = self._authority.keyring
        is_behind = False
        while True:
            await self._clock.sleep(_REFRESH_SECONDS)
            try:
                made = await asyncio.to_thread(keyring.refresh, self._clock.now())
            except FleetError as error:
                # A part of it may be made: what the context has is renewed with the next success.
                is_behind = True
                log.error("listener certificate not renewed", **{fields.ERROR: str(error)})
                continue
            if made or is_behind:
                renew_context(context, *keyring.server_certificate_files, keyring.bundle())
                is_behind = False
                log.info("listener certificate renewed")

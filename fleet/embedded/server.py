"""The HTTP server: from a connection to the right answer.

    server = EmbeddedServer(Options(name="staging", ready_delay=0.5))
    await server.start()
    server.write_kubeconfig(path)
    ...
    await server.stop()

Everything runs on the event loop it was started on; requests are carried out one after another, so no lock is needed.
"""

from __future__ import annotations

import asyncio
import secrets
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from fleet.codec.jsontypes import JsonObject
from fleet.embedded import discovery, errors, openapi
from fleet.embedded.answers import json_answer, refused
from fleet.embedded.api import Api, now
from fleet.embedded.conform import Write
from fleet.embedded.crds import Definitions
from fleet.embedded.errors import Refusal
from fleet.embedded.faults import Fault, FaultKind, Faults, refusal
from fleet.embedded.inhabitants import Inhabitants
from fleet.embedded.kinds import Kinds
from fleet.embedded.kubeconfig import kubeconfig, write_kubeconfig
from fleet.embedded.lists import Lists
from fleet.embedded.requests import Call
from fleet.embedded.resources import Resources
from fleet.embedded.store import Store
from fleet.embedded.tables import tables
from fleet.embedded.targets import Target, target_of
from fleet.embedded.trust import Trust
from fleet.embedded.watches import Watches
from fleet.embedded.workloads import Workloads

_LOG = structlog.get_logger()
_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_LARGEST_BODY = 3 * 1024 * 1024
_GRACE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a server is set up; times in seconds."""

    name: str = "embedded"
    host: str = "127.0.0.1"
    port: int = 0
    """0 = one that is free."""
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    tls: bool = True
    """Without TLS kubectl sends no credentials and is refused; other clients may."""
    ready_delay: float | None = 0.0
    """How long workloads take to turn Ready; None = they never do."""
    kept_events: int = 5000
    """Changes that are remembered for each kind."""
    bookmark_every: float = 60.0


class EmbeddedServer:
    """One cluster's API server."""

    def __init__(self, options: Options | None = None, *, store: Store | None = None) -> None:
        self.options = options or Options()
        self.faults = Faults()
        self.port = self.options.port
        recorded = tables()
        self.kinds = Kinds(recorded.kinds)
        self.store = store or Store(kept_events=self.options.kept_events, version=_first_version())
        self.api = Api(self.store, self.kinds, recorded.metadata)
        self._definitions = Definitions(self.store, self.kinds, recorded.metadata, now)
        self._lists = Lists(self.store)
        self._watches = Watches(self.store, self._lists, bookmark_every=self.options.bookmark_every)
        self._resources = Resources(self.api, self._lists, self._watches, recorded.messages)
        self._workloads = Workloads(self.api, self.options.ready_delay)
        self._version = recorded.version
        self._documents: dict[str, tuple[int, bytes]] = {}
        self._runner: web.ServerRunner | None = None
        self._trust = Trust(
            name=self.options.name,
            hosts=(self.options.host, "localhost"),
            token=self.options.token,
            tls=self.options.tls,
        )
        Inhabitants(self.api, self._trust.ca_pem)
        for name in _NAMESPACES:
            self._make_namespace(name)

    # -- life ---------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen."""
        server = web.Server(self._handle, request_factory=_request, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=_GRACE)
        await self._runner.setup()
        site = web.TCPSite(
            self._runner,
            self.options.host,
            self.port,
            ssl_context=self._trust.context,
            backlog=512,
        )
        await site.start()
        addresses = self._runner.addresses
        self.port = int(addresses[0][1])
        self._workloads.start()

    async def stop(self) -> None:
        """Close; objects stay in the store, so that ``start`` continues where this ended."""
        self._workloads.stop()
        self._watches.break_all()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> EmbeddedServer:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        """The address."""
        scheme = "https" if self.options.tls else "http"
        return f"{scheme}://{self.options.host}:{self.port}"

    @property
    def uid(self) -> str:
        """UID of kube-system, by which a cluster is told from another."""
        home = self.store.get(("", "namespaces"), ("", "kube-system"))
        return str(home["metadata"]["uid"]) if home else ""

    def kubeconfig(self, *, certificate: bool = False) -> JsonObject:
        """A kubeconfig of an administrator, with a token or with a client certificate."""
        user = self._trust.certificate_user() if certificate else self._trust.token_user()
        return kubeconfig(self.options.name, self._trust.cluster(self.url), user)

    def write_kubeconfig(self, path: Path) -> Path:
        """Write the kubeconfig, readable by its owner only."""
        return write_kubeconfig(path, self.kubeconfig())

    def compact(self) -> None:
        """Forget the past: older watches and continue tokens are answered 410."""
        self.store.compact()
        self._lists.forget()

    def break_watches(self) -> None:
        """End all watch streams."""
        self._watches.break_all()

    def _make_namespace(self, name: str) -> None:
        kind = self.kinds.at("", "v1", "namespaces")
        assert kind is not None
        if self.api.find(kind, "", name) is None:
            body = {"metadata": {"name": name}}
            self.api.create(kind, "", body, Write(manager="kube-apiserver"))

    # -- requests -----------------------------------------------------------------------------

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._answer(request)
        except Refusal as error:
            return refused(error)
        except web.HTTPRequestEntityTooLarge:
            message = f"Request entity too large: limit is {_LARGEST_BODY}"
            return refused(Refusal(413, "RequestEntityTooLarge", message))
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception:  # noqa: BLE001  # the shell of a server: one bad request must not end it
            _LOG.exception("request failed", method=request.method, path=request.path)
            return refused(errors.internal("the embedded API server failed"))

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        if path in ("/healthz", "/livez", "/readyz"):
            return web.Response(text="ok")
        user = self._trust.user_of(request)
        target = target_of(path)
        if target is None:
            return await self._answer_other(request, path.rstrip("/") or "/")
        return await self._answer_resource(request, target, user)

    async def _answer_resource(
        self, request: web.BaseRequest, target: Target, user: str
    ) -> web.StreamResponse:
        kind = self.kinds.at(target.group, target.version, target.plural)
        if kind is None or (target.subresource and target.subresource not in kind.subresources):
            raise errors.no_such_path()
        verb = _verb(request, target)
        allowed = kind.verbs
        if target.subresource:
            allowed = tuple(kind.subresources[target.subresource]["verbs"])
        if verb not in allowed:
            raise errors.method_not_allowed()
        if verb == "create" and kind.namespaced and not target.namespace:
            raise errors.method_not_allowed()
        call = Call(http=request, target=target, kind=kind, verb=verb, user=user)
        fault = self.faults.take(verb, target.plural, target.namespace, target.name)
        if fault is None:
            return await self._resources.serve(call)
        return await self._answer_ill(call, fault)

    async def _answer_ill(self, call: Call, fault: Fault) -> web.StreamResponse:
        await asyncio.sleep(fault.delay)
        error = refusal(fault, call.target.plural, call.target.name)
        if error is not None:
            raise error
        answer = await self._resources.serve(call, stalled=fault.kind is FaultKind.STALL)
        if fault.kind is FaultKind.DROP and call.http.transport is not None:
            call.http.transport.abort()
        return answer

    async def _answer_other(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        if request.method != "GET":
            raise errors.method_not_allowed()
        fault = self.faults.take("discovery", "", "", "")
        if fault is not None:
            await asyncio.sleep(fault.delay)
            error = refusal(fault, "", "")
            if error is not None:
                raise error
        accept = request.headers.get("Accept", "")
        if path in ("/api", "/apis"):
            return self._discovered(request, path, accept)
        found = self._document(path)
        if found is None:
            raise errors.no_such_path()
        return json_answer(found)

    def _discovered(self, request: web.BaseRequest, path: str, accept: str) -> web.Response:
        is_core = path == "/api"
        if not discovery.wants_aggregated(accept):
            return json_answer(
                discovery.core_versions() if is_core else discovery.group_list(self.kinds)
            )
        tag = f'"{self.kinds.generation}-{uuid.UUID(self.uid).hex[:8]}"'
        headers = {"ETag": tag, "Vary": "Accept"}
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers=headers)
        answer = json_answer(
            discovery.aggregated(self.kinds, core=is_core), media=discovery.AGGREGATED
        )
        answer.headers.update(headers)
        return answer

    def _document(self, path: str) -> JsonObject | None:
        parts = path.strip("/").split("/")
        match parts:
            case ["version"]:
                return self._version_document()
            case ["api", version]:
                return discovery.resource_list(self.kinds, "", version)
            case ["apis", group]:
                return discovery.group(self.kinds, group)
            case ["apis", group, version]:
                return discovery.resource_list(self.kinds, group, version)
            case ["openapi", "v3"]:
                return openapi.index(self.kinds)
            case ["openapi", "v3", "api", version]:
                return openapi.document(self.kinds, "", version)
            case ["openapi", "v3", "apis", group, version]:
                return openapi.document(self.kinds, group, version)
            case _:
                return None

    def _version_document(self) -> JsonObject:
        major, minor, _ = self._version.removeprefix("v").split(".", 2)
        return {
            "major": major,
            "minor": minor,
            "gitVersion": self._version,
            "gitTreeState": "clean",
            "platform": "embedded",
        }


def _request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: RequestHandler,
    writer: AbstractStreamWriter,
    task: asyncio.Task[None],
) -> web.BaseRequest:
    """A request whose body may be as large as a real API server takes it."""
    loop = asyncio.get_running_loop()
    return web.BaseRequest(
        message, payload, protocol, writer, task, loop, client_max_size=_LARGEST_BODY
    )


def _first_version() -> int:
    """Higher than in any earlier life of a server without a file, so that versions of then are gone, not to come."""
    return int(time.time() * 1000)


def _verb(request: web.BaseRequest, target: Target) -> str:
    method = request.method
    if method in ("GET", "HEAD"):
        if request.query.get("watch") in ("1", "true", "True"):
            return "watch"
        return "get" if target.name else "list"
    verb = _VERBS.get(method)
    if verb is None:
        raise errors.method_not_allowed()
    return "deletecollection" if verb == "delete" and not target.name else verb

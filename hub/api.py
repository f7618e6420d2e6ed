"""The listener for people: the API of `fleet.wire.api`, probes, metrics, and the webhook.

Handlers translate between HTTP and the hub's parts; nothing is decided here. Default deny: probes and the webhook
(which checks its own signature) are open, everything else wants the administrators' token.
"""

from __future__ import annotations

import hmac
import secrets
import ssl
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import msgspec
import structlog
from aiohttp import web

from fleet.codec.redaction import redact
from fleet.errors import BadInput, Denied, FleetError, NotReady, Transient
from fleet.git.urls import same_repository
from fleet.model.identity import AppName, ClusterName, TargetId
from fleet.pki.files import read_private, write_private
from fleet.runtime import probes
from fleet.store.port import Conflict
from fleet.wire import api
from hub.approvals import Approvals
from hub.enrolment import Enrolment
from hub.peoplehttp import NotFound, find_target, json_answer, read_body
from hub.poller import Poller
from hub.refresh import Refresher
from hub.settings import ApiListener, Webhook
from hub.state import State
from hub.views import Views
from hub.webhooks import WebhookSettings, read_push

log = structlog.get_logger(__name__)

MAX_WEBHOOK_BODY = 25 * 1024 * 1024
PREFIX = "/api/v1"
OPEN_PATHS = frozenset(("/healthz", "/readyz", "/webhook"))

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Part(Protocol):
    """Handlers of one subject."""

    def routes(self, prefix: str) -> list[web.RouteDef]:
        """Return them."""
        ...


@dataclass(slots=True, kw_only=True)
class Api:
    """Serves people."""

    settings: ApiListener
    webhook: Webhook
    token: str
    state: State
    views: Views
    approvals: Approvals
    enrolment: Enrolment
    refresher: Refresher
    poller: Poller
    parts: Iterable[Part]
    """Handlers that live in modules of their own."""
    probes: probes.Probes
    news: Callable[[Iterable[str]], None]
    """Told the URLs of repositories that a webhook speaks of."""
    _runner: web.AppRunner | None = None
    _routes: list[web.RouteDef] = field(default_factory=list)

    async def start(self) -> tuple[str, int]:
        """Listen; returns the address (the port may have been 0)."""
        app = web.Application(middlewares=[self._guard], client_max_size=MAX_WEBHOOK_BODY)
        app.add_routes(self.routes())
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=2)
        await self._runner.setup()
        host, _, port = self.settings.listen.rpartition(":")
        site = web.TCPSite(
            self._runner, host.strip("[]"), int(port), ssl_context=_tls(self.settings)
        )
        await site.start()
        name = self._runner.addresses[0]
        return str(name[0]), int(name[1])

    async def stop(self) -> None:
        """Stop listening and close what is open."""
        if self._runner is not None:
            await self._runner.cleanup()

    def routes(self) -> list[web.RouteDef]:
        """Every route there is; a test crawls them without a token."""
        return [
            *probes.routes(self.probes),
            web.post("/webhook", self._webhook),
            web.get(f"{PREFIX}/apps", self._apps),
            web.get(f"{PREFIX}/apps/{{name}}", self._app),
            web.post(f"{PREFIX}/apps/{{name}}/refresh", self._refresh),
            web.get(f"{PREFIX}/appsets", self._appsets),
            web.get(f"{PREFIX}/appsets/{{name}}", self._appset),
            web.get(f"{PREFIX}/appsets/{{name}}/diff", self._appset_diff),
            web.get(f"{PREFIX}/clusters", self._clusters),
            web.post(f"{PREFIX}/clusters", self._add_cluster),
            web.get(f"{PREFIX}/clusters/{{name}}", self._cluster),
            web.delete(f"{PREFIX}/clusters/{{name}}", self._remove_cluster),
            web.post(f"{PREFIX}/clusters/{{name}}/revoke", self._revoke_cluster),
            web.get(f"{PREFIX}/holds", self._holds),
            web.post(f"{PREFIX}/approve", self._approve),
            web.get(f"{PREFIX}/explain/{{cluster}}/{{app}}", self._explain),
            web.get(f"{PREFIX}/graph", self._graph),
            web.get(f"{PREFIX}/problems", self._problems),
            web.get(f"{PREFIX}/repositories", self._repositories),
            *(route for part in self.parts for route in part.routes(PREFIX)),
        ]

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if request.path not in OPEN_PATHS and not self._knows(request):
                raise web.HTTPUnauthorized
            return await handler(request)
        except FleetError as error:
            return _error(_status_of(error), error.reason, str(error))
        except web.HTTPUnauthorized:
            return _error(401, "Unauthorized", "a valid token is needed: fleet --token-file FILE")
        except web.HTTPException as error:
            return _error(error.status, error.reason.replace(" ", ""), error.reason.lower())

    def _knows(self, request: web.Request) -> bool:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        words = given.strip().encode("utf-8", "surrogateescape")
        same = hmac.compare_digest(words, self.token.encode())
        return scheme.lower() == "bearer" and same

    # apps

    async def _apps(self, _request: web.Request) -> web.Response:
        return json_answer(await self.views.apps())

    async def _app(self, request: web.Request) -> web.Response:
        return json_answer(
            self.views.app_detail(find_target(self.state, request.match_info["name"]))
        )

    async def _refresh(self, request: web.Request) -> web.Response:
        target = find_target(self.state, request.match_info["name"])
        asked = await read_body(request, api.RefreshRequest)
        await self.refresher.refresh(target, hard=asked.hard)
        return json_answer(api.OperationAnswer(id="", target=str(target), kind="refresh"), 202)

    # sets, clusters, holds

    async def _appsets(self, _request: web.Request) -> web.Response:
        return json_answer(self.views.appsets())

    async def _appset(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        for row in self.views.appsets().items:
            if row.name == name:
                return json_answer(row)
        raise NotFound(f"there is no ApplicationSet {name!r}")

    async def _appset_diff(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self.state.desired.sets:
            raise NotFound(f"there is no ApplicationSet {name!r}")
        return json_answer(self.views.appset_diff(name))

    async def _clusters(self, _request: web.Request) -> web.Response:
        return json_answer(await self.views.clusters())

    async def _cluster(self, request: web.Request) -> web.Response:
        return json_answer(self.views.cluster(self._known_cluster(request)))

    def _known_cluster(self, request: web.Request) -> ClusterName:
        name = ClusterName(request.match_info["name"])
        if name not in self.views.cluster_names():
            raise NotFound(f"there is no cluster {name!r}")
        return name

    async def _add_cluster(self, request: web.Request) -> web.Response:
        return json_answer(await self.enrolment.add(await read_body(request, api.AddCluster)), 201)

    async def _remove_cluster(self, request: web.Request) -> web.Response:
        name = self._known_cluster(request)
        cascade = request.query.get("cascade", "false") == "true"
        return json_answer(api.Message(message=await self.enrolment.remove(name, cascade=cascade)))

    async def _revoke_cluster(self, request: web.Request) -> web.Response:
        name = self._known_cluster(request)
        return json_answer(api.Message(message=await self.enrolment.revoke(name)))

    async def _holds(self, _request: web.Request) -> web.Response:
        return json_answer(self.views.holds())

    async def _approve(self, request: web.Request) -> web.Response:
        asked = await read_body(request, api.ApproveRequest)
        return json_answer(api.Message(message=await self.approvals.approve(asked)))

    # reading

    async def _explain(self, request: web.Request) -> web.Response:
        info = request.match_info
        id_ = TargetId(ClusterName(info["cluster"]), AppName(info["app"]))
        return json_answer(self.views.explain(id_))

    async def _graph(self, request: web.Request) -> web.Response:
        return json_answer(self.views.graph(request.query.get("cluster", "")))

    async def _problems(self, _request: web.Request) -> web.Response:
        return json_answer(self.views.problems())

    async def _repositories(self, _request: web.Request) -> web.Response:
        return json_answer(self.views.repositories())

    async def _webhook(self, request: web.Request) -> web.Response:
        body = await request.read()
        hint = read_push(dict(request.headers), body, self._webhook_settings())
        known = [
            url
            for url in self.poller.wanted
            if any(same_repository(url, named) for named in hint.repo_urls)
        ]
        self.poller.hint(known)
        self.news(hint.repo_urls)
        log.info("push announced", repositories=[redact(url) for url in known])
        return json_answer(api.Message(message=f"looking at {len(known)} repositories"), 202)

    def _webhook_settings(self) -> WebhookSettings:
        file = self.webhook.secret_file
        secret = file.read_text().strip() if file and file.exists() else ""
        return WebhookSettings(
            secrets=(secret,) if secret else (), allow_unsigned=self.webhook.allow_unsigned
        )


_STATUS: dict[type, int] = {
    NotFound: 404,
    BadInput: 400,
    Denied: 403,
    NotReady: 409,
    Conflict: 409,
    Transient: 503,
}


def _status_of(error: FleetError) -> int:
    """A kind of error that is not in the table is answered as what it is derived from."""
    return next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), 500)


def _error(status: int, reason: str, message: str) -> web.Response:
    body = {"error": {"reason": reason, "message": redact(message)}}
    return web.Response(
        body=msgspec.json.encode(body), status=status, content_type="application/json"
    )


def _tls(settings: ApiListener) -> ssl.SSLContext | None:
    host = settings.listen.rpartition(":")[0].strip("[]")
    if settings.cert_file is None or settings.key_file is None:
        if host in ("127.0.0.1", "::1", "localhost"):
            return None
        raise BadInput(
            f"api.listen {settings.listen} is not a loopback address and has no certificate",
            hint="set api.certFile and api.keyFile, or listen on 127.0.0.1",
        )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.cert_file, settings.key_file)
    return context


def read_or_make_token(path: Path) -> str:
    """Return the administrators' token, made at the first start (0600)."""
    if not path.exists():
        write_private(path, f"{secrets.token_urlsafe(32)}\n".encode())
    token = read_private(path).decode("utf-8", "replace").strip()
    if not token:
        # nothing is what a call without a token sends
        raise BadInput(
            f"the administrators' token in {path} is empty",
            hint="write a token into it, or remove the file and the hub makes one",
        )
    return token

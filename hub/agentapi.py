"""What agents can ask for, between HTTP and the ports: nothing is decided here.

Every answer is scoped to the cluster that the TLS peer certificate belongs to; no route takes a cluster's name. A
digest that is not this cluster's is answered like one that does not exist.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from typing import TypeVar

import msgspec
import structlog
from aiohttp import hdrs, web

from fleet.codec.canonical import Digest, parse_digest
from fleet.errors import BadInput, Denied, FleetError
from fleet.model.report import Report
from fleet.wire import codec, frames, routes
from fleet.wire.enrolment import CaAnswer, FetchRequest, JoinRequest, NonceAnswer, RenewRequest
from fleet.wire.errors import Unauthenticated, error_from
from fleet.wire.requests import ReadRequests
from fleet.wire.token import JoinToken
from hub import httpio
from hub.agentports import Assignments, CurrentHead, Reports
from hub.ca import Authority
from hub.identities import ClusterIdentity
from hub.peoplehttp import NotFound
from hub.requests import Exchange, HungUp, Requests
from hub.sessions import Sessions

T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
log = structlog.get_logger(__name__)

PEER: web.RequestKey[ClusterIdentity | None] = web.RequestKey("peer", object)  # type: ignore[arg-type]  # it takes no unions
"""Who asks; set by the guard."""

_SMALL = 64 * 1024
_DIGESTS = 128 * 1024
_REPORT = 4 * 1024 * 1024
_REPORT_UNPACKED = 16 * 1024 * 1024
_FETCH = 8 * 1024 * 1024
"""After so many bytes an answer with many blobs stops; the agent asks again for the rest."""


class AgentApi:
    """The handlers."""

    def __init__(
        self,
        authority: Authority,
        assignments: Assignments,
        reports: Reports,
        requests: Requests,
        sessions: Sessions,
    ) -> None:
        self._authority = authority
        self._assignments = assignments
        self._reports = reports
        self._requests = requests
        self._sessions = sessions
        self._writing: set[asyncio.Task[object]] = set()
        self.is_stopping = False

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handlers by the names of the route table."""
        return {
            "ca": self.ca,
            "nonce": self.nonce,
            "join": self.join,
            "renew": self.renew,
            "assignment": self.assignment,
            "section": self.section,
            "artifact": self.artifact,
            "fetch": self.fetch,
            "report": self.report,
            "requests": self.requests,
            "answer": self.answer,
        }

    async def finish(self) -> None:
        """Wait for writes that were begun."""
        await asyncio.gather(*self._writing, return_exceptions=True)

    async def ca(self, _request: web.Request) -> web.StreamResponse:
        """The CA bundle."""
        return _json(CaAnswer(ca_bundle=self._authority.keyring.bundle()))

    async def nonce(self, _request: web.Request) -> web.StreamResponse:
        """Something to sign for a renewal by proof."""
        return _json(NonceAnswer(nonce=self._authority.nonce()))

    async def join(self, request: web.Request) -> web.StreamResponse:
        """A token and a CSR for a certificate."""
        asked = codec.decode(await httpio.read_body(request, _SMALL), JoinRequest)
        token = JoinToken.parse(asked.token)
        return _json(
            await self._completed(self._authority.join(token, asked.csr, asked.cluster_uid))
        )

    async def renew(self, request: web.Request) -> web.StreamResponse:
        """A certificate for its successor; the body proves who asks where the connection does not."""
        asked = codec.decode(await httpio.read_body(request, _SMALL), RenewRequest)
        peer = request[PEER]
        if peer is None and not asked.signature:
            raise Unauthenticated("a renewal needs a good certificate, or the proof of an old key")
        if peer is not None:
            self._sessions.admit(peer.name, instance_of(request))
        return _json(await self._completed(self._authority.renew(asked, peer)))

    async def assignment(self, request: web.Request) -> web.StreamResponse:
        """The cluster's signed head, at once where it is new to the agent, else when it changes."""
        peer = peer_of(request)
        known = request.headers.get(hdrs.IF_NONE_MATCH, "").strip().strip('"')
        self._reports.seen(peer.name)
        head = self._assignments.current(peer.name)
        has_news = head is not None and head.etag != known
        if not has_news and not self._requests.has_news(peer.name):
            head = await self._changed(request, peer, known)
            self._still_good(peer)
            self._reports.seen(peer.name)
        response = _head_answer(head, known)
        if count := self._requests.announce(peer.name):
            response.headers[routes.REQUESTS_HEADER] = str(count)
        if self.is_stopping:
            response.force_close()
        return response

    async def section(self, request: web.Request) -> web.StreamResponse:
        """One section."""
        digest = _digest_of(request)
        data = await self._assignments.section(peer_of(request).name, digest)
        return _blob(request, digest, data)

    async def artifact(self, request: web.Request) -> web.StreamResponse:
        """One artifact."""
        digest = _digest_of(request)
        data = await self._assignments.artifact(peer_of(request).name, digest)
        return _blob(request, digest, data)

    async def fetch(self, request: web.Request) -> web.StreamResponse:
        """Many sections and artifacts."""
        asked = codec.decode(await httpio.read_body(request, _DIGESTS), FetchRequest)
        if not 0 < len(asked.digests) <= frames.MAX_DIGESTS:
            raise BadInput(f"between 1 and {frames.MAX_DIGESTS} digests, not {len(asked.digests)}")
        digests = [parse_digest(text) for text in asked.digests]
        return await httpio.stream(request, self._frames(peer_of(request), digests))

    async def report(self, request: web.Request) -> web.StreamResponse:
        """The cluster's status."""
        peer = peer_of(request)
        body = await httpio.read_body(request, _REPORT, unpacked=_REPORT_UNPACKED)
        self._still_good(peer)  # a body may take long, and its cluster may be gone by now
        report = codec.decode(body, Report)
        if report.facts.uid != peer.cluster_uid:
            log.error("report of another control plane refused", cluster=peer.name)
            raise Denied(
                f"cluster {peer.name} is bound to another control plane",
                hint="a rebuilt cluster has to join again: fleet cluster add",
            )
        self._reports.seen(peer.name)
        return _json(await self._completed(self._reports.accept(peer.name, report)))

    async def requests(self, request: web.Request) -> web.StreamResponse:
        """What people ask of the cluster."""
        return _json(ReadRequests(requests=self._requests.fetch(peer_of(request).name)))

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """The answer to one of those, handed on as it comes, until it ends or nobody takes it any more."""
        peer = peer_of(request)
        exchange = self._requests.answered(peer.name, request.match_info["id"])
        if exchange is None:
            raise web.HTTPNotFound
        if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
            raise web.HTTPUnsupportedMediaType  # a limit on packed bytes would be none
        if status := request.headers.get(routes.FAILED_HEADER, ""):
            body = await httpio.read_body(request, _SMALL)
            exchange.fail(failure_of(status, body))
            return web.Response(status=204)
        try:
            await self._handed_on(request, peer, exchange)
        except (HungUp, TimeoutError):
            response = web.Response(status=410)
            response.force_close()
            return response
        return web.Response(status=204)

    async def _handed_on(
        self, request: web.Request, peer: ClusterIdentity, exchange: Exchange
    ) -> None:
        async with asyncio.timeout(None) as scope:
            with exchange.answering(scope):
                async for part in request.content.iter_any():
                    self._still_good(peer)
                    await exchange.send(part)

    def _still_good(self, peer: ClusterIdentity) -> None:
        if self._authority.identify(peer.fingerprint) is None:
            raise Unauthenticated("the client certificate is no longer good")

    async def _changed(
        self, request: web.Request, peer: ClusterIdentity, known: str
    ) -> CurrentHead | None:
        """Park the poll; ends early when the certificate expires, is revoked, or the hub stops."""
        left = (peer.not_after - self._authority.clock.now()).total_seconds()
        wait = max(0.0, min(_wait_of(request), left))
        transport = request.transport
        if transport is None or self.is_stopping:
            return None
        try:
            async with asyncio.timeout(wait) as scope:
                with self._sessions.parked(peer.name, instance_of(request), transport, scope):
                    return await self._assignments.changed(peer.name, known, wait)
        except TimeoutError:
            return None

    async def _frames(self, peer: ClusterIdentity, digests: list[Digest]) -> AsyncIterator[bytes]:
        sent = 0
        for digest in digests:
            data = await self._assignments.section(peer.name, digest)
            if data is None:
                data = await self._assignments.artifact(peer.name, digest)
            if sent and sent + len(data or b"") > _FETCH:
                return
            frame = frames.encode_frame(digest, data)
            sent += len(frame)
            yield frame
            if self._authority.identify(peer.fingerprint) is None:
                return

    async def _completed(self, work: Coroutine[object, object, T]) -> T:
        """Finish what changes state even if the agent hangs up in the middle."""
        task = asyncio.create_task(work, name="agent-write")
        self._writing.add(task)
        task.add_done_callback(self._written)
        return await asyncio.shield(task)

    def _written(self, task: asyncio.Task[object]) -> None:
        self._writing.discard(task)
        if not task.cancelled():
            task.exception()  # whoever still waits gets it; nobody may be left


def peer_of(request: web.Request) -> ClusterIdentity:
    """Return who asks, on routes that need a certificate."""
    peer = request[PEER]
    assert peer is not None, "the guard lets nobody else through"
    return peer


def certificate_of(request: web.Request) -> bytes | None:
    """Return the verified peer certificate of the connection, DER."""
    tls = request.get_extra_info("ssl_object")
    certificate = tls.getpeercert(binary_form=True) if tls is not None else None
    return bytes(certificate) if certificate else None


def instance_of(request: web.Request) -> str:
    """Return the name of the agent's process."""
    return request.headers.get(routes.INSTANCE_HEADER, "")[:64]


def failure_of(status: str, body: bytes) -> FleetError:
    """Read why an agent cannot answer; whatever it says, nobody but the person who asked is told."""
    error = error_from(int(status) if status.isdecimal() and len(status) == 3 else 500, body)
    if error.reason == NotFound.reason:
        return NotFound(error.message)
    return error


def _wait_of(request: web.Request) -> float:
    try:
        wait = float(request.query.get("wait", routes.MAX_WAIT))
    except ValueError as error:
        raise BadInput("wait is not a number of seconds") from error
    return min(wait, routes.MAX_WAIT) if math.isfinite(wait) else routes.MAX_WAIT


def _json(answer: msgspec.Struct) -> web.Response:
    return httpio.message(codec.encode(answer))


def _head_answer(head: CurrentHead | None, known: str) -> web.Response:
    if head is not None and head.etag != known:
        return httpio.message(codec.encode(head.signed), etag=head.etag)
    return web.Response(status=304 if known else 204)


def _digest_of(request: web.Request) -> Digest:
    try:
        return parse_digest(request.match_info["digest"])
    except BadInput as error:
        raise web.HTTPNotFound from error


def _blob(request: web.Request, digest: Digest, data: bytes | None) -> web.Response:
    if data is None:
        raise web.HTTPNotFound
    return httpio.blob(request, digest, data)

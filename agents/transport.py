"""HTTPS to the hub: few connections, trust by the joined CA, and nothing about what the messages mean.

Only the poll for assignments is held open; everything else shares one more connection, which is closed after five
idle seconds. What people read has connections of its own, as long as it lasts. The client's key goes to OpenSSL through memory: it is never a file outside the agent's own state.
Used by `agents.link` and `agents.enrolment` alone.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

import aiohttp
import msgspec

from agents.identity import Identity
from fleet.codec.redaction import one_line
from fleet.errors import BadInput, Corrupt, Transient
from fleet.runtime.backoff import retry_after
from fleet.runtime.proxies import environment_proxy
from fleet.wire import codec, errors, routes
from fleet.wire.requests import MAX_READS, MEDIA_TYPE

_POLL_IDLE = 90.0
_DATA_IDLE = 5.0
_SMALL = 64 * 1024
_NAMES = {routes.REQUESTS: "answers"}
"""Connections by path, other than the one that most calls share."""
_UNWANTED = (404, 410)


@dataclass(frozen=True, slots=True)
class Reply:
    """A success (or 204, 304) with its body, read to the end and unpacked."""

    status: int
    body: bytes
    etag: str
    requests: int = 0
    """How many reads the hub has for this agent."""


class Transport:
    """Calls to one hub under one identity."""

    def __init__(self, hub_url: str, *, timeout: timedelta, instance: str = "") -> None:
        self._base = hub_url.rstrip("/")
        self._proxy = environment_proxy(self._base)
        self._timeout = timeout.total_seconds()
        self._headers = {"User-Agent": "gitops-fleet-agent", "Accept-Encoding": "gzip"}
        if instance:
            self._headers[routes.INSTANCE_HEADER] = instance
        self._context: ssl.SSLContext | None = None
        self._sessions: dict[str, aiohttp.ClientSession] = {}

    async def use(self, identity: Identity | None) -> None:
        """Speak as this identity from now on; calls under way end with the connection they have."""
        self._context = _trusting(identity)
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            await session.close()

    async def get(
        self,
        path: str,
        *,
        etag: str = "",
        wait: float = 0.0,
        limit: int = codec.MESSAGE_LIMIT,
    ) -> Reply:
        """Ask; ``wait`` is how long the hub may hold the question, and then it has the poll's connection."""
        headers = {"If-None-Match": etag} if etag else {}
        name = "poll" if wait else _NAMES.get(path, "data")
        url = f"{path}?wait={wait:g}" if wait else path
        return await self._call(name, "GET", url, headers, None, wait, limit)

    async def post(
        self, path: str, message: msgspec.Struct, *, limit: int = codec.MESSAGE_LIMIT
    ) -> Reply:
        """Send a message."""
        body = codec.encode(message)
        headers = {"Content-Type": "application/json"}
        if len(body) >= codec.GZIP_FROM:
            body = codec.compress(body)
            headers["Content-Encoding"] = "gzip"
        return await self._call("data", "POST", path, headers, body, 0.0, limit)

    async def answer(self, path: str, parts: AsyncIterator[bytes], *, seconds: float) -> bool:
        """Stream an answer as its parts come; False where nobody waits for it any more.

        Such answers have connections of their own, so that nothing else waits behind them.
        """
        limits = aiohttp.ClientTimeout(total=seconds, sock_connect=self._timeout)
        try:
            async with self._session("answers").post(
                self._base + path,
                data=parts,
                headers={"Content-Type": MEDIA_TYPE},
                timeout=limits,
                proxy=self._proxy,
                allow_redirects=False,
            ) as response:
                content = await _read(response, _SMALL)
                if response.status in _UNWANTED:
                    response.close()  # it may come while the answer is still being sent
                    return False
                if response.status != 204:
                    raise errors.error_from(response.status, content)
                return True
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Transient(f"the hub does not take the answer: {_reason(error)}") from error

    async def refuse(self, path: str, status: int, body: bytes) -> None:
        """Say that there is no answer, and why."""
        headers = {"Content-Type": "application/json", routes.FAILED_HEADER: str(status)}
        await self._call("answers", "POST", path, headers, body, 0.0, _SMALL)

    async def _call(
        self,
        name: str,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        wait: float,
        limit: int,
    ) -> Reply:
        session = self._session(name)
        limits = aiohttp.ClientTimeout(total=wait + self._timeout, sock_connect=self._timeout)
        try:
            async with session.request(
                method,
                self._base + path,
                headers=headers,
                data=body,
                timeout=limits,
                proxy=self._proxy,
                allow_redirects=False,
            ) as response:
                content = await _read(response, limit)
                if response.status in (200, 204, 304):
                    return Reply(
                        response.status,
                        content,
                        response.headers.get("ETag", ""),
                        _number(response.headers.get(routes.REQUESTS_HEADER, "")),
                    )
                raise errors.error_from(
                    response.status,
                    content,
                    retry_after=retry_after(response.headers.get("Retry-After", "")),
                )
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            if _is_refused_certificate(error):
                raise errors.Unauthenticated("the hub refuses the certificate") from error
            raise Transient(f"the hub cannot be reached: {_reason(error)}") from error

    def _session(self, name: str) -> aiohttp.ClientSession:
        session = self._sessions.get(name)
        if session is None or session.closed:
            if self._context is None:
                raise BadInput("the agent has not joined a hub yet")
            connector = aiohttp.TCPConnector(
                ssl=self._context,
                limit=MAX_READS + 1 if name == "answers" else 1,
                keepalive_timeout=_POLL_IDLE if name == "poll" else _DATA_IDLE,
            )
            # Without trust_env, which would read ~/.netrc and the environment in a thread for every call.
            session = aiohttp.ClientSession(
                connector=connector, headers=self._headers, cookie_jar=aiohttp.DummyCookieJar()
            )
            self._sessions[name] = session
        return session


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _trusting(identity: Identity | None) -> ssl.SSLContext:
    """Whom to believe and who to be; with None, anyone and nobody (to fetch the CA whose key is then pinned)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if identity is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    try:
        context.load_verify_locations(cadata=identity.ca_bundle)
        if identity.certificate:
            _load_pair(context, identity.certificate, identity.key)
    except (ssl.SSLError, ValueError) as error:
        raise Corrupt("the stored identity holds a certificate that cannot be used") from error
    return context


def _load_pair(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """OpenSSL reads files; these two exist in memory only."""
    handles = []
    try:
        for name, text in (("certificate", certificate), ("key", key)):
            handle = os.memfd_create(name)
            handles.append(handle)
            os.write(handle, text.encode())
        paths = [f"/proc/self/fd/{handle}" for handle in handles]
        context.load_cert_chain(paths[0], paths[1])
    finally:
        for handle in handles:
            os.close(handle)


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        codec.check_size(size, limit)
        chunks.append(chunk)
    return b"".join(chunks)


def _is_refused_certificate(error: BaseException | None) -> bool:
    """A TLS alert about our certificate, somewhere in the chain of causes."""
    while error is not None:
        if isinstance(error, ssl.SSLError) and "ALERT" in str(error.reason or ""):
            return any(word in str(error.reason) for word in ("CERTIFICATE", "UNKNOWN_CA"))
        error = error.__cause__ or error.__context__
    return False


def _reason(error: BaseException) -> str:
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)) and not str(error):
        return "no answer in time"
    return one_line(str(error)) or type(error).__name__

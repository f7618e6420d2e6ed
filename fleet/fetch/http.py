"""The one HTTP client for foreign servers: bounded in bytes and time, careful with redirects and credentials.

Retries only what may pass (connection errors, 429, 5xx) within one deadline, honouring Retry-After. Every hop of a
redirect is admitted like a first URL, and credentials stay with the origin they were meant for. Host names are
checked again when they are resolved, so that a name cannot change its mind between check and connection.
"""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from pathlib import Path
from random import Random

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from fleet.codec.redaction import one_line
from fleet.errors import BadInput, Denied, FleetError, Transient
from fleet.fetch.settings import ChartAccess, ChartSettings
from fleet.fetch.urls import FetchUrl, UrlRules, follow, is_below
from fleet.model.addresses import address_refusal
from fleet.runtime.backoff import Backoff
from fleet.runtime.clock import Clock, SystemClock

_CHUNK = 64 * 1024
_MAX_REDIRECTS = 5
_REDIRECTS = {301, 302, 303, 307, 308}
_BACKOFF = Backoff(initial=0.25, factor=3, maximum=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Get:
    """One thing to get."""

    url: FetchUrl
    limit: int
    """Bytes of the answer's body, after decompression."""
    access: ChartAccess | None = None
    """Trust for, and credentials of, the URL's own origin."""
    headers: Mapping[str, str] = field(default_factory=dict)
    send_credentials: bool = True
    pass_credentials: bool = False
    """Send them to the URL's origin although it is not below the prefix of the access row."""
    other_hosts: bool = False
    """Follow a redirect to another host (without credentials): for content that is verified by digest."""
    accept: frozenset[int] = frozenset({200})
    """Statuses that are answers; others become errors."""
    verbatim: bool = False
    """Ask for and take the bytes as they are stored, without content encoding."""
    body: bytes | None = None
    """With a body it is a POST, which follows no redirects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: FetchUrl


class Http:
    """A client with one connection pool; `close` it."""

    def __init__(
        self, settings: ChartSettings, *, clock: Clock | None = None, rng: Random | None = None
    ) -> None:
        self.rules = UrlRules.of(settings)
        self._settings = settings
        self._clock = clock or SystemClock()
        self._rng = rng or Random()  # noqa: S311 - jitter
        self._session: aiohttp.ClientSession | None = None
        self._trust: dict[tuple[Path, float], ssl.SSLContext] = {}

    async def get(self, request: Get) -> Answer:
        """Get it; raises Transient, Denied (credentials, trust, redirect), BadInput (not found, too large)."""
        seconds = self._settings.timeout.total_seconds()
        try:
            async with asyncio.timeout(seconds):
                return await self._with_retries(request)
        except TimeoutError as error:
            raise Transient(f"{request.url.shown!r} took longer than {seconds:g} s") from error

    async def close(self) -> None:
        """Close all connections."""
        if self._session:
            await self._session.close()

    async def _with_retries(self, request: Get) -> Answer:
        for attempt in range(1, self._settings.attempts):
            try:
                return await self._follow(request)
            except Transient as error:
                wait = _BACKOFF.delay(attempt, self._rng)
                if error.retry_after is not None:
                    wait = max(wait, error.retry_after)
                if wait > self._settings.timeout.total_seconds():
                    raise
            await self._clock.sleep(wait)
        return await self._follow(request)

    async def _follow(self, request: Get) -> Answer:
        url = request.url
        for _ in range(_MAX_REDIRECTS + 1):
            answer = await self._once(request, url)
            if answer.status not in _REDIRECTS or answer.status in request.accept:
                return self._judge(request, answer)
            location = answer.headers.get("location", "")
            if request.body is not None:
                raise Denied(f"{url.shown!r} redirects a POST", hint="write the final URL")
            target = follow(url, location, self.rules)
            if url.scheme == "https" and target.scheme != "https":
                raise Denied(f"{url.shown!r} redirects to an unencrypted URL")
            if target.origin != request.url.origin and not request.other_hosts:
                raise Denied(
                    f"{url.shown!r} redirects to another host, {target.origin!r}",
                    hint="write the final URL",
                )
            url = target
        raise Denied(f"{request.url.shown!r} redirects more than {_MAX_REDIRECTS} times")

    async def _once(self, request: Get, url: FetchUrl) -> Answer:
        own = url.origin == request.url.origin
        headers = {"User-Agent": "gitops-fleet", **(request.headers if own else {})}
        if request.verbatim:
            headers["Accept-Encoding"] = "identity"
        if request.access and "Authorization" not in headers and _may_send(request, url):
            headers.update(await basic_credentials(request.access))
        try:
            async with self._open().request(
                "GET" if request.body is None else "POST",
                str(url),
                data=request.body,
                headers=headers,
                ssl=await self._trust_of(request.access if own else None),
                allow_redirects=False,
                auto_decompress=not request.verbatim,
                proxy=_proxy(url),
            ) as response:
                body = b""
                if response.status not in _REDIRECTS:
                    limit = request.limit if response.status in request.accept else _CHUNK
                    body = await _read(response, url, limit, response.status in request.accept)
                found = {name.lower(): value for name, value in response.headers.items()}
                return Answer(status=response.status, headers=found, body=body, url=url)
        except aiohttp.ClientConnectorCertificateError as error:
            raise _untrusted(url, error) from error
        except aiohttp.ClientSSLError as error:
            raise Transient(f"TLS with {url.origin!r} failed: {one_line(str(error))}") from error
        except _Refused as error:
            raise Denied(f"{url.shown!r} {error}") from error
        except aiohttp.ClientError as error:
            if isinstance(error.__cause__, _Refused):
                raise Denied(f"{url.shown!r} {error.__cause__}") from error
            raise Transient(f"{url.shown!r} cannot be reached: {one_line(str(error))}") from error
        except ValueError as error:
            raise BadInput(f"{url.shown!r} cannot be fetched: {one_line(str(error))}") from error

    def _judge(self, request: Get, answer: Answer) -> Answer:
        if answer.status in request.accept:
            return answer
        shown, status = answer.url.shown, answer.status
        if status == 429 or status >= 500:
            wait = _retry_after(answer.headers.get("retry-after", ""), self._clock.now())
            raise Transient(f"{shown!r} answers {status}", retry_after=wait)
        if status in (401, 403, 407):
            raise refused(answer.url, status)
        if status in (404, 410):
            raise BadInput(f"{shown!r} was not found", hint="check the URL and the name")
        raise BadInput(f"{shown!r} answers {status}")

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=self._settings.limits.concurrent,
                resolver=_GuardedResolver(loopback=self.rules.allow_loopback),
            )
            seconds = self._settings.timeout.total_seconds()
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=min(15, seconds)),
            )
        return self._session

    async def _trust_of(self, access: ChartAccess | None) -> ssl.SSLContext | bool:
        if access and access.insecure:
            return False
        if not access or not access.ca_file:
            return True
        try:
            key = (access.ca_file, access.ca_file.stat().st_mtime)
            if key not in self._trust:
                self._trust[key] = await asyncio.to_thread(
                    ssl.create_default_context, cafile=str(access.ca_file)
                )
        except (OSError, ssl.SSLError) as error:
            raise Denied(f"caFile {str(access.ca_file)!r} cannot be used: {error}") from error
        return self._trust[key]


async def basic_credentials(access: ChartAccess) -> dict[str, str]:
    """Read the files of an access row into an Authorization header; empty where it names none."""
    if not access.password_file and not access.username_file:
        return {}
    pair = [
        await asyncio.to_thread(_first_line, path)
        for path in (access.username_file, access.password_file)
    ]
    encoded = base64.b64encode(":".join(pair).encode()).decode()
    return {"Authorization": f"Basic {encoded}"}


def refused(url: FetchUrl, status: int) -> FleetError:
    """The error for credentials that are wrong or missing."""
    return Denied(
        f"{url.shown!r} refused the credentials, or wants some (status {status})",
        hint="check the files of the access settings for this URL",
    )


def _may_send(request: Get, url: FetchUrl) -> bool:
    """Credentials go below their own prefix, at every hop, and elsewhere only when an admin said so."""
    if not request.access or not request.send_credentials:
        return False
    passed_on = request.pass_credentials and url.origin == request.url.origin
    return passed_on or is_below(url, request.access.url_prefix)


class _Refused(OSError):
    """A name that resolves to an address nobody may contact."""


class _GuardedResolver(AbstractResolver):
    """Resolves names and drops forbidden addresses; a name with only such ones is refused."""

    def __init__(self, *, loopback: bool) -> None:
        self._loopback = loopback
        self._inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        usable = [
            entry
            for entry in found
            if not address_refusal(
                ip_address(entry["host"].partition("%")[0]), loopback=self._loopback
            )
        ]
        if found and not usable:
            raise _Refused("has a name that resolves to a forbidden address")
        return usable

    async def close(self) -> None:
        await self._inner.close()


async def _read(response: aiohttp.ClientResponse, url: FetchUrl, limit: int, whole: bool) -> bytes:
    """Read a body up to a limit; one that is only for an error message is cut instead of refused."""
    body = bytearray()
    async for piece in response.content.iter_chunked(_CHUNK):
        body += piece
        if len(body) > limit:
            if not whole:
                break
            raise BadInput(f"{url.shown!r} is larger than {limit} bytes", hint="raise the limit")
    return bytes(body[:limit])


def _first_line(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return path.read_text().strip().partition("\n")[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise Denied(f"credentials file {str(path)!r} cannot be read") from error


def _retry_after(text: str, now: datetime) -> float | None:
    if text.isascii() and text.isdigit() and len(text) < 8:
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds())


def _proxy(url: FetchUrl) -> str | None:
    """The operator's proxy for a URL, by the usual variables."""
    host = url.host.strip("[]")
    if urllib.request.proxy_bypass_environment(host):  # type: ignore[attr-defined]  # not in typeshed
        return None
    return urllib.request.getproxies_environment().get(url.scheme)


def _untrusted(url: FetchUrl, error: aiohttp.ClientConnectorCertificateError) -> Denied:
    return Denied(
        f"{url.origin!r} has a TLS certificate that is not trusted: {one_line(str(error.certificate_error))}",
        hint="name the CA's certificate as caFile in the access settings",
    )

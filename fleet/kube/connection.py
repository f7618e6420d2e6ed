"""The HTTP connection to one API server: credentials, trust, limits, time limits, and nothing about Kubernetes' API.

kubernetes-asyncio reads the kubeconfig (or the pod's service account), runs its credential plugins and makes the
aiohttp session; requests go straight to that session with bytes, because the agent needs none of the typed models.
A call that the server certainly did not carry out (429) is repeated here as the server asks; all other failures
are the caller's to judge.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from fleet.codec import canonical, yamldoc
from fleet.codec.jsontypes import JsonObject
from fleet.codec.redaction import one_line
from fleet.errors import BadInput, FleetError, Transient, Where
from fleet.kube.errors import OutcomeUnknown, Starting, from_status
from fleet.kube.limiter import Limiter
from fleet.runtime.backoff import retry_after
from fleet.runtime.proxies import environment_proxy

IN_CLUSTER = "in-cluster"
JSON = "application/json"

_BUSY_TRIES = 4
_BUSY_PAUSE = 1.0
"""Seconds, of a server that does not say how long it is busy."""
_STARTING_TRIES = 40
_STARTING_PAUSE = 0.05
_LONGEST_PAUSE = 30.0
_BODY_LIMIT = 64 * 1024 * 1024
_RELOAD_EVERY = 10.0
_READ_BUFFER = 2 * 1024 * 1024
"""Larger than any object: a watch event is one line."""
_TEXT_BUFFER = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSettings:
    """Where the API server is and how hard it may be used; times in seconds."""

    kubeconfig: str
    """Path of a kubeconfig file, or ``in-cluster``."""
    context: str = ""
    qps: float = 400.0
    burst: int = 800
    parallel: int = 24
    """Requests in flight, watches not counted."""
    request_timeout: float = 35.0
    connect_timeout: float = 10.0
    stall_timeout: float = 100.0
    """Silence on a watch after which its connection counts as dead; servers send a bookmark each minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call. ``where`` names the object in messages; ``secret`` keeps the server's text out of them."""

    method: str
    path: str
    query: Mapping[str, str]
    where: str
    body: bytes | None = None
    content_type: str = JSON
    accept: str = JSON
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: a success, or 304."""

    status: int
    body: bytes
    etag: str


class Connection:
    """One API server, spoken to through one pool of connections."""

    def __init__(self, settings: ConnectionSettings) -> None:
        self.settings = settings
        self._limiter = Limiter(qps=settings.qps, burst=settings.burst, parallel=settings.parallel)
        self._configuration: Any = None
        self._rest: Any = None
        self._retired: Any = None
        """The connections before the last reload: calls may be under way on them."""
        self._proxy: str | None = None
        self._loading = asyncio.Lock()
        self._loaded_at = -_RELOAD_EVERY
        self._timeout = aiohttp.ClientTimeout(
            total=settings.request_timeout, sock_connect=settings.connect_timeout
        )

    async def close(self) -> None:
        """Close all connections."""
        for rest in (self._rest, self._retired):
            if rest is not None:
                await rest.close()
        self._rest = self._retired = None

    async def call(self, request: Request, *, etag: str = "") -> Answer:
        """Send a request and read its whole answer; raises the typed error of a refusal."""
        attempt = starting = 0
        while True:
            async with self._limiter.slot():
                answer, refusal, wait = await self._once(request, etag)
                if answer is not None:
                    return answer
            assert refusal is not None
            if isinstance(refusal, Starting) and starting < _STARTING_TRIES:
                # Said of one kind after its CRD was established: nothing else has to wait for it.
                starting += 1
                await asyncio.sleep(_STARTING_PAUSE)
                continue
            attempt += 1
            if wait is None:
                raise refusal
            self._pause(wait)
            if attempt == _BUSY_TRIES:
                raise refusal

    async def call_json(self, request: Request) -> JsonObject:
        """Like ``call``, for an answer that is a JSON object."""
        return decoded((await self.call(request)).body, request.where)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open a watch and yield its lines; a silence of ``stall_timeout`` ends it with Transient."""
        async with self._opened(request, self.settings.stall_timeout, _READ_BUFFER) as response:
            yield _lines(response, request.where)

    @asynccontextmanager
    async def parts(
        self, request: Request, *, silence: float | None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open a stream of text and yield it as it comes, never more at hand than a small buffer.

        ``silence``: seconds after which it ends with Transient; None: it may be silent for ever.
        """
        async with self._opened(request, silence, _TEXT_BUFFER) as response:
            yield _parts(response, request.where)

    @asynccontextmanager
    async def _opened(
        self, request: Request, silence: float | None, buffer: int
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=self.settings.connect_timeout, sock_read=silence
        )
        async with self._limiter.slot():
            response = await self._open(request, "", timeout, buffer)
        try:
            # 204: the log of a Pod that no node has been found for
            if response.status not in (200, 204):
                refusal = _refusal(request, response, await self._body(response, request))
                if response.status == 429 and not isinstance(refusal, Starting):
                    self._pause(_retry_after(response) or _BUSY_PAUSE)
                raise refusal
            yield response
        finally:
            response.close()

    def _pause(self, seconds: float) -> None:
        self._limiter.pause(min(max(seconds, 0.1), _LONGEST_PAUSE))

    async def _once(
        self, request: Request, etag: str
    ) -> tuple[Answer | None, FleetError | None, float | None]:
        await self._session()
        used = self._rest
        response = await self._open(request, etag, self._timeout)
        async with response:
            body = await self._body(response, request)
        if 200 <= response.status < 300 or (response.status == 304 and etag):
            return Answer(response.status, body, response.headers.get("ETag", "")), None, None
        refusal = _refusal(request, response, body)
        if response.status == 429:
            return None, refusal, _retry_after(response) or _BUSY_PAUSE
        if response.status == 401 and await self._reload(used):
            return None, refusal, 0.0
        return None, refusal, None

    async def _body(self, response: aiohttp.ClientResponse, request: Request) -> bytes:
        try:
            return await _read(response, request.where)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _no_answer(request, error) from error

    async def _open(
        self,
        request: Request,
        etag: str,
        limits: aiohttp.ClientTimeout,
        buffer: int = _READ_BUFFER,
    ) -> aiohttp.ClientResponse:
        session = await self._session()
        headers = {"Accept": request.accept, "User-Agent": "gitops-fleet"}
        headers.update(await self._authorization())
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        if etag:
            headers["If-None-Match"] = etag
        try:
            return await session.request(
                request.method,
                self._configuration.host + request.path,
                params=request.query,
                data=request.body,
                headers=headers,
                timeout=limits,
                server_hostname=self._rest.server_hostname,
                proxy=self._proxy,
                proxy_headers=self._rest.proxy_headers,
                allow_redirects=False,
                read_bufsize=buffer,
            )
        except aiohttp.ClientConnectorError as error:
            raise Transient(
                f"the API server cannot be reached: {_reason(error)}",
                where=Where(object=request.where),
            ) from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _no_answer(request, error) from error

    async def _session(self) -> aiohttp.ClientSession:
        if self._rest is None:
            async with self._loading:
                if self._rest is None:
                    await self._load()
        session: aiohttp.ClientSession = self._rest.pool_manager
        return session

    async def _load(self) -> None:
        from kubernetes_asyncio.client.rest import RESTClientObject

        self._configuration = await _read_configuration(self.settings)
        self._loaded_at = asyncio.get_running_loop().time()
        try:
            rest = RESTClientObject(self._configuration, maxsize=0)
        except (OSError, ssl.SSLError) as error:
            raise BadInput(
                f"the credentials in the kubeconfig cannot be used: {_reason(error)}"
            ) from error
        finally:
            _forget_key_files()
        self._proxy = rest.proxy or environment_proxy(self._configuration.host)
        rest.pool_manager = _plain_session(rest.pool_manager)
        self._rest = rest

    async def _reload(self, used: Any) -> bool:
        """Read the credentials again after a 401; False where that was done only just now, and did not help."""
        async with self._loading:
            if self._rest is not used:
                return True
            if asyncio.get_running_loop().time() - self._loaded_at < _RELOAD_EVERY:
                return False
            await self._load()
            retired, self._retired = self._retired, used
        if retired is not None:
            await retired.close()
        return True

    async def _authorization(self) -> dict[str, str]:
        found = (await self._configuration.auth_settings()).get("BearerToken")
        return {found["key"]: found["value"]} if found and found["value"] else {}


async def _read_configuration(settings: ConnectionSettings) -> Any:
    from kubernetes_asyncio.client.configuration import Configuration
    from kubernetes_asyncio.config.config_exception import ConfigException
    from kubernetes_asyncio.config.incluster_config import load_incluster_config
    from kubernetes_asyncio.config.kube_config import load_kube_config

    configuration = Configuration()
    try:
        if settings.kubeconfig == IN_CLUSTER:
            load_incluster_config(client_configuration=configuration)
        else:
            _check_form(settings.kubeconfig)
            await load_kube_config(
                config_file=settings.kubeconfig,
                context=settings.context or None,
                client_configuration=configuration,
                persist_config=False,
            )
    except (ConfigException, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(
            f"cannot use the kubeconfig: {_reason(error)}",
            where=Where(file=settings.kubeconfig),
            hint="name a kubeconfig file, or in-cluster inside a pod",
        ) from error
    return configuration


def _plain_session(session: aiohttp.ClientSession) -> aiohttp.ClientSession:
    """Take over the connections of a session that would read the environment and ~/.netrc, in a thread, for each call."""
    connector = session.connector
    session.detach()
    return aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), read_bufsize=_READ_BUFFER
    )


def _check_form(path: str) -> None:
    """A kubeconfig that is no YAML map is said with file and line, which the library does not do."""
    found = yamldoc.load_one(Path(path).expanduser().read_bytes(), source=path)
    if not isinstance(found, dict):
        raise BadInput("the kubeconfig is not a map", where=Where(file=path))


def _forget_key_files() -> None:
    """The library writes inline keys to temporary files for OpenSSL; once it has read them they must go."""
    from kubernetes_asyncio.config import kube_config

    with suppress(AttributeError, OSError):
        kube_config._cleanup_temp_files()


async def _read(response: aiohttp.ClientResponse, where: str) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > _BODY_LIMIT:
            raise Transient(
                f"the API server's answer is over {_BODY_LIMIT} bytes", where=Where(object=where)
            )
        chunks.append(chunk)
    return b"".join(chunks)


async def _lines(response: aiohttp.ClientResponse, where: str) -> AsyncIterator[bytes]:
    rest = b""
    try:
        async for chunk in response.content.iter_any():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if line.strip():
                    yield line
            if len(rest) > _BODY_LIMIT:
                raise Transient("a watch event is too large", where=Where(object=where))
    except TimeoutError as error:
        raise Transient("the watch stayed silent too long", where=Where(object=where)) from error
    except (aiohttp.ClientError, OSError) as error:
        raise Transient(f"the watch broke: {_reason(error)}", where=Where(object=where)) from error


async def _parts(response: aiohttp.ClientResponse, where: str) -> AsyncIterator[bytes]:
    try:
        async for part in response.content.iter_any():
            yield part
    except TimeoutError as error:
        raise Transient("the text stayed silent too long", where=Where(object=where)) from error
    except (aiohttp.ClientError, OSError) as error:
        raise Transient(
            f"the text broke off: {_reason(error)}", where=Where(object=where)
        ) from error


def _refusal(request: Request, response: aiohttp.ClientResponse, body: bytes) -> FleetError:
    try:
        status = canonical.decode(body)
    except BadInput:
        status = None
    refusal = from_status(
        response.status,
        status if isinstance(status, dict) else {},
        where=request.where,
        secret=request.secret,
        retry_after=_retry_after(response),
    )
    if request.method == "POST" and response.status >= 500 and isinstance(refusal, Transient):
        return OutcomeUnknown(refusal.message, where=refusal.where)
    return refusal


def _no_answer(request: Request, error: BaseException) -> Transient:
    kind = OutcomeUnknown if request.method in ("POST", "PATCH", "DELETE") else Transient
    return kind(
        f"no answer from the API server: {_reason(error)}", where=Where(object=request.where)
    )


def _retry_after(response: aiohttp.ClientResponse) -> float | None:
    return retry_after(response.headers.get("Retry-After", ""))


def decoded(body: bytes, where: str) -> JsonObject:
    """A JSON object out of an answer; anything else is the server's fault, and transient."""
    try:
        value = canonical.decode(body)
    except BadInput as error:
        raise Transient("the API server's answer is not JSON", where=Where(object=where)) from error
    if not isinstance(value, dict):
        raise Transient("the API server's answer is no object", where=Where(object=where))
    return value


def _reason(error: BaseException) -> str:
    return one_line(str(error)) or type(error).__name__

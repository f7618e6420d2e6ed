"""A proxy before an API server that stops at a chosen request, or does to it what networks and servers do.

What makes "killed after the k-th PATCH" exact:

    with ApiProxy(plane) as proxy:
        stop = proxy.stop_after(3, is_meant=lambda method, path: method == "PATCH" and "/namespaces/shop/" in path)
        ...                    # start an agent with proxy.kubeconfig(file)
        stop.reached.wait(30)  # three requests were carried out; the third is not answered, no further one passes
        agent.kill()
        proxy.pass_everything()

and what makes faults exact (`Fault`):

    fault = proxy.inject(Fault(patches_in("shop"), status=429, headers={"Retry-After": "2"}, times=3))
    ...
    assert len(fault.hits) == 3

Plain HTTP on loopback inside, the API server's own TLS outside; watches are passed on line by line. It runs in a
thread of its own, and does nothing to requests that are not meant.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import hdrs, web

from fleet.testing.controlplane.plane import ControlPlane
from fleet.testing.served import Served

Meant = Callable[[str, str], bool]
"""Of a method and a path."""

_HOP = frozenset(
    name.lower()
    for name in (hdrs.HOST, hdrs.CONNECTION, hdrs.TRANSFER_ENCODING, hdrs.CONTENT_LENGTH, hdrs.UPGRADE)
)  # fmt: skip


@dataclass(slots=True)
class Stop:
    """A point at which the traffic stops."""

    count: int
    is_meant: Meant
    reached: threading.Event = field(default_factory=threading.Event)
    passed: int = 0
    """Meant requests that the API server has carried out."""
    _one_by_one: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(slots=True, kw_only=True)
class Fault:
    """What happens to the next meant requests instead of being passed on."""

    is_meant: Meant
    times: int = 1
    """To how many of them; negative: to all until `ApiProxy.heal`."""
    status: int = 0
    """Answer with this; 0: cut the connection without an answer."""
    headers: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    """``reason`` of the Status object in the answer."""
    message: str = "made to fail"
    carried_out: bool = False
    """The API server does carry the request out first; only its answer is lost."""
    delay: float = 0.0
    """Seconds before anything happens."""
    freeze: bool = False
    """Of a stream: let it begin, and pass nothing on any more, without ending it."""
    hits: list[float] = field(default_factory=list)
    """When each request was hit (time.monotonic())."""

    def takes(self, method: str, path: str) -> bool:
        """Whether it strikes now; counts it."""
        if self.times == 0 or not self.is_meant(method, path):
            return False
        self.times -= 1 if self.times > 0 else 0
        self.hits.append(time.monotonic())
        return True

    def answer(self) -> web.Response:
        """The answer in the form of an API server."""
        status = {
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": self.status,
            "reason": self.reason, "message": self.message,
        }  # fmt: skip
        return web.json_response(status, status=self.status, headers=dict(self.headers))


class ApiProxy(Served):
    """The proxy of one cluster; a context manager."""

    def __init__(self, plane: ControlPlane) -> None:
        super().__init__()
        self._plane = plane
        self._stop: Stop | None = None
        self._faults: list[Fault] = []
        self._thaw = asyncio.Event()

    def inject(self, fault: Fault) -> Fault:
        """Let a fault strike from now on; the first that means a request takes it."""
        self._faults.append(fault)
        return fault

    def heal(self) -> None:
        """End all faults; streams that are frozen are cut."""
        self._faults = []
        self._loop.call_soon_threadsafe(self._thaw.set)

    def kubeconfig(self, like: Path, path: Path) -> Path:
        """Write a kubeconfig that goes through the proxy, with the credentials of another one."""
        config = json.loads(like.read_text())
        config["clusters"][0]["cluster"] = {"server": f"http://127.0.0.1:{self.port}"}
        path.touch(mode=0o600)
        path.write_text(json.dumps(config))
        return path

    def stop_after(self, count: int, is_meant: Meant) -> Stop:
        """Let this many meant requests be carried out, answer all but the last of them, and let no more pass."""
        self._stop = Stop(count, is_meant)
        return self._stop

    def pass_everything(self) -> None:
        """Stop nowhere; requests that are being held stay unanswered."""
        self._stop = None

    def application(self) -> web.Application:
        """Everything is passed on."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._handle)
        return app

    @contextlib.asynccontextmanager
    async def around(self) -> AsyncIterator[None]:
        """The connections to the API server."""
        trust = ssl.create_default_context(cafile=str(self._plane.ca_file))
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trust, limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
        ) as self._session:
            yield

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        fault = next((f for f in self._faults if f.takes(request.method, request.path_qs)), None)
        if fault is not None:
            return await self._strike(fault, request)
        stop = self._stop
        if stop is None or not stop.is_meant(request.method, request.path):
            return await self._forward(request)
        async with stop._one_by_one:
            if not stop.reached.is_set():
                status, headers, body = await self._carry_out(request)
                stop.passed += 1
                if stop.passed < stop.count:
                    return web.Response(status=status, headers=headers, body=body)
                stop.reached.set()
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async def _strike(self, fault: Fault, request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(fault.delay)
        if fault.freeze:
            return await self._freeze(request)
        if fault.carried_out:
            await self._carry_out(request)
        if fault.status:
            return fault.answer()
        assert request.transport is not None
        request.transport.abort()
        raise ConnectionResetError

    async def _freeze(self, request: web.Request) -> web.StreamResponse:
        async with self._ask(request, await request.read()) as answer:
            response = web.StreamResponse(status=answer.status, headers=_kept(answer.headers))
            await response.prepare(request)
            self._thaw.clear()
            await self._thaw.wait()
        assert request.transport is not None
        request.transport.abort()
        return response

    async def _carry_out(self, request: web.Request) -> tuple[int, dict[str, str], bytes]:
        async with self._ask(request, await request.read()) as answer:
            return answer.status, _kept(answer.headers), await answer.read()

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        async with self._ask(request, await request.read()) as answer:
            response = web.StreamResponse(status=answer.status, headers=_kept(answer.headers))
            await response.prepare(request)
            with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
            return response

    def _ask(self, request: web.Request, body: bytes) -> aiohttp.client._RequestContextManager:
        return self._session.request(
            request.method,
            self._plane.server + request.path_qs,
            headers=_kept(request.headers),
            data=body or None,
            allow_redirects=False,
        )


def requests_in(namespace: str, *methods: str, kind: str = "") -> Meant:
    """Mean requests with one of the methods for objects of a namespace, of one kind (plural) if it is given."""
    place = f"/namespaces/{namespace}/{kind}"
    return lambda method, path: method in methods and place in path


def watches_of(kind: str) -> Meant:
    """Mean the watches of a kind (plural)."""
    return lambda _method, path: f"/{kind}?" in path and "watch=" in path


def lists_of(kind: str) -> Meant:
    """Mean lists of a kind (plural) that are no watches."""
    return lambda method, path: (
        method == "GET" and path.partition("?")[0].endswith(f"/{kind}") and "watch=" not in path
    )


def _kept(headers: object) -> dict[str, str]:
    assert hasattr(headers, "items")
    return {name: value for name, value in headers.items() if name.lower() not in _HOP}

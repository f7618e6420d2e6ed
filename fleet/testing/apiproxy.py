"""A proxy before an API server that stops at a chosen request: what makes "killed after the k-th PATCH" exact.

    with ApiProxy(plane) as proxy:
        stop = proxy.stop_after(3, is_meant=lambda method, path: method == "PATCH" and "/namespaces/shop/" in path)
        ...                    # start an agent with proxy.kubeconfig(file)
        stop.reached.wait(30)  # three requests were carried out; the third is not answered, no further one passes
        agent.kill()
        proxy.pass_everything()

Plain HTTP on loopback inside, the API server's own TLS outside; watches are passed on line by line. It runs in a
thread of its own, and does nothing to requests that are not meant.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import threading
from collections.abc import AsyncIterator, Callable
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


class ApiProxy(Served):
    """The proxy of one cluster; a context manager."""

    def __init__(self, plane: ControlPlane) -> None:
        super().__init__()
        self._plane = plane
        self._stop: Stop | None = None

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


def _kept(headers: object) -> dict[str, str]:
    assert hasattr(headers, "items")
    return {name: value for name, value in headers.items() if name.lower() not in _HOP}

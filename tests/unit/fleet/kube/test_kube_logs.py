"""Logs through the adapter: against a server that plays the API server's log endpoint, with nothing mocked between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import Transient
from fleet.kube import logs
from fleet.kube.adapter import KubernetesCluster
from fleet.kube.connection import Connection, ConnectionSettings
from fleet.kube.errors import Invalid
from fleet.kube.port import LOG_LINE, LogQuery

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Kubelet:
    """The endpoint, and what was seen of its clients."""

    def __init__(self) -> None:
        self.handler: Handler = self.follow
        self.queries: list[dict[str, str]] = []
        self.left = asyncio.Event()
        self.news: asyncio.Queue[bytes] = asyncio.Queue()
        self.written = 0

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.queries.append(dict(request.query))
        return await self.handler(request)

    async def follow(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while part := await self.news.get():
                await response.write(part)
                self.written += len(part)
        except (ConnectionError, asyncio.CancelledError):
            self.left.set()
            raise
        return response


@pytest.fixture
async def kubelet() -> Kubelet:
    return Kubelet()


@pytest.fixture
async def cluster(kubelet: Kubelet, tmp_path: Path) -> AsyncIterator[KubernetesCluster]:
    app = web.Application()
    app.router.add_get("/api/v1/namespaces/shop/pods/web/log", kubelet.serve)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    file = tmp_path / "kubeconfig"
    file.write_text(
        f"""
apiVersion: v1
kind: Config
current-context: it
clusters: [{{name: it, cluster: {{server: "http://127.0.0.1:{runner.addresses[0][1]}"}}}}]
contexts: [{{name: it, context: {{cluster: it, user: it}}}}]
users: [{{name: it, user: {{token: x}}}}]
"""
    )
    settings = ConnectionSettings(kubeconfig=str(file), request_timeout=0.3)
    made = KubernetesCluster(Connection(settings))
    yield made
    await made.close()
    await runner.cleanup()


def followed(cluster: KubernetesCluster, **more: object) -> AsyncIterator[bytes]:
    query = LogQuery(container="main", follow=True, **more)  # type: ignore[arg-type]
    return cluster.logs("shop", "web", query)


async def test_lines_come_while_they_are_written(
    kubelet: Kubelet, cluster: KubernetesCluster
) -> None:
    lines = followed(cluster, tail=3, since="2026-01-01T00:00:00Z")
    kubelet.news.put_nowait(b"one\ntw")
    assert await anext(lines) == b"one"
    kubelet.news.put_nowait(b"o\n\nthree")
    assert [await anext(lines), await anext(lines)] == [b"two", b""]
    kubelet.news.put_nowait(b"")
    assert [line async for line in lines] == [b"three"]
    assert kubelet.queries == [
        {
            "container": "main",
            "timestamps": "true",
            "follow": "true",
            "tailLines": "3",
            "sinceTime": "2026-01-01T00:00:00Z",
        }
    ]


async def test_who_leaves_ends_the_stream_at_the_server(
    kubelet: Kubelet, cluster: KubernetesCluster
) -> None:
    async with asyncio.timeout(5):
        async with aclosing(followed(cluster)) as lines:  # type: ignore[type-var]
            kubelet.news.put_nowait(b"one\n")
            assert await anext(lines) == b"one"
        await kubelet.left.wait()


async def test_a_log_that_nobody_reads_does_not_pile_up(
    kubelet: Kubelet, cluster: KubernetesCluster
) -> None:
    part = b"x" * 1023 + b"\n"
    for _ in range(30_000):
        kubelet.news.put_nowait(part)
    lines = followed(cluster)
    assert await anext(lines) == part[:-1]
    before = -1
    while before != kubelet.written:
        before = kubelet.written
        await asyncio.sleep(0.2)
    # what the sockets of both sides take is the kernel's; the rest of thirty megabytes waits at the server
    assert kubelet.written < 15_000_000
    await lines.aclose()  # type: ignore[attr-defined]


async def test_what_the_kubelet_says_is_told(kubelet: Kubelet, cluster: KubernetesCluster) -> None:
    async def waiting(_request: web.Request) -> web.StreamResponse:
        text = 'container "main" in pod "web" is waiting to start: ContainerCreating'
        return web.json_response({"kind": "Status", "code": 400, "message": text}, status=400)

    kubelet.handler = waiting
    with pytest.raises(Invalid, match="ContainerCreating"):
        await anext(followed(cluster))


async def test_a_log_that_is_not_followed_may_not_stay_silent(
    kubelet: Kubelet, cluster: KubernetesCluster
) -> None:
    lines = cluster.logs("shop", "web", LogQuery(container="main"))
    kubelet.news.put_nowait(b"one\n")
    assert await anext(lines) == b"one"
    with pytest.raises(Transient, match="silent"):
        await anext(lines)


@given(
    st.lists(st.binary(max_size=12).map(lambda text: text.replace(b"\n", b"")), max_size=20),
    st.lists(st.integers(min_value=1, max_value=7), min_size=1),
)
def test_lines_do_not_depend_on_how_the_bytes_come(texts: list[bytes], steps: list[int]) -> None:
    data = b"".join(text + b"\n" for text in texts)

    async def parts() -> AsyncIterator[bytes]:
        start, index = 0, 0
        while start < len(data):
            step = steps[index % len(steps)]
            yield data[start : start + step]
            start, index = start + step, index + 1

    async def read() -> list[bytes]:
        return [line async for line in logs.lines(parts())]

    assert asyncio.run(read()) == texts


async def test_a_line_without_an_end_is_cut_into_pieces() -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"y" * LOG_LINE
        yield b"z\n" + b"w" * (LOG_LINE + 1) + b"\n"

    found = [line async for line in logs.lines(parts())]
    assert max(len(line) for line in found) == LOG_LINE
    assert b"".join(found) == b"y" * 5 * LOG_LINE + b"z" + b"w" * (LOG_LINE + 1)

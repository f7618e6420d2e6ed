"""The agent's probes over a real socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest

from agents.probing import probe_server
from fleet.errors import BadInput
from fleet.runtime.probes import Probes


class Served:
    """A running server and the checks that it asks."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.problem = ""
        self.probes = Probes(readiness={"assignment": lambda: self.problem})

    async def ask(self, path: str, method: str = "GET") -> tuple[int, str, str]:
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"http://127.0.0.1:{self.port}{path}") as answer,
        ):
            return answer.status, answer.content_type, await answer.text()

    async def raw(self, data: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        writer.write_eof()
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        await writer.wait_closed()
        return answer


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    found = Served(port)
    task = asyncio.create_task(probe_server(f"127.0.0.1:{port}", found.probes))
    for _ in range(200):
        await asyncio.sleep(0.005)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
    yield found
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_probes_say_how_it_is(served: Served) -> None:
    assert await served.ask("/healthz") == (200, "text/plain", "ok\n")
    assert await served.ask("/readyz?verbose") == (200, "text/plain", "ok\n")
    served.problem = "no assignment yet"
    assert await served.ask("/readyz") == (503, "text/plain", "assignment: no assignment yet\n")
    assert (await served.ask("/healthz"))[0] == 200


async def test_metrics_are_prometheus_text(served: Served) -> None:
    status, kind, text = await served.ask("/metrics")
    assert (status, kind) == (200, "text/plain")
    assert "# TYPE fleet_queue_keys gauge" in text or "# TYPE python_info gauge" in text


@pytest.mark.parametrize(
    ("path", "method", "expected"),
    [
        pytest.param("/", "GET", 404, id="other-path"),
        pytest.param("/healthz", "POST", 405, id="other-method"),
        pytest.param("/healthz", "HEAD", 200, id="head"),
    ],
)
async def test_other_requests(served: Served, path: str, method: str, expected: int) -> None:
    assert (await served.ask(path, method))[0] == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"nonsense\r\n\r\n", b"HTTP/1.1 400 ", id="no-http"),
        pytest.param(b"GET /healthz HTTP/1.1\r\n", b"", id="unfinished"),
        pytest.param(b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n\r\n", b"", id="endless"),
        pytest.param(b"", b"", id="nothing"),
    ],
)
async def test_what_is_no_request_hurts_nobody(
    served: Served, data: bytes, expected: bytes
) -> None:
    try:
        answer = await served.raw(data)
    except ConnectionError:
        answer = b""
    assert answer.startswith(expected) if expected else not answer
    assert (await served.ask("/healthz"))[0] == 200


@pytest.mark.parametrize("listen", ["127.0.0.1:99999", "127.0.0.1:x", "no.such.host.invalid:1"])
async def test_an_address_that_cannot_be_used_is_the_users_error(listen: str) -> None:
    with pytest.raises(BadInput, match="cannot listen"):
        await asyncio.wait_for(probe_server(listen, Probes()), 10)

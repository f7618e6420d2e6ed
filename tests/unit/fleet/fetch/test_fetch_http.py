"""The HTTP client against a real server on loopback: limits, retries, redirects, credentials."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from fleet.errors import BadInput, Denied, FleetError, Transient
from fleet.fetch.http import Get, Http
from fleet.fetch.settings import ChartAccess, ChartSettings
from fleet.fetch.urls import FetchUrl, admit
from fleet.testing.charts import Behaviour, ChartServer
from fleet.testing.clock import FakeClock

CANARY = "canary-s3cret"


class SleeplessClock(FakeClock):
    """Time passes at once when somebody sleeps; the waits are kept."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self._elapsed += seconds


@pytest.fixture
async def server() -> AsyncIterator[ChartServer]:
    async with ChartServer() as started:
        started.add("web", "1.0.0")
        yield started


@pytest.fixture
def clock() -> SleeplessClock:
    return SleeplessClock()


Open = Callable[..., Http]


@pytest.fixture
async def open_http(tmp_path: Path, clock: SleeplessClock) -> AsyncIterator[Open]:
    opened: list[Http] = []

    def build(**changes: object) -> Http:
        settings = ChartSettings(state=tmp_path / "charts", allow_http=True, allow_loopback=True)
        opened.append(Http(replace(settings, **changes), clock=clock))  # type: ignore[arg-type]  # test rows name fields
        return opened[-1]

    yield build
    for http in opened:
        await http.close()


def get(http: Http, url: str, **changes: object) -> Get:
    found: FetchUrl = admit(url, http.rules)
    return replace(Get(url=found, limit=100_000), **changes)  # type: ignore[arg-type]  # test rows name fields


def access(tmp_path: Path, prefix: str, **changes: bool) -> ChartAccess:
    (tmp_path / "user").write_text("robot\n")
    (tmp_path / "password").write_text(f"{CANARY}\n")
    row = ChartAccess(
        url_prefix=prefix, username_file=tmp_path / "user", password_file=tmp_path / "password"
    )
    return replace(row, **changes)  # type: ignore[arg-type]  # bools only


async def test_an_answer_has_status_headers_and_body(server: ChartServer, open_http: Open) -> None:
    http = open_http()
    answer = await http.get(get(http, f"{server.repository}/index.yaml"))
    assert answer.status == 200
    assert answer.headers["etag"]
    assert b"web-1.0.0.tgz" in answer.body


async def test_what_may_pass_is_tried_again(
    server: ChartServer, open_http: Open, clock: SleeplessClock
) -> None:
    http = open_http()
    server.behaviour.failures = [(503, {}), (429, {"Retry-After": "7"})]
    await http.get(get(http, f"{server.repository}/index.yaml"))
    assert len(server.requests) == 3
    assert clock.waits[0] <= 0.25
    assert clock.waits[1] == 7


async def test_trying_ends_and_says_how_long_the_server_wants_us_to_wait(
    server: ChartServer, open_http: Open, clock: SleeplessClock
) -> None:
    http = open_http()
    server.behaviour.failures = [(503, {})] * 3
    with pytest.raises(Transient, match="answers 503"):
        await http.get(get(http, f"{server.repository}/index.yaml"))
    assert len(server.requests) == 3
    later = "Thu, 01 Jan 2026 01:00:00 GMT"
    server.behaviour.failures = [(429, {"Retry-After": later})]
    clock._elapsed = 0
    with pytest.raises(Transient) as caught:
        await http.get(get(http, f"{server.repository}/index.yaml"))
    assert caught.value.retry_after == 3600
    assert len(server.requests) == 4


STATUSES: list[tuple[int, type[FleetError], str]] = [
    (401, Denied, "refused the credentials"),
    (403, Denied, "refused the credentials"),
    (404, BadInput, "was not found"),
    (418, BadInput, "answers 418"),
]


@pytest.mark.parametrize(
    ("status", "error", "text"), STATUSES, ids=[str(row[0]) for row in STATUSES]
)
async def test_what_does_not_pass_is_asked_once(
    server: ChartServer, open_http: Open, status: int, error: type[FleetError], text: str
) -> None:
    http = open_http()
    server.behaviour.failures = [(status, {})]
    with pytest.raises(error, match=text):
        await http.get(get(http, f"{server.repository}/index.yaml"))
    assert len(server.requests) == 1


@pytest.mark.parametrize(("limit", "fits"), [(1000, True), (999, False)])
async def test_the_byte_limit_is_exact(open_http: Open, limit: int, fits: bool) -> None:
    async def handle(_: web.Request) -> web.Response:
        return web.Response(body=b"x" * 1000)

    async with Serving(handle) as address:
        http = open_http()
        if fits:
            assert len((await http.get(get(http, address, limit=limit))).body) == 1000
        else:
            with pytest.raises(BadInput, match="larger than 999 bytes"):
                await http.get(get(http, address, limit=limit))


async def test_a_compressed_bomb_and_an_endless_body_are_cut(open_http: Open) -> None:
    async def bomb(_: web.Request) -> web.Response:
        response = web.Response(body=b"\0" * 30_000_000)
        response.enable_compression(web.ContentCoding.gzip)
        return response

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65536)
        except ConnectionError:
            return response

    for handler in (bomb, endless):
        async with Serving(handler) as address:
            http = open_http()
            with pytest.raises(BadInput, match="larger than"):
                await http.get(get(http, address))


async def test_a_server_that_drips_is_cut_at_the_deadline(open_http: Open) -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x")
            await asyncio.sleep(0.05)

    async with Serving(drip) as address:
        http = open_http(timeout=timedelta(seconds=0.3))
        with pytest.raises(Transient, match="took longer than"):
            await http.get(get(http, address))


async def test_nobody_there_is_transient(open_http: Open) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    http = open_http()
    with pytest.raises(Transient, match="cannot be reached"):
        await http.get(get(http, f"http://127.0.0.1:{port}/"))


async def test_a_name_that_resolves_to_this_machine_is_refused(
    server: ChartServer, open_http: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that a DNS server answers with 127.0.0.1 only after it was admitted."""

    def lying(host: str, port: int, *_: object, **__: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", lying)
    port = server.address.rpartition(":")[2]
    http = open_http(allow_loopback=False)
    with pytest.raises(Denied, match="resolves to a forbidden address"):
        await http.get(get(http, f"http://charts.example.com:{port}/charts/index.yaml"))
    assert server.requests == []


async def test_redirects_stay_on_the_host_unless_the_caller_verifies_digests(
    server: ChartServer, open_http: Open, tmp_path: Path
) -> None:
    async with ChartServer() as other:
        other.add("web", "1.0.0")
        path = "/charts/web-1.0.0.tgz"
        server.behaviour.redirect = {path: f"{other.address}{path}"}
        http = open_http()
        row = access(tmp_path, server.address)
        with pytest.raises(Denied, match="redirects to another host"):
            await http.get(get(http, f"{server.address}{path}", access=row))
        assert other.requests == []
        await http.get(get(http, f"{server.address}{path}", access=row, other_hosts=True))
        assert [request.authorization for request in other.requests] == [""]
        assert all(request.authorization for request in server.requests)


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest",
        "file:///etc/passwd",
        "https://u:p@example.com/",
        "http://[::ffff:169.254.169.254]/",
        "",
    ],
)
async def test_every_hop_is_admitted(server: ChartServer, open_http: Open, location: str) -> None:
    server.behaviour.redirect = {"/charts/index.yaml": location or "/charts/index.yaml"}
    http = open_http()
    with pytest.raises(Denied):
        await http.get(get(http, f"{server.repository}/index.yaml", other_hosts=True))


async def test_credentials_stay_below_their_prefix(
    server: ChartServer, open_http: Open, tmp_path: Path
) -> None:
    http = open_http()
    row = access(tmp_path, f"{server.address}/charts")
    server.behaviour.redirect = {"/charts/index.yaml": "/elsewhere/index.yaml"}
    with pytest.raises(BadInput):
        await http.get(get(http, f"{server.repository}/index.yaml", access=row))
    assert [bool(request.authorization) for request in server.requests] == [True, False]


async def test_a_credentials_file_that_is_gone_says_so(
    server: ChartServer, open_http: Open, tmp_path: Path
) -> None:
    http = open_http()
    row = access(tmp_path, server.address)
    (tmp_path / "password").unlink()
    with pytest.raises(Denied, match=r"credentials file .* cannot be read"):
        await http.get(get(http, f"{server.repository}/index.yaml", access=row))


async def test_credentials_are_read_at_each_use(
    server: ChartServer, open_http: Open, tmp_path: Path
) -> None:
    server.behaviour = Behaviour(username="robot", password="rotated")
    http = open_http()
    row = access(tmp_path, server.address)
    with pytest.raises(Denied) as caught:
        await http.get(get(http, f"{server.repository}/index.yaml", access=row))
    assert CANARY not in str(caught.value)
    (tmp_path / "password").write_text("rotated")
    assert (await http.get(get(http, f"{server.repository}/index.yaml", access=row))).status == 200


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Serving:
    """One handler on loopback."""

    def __init__(self, handler: Handler) -> None:
        app = web.Application()
        app.router.add_get("/", handler)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)

    async def __aenter__(self) -> str:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}/"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

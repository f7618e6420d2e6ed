"""A server that is busy holds all requests back; one that has only just begun to serve a kind holds back that one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from fleet.kube.connection import Connection, ConnectionSettings, Request
from fleet.kube.errors import Starting, TooManyRequests, from_status

STARTING = {"kind": "Status", "message": "storage is (re)initializing", "code": 429}
BUSY = {"kind": "Status", "message": "too many requests, please try again later", "code": 429}


@pytest.mark.parametrize(("body", "kind"), [(STARTING, Starting), (BUSY, TooManyRequests)])
def test_a_kind_that_starts_is_told_from_a_busy_server(
    body: dict[str, object], kind: type[Exception]
) -> None:
    error = from_status(429, body, where="Gadget: first", retry_after=1.0)
    assert type(error) is kind


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[Connection]:
    refusals = iter([STARTING] * 3)

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/busy":
            return web.json_response(BUSY, status=429, headers={"Retry-After": "7"})
        refusal = next(refusals, None) if request.path == "/gadgets" else None
        if refusal is None:
            return web.json_response({"kind": "List"})
        return web.json_response(refusal, status=429, headers={"Retry-After": "1"})

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "it",
                "clusters": [{"name": "it", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
                "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
                "users": [{"name": "it", "user": {"token": "secret"}}],
            }
        )
    )
    opened = Connection(ConnectionSettings(kubeconfig=str(kubeconfig)))
    yield opened
    await opened.close()
    await runner.cleanup()


async def test_a_kind_that_starts_is_asked_again_soon(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleet.kube.connection._STARTING_PAUSE", 0.0)
    pauses: list[float] = []
    monkeypatch.setattr(connection._limiter, "pause", pauses.append)
    found = await connection.call_json(
        Request(method="GET", path="/gadgets", query={}, where="Gadget")
    )
    assert found == {"kind": "List"}
    assert not pauses, "other requests must not wait for it"


async def test_a_busy_server_is_left_alone_also_after_the_last_try(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(connection._limiter, "pause", pauses.append)
    with pytest.raises(TooManyRequests):
        await connection.call(Request(method="GET", path="/busy", query={}, where="Gadget"))
    assert pauses == [7.0] * 4


@pytest.mark.parametrize(("path", "expected"), [("/busy", [7.0]), ("/gadgets", [])])
async def test_a_watch_that_is_refused_holds_all_requests_back(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, path: str, expected: list[float]
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(connection._limiter, "pause", pauses.append)
    request = Request(method="GET", path=path, query={"watch": "1"}, where="Gadget")
    with pytest.raises(TooManyRequests):
        async with connection.stream(request):
            pass
    assert pauses == expected

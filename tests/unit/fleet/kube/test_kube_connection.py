"""The connection to an API server against a server that misbehaves: busy, silent, gone, forgetful."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from fleet.errors import BadInput, Transient
from fleet.kube.adapter import KubernetesCluster
from fleet.kube.connection import Connection, ConnectionSettings
from fleet.kube.errors import Forbidden, Gone, OutcomeUnknown, TooManyRequests
from fleet.kube.port import Resource

CONFIG_MAPS = Resource(
    group="", version="v1", kind="ConfigMap", plural="configmaps", namespaced=True
)
BODY = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "shop"}}
LIVE = {**BODY, "metadata": {**BODY["metadata"], "resourceVersion": "7"}}  # type: ignore[dict-item]

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Server:
    """Plays an API server: answers with the handlers in order, the last one for ever."""

    def __init__(self) -> None:
        self.handlers: list[Handler] = []
        self.requests: list[web.BaseRequest] = []
        self.port = 0
        self.ending = asyncio.Event()

    async def silence(self, _request: web.BaseRequest) -> web.StreamResponse:
        """Say nothing until the test is over."""
        await self.ending.wait()
        return web.Response()

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(request)
        await request.read()
        handler = self.handlers.pop(0) if len(self.handlers) > 1 else self.handlers[0]
        return await handler(request)


def answers(body: Any, status: int = 200, **headers: str) -> Handler:
    async def handler(_request: web.BaseRequest) -> web.Response:
        return web.json_response(body, status=status, headers=headers)

    return handler


async def cut(request: web.BaseRequest) -> web.StreamResponse:
    """Take the request and break the connection."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def stream(*frames: Any, then: Handler | None = None) -> Handler:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for frame in frames:
            await response.write(json.dumps(frame).encode() + b"\n")
        if then is not None:
            await then(request)
        return response

    return handler


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    runner = web.ServerRunner(web.Server(made), shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.port = runner.addresses[0][1]
    yield made
    made.ending.set()
    await runner.cleanup()


def kubeconfig(folder: Path, server: str, token: str = "one") -> Path:
    path = folder / "kubeconfig"
    path.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "c",
                "clusters": [{"name": "c", "cluster": {"server": server}}],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
                "users": [{"name": "c", "user": {"token": token}}],
            }
        )
    )
    return path


@pytest.fixture
async def cluster(server: Server, tmp_path: Path) -> AsyncIterator[KubernetesCluster]:
    path = kubeconfig(tmp_path, f"http://127.0.0.1:{server.port}")
    settings = ConnectionSettings(kubeconfig=str(path), request_timeout=0.5, stall_timeout=0.3)
    made = KubernetesCluster(Connection(settings))
    yield made
    await made.close()


async def test_busy_server_is_asked_again_as_it_says(
    server: Server, cluster: KubernetesCluster
) -> None:
    server.handlers = [answers({}, 429, **{"Retry-After": "0"}), answers(LIVE)]
    assert await cluster.apply(CONFIG_MAPS, BODY) == LIVE
    assert len(server.requests) == 2


async def test_server_that_stays_busy_is_left_alone(
    server: Server, cluster: KubernetesCluster
) -> None:
    server.handlers = [answers({}, 429, **{"Retry-After": "0"})]
    with pytest.raises(TooManyRequests):
        await cluster.get(CONFIG_MAPS, "shop", "a")
    assert len(server.requests) == 4


async def test_apply_without_an_answer_is_sent_once_more(
    server: Server, cluster: KubernetesCluster
) -> None:
    server.handlers = [cut, answers(LIVE)]
    assert await cluster.apply(CONFIG_MAPS, BODY) == LIVE


async def test_create_without_an_answer_is_never_repeated(
    server: Server, cluster: KubernetesCluster
) -> None:
    server.handlers = [cut]
    with pytest.raises(OutcomeUnknown):
        await cluster.create(CONFIG_MAPS, BODY)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [500, 502, 504])
async def test_create_that_fails_inside_the_server_may_have_happened(
    server: Server, cluster: KubernetesCluster, status: int
) -> None:
    server.handlers = [answers({"kind": "Status", "message": "timeout"}, status)]
    with pytest.raises(OutcomeUnknown):
        await cluster.create(CONFIG_MAPS, BODY)


async def test_silent_server_ends_in_time(server: Server, cluster: KubernetesCluster) -> None:
    server.handlers = [server.silence]
    with pytest.raises(Transient):
        await cluster.get(CONFIG_MAPS, "shop", "a")


async def test_absent_server_is_transient(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, "http://127.0.0.1:1")
    cluster = KubernetesCluster(Connection(ConnectionSettings(kubeconfig=str(path))))
    with pytest.raises(Transient, match="cannot be reached"):
        await cluster.get(CONFIG_MAPS, "shop", "a")
    await cluster.close()


async def test_token_is_read_again_when_it_is_refused(
    server: Server, cluster: KubernetesCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleet.kube.connection._RELOAD_EVERY", 0.0)

    async def by_token(request: web.BaseRequest) -> web.Response:
        good = request.headers["Authorization"] == "Bearer two"
        return web.json_response(LIVE if good else {}, status=200 if good else 401)

    server.handlers = [by_token]
    with pytest.raises(Forbidden):
        await cluster.get(CONFIG_MAPS, "shop", "a")
    kubeconfig(tmp_path, f"http://127.0.0.1:{server.port}", "two")
    assert await cluster.get(CONFIG_MAPS, "shop", "a") == LIVE


async def test_calls_that_are_refused_together_all_get_the_new_token(
    server: Server, cluster: KubernetesCluster, tmp_path: Path
) -> None:
    refused = 0
    all_refused = asyncio.Event()

    async def by_token(request: web.BaseRequest) -> web.Response:
        nonlocal refused
        if request.headers["Authorization"] == "Bearer two":
            return web.json_response(LIVE)
        refused += 1
        if refused == 3:
            all_refused.set()
        await all_refused.wait()
        return web.json_response({}, status=401)

    server.handlers = [answers({"gitVersion": "v1"}), by_token]
    await cluster.version()
    cluster._connection._loaded_at -= 100.0
    kubeconfig(tmp_path, f"http://127.0.0.1:{server.port}", "two")
    calls = (cluster.get(CONFIG_MAPS, "shop", "a") for _ in range(3))
    assert await asyncio.gather(*calls) == [LIVE, LIVE, LIVE]


@pytest.mark.parametrize("after", ["\N{SUPERSCRIPT TWO}", "9" * 400, "soon"])
async def test_wait_that_is_no_number_is_none(
    server: Server, cluster: KubernetesCluster, after: str
) -> None:
    server.handlers = [answers({}, 503, **{"Retry-After": after})]
    with pytest.raises(Transient) as raised:
        await cluster.get(CONFIG_MAPS, "shop", "a")
    assert raised.value.retry_after is None


async def test_watch_whose_refusal_breaks_off_is_transient(
    server: Server, cluster: KubernetesCluster
) -> None:
    async def broken(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(status=500, headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"{")
        return await cut(request)

    server.handlers = [broken]
    with pytest.raises(Transient):
        async for _ in cluster.watch(CONFIG_MAPS, resource_version="1"):
            pass


async def test_watch_that_falls_silent_ends(server: Server, cluster: KubernetesCluster) -> None:
    server.handlers = [stream({"type": "ADDED", "object": LIVE}, then=server.silence)]
    async with aclosing(cluster.watch(CONFIG_MAPS, resource_version="1")) as events:
        first = await anext(events)
        assert first.resource_version == "7"
        with pytest.raises(Transient, match="silent"):
            await anext(events)


async def test_watch_error_event_is_typed(server: Server, cluster: KubernetesCluster) -> None:
    error = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
    server.handlers = [stream({"type": "ERROR", "object": error})]
    with pytest.raises(Gone):
        async for _ in cluster.watch(CONFIG_MAPS, resource_version="1"):
            pass


async def test_watch_that_ends_just_ends(server: Server, cluster: KubernetesCluster) -> None:
    server.handlers = [stream({"type": "BOOKMARK", "object": LIVE})]
    events = [event async for event in cluster.watch(CONFIG_MAPS, resource_version="1")]
    assert [event.resource_version for event in events] == ["7"]


async def test_answer_that_is_no_json_is_transient(
    server: Server, cluster: KubernetesCluster
) -> None:
    async def page(_request: web.BaseRequest) -> web.Response:
        return web.Response(text="<html>maintenance</html>", content_type="text/html")

    server.handlers = [page]
    with pytest.raises(Transient, match="not JSON"):
        await cluster.get(CONFIG_MAPS, "shop", "a")


async def test_redirect_is_not_followed(server: Server, cluster: KubernetesCluster) -> None:
    async def away(_request: web.BaseRequest) -> web.Response:
        return web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"})

    server.handlers = [away]
    with pytest.raises(Transient, match="302"):
        await cluster.get(CONFIG_MAPS, "shop", "a")


async def test_discovery_without_news_stays_the_same_object(
    server: Server, cluster: KubernetesCluster
) -> None:
    document = {
        "kind": "APIGroupDiscoveryList",
        "items": [
            {
                "metadata": {},
                "versions": [
                    {
                        "version": "v1",
                        "resources": [
                            {
                                "resource": "configmaps",
                                "scope": "Namespaced",
                                "responseKind": {"kind": "ConfigMap"},
                                "verbs": ["get"],
                            }
                        ],
                    },
                    {"version": "v2", "freshness": "Stale", "resources": []},
                ],
            }
        ],
    }

    async def tagged(request: web.BaseRequest) -> web.Response:
        if request.headers.get("If-None-Match") == '"1"':
            return web.Response(status=304)
        return web.json_response(document, headers={"ETag": '"1"'})

    server.handlers = [tagged]
    first = await cluster.discovery()
    assert first.preferred("", "ConfigMap") is not None
    assert first.incomplete == {"v2"}
    assert await cluster.discovery(refresh=True) is first


async def test_discovery_group_by_group(server: Server, cluster: KubernetesCluster) -> None:
    documents = {
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {
            "kind": "APIGroupList",
            "groups": [
                {
                    "name": "apps",
                    "versions": [{"version": "v1beta1"}, {"version": "v1"}],
                    "preferredVersion": {"version": "v1"},
                },
                {"name": "broken", "versions": [{"version": "v1"}], "preferredVersion": {}},
            ],
        },
        "/api/v1": {"resources": [{"name": "pods", "kind": "Pod", "namespaced": True}]},
        "/apis/apps/v1": {
            "resources": [
                {"name": "deployments", "kind": "Deployment", "namespaced": True},
                {"name": "deployments/status", "kind": "Deployment", "namespaced": True},
            ]
        },
        "/apis/apps/v1beta1": {"resources": [{"name": "deployments", "kind": "Deployment"}]},
    }

    async def by_path(request: web.BaseRequest) -> web.Response:
        found = documents.get(request.path)
        return web.json_response(found or {}, status=200 if found else 503)

    server.handlers = [by_path]
    found = await cluster.discovery()
    preferred = found.preferred("apps", "Deployment")
    assert preferred is not None
    assert (preferred.version, preferred.plural) == ("v1", "deployments")
    assert found.incomplete == {"broken/v1"}


@pytest.mark.parametrize(
    "text", ["", "{", "clusters: 1", "[]"], ids=["empty", "cut", "odd", "list"]
)
async def test_kubeconfig_that_cannot_be_used_is_said(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    cluster = KubernetesCluster(Connection(ConnectionSettings(kubeconfig=str(path))))
    with pytest.raises(BadInput, match=r"kubeconfig|YAML"):
        await cluster.version()


async def test_missing_kubeconfig_is_said(tmp_path: Path) -> None:
    path = tmp_path / "nowhere"
    cluster = KubernetesCluster(Connection(ConnectionSettings(kubeconfig=str(path))))
    with pytest.raises(BadInput, match="nowhere"):
        await cluster.version()


async def test_in_cluster_outside_a_pod_is_said() -> None:
    cluster = KubernetesCluster(Connection(ConnectionSettings(kubeconfig="in-cluster")))
    with pytest.raises(BadInput, match="kubeconfig"):
        await cluster.version()

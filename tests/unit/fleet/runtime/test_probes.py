"""Probes over real HTTP on loopback."""

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry, Counter

from fleet.runtime.probes import Probes, routes


@pytest.mark.parametrize(
    ("live", "ready", "statuses"),
    [("", "", (200, 200)), ("", "no leader", (200, 503)), ("stuck", "", (503, 503))],
    ids=["fine", "not ready", "not alive"],
)
async def test_probes_and_metrics(live: str, ready: str, statuses: tuple[int, int]) -> None:
    registry = CollectorRegistry()
    Counter("things", "Things.", registry=registry).inc(3)
    application = web.Application()
    probes = Probes(liveness={"loop": lambda: live}, readiness={"store": lambda: ready})
    application.add_routes(routes(probes, registry))
    async with TestServer(application) as server, ClientSession() as session:
        found = []
        for path in ("/healthz", "/readyz"):
            async with session.get(server.make_url(path)) as answer:
                found.append(answer.status)
                text = await answer.text()
        assert tuple(found) == statuses
        assert (live or ready) in text
        async with session.get(server.make_url("/metrics")) as answer:
            assert "things_total 3.0" in await answer.text()

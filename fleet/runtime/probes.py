"""Probes: is the process alive, may it get traffic, and what are its numbers.

A check is a function that returns what is wrong, or an empty text. Liveness is about what only a restart can
repair; readiness about what passes by itself. The registry is plain; the handlers put it on HTTP.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from aiohttp import web
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

Check: TypeAlias = Callable[[], str]


@dataclass(slots=True)
class Probes:
    """The checks of one process by name."""

    liveness: dict[str, Check] = field(default_factory=dict)
    readiness: dict[str, Check] = field(default_factory=dict)

    def not_live(self) -> dict[str, str]:
        """Return what is wrong by name; empty means alive."""
        return _failures(self.liveness)

    def not_ready(self) -> dict[str, str]:
        """Return what is wrong by name; a process that is not alive is not ready either."""
        return _failures({**self.liveness, **self.readiness})


def _failures(checks: dict[str, Check]) -> dict[str, str]:
    found = ((name, check()) for name, check in sorted(checks.items()))
    return {name: problem for name, problem in found if problem}


def routes(probes: Probes, registry: CollectorRegistry = REGISTRY) -> list[web.RouteDef]:
    """Return the routes /healthz, /readyz and /metrics; who may ask is decided around them."""

    async def healthz(_request: web.Request) -> web.Response:
        return _answer(probes.not_live())

    async def readyz(_request: web.Request) -> web.Response:
        return _answer(probes.not_ready())

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    return [
        web.get("/healthz", healthz),
        web.get("/readyz", readyz),
        web.get("/metrics", metrics),
    ]


def _answer(problems: dict[str, str]) -> web.Response:
    if not problems:
        return web.Response(text="ok\n")
    lines = "".join(f"{name}: {problem}\n" for name, problem in problems.items())
    return web.Response(status=503, text=lines)

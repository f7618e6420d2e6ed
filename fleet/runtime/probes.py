"""Probes: is the process alive, may it get traffic, and what are its numbers.

A check is a function that returns what is wrong, or an empty text. Liveness is about what only a restart can
repair; readiness about what passes by itself. `answer` is plain; `routes` puts it on aiohttp's server, which is
imported only by those who have one anyway.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

if TYPE_CHECKING:
    from aiohttp import web

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


PATHS = ("/healthz", "/readyz", "/metrics")
_TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a probe is told."""

    status: int
    content_type: str
    body: bytes


def answer(path: str, probes: Probes, registry: CollectorRegistry = REGISTRY) -> Answer:
    """Answer one of `PATHS`; anything else is not found."""
    match path:
        case "/healthz":
            return _answer(probes.not_live())
        case "/readyz":
            return _answer(probes.not_ready())
        case "/metrics":
            return Answer(200, CONTENT_TYPE_LATEST, generate_latest(registry))
        case _:
            return Answer(404, _TEXT, b"not found\n")


def routes(probes: Probes, registry: CollectorRegistry = REGISTRY) -> list[web.RouteDef]:
    """Return the routes /healthz, /readyz and /metrics; who may ask is decided around them."""
    from aiohttp import web

    async def handle(request: web.Request) -> web.Response:
        found = answer(request.path, probes, registry)
        return web.Response(
            status=found.status, body=found.body, headers={"Content-Type": found.content_type}
        )

    return [web.get(path, handle) for path in PATHS]


def _answer(problems: dict[str, str]) -> Answer:
    if not problems:
        return Answer(200, _TEXT, b"ok\n")
    lines = "".join(f"{name}: {problem}\n" for name, problem in problems.items())
    return Answer(503, _TEXT, lines.encode())

"""Repositories and charts in memory, and an Application over them, for tests of rendering."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from fleet.model.application import Application, Destination, Source
from fleet.model.identity import AppName
from fleet.render.ports import MemoryArtifacts, MemoryClosures
from fleet.render.renderer import Renderer
from fleet.render.sandbox import Isolation
from fleet.render.settings import RenderSettings
from fleet.testing.sources import MemoryCharts, MemoryTrees


def application(*sources: Source, name: str = "web", namespace: str = "prod") -> Application:
    """An Application over some sources."""
    return Application(
        name=AppName(name),
        namespace="argocd",
        project="default",
        sources=sources,
        destination=Destination(name="one", namespace=namespace),
    )


@pytest.fixture
def trees() -> MemoryTrees:
    return MemoryTrees()


@pytest.fixture
def charts() -> MemoryCharts:
    return MemoryCharts()


@pytest.fixture
def app() -> Callable[..., Application]:
    return application


@pytest.fixture
async def make_renderer(
    trees: MemoryTrees, charts: MemoryCharts
) -> AsyncIterator[Callable[..., Awaitable[Renderer]]]:
    """Start renderers over the repositories of this test; all are closed at its end."""
    started: list[Renderer] = []

    async def make(
        closures: MemoryClosures | None = None,
        artifacts: MemoryArtifacts | None = None,
        **settings: object,
    ) -> Renderer:
        renderer = Renderer(
            sources=trees,
            charts=charts,
            artifacts=artifacts or MemoryArtifacts(),
            closures=closures or MemoryClosures(),
            settings=RenderSettings(**settings),  # type: ignore[arg-type]  # a test's own settings
            isolation=Isolation.NONE,
        )
        await renderer.start()
        started.append(renderer)
        return renderer

    yield make
    for renderer in started:
        await renderer.close()

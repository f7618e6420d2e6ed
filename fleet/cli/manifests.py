"""Manifests of Applications whose sources are on this machine: one renderer for all that a command looks at.

What two Applications or two revisions have in common is rendered once. The sandbox that tools run in is looked for
only when something has to be rendered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from fleet.argo.reading import Problem
from fleet.cli.checking import Repositories
from fleet.codec.jsontypes import JsonObject
from fleet.errors import FleetError
from fleet.model.application import Application, Source
from fleet.model.identity import TargetId
from fleet.model.world import TreeRequest
from fleet.render import artifact
from fleet.render.local import NoCharts
from fleet.render.plan import Plan
from fleet.render.planning import Planner, is_chart
from fleet.render.ports import MemoryArtifacts, MemoryClosures, SourceTrees
from fleet.render.renderer import Renderer
from fleet.render.request import Capabilities, Rendering, ResolvedSource
from fleet.render.settings import RenderSettings

Sources: TypeAlias = tuple[ResolvedSource | str, ...]
"""Of each source its commit, or why it has none here."""

_AT_ONCE = 1_000
"""Files that are read by one git process."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A rendering and its objects."""

    rendering: Rendering
    objects: tuple[JsonObject, ...]


class NotHere(Exception):
    """A source is not on this machine; says which."""


async def sources_of(application: Application | None, repositories: Repositories) -> Sources:
    """Find the commits of all sources; what has none is told apart by what was asked for."""
    sources = application.sources if application else ()
    return tuple([await _resolved(source, repositories) for source in sources])


async def _resolved(source: Source, repositories: Repositories) -> ResolvedSource | str:
    if is_chart(source):
        return f"chart {source.chart} of {source.repo_url} is not on this machine"
    if repositories.lacks([TreeRequest(repo_url=source.repo_url, revision="")]):
        return f"repository {source.repo_url} is not given: --repo {source.repo_url}=DIR"
    try:
        commit = await repositories.resolve(source.repo_url, source.target_revision)
    except FleetError as error:
        return str(error)  # a tag that was not fetched is no mistake of a document
    return ResolvedSource(source=source, revision=commit)


class Manifests:
    """Renders; to be closed after use."""

    def __init__(self, sources: SourceTrees) -> None:
        settings = RenderSettings()
        self._artifacts = MemoryArtifacts()
        self._renderer = Renderer(
            sources=sources,
            charts=NoCharts(),
            artifacts=self._artifacts,
            closures=MemoryClosures(),
            settings=settings,
        )
        self._planner = Planner(
            sources, NoCharts(), allow_chart_dependencies=settings.allow_chart_dependencies
        )
        self._starting = asyncio.Lock()
        self._is_started = False

    async def close(self) -> None:
        """End what is running."""
        await self._renderer.close()

    async def render(self, application: Application, sources: Sources) -> Rendered:
        """Render one Application; raises NotHere, and FleetError for what cannot be rendered."""
        resolved = here(sources)
        await self._start()
        rendering = await self._renderer.render(application, resolved, Capabilities())
        return Rendered(rendering, artifact.decode(await self._artifacts.get(rendering.artifact)))

    async def plan(self, application: Application, sources: Sources) -> tuple[Plan, ...]:
        """Plan what rendering would read, without rendering; raises NotHere and FleetError."""
        resolved = here(sources)
        plans = []
        for index, item in enumerate(resolved):
            if (
                item.source.path
            ):  # another one only lends its files, and the plans of the others name them
                planned = await self._planner.plan(
                    application, resolved, index, Capabilities(), lambda _url: True
                )
                plans.append(planned.plan)
        return tuple(plans)

    async def read(self, objects: Mapping[str, Iterable[str]]) -> Iterable[tuple[str, bytes]]:
        """Read files by repository and object id, many at once."""
        found: list[tuple[str, bytes]] = []
        for url, names in objects.items():
            wanted = sorted(names)
            for start in range(0, len(wanted), _AT_ONCE):
                found += (
                    await self._planner.read(url, tuple(wanted[start : start + _AT_ONCE]))
                ).items()
        return found

    async def _start(self) -> None:
        async with self._starting:
            if not self._is_started:
                await self._renderer.start()
                self._is_started = True


def here(sources: Sources) -> tuple[ResolvedSource, ...]:
    """Return the sources if all of them are on this machine; raises NotHere for the first that is not."""
    for source in sources:
        if isinstance(source, str):
            raise NotHere(source)
    return tuple(source for source in sources if isinstance(source, ResolvedSource))


def failure(error: FleetError, id_: TargetId, application: Application) -> Problem:
    """Say of an Application that it cannot be rendered: in its document if the error names no file."""
    where = error.where
    if not where.file:
        where = replace(where, file=application.where.file, line=application.where.line)
    hint = f" ({error.hint})" if error.hint else ""
    return Problem(
        reason=error.reason,
        message=f"{id_} cannot be rendered: {error.message}{hint}",
        where=replace(where, object=f"Application/{id_.app}"),
        fatal=True,
    )

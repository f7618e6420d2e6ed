"""Renderings: what makes a target render again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import pytest

from fleet.codec.canonical import Digest
from fleet.codec.jsontypes import JsonValue
from fleet.errors import Denied
from fleet.model.application import Application, Destination, HelmOptions, Source
from fleet.model.identity import AppName, TargetId
from fleet.model.project import AppProject
from fleet.model.target import Target
from fleet.render.renderer import Renderer
from fleet.render.request import Rendering, ResolvedSource
from fleet.testing.store import MemoryArtifactStore
from hub.renderings import Renderings
from hub.state import Desired, State

ID = TargetId.parse("one/web")


@dataclass
class Counting:
    """A renderer that counts; its artifact is always the same."""

    digest: Digest
    renders: int = 0
    chart: str = ""
    """Repository of a chart that what is rendered depends on."""

    async def resolve(self, application: Application) -> tuple[ResolvedSource, ...]:
        return tuple(
            ResolvedSource(source=source, revision="commit") for source in application.sources
        )

    async def render(
        self, *_arguments: object, permits: Callable[[str], bool], **_named: object
    ) -> Rendering:
        self.renders += 1
        if self.chart and not permits(self.chart):
            raise Denied(f"its dependency comes from {self.chart!r}, which is not allowed")
        return Rendering(
            artifact=self.digest, objects=0, kinds={}, warnings=(), revision="commit",
            closure=self.digest, from_cache=False,
        )  # fmt: skip


def application(value: JsonValue) -> Application:
    values = {"enabled": value}
    helm = HelmOptions(values_object=values)
    return Application(
        name=AppName("web"),
        namespace="argocd",
        project="default",
        sources=(Source(repo_url="https://git.example.com/x.git", helm=helm),),
        destination=Destination(name="one"),
        document={"spec": {"source": {"helm": {"valuesObject": values}}}},
    )


@dataclass
class Bench:
    """Renderings of one target."""

    renderer: Counting
    renderings: Renderings
    state: State = field(default_factory=State)

    @classmethod
    async def make(cls) -> Bench:
        artifacts, state = MemoryArtifactStore(), State()
        renderer = Counting(await artifacts.put(b'{"objects":[]}'))
        renderings = Renderings(
            renderer=cast("Renderer", renderer),
            artifacts=artifacts,
            state=state,
            rendered=lambda _id: None,
        )
        return cls(renderer, renderings, state)

    async def renders(self, wanted: Application, *repositories: str) -> int:
        """How often it was rendered, in a project that permits these repositories."""
        target = Target(id=ID, application=wanted)
        project = AppProject(name="default", source_repos=repositories)
        self.state.replace_desired(
            Desired(targets={ID: target}, projects={"default": project}, evaluated=True)
        )
        await self.renderings.reconcile(ID)
        return self.renderer.renders


@pytest.mark.parametrize(
    ("before", "after"),
    [(1, True), (0, False), ("1", 1), ([1], [True])],
    ids=["one-true", "zero-false", "text-number", "nested"],
)
async def test_another_value_is_another_rendering(before: JsonValue, after: JsonValue) -> None:
    bench = await Bench.make()
    assert await bench.renders(application(before)) == 1
    assert await bench.renders(application(before)) == 1
    assert await bench.renders(application(after)) == 2
    assert await bench.renders(application(after)) == 2


async def test_a_chart_that_the_project_permits_no_more_is_used_no_more() -> None:
    bench = await Bench.make()
    bench.renderer.chart = "https://charts.example.com"
    assert await bench.renders(application(1), "https://charts.example.com") == 1
    assert await bench.renders(application(1), "*") == 1
    with pytest.raises(Denied):
        await bench.renders(application(1), "https://git.example.com/*")
    assert "not allowed" in bench.state.candidates[ID].error
    assert await bench.renders(application(1), "*") == 3
    assert not bench.state.candidates[ID].error

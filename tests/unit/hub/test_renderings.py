"""Renderings: what makes a target render again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import pytest

from fleet.codec.canonical import Digest
from fleet.codec.jsontypes import JsonValue
from fleet.model.application import Application, Destination, HelmOptions, Source
from fleet.model.identity import AppName, TargetId
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

    async def resolve(self, application: Application) -> tuple[ResolvedSource, ...]:
        return tuple(
            ResolvedSource(source=source, revision="commit") for source in application.sources
        )

    async def render(self, *_arguments: object, **_named: object) -> Rendering:
        self.renders += 1
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

    async def renders(self, wanted: Application) -> int:
        target = Target(id=ID, application=wanted)
        self.state.replace_desired(Desired(targets={ID: target}, evaluated=True))
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

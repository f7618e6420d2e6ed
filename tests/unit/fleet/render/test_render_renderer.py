"""What is rendered once, what is shared, what is counted, and how errors name their place. No tools needed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeAlias

import pytest
from prometheus_client import REGISTRY

from fleet.errors import BadInput, Denied, FleetError, NotReady, Transient, Unsupported
from fleet.model.application import (
    Application,
    DirectoryOptions,
    HelmOptions,
    KustomizeOptions,
    Source,
)
from fleet.render import artifact
from fleet.render.inputs import made_file
from fleet.render.local import NoCharts
from fleet.render.plan import Plan, SourceKind, closure_key
from fleet.render.ports import MemoryArtifacts, MemoryClosures, StoredClosure
from fleet.render.renderer import Renderer
from fleet.render.request import Capabilities, Rendering
from fleet.render.settings import RenderSettings
from fleet.testing.sources import Content, Link, MemoryTrees

URL = "https://git.example.com/apps.git"
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {x: '%s'}\n"
NONE = Capabilities()

Make: TypeAlias = Callable[..., Awaitable[Renderer]]
App: TypeAlias = Callable[..., Application]


def config(name: str, value: str = "1") -> str:
    return CONFIG % (name, value)


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"fleet_render_{name}_total", labels) or 0.0


async def render(
    renderer: Renderer, application: Application, *, refresh: bool = False
) -> Rendering:
    return await renderer.render(
        application, await renderer.resolve(application), NONE, refresh=refresh
    )


async def names(artifacts: MemoryArtifacts, rendering: Rendering) -> list[str]:
    objects = artifact.decode(await artifacts.get(rendering.artifact))
    return [each["metadata"]["name"] for each in objects]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (DirectoryOptions(), ["a", "z"]),
        (DirectoryOptions(recurse=True), ["a", "one", "two", "z"]),
        (DirectoryOptions(recurse=True, include="{*.json,sub/*}"), ["one", "two", "z"]),
        (DirectoryOptions(recurse=True, exclude="sub/*"), ["a", "z"]),
        (DirectoryOptions(include="*.yml", exclude="*"), []),
    ],
)
async def test_directory(
    make_renderer: Make,
    trees: MemoryTrees,
    app: App,
    options: DirectoryOptions,
    expected: list[str],
) -> None:
    trees.commit(
        {
            "app/a.yaml": config("a"),
            "app/sub/one.yml": config("one"),
            "app/sub/deep/two.yaml": config("two"),
            "app/notes.txt": config("never"),
            "app/z.json": '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "z"}}',
            "other/x.yaml": config("other"),
        }
    )
    artifacts = MemoryArtifacts()
    renderer = await make_renderer(artifacts=artifacts)
    source = Source(repo_url=URL, path="app", directory=options)
    found = await names(artifacts, await render(renderer, app(source)))
    assert sorted(found) == expected


async def test_commit_elsewhere_renders_and_reads_nothing(
    make_renderer: Make, trees: MemoryTrees, app: App
) -> None:
    files = {"app/a.yaml": config("a"), "other/x.yaml": "1"}
    renderer = await make_renderer()
    source = Source(repo_url=URL, path="app")
    trees.commit(files)
    first = await render(renderer, app(source))
    before = counted("renders", kind="directory"), len(trees.read)
    hits = counted("closure_hits")
    trees.commit(files | {"other/x.yaml": "2"})
    second = await render(renderer, app(source))
    assert (counted("renders", kind="directory"), len(trees.read)) == before
    assert counted("closure_hits") == hits + 1
    assert (second.artifact, second.closure, second.from_cache) == (
        first.artifact,
        first.closure,
        True,
    )
    assert second.revision != first.revision


async def test_change_that_changes_nothing_is_counted(
    make_renderer: Make, trees: MemoryTrees, app: App
) -> None:
    renderer = await make_renderer()
    source = Source(repo_url=URL, path="app")
    trees.commit({"app/a.yaml": config("a")})
    first = await render(renderer, app(source))
    unchanged = counted("unchanged_outputs")
    trees.commit({"app/a.yaml": "# words\n" + config("a")})
    second = await render(renderer, app(source))
    assert (first.artifact, counted("unchanged_outputs")) == (second.artifact, unchanged + 1)
    assert first.closure != second.closure


async def test_applications_with_equal_inputs_share_one_render(
    make_renderer: Make, trees: MemoryTrees, app: App
) -> None:
    trees.commit({"app/a.yaml": config("a")})
    renderer = await make_renderer()
    source = Source(repo_url=URL, path="app")
    before = counted("renders", kind="directory")
    all_ = await asyncio.gather(
        *(render(renderer, app(source, name=f"a{n}", namespace=f"n{n}")) for n in range(5))
    )
    assert len({(each.artifact, each.closure) for each in all_}) == 1
    assert counted("renders", kind="directory") == before + 1


async def test_closures_outlive_the_renderer(
    make_renderer: Make, trees: MemoryTrees, app: App
) -> None:
    trees.commit({"app/a.yaml": config("a")})
    closures, artifacts = MemoryClosures(), MemoryArtifacts()
    source = Source(repo_url=URL, path="app")
    first = await render(await make_renderer(closures, artifacts), app(source))
    second = await render(await make_renderer(closures, artifacts), app(source))
    assert (first.from_cache, second.from_cache) == (False, True)
    lost = await render(await make_renderer(closures, MemoryArtifacts()), app(source))
    assert lost.from_cache is False  # a closure whose artifact is gone is rendered again


async def test_other_result_for_one_closure_keeps_the_first(
    make_renderer: Make, trees: MemoryTrees, app: App
) -> None:
    trees.commit({"app/a.yaml": config("a")})
    closures, artifacts = MemoryClosures(), MemoryArtifacts()
    renderer = await make_renderer(closures, artifacts)
    source = Source(repo_url=URL, path="app")
    first = await render(renderer, app(source))
    again = await render(renderer, app(source), refresh=True)
    assert (again.artifact, again.nondeterministic) == (first.artifact, False)
    earlier = await artifacts.put(b'{"objects":[]}')
    await closures.put(first.closure, StoredClosure(artifact=earlier))
    other = await render(renderer, app(source), refresh=True)
    assert (other.artifact, other.nondeterministic) == (earlier, True)


async def test_several_sources_are_one_artifact_and_the_last_wins(
    make_renderer: Make, trees: MemoryTrees, app: App
) -> None:
    other = "https://git.example.com/other.git"
    first_commit = trees.commit({"app/a.yaml": config("a") + "---\n" + config("b")})
    trees.commit({"x/a.yaml": config("a", "2")}, other)
    artifacts = MemoryArtifacts()
    renderer = await make_renderer(artifacts=artifacts)
    application = app(
        Source(repo_url=URL, path="app", ref="vals"),
        Source(repo_url=other, path="x"),
        Source(repo_url=other, ref="only-files"),
    )
    rendering = await render(renderer, application)
    assert await names(artifacts, rendering) == ["b", "a"]
    assert rendering.kinds == {"/ConfigMap": 2}
    assert [each.reason for each in rendering.warnings] == ["RepeatedResourceWarning"]
    assert rendering.revision == first_commit
    assert (await render(renderer, application)).from_cache is True


async def test_failure_is_not_rendered_again_until_it_may_differ(
    make_renderer: Make, trees: MemoryTrees, app: App
) -> None:
    trees.commit({"app/a.yaml": "kind: A\napiVersion: v1\nmetadata: {}\n"})
    renderer = await make_renderer()
    application = app(Source(repo_url=URL, path="app"))
    before = counted("renders", kind="directory")
    texts = set()
    for _ in range(3):
        with pytest.raises(BadInput) as caught:
            await render(renderer, application)
        texts.add(str(caught.value))
    assert texts == {"app/a.yaml:1: Application web: A has no metadata.name"}
    assert counted("renders", kind="directory") == before + 1
    trees.commit({"app/a.yaml": config("a")})
    assert (await render(renderer, application)).objects == 1


@pytest.mark.parametrize(
    ("files", "source", "error", "message"),
    [
        ({}, Source(repo_url=URL), BadInput, "needs a path or a chart"),
        ({}, Source(repo_url=URL, path="gone"), BadInput, "path 'gone' does not exist in"),
        ({"a": "x"}, Source(repo_url=URL, path="a"), BadInput, "is not a directory"),
        ({"a": "x"}, Source(repo_url=URL, path="../x"), Denied, "outside the repository"),
        ({"a": "x"}, Source(repo_url=URL, path="a/%2e%2e/%2e%2e"), Denied, "outside the repository"),
        ({"a/x.jsonnet": "x"}, Source(repo_url=URL, path="a"), Unsupported, "jsonnet"),
        ({"a/x.yaml": "x"}, Source(repo_url=URL, path="a", directory=DirectoryOptions(include="[")), BadInput, "malformed pattern"),
        ({"a/x.yaml": "x"}, Source(repo_url=URL, path="a", helm=HelmOptions(values="a: 1"), kustomize=KustomizeOptions(namespace="x")), BadInput, "several kinds"),
        ({"a/x.yaml": "x"}, Source(repo_url=URL, path="a", helm=HelmOptions(values="a: 1")), BadInput, "no Chart.yaml"),
        ({"a/x.yaml": "x"}, Source(repo_url=URL, path="a", kustomize=KustomizeOptions(namespace="x")), BadInput, "no kustomization file"),
        ({}, Source(repo_url="https://charts.example.com", chart="x", ref="r"), BadInput, "cannot be a chart"),
        ({}, Source(repo_url="https://unknown.example.com", path="x"), BadInput, "no repository"),
        ({}, Source(repo_url="oci://registry.example.com", path="x"), BadInput, "names no chart"),
    ],
)  # fmt: skip
async def test_source_that_cannot_be_rendered(
    make_renderer: Make,
    trees: MemoryTrees,
    app: App,
    files: dict[str, str],
    source: Source,
    error: type[FleetError],
    message: str,
) -> None:
    trees.commit(files | {"README.md": "x"})
    with pytest.raises(error, match=message) as caught:
        await render(await make_renderer(), app(source))
    assert caught.value.where.object == "Application web"


async def test_link_out_of_the_repository_fails_the_whole_directory(
    make_renderer: Make, trees: MemoryTrees, app: App
) -> None:
    files: dict[str, Content] = {
        "app/a.yaml": config("a"),
        "app/token": Link("/var/run/secrets/token"),
    }
    trees.commit(files)
    renderer = await make_renderer()
    with pytest.raises(Denied, match="'app/token' is outside the repository"):
        await render(renderer, app(Source(repo_url=URL, path="app")))
    trees.commit(
        {"app/a.yaml": config("a"), "app/b.yaml": Link("../lib/b.yaml"), "lib/b.yaml": config("b")}
    )
    assert (await render(renderer, app(Source(repo_url=URL, path="app")))).objects == 2


async def test_directory_larger_than_the_limit_is_not_parsed(
    make_renderer: Make, trees: MemoryTrees, app: App
) -> None:
    trees.commit({"app/a.yaml": config("a", "y" * 5000)})
    renderer = await make_renderer(max_output=5000)
    with pytest.raises(BadInput, match="over the limit of 5000"):
        await render(renderer, app(Source(repo_url=URL, path="app")))
    renderer = await make_renderer(max_object_size=5000)
    with pytest.raises(BadInput, match="object too large: /ConfigMap:/a"):
        await render(renderer, app(Source(repo_url=URL, path="app")))


async def test_large_manifests_are_parsed_in_a_child_with_the_same_result(
    make_renderer: Make, trees: MemoryTrees, app: App
) -> None:
    trees.commit({"app/a.yaml": "---\n".join(config(f"a{n}") for n in range(30))})
    application = app(Source(repo_url=URL, path="app"))
    near = await render(await make_renderer(), application)
    far = await render(await make_renderer(parse_in_child_above=100), application)
    assert replace(far, from_cache=near.from_cache) == near


async def test_hostile_manifests_cost_a_child_only(
    make_renderer: Make, trees: MemoryTrees, app: App
) -> None:
    bomb = "apiVersion: v1\nkind: A\nmetadata: {name: a}\na: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(8)
    )
    trees.commit({"app/a.yaml": bomb})
    renderer = await make_renderer(parse_in_child_above=100)
    with pytest.raises(BadInput, match="aliases counted each time") as caught:
        await render(renderer, app(Source(repo_url=URL, path="app")))
    assert caught.value.where.file == "app/a.yaml"


async def test_missing_tool_is_not_ready(
    make_renderer: Make, trees: MemoryTrees, app: App, tmp_path: object
) -> None:
    trees.commit({"app/Chart.yaml": "name: web\n", "k/kustomization.yaml": "resources: []\n"})
    renderer = await make_renderer(helm="/nowhere/helm", kubectl="/nowhere/kubectl")
    for path in ("app", "k"):
        with pytest.raises(NotReady, match="is not installed"):
            await render(renderer, app(Source(repo_url=URL, path=path)))


async def test_waiters_of_one_render_do_not_depend_on_the_first(
    make_renderer: Make, trees: MemoryTrees, app: App
) -> None:
    trees.commit({"app/a.yaml": config("a")})
    renderer = await make_renderer(parse_in_child_above=1)
    application = app(Source(repo_url=URL, path="app"))
    first = asyncio.create_task(render(renderer, application))
    second = asyncio.create_task(render(renderer, application))
    while not renderer._running:  # noqa: ASYNC110  # there is no event for it, and it takes a few turns
        await asyncio.sleep(0)
    first.cancel()
    assert (await second).objects == 1
    assert first.cancelled()


async def test_trouble_outside_is_tried_again(
    make_renderer: Make, trees: MemoryTrees, app: App
) -> None:
    trees.commit({"app/a.yaml": config("a")})
    renderer = await make_renderer()
    application = app(Source(repo_url=URL, path="app"))
    good, calls = renderer._artifacts.put, []

    async def put(data: bytes) -> object:
        calls.append(data)
        if len(calls) == 1:
            raise Transient("disk is full")
        return await good(data)

    renderer._artifacts.put = put  # type: ignore[method-assign, assignment]
    with pytest.raises(Transient, match="Application web: disk is full"):
        await render(renderer, application)
    assert (await render(renderer, application)).from_cache is False


def test_remote_bases_are_not_silently_off() -> None:
    with pytest.raises(Unsupported):
        Renderer(
            sources=None,  # type: ignore[arg-type]
            charts=NoCharts(),
            artifacts=MemoryArtifacts(),
            closures=MemoryClosures(),
            settings=RenderSettings(allow_remote_bases=True),
        )


def test_closure_is_another_with_another_tool_or_argument_or_file() -> None:
    file = made_file("source/a", b"x")
    plan = Plan(kind=SourceKind.HELM, files=(file,), argv=("helm", "x"))
    keys = {
        closure_key(plan, "helm v4"),
        closure_key(plan, "helm v5"),
        closure_key(replace(plan, argv=("helm", "y")), "helm v4"),
        closure_key(replace(plan, files=()), "helm v4"),
        closure_key(replace(plan, files=(made_file("source/a", b"y"),)), "helm v4"),
        closure_key(replace(plan, files=(made_file("source/b", b"x"),)), "helm v4"),
        closure_key(replace(plan, files=(replace(file, mode="executable"),)), "helm v4"),
    }
    assert len(keys) == 7


def test_stored_closure_survives_its_encoding() -> None:
    closure = StoredClosure(
        artifact=None, objects=3, kinds={"apps/Deployment": 3}, more=("source/a",)
    )
    assert StoredClosure.decode(closure.encode()) == closure

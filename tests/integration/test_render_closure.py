"""The closure is right: nothing stale, nothing rendered for a change elsewhere.

Every file of a repository is changed in turn, and removed in turn. After each change every Application must come
out exactly as the plain tools make it from a full checkout; if that differs from before, its closure must differ;
and a file that an Application's closure does not hold must change neither. Closures that change for nothing are
counted and bounded.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import textwrap
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from fleet.codec.canonical import Digest, digest_bytes
from fleet.errors import FleetError
from fleet.git.mirrors import Mirrors
from fleet.git.settings import GitSettings
from fleet.model.application import (
    Application,
    Destination,
    DirectoryOptions,
    HelmOptions,
    KustomizeOptions,
    Source,
)
from fleet.model.identity import AppName
from fleet.render import artifact
from fleet.render.manifests import Text
from fleet.render.ports import MemoryArtifacts, MemoryClosures
from fleet.render.renderer import Renderer
from fleet.render.request import Capabilities, Rendering
from fleet.render.settings import RenderSettings
from fleet.testing.repos import Content, RepoBuilder, Symlink
from fleet.testing.sources import MemoryCharts
from fleet.testing.tools import Tools

CLUSTER = Capabilities(kube_version="v1.31.0")
BOUNDS = artifact.Bounds(objects=1000, object_size=1_000_000)


def config(name: str, value: str = "0") -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{x: '{value}'}}\n"


FILES: dict[str, str] = {
    "README.md": "words\n",
    "plain/a.yaml": config("a"),
    "plain/b.json": '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}}',
    "plain/deep/c.yml": config("c"),
    "plain/skipped.txt": "words\n",
    "base/kustomization.yaml": "resources: [d.yaml]\n",
    "base/d.yaml": config("d"),
    "base/unused.yaml": config("unused"),
    "lib/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [l.yaml]\n",
    "lib/l.yaml": config("l"),
    "overlay/kustomization.yaml": """\
        resources: [../base]
        components: [../lib]
        patches: [{path: patch.yaml}]
        configMapGenerator: [{name: g, files: [g.txt], envs: [g.env]}]
        replacements: [{path: replace.yaml}]
        configurations: [names.yaml]
        transformers: [t.yaml]
        """,
    "overlay/patch.yaml": config("d", "patched"),
    "overlay/g.txt": "generated\n",
    "overlay/g.env": "E=1\n",
    "overlay/replace.yaml": """\
        source: {kind: ConfigMap, name: l, fieldPath: data.x}
        targets: [{select: {kind: ConfigMap, name: d}, fieldPaths: [data.y], options: {create: true}}]
        """,
    "overlay/names.yaml": "nameReference: []\n",
    "overlay/t.yaml": "apiVersion: builtin\nkind: PrefixTransformer\nmetadata: {name: p}\nprefix: pre-\nfieldSpecs: [{path: metadata/name}]\n",
    "chart/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n",
    "chart/values.yaml": "a: '0'\n",
    "chart/values-prod.yaml": "b: '0'\n",
    "chart/values-staging.yaml": "b: '1'\n",
    "chart/README.md": "words\n",
    "chart/.helmignore": "ignored.yaml\n",
    "chart/templates/_helpers.tpl": '{{ define "label" }}{{ .Release.Name }}{{ end }}\n',
    "chart/templates/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: '{{ .Values.a }}', b: '{{ .Values.b }}', l: '{{ include \"label\" . }}'}\n",
    "chart/templates/NOTES.txt": "notes\n",
    "chart/templates/ignored.yaml": config("never"),
    "chart/crds/c.yaml": "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: c.x.io}\n",
    "chart/charts/sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 1.0.0\n",
    "chart/charts/sub/values.yaml": "s: '0'\n",
    "chart/charts/sub/templates/s.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: s}\ndata: {s: '{{ .Values.s }}'}\n",
    "chart/charts/sub/README.md": "words\n",
    "files/Chart.yaml": "apiVersion: v2\nname: files\nversion: 1.0.0\n",
    "files/templates/f.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: f}\ndata: {f: {{ .Files.Get \"f.txt\" | quote }}, k: '{{ .Capabilities.KubeVersion }}'}\n",
    "files/f.txt": "from a file\n",
    "files/other.txt": "words\n",
    "shared/values.yaml": "a: shared\n",
}  # fmt: skip
LINKS = {"linked/one.yaml": Symlink("../base/d.yaml"), "linked/chart": Symlink("../chart")}

APPLICATIONS: dict[str, Source] = {
    "plain": Source(repo_url="", path="plain"),
    "plain-deep": Source(repo_url="", path="plain", directory=DirectoryOptions(recurse=True)),
    "base": Source(repo_url="", path="base"),
    "overlay": Source(repo_url="", path="overlay"),
    "overlay-options": Source(
        repo_url="",
        path="overlay",
        kustomize=KustomizeOptions(namespace="other", name_suffix="-s", images=("x:1",)),
    ),
    "chart": Source(repo_url="", path="chart"),
    "chart-prod": Source(
        repo_url="",
        path="chart",
        helm=HelmOptions(
            value_files=("values-prod.yaml", "/shared/*.yaml", "later.yaml"),
            ignore_missing_value_files=True,
        ),
    ),
    "files": Source(repo_url="", path="files"),
    "linked": Source(repo_url="", path="linked"),
    "linked-chart": Source(repo_url="", path="linked/chart"),
}


@dataclass
class Fleet:
    """All Applications over one repository, and its checkout for the plain tools."""

    repo: RepoBuilder
    mirrors: Mirrors
    renderer: Renderer
    tools: Tools
    checkout: Path

    async def change(self, files: Mapping[str, Content]) -> None:
        self.repo.commit(files)
        await self.mirrors.fetch(self.repo.url)
        await asyncio.to_thread(self.check_out)

    def check_out(self) -> None:
        """Make the checkout what the branch holds."""
        shutil.rmtree(self.checkout, ignore_errors=True)
        self.checkout.mkdir()
        git = ("git", f"--git-dir={self.repo.path}", f"--work-tree={self.checkout}")
        subprocess.run((*git, "checkout", "-f", "main", "--", "."), check=True, capture_output=True)

    async def render(self, name: str) -> Rendering | str:
        """Render, or return the kind of error."""
        source = APPLICATIONS[name]
        application = Application(
            name=AppName(name),
            namespace="argocd",
            project="default",
            sources=(
                Source(
                    repo_url=self.repo.url,
                    path=source.path,
                    helm=source.helm,
                    kustomize=source.kustomize,
                    directory=source.directory,
                ),
            ),
            destination=Destination(name="one", namespace="prod"),
        )
        try:
            resolved = await self.renderer.resolve(application)
            return await self.renderer.render(application, resolved, CLUSTER)
        except FleetError:
            return "error"

    def plainly(self, name: str) -> Digest | str:
        """What the tools alone make of the full checkout."""
        source = APPLICATIONS[name]
        folder = self.checkout / source.path
        if not folder.is_dir():
            return "error"
        if source.helm or (folder / "Chart.yaml").exists():
            command = [str(self.tools.helm), "template", name, str(folder), "--namespace=prod"]
            command += ["--include-crds", "--kube-version=v1.31.0", *self.values(source)]
        elif source.kustomize or (folder / "kustomization.yaml").exists():
            self.edited(name, folder)
            command = [str(self.tools.kubectl), "kustomize", str(folder)]
        else:
            try:
                return _artifact(_texts(folder, recurse=source.directory is not None))
            except FileNotFoundError:  # a link that leads nowhere
                return "error"
        done = subprocess.run(command, check=False, capture_output=True)
        self.check_out()
        if done.returncode:
            return "error"
        return _artifact([Text(file="", content=done.stdout)])

    def edited(self, name: str, folder: Path) -> None:
        """Write the options into the file, as ``kustomize edit`` would."""
        file = folder / "kustomization.yaml"
        if name == "overlay-options" and file.exists():
            options = "namespace: other\nnameSuffix: -s\nimages: [{name: x, newTag: '1'}]\n"
            file.write_text(file.read_text() + options)

    def values(self, source: Source) -> Iterator[str]:
        for written in source.helm.value_files if source.helm else ():
            if written.startswith("/"):
                found = sorted(self.checkout.glob(written[1:]))
            else:
                found = [self.checkout / source.path / written]
            yield from (f"--values={path}" for path in found if path.exists())


def _texts(folder: Path, *, recurse: bool) -> list[Text]:
    paths = folder.rglob("*") if recurse else folder.iterdir()
    kept = (path for path in paths if path.suffix in (".yaml", ".yml", ".json"))
    return [
        Text(file=path.name, content=path.read_bytes(), lenient=True)
        for path in sorted(kept, key=lambda path: path.parts)
    ]


def _artifact(texts: list[Text]) -> Digest | str:
    try:
        return digest_bytes(artifact.build(texts, BOUNDS).data)
    except FleetError:
        return "error"


@pytest.fixture
async def fleet(tools: Tools, tmp_path: Path) -> AsyncIterator[Fleet]:
    mirrors = Mirrors(GitSettings(state=tmp_path / "mirrors", allow_file=True))
    renderer = Renderer(
        sources=mirrors,
        charts=MemoryCharts(),
        artifacts=MemoryArtifacts(),
        closures=MemoryClosures(),
        settings=RenderSettings(helm=tools.helm, kubectl=tools.kubectl),
    )
    await renderer.start()
    fleet = Fleet(
        RepoBuilder(tmp_path / "repo.git"), mirrors, renderer, tools, tmp_path / "checkout"
    )
    await fleet.change({**{path: textwrap.dedent(text) for path, text in FILES.items()}, **LINKS})
    yield fleet
    await renderer.close()
    await mirrors.close()


def changed(path: str, content: str) -> str:
    """Another content of a file that its format can bear."""
    text = textwrap.dedent(content)
    for old, new in (
        ("'0'", "'changed'"),
        ("'1'", "'changed'"),
        ("prefix: pre-", "prefix: changed-"),
        ("words", "other words"),
    ):
        if old in text:
            return text.replace(old, new)
    if path.endswith(".json"):
        return text.replace('"b"', '"changed"')
    return text + ("E2=1\n" if path.endswith(".env") else "# changed\n")  # fmt: skip


MENTIONED = {
    "plain": ("plain/a.yaml", "plain/b.json"),
    "plain-deep": ("plain/a.yaml", "plain/b.json", "plain/deep/c.yml"),
    "base": ("base/kustomization.yaml", "base/d.yaml"),
    "overlay": ("base/kustomization.yaml", "base/d.yaml", "lib/", "overlay/"),
    "overlay-options": ("base/kustomization.yaml", "base/d.yaml", "lib/", "overlay/"),
    "chart": ("chart/",),
    "chart-prod": ("chart/", "shared/"),
    "files": ("files/",),
    "linked": ("base/d.yaml",),
    "linked-chart": ("chart/",),
}
"""Files that may enter each closure, by prefix."""
NEVER = {
    "README.md",
    "chart/README.md",
    "chart/charts/sub/README.md",
    "chart/values-staging.yaml",
    "base/unused.yaml",
    "plain/skipped.txt",
}
"""Files that enter no closure: no Application may render for them."""


def counted(name: str) -> float:
    return REGISTRY.get_sample_value(f"fleet_render_{name}_total") or 0


def renders() -> float:
    kinds = ("directory", "kustomize", "helm")
    samples = [REGISTRY.get_sample_value("fleet_render_renders_total", {"kind": k}) for k in kinds]
    return sum(sample or 0 for sample in samples)


@pytest.mark.slow
@pytest.mark.parametrize("removing", [False, True], ids=["changed", "removed"])
async def test_every_file_in_turn(fleet: Fleet, *, removing: bool) -> None:
    first: dict[str, Rendering | str] = {name: await fleet.render(name) for name in APPLICATIONS}
    truth = {name: fleet.plainly(name) for name in APPLICATIONS}
    for name in APPLICATIONS:
        assert outcome(first[name]) == truth[name] != "error", name
    for_nothing = []
    for path, text in FILES.items():
        original = textwrap.dedent(text)
        await fleet.change({path: None if removing else changed(path, text)})
        started, unchanged = renders(), counted("unchanged_outputs")
        for name in APPLICATIONS:
            before = first[name]
            assert isinstance(before, Rendering)
            now = await fleet.render(name)
            may_change = path not in NEVER and path.startswith(MENTIONED[name])
            if not may_change:
                assert isinstance(now, Rendering), f"{name} fails for a change of {path}"
                assert (now.closure, now.artifact) == (before.closure, before.artifact), (
                    f"{name}: {path}"
                )
                continue
            assert outcome(now) == fleet.plainly(name), (
                f"{name} is stale or wrong after a change of {path}"
            )
            if outcome(now) != before.artifact:
                assert isinstance(now, str) or now.closure != before.closure, f"{name}: {path}"
            elif isinstance(now, Rendering) and now.closure != before.closure:
                for_nothing.append((name, path))
        if path in NEVER:
            assert renders() == started, f"something was rendered for {path}"
        await fleet.change({path: original})
        for name, before in first.items():
            assert outcome(await fleet.render(name)) == outcome(before), f"{name}: {path} restored"
        # each was counted when the file changed, and again when it changed back
        here = sum(changed_path == path for _, changed_path in for_nothing)
        assert counted("unchanged_outputs") == unchanged + 2 * here
    assert for_nothing  # comments do that; a test without any would count nothing
    print(f"closures that changed without their output: {len(for_nothing)}: {for_nothing}")


def outcome(result: Rendering | str) -> Digest | str:
    return result if isinstance(result, str) else result.artifact


async def test_commit_elsewhere_renders_nothing(fleet: Fleet) -> None:
    for name in APPLICATIONS:
        await fleet.render(name)
    started, read = renders(), fleet.renderer._planner.read_files
    for number in range(3):
        await fleet.change({"README.md": f"{number}\n", f"new/{number}.yaml": config("x")})
        for name in APPLICATIONS:
            result = await fleet.render(name)
            assert isinstance(result, Rendering)
            assert result.from_cache
    assert (renders(), fleet.renderer._planner.read_files) == (started, read)


async def test_optional_file_that_appears_is_seen(fleet: Fleet) -> None:
    before = outcome(await fleet.render("chart-prod"))
    for path, content in (("chart/later.yaml", "b: later\n"), ("shared/zz.yaml", "a: zz\n")):
        await fleet.change({path: content})
        after = outcome(await fleet.render("chart-prod"))
        assert after == fleet.plainly("chart-prod") != before
        before = after


async def test_second_kustomization_file_that_appears_is_seen(fleet: Fleet) -> None:
    assert await fleet.render("base") != "error"
    await fleet.change({"base/kustomization.yml": "resources: []\n"})
    assert await fleet.render("base") == fleet.plainly("base") == "error"

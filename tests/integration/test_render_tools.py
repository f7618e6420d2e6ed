"""Rendering with the real helm, the real kustomize and real git repositories."""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import pytest
from prometheus_client import REGISTRY

from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput, Denied, FleetError, Unsupported
from fleet.git.mirrors import Mirrors
from fleet.git.settings import GitSettings
from fleet.model.application import (
    Application,
    Destination,
    HelmFileParameter,
    HelmOptions,
    HelmParameter,
    KustomizeOptions,
    KustomizeReplicas,
    Source,
)
from fleet.model.identity import AppName
from fleet.render import artifact, sandbox
from fleet.render.local import render_directory
from fleet.render.ports import MemoryArtifacts, MemoryClosures
from fleet.render.renderer import Renderer
from fleet.render.request import Capabilities, Rendering
from fleet.render.sandbox import Isolation
from fleet.render.settings import RenderSettings
from fleet.testing.repos import Content, RepoBuilder, Symlink
from fleet.testing.sources import MemoryCharts, packed_chart
from fleet.testing.tools import Tools

CLUSTER = Capabilities(kube_version="v1.31.0", api_versions=("monitoring.coreos.com/v1",))
DEPLOYMENT = textwrap.dedent("""\
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web}
    spec:
      selector: {matchLabels: {app: web}}
      template:
        metadata: {labels: {app: web}}
        spec: {containers: [{name: web, image: nginx}]}
    """)


class Stage:
    """One repository, its mirror, and a renderer over it."""

    def __init__(
        self,
        repo: RepoBuilder,
        mirrors: Mirrors,
        renderer: Renderer,
        charts: MemoryCharts,
        artifacts: MemoryArtifacts,
    ) -> None:
        self.repo = repo
        self.mirrors = mirrors
        self.renderer = renderer
        self.charts = charts
        self.artifacts = artifacts

    def application(
        self,
        *sources: Source,
        path: str = "app",
        name: str = "web",
        helm: HelmOptions | None = None,
        kustomize: KustomizeOptions | None = None,
    ) -> Application:
        own = Source(repo_url=self.repo.url, path=path, helm=helm, kustomize=kustomize)
        return Application(
            name=AppName(name),
            namespace="argocd",
            project="default",
            sources=sources or (own,),
            destination=Destination(name="one", namespace="prod"),
        )

    async def commit(self, files: Mapping[str, Content]) -> None:
        """Commit, and let the hub's fetch happen."""
        self.repo.commit(
            {path: textwrap.dedent(c) if isinstance(c, str) else c for path, c in files.items()}
        )
        await self.mirrors.fetch(self.repo.url)

    async def render(
        self, application: Application | None = None, capabilities: Capabilities = CLUSTER
    ) -> Rendering:
        application = application or self.application()
        resolved = await self.renderer.resolve(application)
        return await self.renderer.render(application, resolved, capabilities)

    async def objects(self, application: Application | None = None) -> dict[str, JsonObject]:
        """Rendered objects by kind/name."""
        rendering = await self.render(application)
        objects = artifact.decode(await self.artifacts.get(rendering.artifact))
        return {f"{each['kind']}/{each['metadata']['name']}": each for each in objects}


Open: TypeAlias = Callable[..., Awaitable[Stage]]


@pytest.fixture
async def open_stage(tools: Tools, tmp_path: Path) -> AsyncIterator[Open]:
    """Open stages under an isolation; all are closed at the end of the test."""
    opened: list[Stage] = []

    async def open_(isolation: Isolation | None = None, kustomize: Path | None = None) -> Stage:
        folder = tmp_path / f"stage{len(opened)}"
        mirrors = Mirrors(GitSettings(state=folder / "mirrors", allow_file=True))
        charts, artifacts = MemoryCharts(), MemoryArtifacts()
        renderer = Renderer(
            sources=mirrors,
            charts=charts,
            artifacts=artifacts,
            closures=MemoryClosures(),
            settings=RenderSettings(helm=tools.helm, kubectl=tools.kubectl, kustomize=kustomize),
            isolation=isolation,
        )
        await renderer.start()
        stage = Stage(RepoBuilder(folder / "repo.git"), mirrors, renderer, charts, artifacts)
        opened.append(stage)
        return stage

    yield open_
    for stage in opened:
        await stage.renderer.close()
        await stage.mirrors.close()


@pytest.fixture
async def stage(open_stage: Open) -> Stage:
    return await open_stage()


def renders() -> float:
    kinds = ("directory", "kustomize", "helm")
    samples = [REGISTRY.get_sample_value("fleet_render_renders_total", {"kind": k}) for k in kinds]
    return sum(sample or 0 for sample in samples)


CHART = {
    "app/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n",
    "app/values.yaml": "a: chart\n",
    "app/templates/a.yaml": """\
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: "{{ .Release.Name }}-{{ .Release.Namespace }}"}
        data: {a: "{{ .Values.a }}", b: "{{ .Values.b }}", f: "{{ .Values.f }}", kube: "{{ .Capabilities.KubeVersion }}",
          api: '{{ .Capabilities.APIVersions.Has "monitoring.coreos.com/v1" }}'}
        """,
    "app/crds/c.yaml": "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: c.x.io}\n",
    "app/templates/tests/t.yaml": """\
        apiVersion: v1
        kind: Pod
        metadata: {name: test, annotations: {helm.sh/hook: test}}
        """,
}  # fmt: skip


@pytest.mark.parametrize("isolation", [Isolation.NAMESPACE, Isolation.SECCOMP])
async def test_both_tools_work_in_both_forms_of_isolation(
    open_stage: Open, isolation: Isolation
) -> None:
    if not await sandbox.works(isolation):  # that it does not leak is tested with the sandbox
        pytest.skip(f"the kernel does not allow {isolation} here")
    stage = await open_stage(isolation)
    await stage.commit(
        {**CHART, "k/kustomization.yaml": "resources: [d.yaml]\n", "k/d.yaml": DEPLOYMENT}
    )
    assert "ConfigMap/web-prod" in await stage.objects()
    assert list(await stage.objects(stage.application(path="k"))) == ["Deployment/web"]


async def test_helm_values_in_their_order(stage: Stage) -> None:
    await stage.commit({**CHART, "app/prod.yaml": "a: file\nb: file\n", "note.txt": "from a file"})
    options = HelmOptions(
        value_files=("prod.yaml",), file_parameters=(HelmFileParameter(name="f", path="/note.txt"),)
    )
    plain = await stage.objects()
    assert plain["ConfigMap/web-prod"]["data"] == {
        "a": "chart",
        "b": "",
        "f": "",
        "kube": "v1.31.0",
        "api": "true",
    }
    assert set(plain) == {"CustomResourceDefinition/c.x.io", "ConfigMap/web-prod", "Pod/test"}
    full = HelmOptions(
        value_files=options.value_files,
        file_parameters=options.file_parameters,
        values_object={"a": "object", "b": "object"},
        parameters=(HelmParameter(name="a", value="param,eter"),),
        release_name="shop",
        namespace="else",
        skip_crds=True,
        skip_tests=True,
        kube_version="1.30.1",
    )
    found = await stage.objects(stage.application(helm=full))
    assert set(found) == {"ConfigMap/shop-else"}
    assert found["ConfigMap/shop-else"]["data"] == {
        "a": "param,eter", "b": "object", "f": "from a file", "kube": "v1.30.1", "api": "true",
    }  # fmt: skip


async def test_helm_string_parameters_and_value_patterns(stage: Stage) -> None:
    await stage.commit(
        {
            "app/Chart.yaml": CHART["app/Chart.yaml"],
            "app/templates/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {{ .Values | toJson }}\n",
            "app/env/1.yaml": "x: one\n",
            "app/env/deep/2.yaml": "x: two\n",
        }
    )
    options = HelmOptions(
        value_files=("env/**/*.yaml",),
        parameters=(
            HelmParameter(name="n", value="1"),
            HelmParameter(name="s", value="1", force_string=True),
            HelmParameter(name="l", value="{a,b}"),
        ),
    )
    found = await stage.objects(stage.application(helm=options))
    assert found["ConfigMap/a"]["data"] == {"x": "two", "n": 1, "s": "1", "l": ["a", "b"]}


async def test_chart_from_a_repository_with_values_of_another_source(stage: Stage) -> None:
    chart = {path.removeprefix("app/"): textwrap.dedent(text) for path, text in CHART.items()}
    stage.charts.archives["https://charts.example.com", "web", "1.2.3"] = packed_chart(chart)
    stage.charts.archives["oci://registry.example.com/team", "web", "2.0.0"] = packed_chart(chart)
    await stage.commit({"envs/prod.yaml": "a: from git\n"})
    values = Source(repo_url=stage.repo.url, ref="vals")
    helm = HelmOptions(value_files=("$vals/envs/prod.yaml",))
    sources = {
        "1.2.3": Source(repo_url="https://charts.example.com", chart="web", target_revision="1.x", helm=helm),
        "2.0.0": Source(repo_url="oci://registry.example.com/team/web", target_revision="2.0.0", helm=helm),
    }  # fmt: skip
    for version, source in sources.items():
        application = stage.application(source, values)
        found = await stage.objects(application)
        assert found["ConfigMap/web-prod"]["data"]["a"] == "from git"
        assert (await stage.render(application)).revision == version


async def test_chart_dependencies_are_there_before_helm_starts(stage: Stage) -> None:
    db = {
        "Chart.yaml": "apiVersion: v2\nname: db\nversion: 1.1.0\n",
        "templates/x.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\n",
    }
    stage.charts.archives["https://charts.example.com", "db", "1.1.0"] = packed_chart(db, top="db")
    await stage.commit(
        {
            "app/Chart.yaml": """\
            apiVersion: v2
            name: web
            version: 1.0.0
            dependencies:
            - {name: db, version: ^1.0.0, repository: 'https://charts.example.com'}
            - {name: lib, version: 1.0.0, repository: 'file://../lib'}
            - {name: carried, version: 1.0.0}
            """,
            "app/charts/carried/Chart.yaml": "apiVersion: v2\nname: carried\nversion: 1.0.0\n",
            "app/charts/carried/templates/c.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: carried}\n",
            "lib/Chart.yaml": "apiVersion: v2\nname: lib\nversion: 1.0.0\n",
            "lib/templates/l.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: lib}\n",
        }
    )
    assert set(await stage.objects()) == {"Secret/db", "Secret/lib", "Secret/carried"}


async def test_every_kustomize_option(stage: Stage) -> None:
    await stage.commit(
        {
            "app/kustomization.yaml": "namePrefix: replaced-\nresources: [../base]\n",
            "base/kustomization.yaml": "resources: [d.yaml]\n",
            "base/d.yaml": DEPLOYMENT,
            "extra/kustomization.yaml": """\
            apiVersion: kustomize.config.k8s.io/v1alpha1
            kind: Component
            configMapGenerator: [{name: extra, literals: [a=b], options: {disableNameSuffixHash: true}}]
            """,
        }
    )
    options = KustomizeOptions(
        name_prefix="pre-",
        name_suffix="-post",
        images=("nginx=registry.example.com/nginx:1.27",),
        replicas=(KustomizeReplicas(name="web", count=3),),
        common_labels={"team": "$ARGOCD_APP_NAME"},
        label_without_selector=True,
        label_include_templates=True,
        common_annotations={"note": "x"},
        namespace="shop",
        patches=({"target": {"kind": "Deployment"}, "patch": "- {op: add, path: /spec/paused, value: true}"},),
        components=("../extra", "../absent"),
        ignore_missing_components=True,
    )  # fmt: skip
    found = await stage.objects(stage.application(kustomize=options))
    assert set(found) == {"Deployment/pre-web-post", "ConfigMap/pre-extra-post"}
    deployment = found["Deployment/pre-web-post"]
    assert deployment["metadata"]["namespace"] == "shop"
    assert deployment["metadata"]["labels"] == {"team": "web"}
    assert deployment["metadata"]["annotations"] == {"note": "x"}
    assert deployment["spec"]["selector"]["matchLabels"] == {"app": "web"}
    assert deployment["spec"]["template"]["metadata"]["labels"] == {"app": "web", "team": "web"}
    assert (deployment["spec"]["replicas"], deployment["spec"]["paused"]) == (3, True)
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.example.com/nginx:1.27"


@pytest.mark.parametrize(
    ("files", "error", "place", "message"),
    [
        ({"app/kustomization.yaml": "resources:\n- d.yaml\n- ../../../etc\n", "app/d.yaml": DEPLOYMENT}, Denied, "app/kustomization.yaml:3", "outside the repository"),
        ({"app/kustomization.yaml": "patches:\n- path: ../../../x\n"}, Denied, "app/kustomization.yaml:2", "outside the repository"),
        ({"app/kustomization.yaml": "configMapGenerator:\n- name: a\n  files: [k=/etc/passwd]\n"}, Denied, "app/kustomization.yaml:3", "outside the repository"),
        ({"app/kustomization.yaml": "resources:\n- https://example.com/x?ref=v1\n"}, Denied, "app/kustomization.yaml:2", "remote resource"),
        ({"app/kustomization.yaml": "resources:\n- gone.yaml\n"}, BadInput, "app/kustomization.yaml:2", "does not exist"),
        ({"app/kustomization.yaml": "resources:\n- a.yaml\n", "app/a.yaml": Symlink("../../../etc/passwd")}, Denied, "app/kustomization.yaml:2", "outside the repository"),
        ({"app/kustomization.yaml": "resources:\n- a.yaml\n", "app/a.yaml": "a: [\n"}, BadInput, "app/a.yaml", "kustomize failed"),
        ({"app/kustomization.yaml": "resources: [../app]\n"}, BadInput, "", "kustomize failed: .*cycle"),
        ({"app/kustomization.yaml": "resources:\n- ../x\n", "x/kustomization.yaml": "resources:\n- ../app\n"}, BadInput, "", "kustomize failed: .*cycle"),
        ({"app/kustomization.yaml": "resources: [../common.yaml]\n", "common.yaml": DEPLOYMENT}, BadInput, "common.yaml", "kustomize failed: .*is not in or below"),
        ({"app/kustomization.yaml": "{}\n", "app/kustomization.yml": "{}\n"}, BadInput, "app", "several kustomization files"),
        ({"app/kustomization.yaml": "helmCharts: [{name: x}]\n"}, Unsupported, "app/kustomization.yaml:1", "charts inside"),
        ({**CHART, "app/templates/b.yaml": 'x: y\n{{ fail "broken on purpose" }}\n'}, BadInput, "app/templates/b.yaml:2", "broken on purpose"),
        ({**CHART, "app/templates/b.yaml": "{{ .Values.missing.deep }}\n"}, BadInput, "app/templates/b.yaml:1", "nil pointer"),
        ({**CHART, "app/templates/b.yaml": "{{ if }}\n"}, BadInput, "app/templates/b.yaml:1", "missing value for if"),
        ({**CHART, "app/templates/b.yaml": "kind: A\nspec: {}\n"}, BadInput, "app/templates/b.yaml", "no apiVersion"),
        ({**CHART, "app/templates/b.yaml": "a: b: c\n"}, BadInput, "app/templates/b.yaml", "YAML parse error"),
        ({**CHART, "app/values.schema.json": '{"required": ["must"]}'}, BadInput, "", "missing property 'must'"),
        ({**CHART, "app/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\nkubeVersion: '>=9'\n"}, BadInput, "", "kubeVersion"),
        ({**CHART, "app/Chart.yaml": "apiVersion: v2\nname: ../../x\nversion: 1.0.0\n"}, BadInput, "app/Chart.yaml", "is not allowed"),
        ({**CHART, "app/values.yaml": "a: [\n"}, BadInput, "app/values.yaml", "helm failed"),
        ({**CHART, "app/templates/x.yaml": Symlink("/etc/passwd")}, Denied, "app/templates/x.yaml", "outside the repository"),
        ({**CHART, "app/templates/b.yaml": 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: big}\ndata: {x: {{ repeat 2000000 "y" }}}\n'}, BadInput, "app/templates/b.yaml", "object too large: /ConfigMap:/big has"),
    ],
)  # fmt: skip
async def test_bad_source_is_refused_with_its_place(
    stage: Stage, files: Mapping[str, Content], error: type[FleetError], place: str, message: str
) -> None:
    await stage.commit(files)
    with pytest.raises(error, match=message) as caught:
        await stage.render()
    text = str(caught.value)
    assert caught.value.where.object == "Application web"
    file, line = caught.value.where.file, caught.value.where.line
    assert (f"{file}:{line}" if ":" in place else file) == place
    assert "/tmp" not in text
    assert "fleet-render-" not in text
    assert "source/" not in text


PLUGIN = {
    "app/kustomization.yaml": "resources: [d.yaml]\ntransformers: [plugins]\n",
    "app/d.yaml": DEPLOYMENT,
    "app/plugins/kustomization.yaml": "resources: [t.yaml]\n",
    "app/plugins/t.yaml": """\
        apiVersion: builtin
        kind: PatchTransformer
        metadata: {name: t}
        target: {kind: Deployment}
        path: plugins/patch.yaml
        """,
    "app/plugins/patch.yaml": "- {op: add, path: /spec/paused, value: true}\n",
}


async def test_file_that_only_the_tool_finds_is_given_to_it(stage: Stage) -> None:
    await stage.commit(PLUGIN)
    assert (await stage.objects())["Deployment/web"]["spec"]["paused"] is True
    before = renders()
    await stage.commit({"elsewhere": "x"})
    assert (await stage.render()).from_cache is True
    assert renders() == before
    await stage.commit(
        {"app/plugins/patch.yaml": "- {op: add, path: /spec/paused, value: false}\n"}
    )
    assert (await stage.objects())["Deployment/web"]["spec"]["paused"] is False


async def test_tool_that_does_not_name_what_it_misses_gets_the_whole_repository(
    open_stage: Open, tmp_path: Path
) -> None:
    script = tmp_path / "kustomize"
    script.write_text(
        "#!/bin/sh\nif [ $1 = version ]; then echo v0; exit; fi\n"
        "cat source/hidden/x.yaml 2>/dev/null || { echo no such file or directory >&2; exit 1; }\n"
    )
    script.chmod(0o755)
    stage = await open_stage(kustomize=script)
    await stage.commit({"app/kustomization.yaml": "{}", "hidden/x.yaml": DEPLOYMENT})
    assert list(await stage.objects()) == ["Deployment/web"]
    assert (await stage.render()).from_cache is True
    await stage.commit({"unrelated": "x"})
    assert (await stage.render()).from_cache is False  # everything is its closure now
    await stage.commit({"hidden/x.yaml": None})
    with pytest.raises(BadInput, match="kustomize failed: no such file or directory"):
        await stage.render()


async def test_render_that_is_not_deterministic_keeps_its_first_result(stage: Stage) -> None:
    await stage.commit(
        {
            **CHART,
            "app/templates/r.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: r}\nstringData: {p: {{ randAlphaNum 20 }}}\n",
        }
    )
    application = stage.application()
    resolved = await stage.renderer.resolve(application)
    first = await stage.renderer.render(application, resolved, CLUSTER)
    again = await stage.renderer.render(application, resolved, CLUSTER, refresh=True)
    assert (again.artifact, first.nondeterministic, again.nondeterministic) == (
        first.artifact,
        False,
        True,
    )
    assert (await stage.render()).nondeterministic is True


async def test_capabilities_render_again_only_where_they_are_asked_for(stage: Stage) -> None:
    blind = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
    await stage.commit(
        {**CHART, "blind/Chart.yaml": CHART["app/Chart.yaml"], "blind/templates/a.yaml": blind}
    )
    newer = Capabilities(kube_version="v1.32.0", api_versions=("x/v1",))
    for path, changes in (("app", True), ("blind", False)):
        application = stage.application(path=path)
        one = await stage.render(application)
        two = await stage.render(application, newer)
        assert (one.closure != two.closure, two.from_cache) == (changes, not changes)


async def test_no_tool_reaches_a_server(stage: Stage, tmp_path: Path) -> None:
    """What the static walk refuses is tried past it: the child alone must hold."""
    hits: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hits.append("hit")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    (tmp_path / "kustomization.yaml").write_text(f"resources: ['{address}/x.yaml']\n")
    box = stage.renderer._sandbox
    kubectl = await stage.renderer._tools.get("kustomize")
    done = await box.run(
        kubectl.program, ("kustomize", "."), folder=tmp_path, environment={"HOME": str(tmp_path)}
    )
    assert done.status != 0
    await stage.commit(
        {
            **CHART,
            "app/values.schema.json": f'{{"$ref": "{address}/schema.json"}}',
            "app/templates/dns.yaml": 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: dns}\ndata: {x: "{{ getHostByName "canary.example.com" }}"}\n',
        }
    )
    with pytest.raises(BadInput, match="helm failed"):
        await stage.render()
    server.close()
    await server.wait_closed()
    assert hits == []


async def test_no_plugin_is_started(stage: Stage, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    program = f"#!/bin/sh\ntouch {canary}\n"
    config = """\
        apiVersion: example.com/v1
        kind: {kind}
        metadata:
          name: x
          annotations: {{config.kubernetes.io/function: "exec: {{path: ./x.sh}}"}}
        """
    for kind in ("EvilTransformer", "Odd"):
        await stage.commit(
            {
                "app/kustomization.yaml": "resources: [d.yaml]\ntransformers: [t]\n",
                "app/d.yaml": DEPLOYMENT,
                "app/t/kustomization.yaml": "resources: [t.yaml]\n",
                "app/t/t.yaml": config.format(kind=kind),
                "app/x.sh": program,
            }
        )
        with pytest.raises(FleetError):
            await stage.render()
    assert not canary.exists()


async def test_real_repositories(shared_dir: Path, tools: Tools) -> None:
    settings = RenderSettings(helm=tools.helm, kubectl=tools.kubectl)
    examples = shared_dir / "realworld" / "argocd-example-apps"
    flux = shared_dir / "realworld" / "flux2-kustomize-helm-example"
    found = {}
    for root in (examples, flux):
        for path in sorted(root.glob("**/")):
            if path.name == "flux-system":
                continue  # its gotk-components.yaml is not in the copy
            if any(child.suffix == ".yaml" for child in path.iterdir()):
                done = await render_directory(path, root=root, settings=settings)
                found[str(path.relative_to(root))] = done.rendering.objects
    assert found["guestbook"] == 2
    assert found["kustomize-guestbook"] == 2
    assert found["pre-post-sync"] == 4
    assert found["sync-waves"] == 7
    assert found["apps/staging"] == found["apps/production"] == 3
    assert found["infrastructure/controllers"] == 6
    assert found["infrastructure/configs"] == 3
    assert found["clusters/staging"] == 4

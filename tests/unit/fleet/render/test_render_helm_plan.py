"""The exact helm command and the exact files of a Helm source, without running helm."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fleet.errors import BadInput, Denied, FleetError
from fleet.model.application import (
    Application,
    HelmFileParameter,
    HelmOptions,
    HelmParameter,
    Source,
)
from fleet.render.plan import Plan
from fleet.render.planning import Planner
from fleet.render.request import Capabilities, ResolvedSource
from fleet.testing.sources import Files, Link, MemoryCharts, MemoryTrees, packed_chart

URL = "https://git.example.com/apps.git"
CHARTS = "https://charts.example.com"
CHART = {
    "c/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n",
    "c/values.yaml": "a: 1\n",
    "c/templates/a.yaml": "name: {{ .Values.a }}",
    "c/values-prod.yaml": "a: 2\n",
    "c/README.md": "words",
    "c/env/eu/x.yaml": "a: 3\n",
    "c/env/us/x.yaml": "a: 4\n",
    "elsewhere.txt": "x",
}
CLUSTER = Capabilities(kube_version="v1.35.4", api_versions=("b/v1", "a/v1"))


class Planning:
    """Plans one Helm source over in-memory repositories."""

    def __init__(
        self, trees: MemoryTrees, charts: MemoryCharts, app: Callable[..., Application]
    ) -> None:
        self.trees = trees
        self.planner = Planner(trees, charts, allow_chart_dependencies=True)
        self.app = app

    async def __call__(
        self,
        files: Files | None = None,
        *,
        capabilities: Capabilities = CLUSTER,
        source: Source | None = None,
        others: tuple[ResolvedSource, ...] = (),
        revision: str = "",
        permits: Callable[[str], bool] = lambda url: True,
        options: HelmOptions | None = None,
    ) -> Plan:
        source = source or Source(repo_url=URL, path="c", helm=options or HelmOptions())
        if not revision:
            revision = self.trees.commit({**CHART, **(files or {})})
        resolved = (ResolvedSource(source=source, revision=revision), *others)
        application = self.app(*(each.source for each in resolved))
        planned = await self.planner.plan(application, resolved, 0, capabilities, permits)
        return planned.plan


@pytest.fixture
def plan(trees: MemoryTrees, charts: MemoryCharts, app: Callable[..., Application]) -> Planning:
    return Planning(trees, charts, app)


def names(made: Plan) -> list[str]:
    return [file.path for file in made.files]


async def test_plain_chart(plan: Planning) -> None:
    made = await plan()
    assert made.argv == (
        *("helm", "template", "release-name", "--namespace", "default", "source/c"),
        "--include-crds",
    )
    assert names(made) == [
        "source/c/Chart.yaml",
        "source/c/templates/a.yaml",
        "source/c/values.yaml",
    ]


async def test_every_option_in_its_order(plan: Planning) -> None:
    made = await plan(
        {"c/templates/a.yaml": "{{ .Release.Name }}{{ .Release.Namespace }}", "x.txt": "t"},
        options=HelmOptions(
            release_name="shop",
            namespace="other",
            value_files=("values-prod.yaml", "/elsewhere.txt"),
            values="ignored: beside valuesObject\n",
            values_object={"b": "on"},
            parameters=(
                HelmParameter(name="p", value="1,2"),
                HelmParameter(name="q", value="$ARGOCD_APP_NAME", force_string=True),
                HelmParameter(name="l", value="{a,b}"),
            ),
            file_parameters=(HelmFileParameter(name="f", path="../x.txt"),),
            skip_crds=True,
            skip_tests=True,
            skip_schema_validation=True,
            kube_version="1.30",
            api_versions=("x/v1", "y/v1"),
        ),
    )
    assert made.argv == (
        *("helm", "template", "shop", "--namespace", "other", "source/c"),
        *("--kube-version=1.30", "--api-versions=x/v1", "--api-versions=y/v1"),
        *("--skip-tests", "--skip-schema-validation"),
        *("--values", "source/c/values-prod.yaml", "--values", "source/elsewhere.txt"),
        *("--values", "options/values.yaml"),
        *("--set", r"p=1\,2", "--set-string", "q=web", "--set", "l={a,b}"),
        *("--set-file", "f=source/x.txt"),
    )
    (values,) = [file for file in made.files if file.path == "options/values.yaml"]
    assert values.content == b'b: "on"\n'


@pytest.mark.parametrize(
    ("template", "arguments"),
    [
        ("x", []),
        ("{{ .Capabilities.KubeVersion }}", ["--kube-version=v1.35.4"]),
        (
            "{{ .Capabilities.APIVersions }}",
            ["--kube-version=v1.35.4", "--api-versions=a/v1", "--api-versions=b/v1"],
        ),
    ],
)
async def test_capabilities_enter_only_where_a_template_asks(
    plan: Planning, template: str, arguments: list[str]
) -> None:
    made = await plan({"c/templates/a.yaml": template})
    assert [each for each in made.argv if "version" in each] == arguments


@pytest.mark.parametrize(
    ("template", "name", "namespace"),
    [
        ("x", "release-name", "default"),
        ("{{ .Release.Name }}", "web", "default"),
        ("{{ .Release.Namespace }}", "web", "prod"),
    ],
)
async def test_names_enter_only_where_a_template_asks(
    plan: Planning, template: str, name: str, namespace: str
) -> None:
    made = await plan({"c/templates/a.yaml": template})
    assert made.argv[2:5] == (name, "--namespace", namespace)


async def test_all_files_enter_where_a_template_reads_files(plan: Planning) -> None:
    made = await plan({"c/templates/a.yaml": '{{ .Files.Get "README.md" }}'})
    assert "source/c/README.md" in names(made)
    assert "source/elsewhere.txt" not in names(made)


async def test_value_files_by_pattern_and_by_reference(plan: Planning) -> None:
    other = "https://git.example.com/values.git"
    commit = plan.trees.commit({"prod/v.yaml": "z: 1"}, other)
    ref = ResolvedSource(source=Source(repo_url=other, ref="vals"), revision=commit)
    made = await plan(
        options=HelmOptions(value_files=("env/**/*.yaml", "$vals/prod/v.yaml")), others=(ref,)
    )
    assert made.argv[-6:] == (
        *("--values", "source/c/env/eu/x.yaml", "--values", "source/c/env/us/x.yaml"),
        *("--values", "ref1/prod/v.yaml"),
    )


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (HelmOptions(value_files=("../../x",)), Denied, "outside the repository"),
        (HelmOptions(value_files=("https://evil.example.com/v.yaml",)), Denied, "remote value file"),
        (HelmOptions(value_files=("file:///etc/passwd",)), Denied, "remote value file"),
        (HelmOptions(value_files=("$nope/v.yaml",)), BadInput, "not the ref of a source"),
        (HelmOptions(value_files=("missing.yaml",)), BadInput, "'missing.yaml' does not exist"),
        (HelmOptions(value_files=("../../*/x.yaml",)), Denied, "outside the repository"),
        (HelmOptions(value_files=("no/*.yaml",)), BadInput, "does not exist"),
        (HelmOptions(file_parameters=(HelmFileParameter(name="f", path="../../proc/self/environ"),)), Denied, "outside"),
        (HelmOptions(file_parameters=(HelmFileParameter(name="f", path="//proc/self/environ"),)), BadInput, "does not exist"),
        (HelmOptions(release_name="-o/tmp/x"), BadInput, "release name"),
        (HelmOptions(release_name="a" * 54), BadInput, "release name"),
        (HelmOptions(namespace="--kubeconfig=x"), BadInput, "namespace"),
        (HelmOptions(kube_version="1.2 --x"), BadInput, "is not allowed"),
        (HelmOptions(api_versions=("a b",)), BadInput, "is not allowed"),
    ],
)  # fmt: skip
async def test_option_that_is_refused(
    plan: Planning, options: HelmOptions, error: type[FleetError], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        await plan({"c/templates/a.yaml": "{{ .Release.Name }}"}, options=options)
    assert caught.value.where.field.startswith(("source.helm", "namespace"))


async def test_missing_value_file_may_be_ignored_until_it_appears(plan: Planning) -> None:
    options = HelmOptions(value_files=("later.yaml",), ignore_missing_value_files=True)
    assert "source/c/later.yaml" not in (await plan(options=options)).argv
    made = await plan({"c/later.yaml": "a: 9"}, options=options)
    assert "source/c/later.yaml" in made.argv


async def test_symbolic_links_of_a_chart(plan: Planning) -> None:
    made = await plan(
        {
            "c/values.yaml": Link("./values-prod.yaml"),
            "c/templates/s": Link("../../shared"),
            "shared/b.yaml": "y",
        }
    )
    assert {"source/c/values.yaml", "source/c/values-prod.yaml", "source/shared/b.yaml"} <= set(
        names(made)
    )
    with pytest.raises(Denied, match="outside the repository"):
        await plan({"c/templates/evil.yaml": Link("../../../outside.yaml")})
    with pytest.raises(Denied, match="outside the repository"):
        await plan({"c/Chart.lock": Link("/etc/passwd")})


DEPENDENCY = "apiVersion: v2\nname: web\nversion: 1.0.0\ndependencies:\n- {name: db, version: ^1, repository: '%s'}\n"


async def test_dependency_is_fetched_beside_the_chart(plan: Planning, charts: MemoryCharts) -> None:
    charts.archives[CHARTS, "db", "1.2.3"] = packed_chart(
        {"Chart.yaml": "name: db", "templates/x": "{{ .Capabilities }}"}, top="db"
    )
    made = await plan({"c/Chart.yaml": DEPENDENCY % CHARTS})
    assert "source/c/charts/db-1.2.3.tgz" in names(made)
    assert "--kube-version=v1.35.4" in made.argv
    assert charts.asked == [(CHARTS, "db", "^1")]


async def test_locked_dependency_is_not_resolved(plan: Planning, charts: MemoryCharts) -> None:
    charts.archives[CHARTS, "db", "1.0.0"] = packed_chart({"Chart.yaml": "name: db"}, top="db")
    lock = "dependencies:\n- {name: db, version: 1.0.0}\n"
    made = await plan({"c/Chart.yaml": DEPENDENCY % CHARTS, "c/Chart.lock": lock})
    assert "source/c/charts/db-1.0.0.tgz" in names(made)
    assert charts.asked == []


async def test_dependency_in_the_repository(plan: Planning) -> None:
    made = await plan(
        {
            "c/Chart.yaml": DEPENDENCY % "file://../db",
            "db/Chart.yaml": "name: db",
            "db/templates/x.yaml": "{{ .Release.Name }}",
        }
    )
    assert {"source/c/charts/db/Chart.yaml", "source/c/charts/db/templates/x.yaml"} <= set(
        names(made)
    )
    assert made.argv[2] == "web"


@pytest.mark.parametrize(
    ("repository", "error", "message"),
    [
        ("file://../../db", Denied, "outside the repository"),
        ("file://../gone", BadInput, "does not exist in the repository"),
        ("@alias", BadInput, "is not an address"),
        ("", BadInput, "is not an address"),
        ("https://foreign.example.com", Denied, "which is not allowed"),
    ],
)
async def test_dependency_that_is_refused(
    plan: Planning, repository: str, error: type[FleetError], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        await plan({"c/Chart.yaml": DEPENDENCY % repository}, permits=lambda url: url == CHARTS)
    assert caught.value.where.file == "c/Chart.yaml"


async def test_chart_of_a_repository_with_its_own_value_files(
    plan: Planning, charts: MemoryCharts
) -> None:
    files = {
        "Chart.yaml": "name: web",
        "templates/a": "x",
        "values-prod.yaml": "a: 1",
        "other.txt": "x",
    }
    charts.archives[CHARTS, "web", "1.0.0"] = packed_chart(files)
    options = HelmOptions(value_files=("values-prod.yaml",))
    source = Source(repo_url=CHARTS, chart="web", helm=options)
    made = await plan(source=source, revision="1.0.0")
    assert names(made) == ["chart/Chart.yaml", "chart/templates/a", "chart/values-prod.yaml"]
    assert made.argv[-2:] == ("--values", "chart/values-prod.yaml")
    for path in ("../x", "/etc/passwd", "../../chart/Chart.yaml"):
        bad = Source(repo_url=CHARTS, chart="web", helm=HelmOptions(value_files=(path,)))
        with pytest.raises((Denied, BadInput), match=r"outside|does not exist"):
            await plan(source=bad, revision="1.0.0")


async def test_plan_is_remembered_until_something_it_rests_on_changes(plan: Planning) -> None:
    first = await plan(options=HelmOptions(value_files=("values-prod.yaml",)))
    read = plan.planner.read_files
    again = await plan(
        {"elsewhere.txt": "changed"}, options=HelmOptions(value_files=("values-prod.yaml",))
    )
    assert again is first
    assert plan.planner.read_files == read
    changed = await plan(
        {"c/values-prod.yaml": "a: 5"}, options=HelmOptions(value_files=("values-prod.yaml",))
    )
    assert changed.files != first.files

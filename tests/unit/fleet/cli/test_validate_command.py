"""``fleet validate``: every mistake of a fleet repo with file, line, object and field, in one run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleet.testing.repos import RepoBuilder

Fleet = Callable[..., Any]

CLUSTER = """\
apiVersion: gitopsfleet.io/v1alpha1
kind: Cluster
metadata: {name: staging, labels: {env: staging}}
spec: {}
"""
NARROW = """\
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: narrow, namespace: argocd}
spec:
  sourceRepos: ['https://git.example.com/team/*']
  destinations: [{name: staging, namespace: 'team-*'}]
"""
URL = "https://git.example.com/team/a.git"


def app(name: str = "web", extra: str = "", **fields: str) -> str:
    """Write an Application; its spec.project is on line 7, source on 8, destination on 9."""
    values = {"project": "narrow", "url": URL, "cluster": "staging", "namespace": "team-a"}
    values |= fields
    return (
        f"apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: {name}\n"
        f"  annotations: {{{values.get('annotation', '')}}}\nspec:\n"
        f"  project: {values['project']}\n"
        f"  source: {{repoURL: '{values['url']}', path: a}}\n"
        f"  destination: {{name: {values['cluster']}, namespace: {values['namespace']}}}\n{extra}"
    )


def appset(name: str, generator: str, title: str = "'{{.name}}'", extra: str = "") -> str:
    """Write an ApplicationSet; its generator is on line 7, the template's name on line 9."""
    return (
        f"apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {{name: {name}}}\n"
        f'spec:\n  goTemplate: true\n  goTemplateOptions: ["missingkey=error"]\n'
        f"  generators: [{generator}]\n"
        f"  template:\n    metadata: {{name: {title}}}\n    spec:\n      project: narrow\n"
        f"      source: {{repoURL: '{URL}', path: a}}\n"
        f"      destination: {{name: staging, namespace: team-a}}\n{extra}"
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    folder.mkdir()
    (folder / "clusters.yaml").write_text(CLUSTER)
    (folder / "projects.yaml").write_text(NARROW)
    return folder


@pytest.mark.parametrize(
    ("text", "line", "thing", "field", "message"),
    [
        pytest.param("a: [\n\nb", 4, "", "", "not valid YAML", id="unparsable"),
        pytest.param(
            app(project="narow"), 7, "Application/web", "spec.project",
            "project narow which does not exist (did you mean narrow?)", id="unknown-project",
        ),
        pytest.param(
            app(namespace="kube-system"), 9, "Application/web", "spec.destination",
            "do not match any of the allowed destinations in project 'narrow'", id="destination",
        ),
        pytest.param(
            app(url="https://git.example.com/other.git"), 8, "Application/web",
            "spec.source.repoURL", "is not permitted in project 'narrow'", id="source",
        ),
        pytest.param(
            app(cluster="stagin"), 9, "Application/web", "spec.destination",
            "no clusters with this name: stagin (did you mean staging?)", id="unknown-cluster",
        ),
        pytest.param(
            app() + "---\n" + app(), 14, "Application/web", "metadata.name",
            "Application web is already defined in bad.yaml:1", id="duplicate",
        ),
        pytest.param(
            appset("twice", "{list: {elements: [{name: a}, {name: a}]}}"), 1,
            "ApplicationSet/twice", "", "contains applications with duplicate name: a",
            id="duplicate-in-a-set",
        ),
        pytest.param(
            app("taken") + "---\n" + appset("late", "{list: {elements: [{name: taken}]}}"), 11,
            "ApplicationSet/late", "", "already belongs to bad.yaml:1", id="duplicate-of-a-set",
        ),
        pytest.param(
            appset("keyless", "{list: {elements: [{name: a}]}}", "'{{.nam}}'"), 1,
            "ApplicationSet/keyless", "", 'map has no entry for key "nam"', id="template-key",
        ),
        pytest.param(
            appset("odd", "{lists: {}}"), 7, "ApplicationSet/odd", "spec.generators[0].lists",
            'unknown generator "lists" (did you mean "list"?)', id="unknown-generator",
        ),
        pytest.param(
            appset("jq", "{list: {elements: []}}")
            + "  ignoreApplicationDifferences: [{jqPathExpressions: ['$a']}]\n", 14,
            "ApplicationSet/jq", "spec.ignoreApplicationDifferences[0].jqPathExpressions",
            "$a is not defined", id="jq-expression-of-a-set",
        ),
        pytest.param(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cm}\ndata:\n"
            "  resource.customizations.health.Pod: 'return {'\n", 5,
            "ConfigMap/argocd-cm", "data.resource.customizations.health.Pod",
            "cannot be used: line 1: unexpected symbol", id="health-script",
        ),
        pytest.param(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cm}\ndata:\n"
            "  gitopsfleet.health.a_b_c: x\n", 5,
            "ConfigMap/argocd-cm", "data.gitopsfleet.health.a_b_c",
            "does not end in <group>_<Kind>", id="health-key",
        ),
        pytest.param(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cm}\ndata:\n"
            "  resource.customizations.ignoreDifferences.Pod: '7'\n", 5,
            "ConfigMap/argocd-cm", "data.resource.customizations.ignoreDifferences.Pod",
            "cannot be used: it is no map", id="ignore-key",
        ),
        pytest.param(
            appset("empty", "null"), 7, "ApplicationSet/empty", "spec.generators[0]",
            "the entry holds no generator", id="null-generator",
        ),
        pytest.param(
            app(extra="  sorce: {}\n"), 10, "Application/web", "spec.sorce",
            'unknown field "sorce" (did you mean "source"?)', id="unknown-field",
        ),
        pytest.param(
            app(annotation="gitopsfleet.io/depends-on: web"), 5, "Application/web",
            "metadata.annotations.gitopsfleet.io/depends-on",
            "dependency cycle: staging/web -> staging/web", id="cycle",
        ),
        pytest.param(
            app(annotation="gitopsfleet.io/depends-on: ghost"), 5, "Application/web",
            "metadata.annotations.gitopsfleet.io/depends-on",
            "ghost: unknown application 'ghost'", id="missing-dependency",
        ),
        pytest.param(
            app(annotation="gitopsfleet.io/depends-on: sets/x"), 5, "Application/web",
            "metadata.annotations.gitopsfleet.io/depends-on",
            "unknown word 'sets'", id="bad-reference",
        ),
        pytest.param(
            app(annotation="argocd.argoproj.io/skip-reconcile: 'true'"), 5, "Application/web",
            "metadata.annotations", "skip-reconcile", id="unsupported",
        ),
        pytest.param(
            CLUSTER.replace("spec: {}", "spec: {sever: x}").replace("name: staging", "name: other"),
            4, "Cluster/other", "spec.sever", 'did you mean "server"?', id="own-kind",
        ),
        pytest.param(
            CLUSTER.replace("name: staging", "name: Bad_Name"), 3, "Cluster/Bad_Name",
            "metadata.name", "name", id="cluster-name",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_named(
    fleet: Fleet, folder: Path, text: str, line: int, thing: str, field: str, message: str
) -> None:
    (folder / "bad.yaml").write_text(text)
    done = fleet("validate", folder)
    assert done.status == 1
    place = ": ".join(part for part in (f"error: bad.yaml:{line}", thing, field) if part)
    assert done.out.startswith(place + ": ")
    assert message in done.out
    assert len(done.out.splitlines()) == 1
    assert "1 errors, 0 warnings" in done.err
    row = fleet("validate", folder, "-o", "json").fits("validate")["items"][0]
    assert (row["file"], row["line"], row["object"], row["field"]) == (
        "bad.yaml", line, thing, field,
    )  # fmt: skip
    assert row["fatal"] is True


def test_every_mistake_is_named_at_once(fleet: Fleet, folder: Path) -> None:
    (folder / "a.yaml").write_text(app("a", project="ghost") + "---\n" + app("b", cluster="ghost"))
    (folder / "sub").mkdir()
    (folder / "sub" / "z.json").write_text("{")
    lines = fleet("validate", folder).out.splitlines()
    assert [line.split(": ")[1] for line in lines] == ["a.yaml:7", "a.yaml:19", "sub/z.json:2"]


def test_lenient_lets_unknown_fields_of_argo_kinds_pass(fleet: Fleet, folder: Path) -> None:
    (folder / "a.yaml").write_text(app(extra="  sorce: {}\n"))
    done = fleet("validate", folder, "--lenient")
    assert done.status == 0
    assert done.out.startswith("warning: a.yaml:10: Application/web: spec.sorce: unknown field")
    (folder / "b.yaml").write_text(CLUSTER.replace("{}", "{sever: x}").replace("staging", "other"))
    done = fleet("validate", folder, "--lenient")
    assert done.status == 1, "our own kinds are strict: a cluster with an unknown field is not used"


def test_a_repository_that_is_not_given_is_said(fleet: Fleet, folder: Path, tmp_path: Path) -> None:
    git = f"{{git: {{repoURL: '{URL}', revision: main, directories: [{{path: 'apps/*'}}]}}}}"
    (folder / "set.yaml").write_text(appset("apps", git, "'{{.path.basename}}'"))
    (folder / "app.yaml").write_text(
        app(annotation="gitopsfleet.io/depends-on: 'from-git, set/apps'")
    )
    done = fleet("validate", folder)
    assert (done.status, done.out) == (0, ""), "from-git may be what the set makes"
    assert (
        f"not checked: what ApplicationSet apps makes: it reads a repository: --repo {URL}=DIR"
        in done.err
    )
    repo = RepoBuilder(tmp_path / "a.git")
    repo.commit({"apps/from-git/x.yaml": ""})
    done = fleet("validate", folder, "--repo", f"{URL}={repo.path}")
    assert (done.status, done.out) == (0, "")
    assert "not checked" not in done.err
    assert "1 ApplicationSets, 2 Applications, 1 clusters" in done.err
    repo.commit({"apps/other/x.yaml": ""}, replace=True)
    done = fleet("validate", folder, "--repo", f"{URL}={repo.path}")
    assert done.status == 1
    assert "unknown application 'from-git'" in done.out


def test_a_revision_that_is_unknown(fleet: Fleet, folder: Path, tmp_path: Path) -> None:
    git = f"{{git: {{repoURL: '{URL}', revision: gone, directories: [{{path: '*'}}]}}}}"
    (folder / "set.yaml").write_text(appset("apps", git, "'{{.path.basename}}'"))
    repo = RepoBuilder(tmp_path / "a.git")
    repo.commit({"x/y": ""})
    done = fleet("validate", folder, "--repo", f"{URL}={repo.path}")
    assert done.status == 1
    assert f"set.yaml:1: ApplicationSet/apps: error generating params from git: {URL}: " in done.out
    assert "unable to resolve 'gone'" in done.out


def test_other_kinds_hidden_folders_and_what_is_no_yaml_are_left_alone(
    fleet: Fleet, folder: Path
) -> None:
    (folder / "deployment.yaml").write_text("apiVersion: apps/v1\nkind: Deployment\n")
    (folder / "values.yaml").write_text("replicas: 1\n")
    (folder / "README.md").write_text(": [")
    (folder / ".github").mkdir()
    (folder / ".github" / "broken.yaml").write_text(": [")
    done = fleet("validate", folder)
    assert (done.status, done.out) == (0, "")


@pytest.mark.parametrize("place", ["argocd-example-apps", "flux2-kustomize-helm-example"])
def test_real_repositories_are_not_refused(fleet: Fleet, shared_dir: Path, place: str) -> None:
    done = fleet("validate", shared_dir / "realworld" / place)
    assert (done.status, done.out) == (0, "")


def test_a_folder_that_is_not_there(fleet: Fleet, tmp_path: Path) -> None:
    done = fleet("validate", tmp_path / "ghost")
    assert done.status == 1
    assert done.err == f"fleet: {tmp_path}/ghost is not a directory\n"


def test_a_folder_without_a_fleet_is_said(fleet: Fleet, tmp_path: Path) -> None:
    done = fleet("validate", tmp_path)
    assert done.status == 0
    assert f"there is nothing of a fleet below {tmp_path}\n" in done.err


def test_a_url_needs_a_repository(fleet: Fleet, folder: Path) -> None:
    done = fleet("validate", folder, "--url", URL)
    assert (done.status, done.err) == (
        1,
        f"fleet: --url {URL}: {folder} is not in a git repository\n",
    )

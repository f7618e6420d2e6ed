"""``fleet render`` with real helm and kubectl: directories and Applications to sorted manifests, errors to exit status 1."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from fleet.codec import yamldoc
from fleet.codec.jsontypes import JsonObject
from fleet.testing.repos import RepoBuilder, Symlink
from fleet.testing.tools import Tools

FLEET = Path(sys.executable).with_name("fleet")
URL = "https://git.example.com/team/shop.git"
CHART = "apiVersion: v2\nname: shop\nversion: 0.1.0\n"
CONFIG_MAP = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: "{{ .Release.Name }}"
  namespace: "{{ .Release.Namespace }}"
data:
  colour: "{{ .Values.colour }}"
  kube: "{{ .Capabilities.KubeVersion.Major }}.{{ .Capabilities.KubeVersion.Minor }}"
  widgets: "{{ .Capabilities.APIVersions.Has "example.com/v1" }}"
  gadgets: "{{ .Capabilities.APIVersions.Has "example.com/v2" }}"
"""
FILES = {
    "plain/b.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: z}\n---\n"
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: z}\n",
    "plain/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
    "base/kustomization.yaml": "resources: [cm.yaml]\n",
    "base/cm.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n",
    "overlay/kustomization.yaml": "resources: [../base]\nnamePrefix: my-\n",
    "escape/kustomization.yaml": "resources: [../../outside.yaml]\n",
    "chart/Chart.yaml": CHART,
    "chart/values.yaml": "colour: red\n",
    "chart/templates/cm.yaml": CONFIG_MAP,
    "failing/Chart.yaml": CHART,
    "failing/templates/cm.yaml": '{{ fail "a colour is needed" }}\n',
}


@dataclass(frozen=True)
class Run:
    """A finished command."""

    status: int
    out: str
    err: str

    @property
    def objects(self) -> list[JsonObject]:
        return [item.value for item in yamldoc.load_documents(self.out)]

    @property
    def names(self) -> list[str]:
        return [f"{item['kind']}/{item['metadata']['name']}" for item in self.objects]


Render = Callable[..., Run]


@pytest.fixture
def render(tools: Tools, tmp_path: Path) -> Render:
    def run(*arguments: str | Path) -> Run:
        done = subprocess.run(
            [str(FLEET), "render", *(str(item) for item in arguments)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=tmp_path,
            env={**tools.environment(), "FLEET_CONFIG": ""},
        )
        assert "Traceback" not in done.stderr
        return Run(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working tree; only the .git in it makes it a repository."""
    folder = tmp_path / "shop"
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / ".git").mkdir()
    (tmp_path / "outside.yaml").write_text(FILES["base/cm.yaml"])
    return folder


@pytest.fixture
def repo(tmp_path: Path) -> RepoBuilder:
    repo = RepoBuilder(tmp_path / "shop.git")
    repo.commit(FILES)
    return repo


def application(path: Path, source: str) -> Path:
    path.write_text(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: shop}\nspec:\n"
        f"  project: default\n  source: {{repoURL: '{URL}', targetRevision: main, {source}}}\n"
        "  destination: {name: staging, namespace: team-a}\n"
    )
    return path


def test_a_plain_directory_is_sorted(render: Render, folder: Path) -> None:
    done = render(folder / "plain")
    assert (done.status, done.err) == (0, "")
    assert done.names == ["ConfigMap/a", "ConfigMap/z", "Service/z"]


def test_a_kustomization_reads_its_base(render: Render, folder: Path) -> None:
    assert render(folder / "overlay").names == ["ConfigMap/my-settings"]


def test_a_chart_sees_the_versions_that_are_said(render: Render, folder: Path) -> None:
    done = render(
        folder / "chart", "--kube-version", "1.30", "--api-versions", "example.com/v1,b/v1"
    )
    assert done.status == 0, done.err
    (found,) = done.objects
    assert found["metadata"]["name"] == "chart"
    assert found["data"] == {"colour": "red", "kube": "1.30", "widgets": "true", "gadgets": "false"}


def test_an_application_over_a_local_repository(
    render: Render, repo: RepoBuilder, tmp_path: Path
) -> None:
    file = application(tmp_path / "app.yaml", "path: chart, helm: {valuesObject: {colour: blue}}")
    done = render(file, "--repo", f"{URL}={repo.path}")
    assert done.status == 0, done.err
    (found,) = done.objects
    assert (found["metadata"]["name"], found["metadata"]["namespace"]) == ("shop", "team-a")
    assert found["data"]["colour"] == "blue"


def test_another_revision(render: Render, repo: RepoBuilder, tmp_path: Path) -> None:
    repo.branch("next")
    repo.commit({"plain/c.yaml": FILES["plain/a.yaml"].replace("a}", "c}")}, branch="next")
    repo.tag("v1", repo.commit({"plain/b.yaml": None}))
    file = application(tmp_path / "app.yaml", "path: plain")
    options = (file, "--repo", f"{URL}={repo.path}")
    assert render(*options).names == ["ConfigMap/a"]
    assert len(render(*options, "--revision", "next").names) == 4
    assert render(*options, "--revision", "v1").names == ["ConfigMap/a"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        pytest.param("ghost", "ghost cannot be read: No such file or directory", id="missing"),
        pytest.param(
            "escape",
            "escape/kustomization.yaml:1: Application escape: resources[0]: "
            "path '../../outside.yaml' is outside the repository",
            id="kustomization-escapes",
        ),
        pytest.param("failing", "a colour is needed", id="chart-fails"),
        pytest.param("linked", "is outside the repository", id="symlink-out"),
    ],
)
def test_a_directory_that_fails(render: Render, folder: Path, path: str, message: str) -> None:
    (folder / "linked").mkdir()
    (folder / "linked" / "outside.yaml").symlink_to("../../outside.yaml")
    done = render(folder / path)
    assert (done.status, done.out) == (1, "")
    assert message in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        pytest.param("path: ghost", (), "source.path: path 'ghost' does not exist", id="missing"),
        pytest.param("path: ../x", (), "path '../x'", id="path-escapes"),
        pytest.param("path: link", (), "is outside the repository", id="symlink-out"),
        pytest.param("path: failing", (), "a colour is needed", id="chart-fails"),
        pytest.param(
            "path: plain", ("--revision", "gone"), f"{URL}: unable to resolve 'gone'", id="revision"
        ),
        pytest.param(
            "path: chart, helm: {valueFiles: [none.yaml]}", (), "none.yaml", id="value-file"
        ),
        pytest.param("path: plain, helm: {parameters: 3}", (), "parameters", id="bad-document"),
    ],
)
def test_an_application_that_fails(
    render: Render,
    repo: RepoBuilder,
    tmp_path: Path,
    source: str,
    options: tuple[str, ...],
    message: str,
) -> None:
    repo.commit({"link/out.yaml": Symlink("../../outside.yaml")})
    file = application(tmp_path / "app.yaml", source)
    done = render(file, "--repo", f"{URL}={repo.path}", *options)
    assert (done.status, done.out) == (1, "")
    assert message in done.err
    assert len(done.err.splitlines()) == 1


def test_a_repository_that_is_not_given(render: Render, tmp_path: Path) -> None:
    done = render(application(tmp_path / "app.yaml", "path: plain"))
    assert done.status == 1
    assert (
        done.err == f"fleet: Application shop: repository {URL} is not given (--repo {URL}=DIR)\n"
    )


def test_a_file_without_an_application(render: Render, folder: Path) -> None:
    done = render(folder / "base/cm.yaml")
    assert done.status == 1
    assert "holds 0 Applications; one is needed" in done.err


def test_what_is_passed_over_is_said(render: Render, folder: Path) -> None:
    (folder / "plain" / "broken.yaml").write_text("a: [\n")
    done = render(folder / "plain")
    assert done.status == 0
    assert done.err.startswith("warning: plain/broken.yaml: holds no manifests: not valid YAML")


@pytest.mark.parametrize("path", ["guestbook", "kustomize-guestbook", "sync-waves"])
def test_real_directories(render: Render, shared_dir: Path, path: str) -> None:
    done = render(shared_dir / "realworld" / "argocd-example-apps" / path)
    assert done.status == 0, done.err
    assert len(done.objects) >= 2

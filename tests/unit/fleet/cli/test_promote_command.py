"""``fleet promote``: versions go from one environment to the next, as a commit that touches nothing else."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleet.testing.repos import RepoBuilder

Fleet = Callable[..., Any]

KUSTOMIZATION = """\
# {env}
resources: [../../base]
namePrefix: {env}-
replicas: [{{name: web, count: {count}}}]
images:
- name: registry.example.com/web   # the site
  newTag: "{tag}"
- {{name: proxy, newTag: {proxy}}}
"""
APPSET = """\
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {name: web}
spec:
  generators:
  - matrix:
      generators:
      - list:
          elements:
          - {env: staging, revision: v1.4.0, replicas: 1}   # first here
          - {env: production, revision: v1.3.9, replicas: 9}
          - env: preview
            revision: main
      - clusters: {}
  template: {}
"""


def application(name: str, cluster: str, revision: str) -> str:
    return (
        f"apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: {name}}}\nspec:\n"
        f"  project: default\n  destination: {{name: {cluster}, namespace: web}}\n"
        f"  source:\n    repoURL: https://git.example.com/web.git\n    path: deploy\n"
        f"    targetRevision: {revision}\n"
    )


@pytest.fixture(autouse=True)
def person(monkeypatch: pytest.MonkeyPatch) -> None:
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.com")


@pytest.fixture
def repo(tmp_path: Path) -> RepoBuilder:
    return RepoBuilder(tmp_path / "fleet.git")


@pytest.fixture
def promote(fleet: Fleet, repo: RepoBuilder) -> Fleet:
    def run(*arguments: str, app: str = "web") -> Any:
        words = ("--from", "staging", "--to", "production", "--app", app)
        return fleet("promote", repo.path, *words, *arguments)

    return run


BRANCH = "promote/web-staging-to-production"


def promoted(repo: RepoBuilder, path: str) -> str:
    return repo.read(path, repo.head(BRANCH)).decode()


def overlay(env: str, tag: str, proxy: str, count: int) -> dict[str, str]:
    text = KUSTOMIZATION.format(env=env, tag=tag, proxy=proxy, count=count)
    return {f"apps/web/{env}/kustomization.yaml": text}


def test_image_tags_of_folders(repo: RepoBuilder, promote: Fleet) -> None:
    before = overlay("production", "1.3", "2.0", 9)
    head = repo.commit({**overlay("staging", "1.4", "2.0", 1), **before, "apps/api/x.yaml": "a: 1"})
    done = promote()
    assert done.status == 0, done.err
    path = "apps/web/production/kustomization.yaml"
    assert f"{path}: images[0].newTag: 1.3 -> 1.4" in done.out
    assert promoted(repo, path) == before[path].replace('"1.3"', '"1.4"'), "all else is as it was"
    assert repo.head() == head
    assert f"branch {BRANCH}, commit " in done.out


def test_files_named_by_the_environment(repo: RepoBuilder, promote: Fleet) -> None:
    repo.commit(
        {
            "charts/web/values-staging.yaml": "image: {tag: v5, pull: Always}\nreplicas: 1\n",
            "charts/web/values-production.yaml": "replicas: 7\nimage:\n  tag: v4 # pinned\n",
            "charts/web-api/values-staging.yaml": "image: {tag: v9}\n",
            "charts/web-api/values-production.yaml": "image: {tag: v8}\n",
        }
    )
    assert promote().status == 0
    text = promoted(repo, "charts/web/values-production.yaml")
    assert text == "replicas: 7\nimage:\n  tag: v5 # pinned\n"
    assert "v8" in promoted(repo, "charts/web-api/values-production.yaml"), "another application"


def test_revisions_of_list_elements(repo: RepoBuilder, promote: Fleet) -> None:
    repo.commit({"fleet/web.yaml": APPSET})
    done = promote()
    assert done.status == 0, done.err
    assert promoted(repo, "fleet/web.yaml") == APPSET.replace("v1.3.9", "v1.4.0")


def test_elements_of_a_set_for_many_applications(repo: RepoBuilder, promote: Fleet) -> None:
    rows = [
        "{app: web, env: staging, tag: '2'}",
        "{app: api, env: staging, tag: '8'}",
        "{app: web, env: production, tag: '1'}",
        "{app: api, env: production, tag: '7'}",
    ]
    text = (
        "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: all}\n"
        f"spec: {{generators: [{{list: {{elements: [{', '.join(rows)}]}}}}], template: {{}}}}\n"
    )
    repo.commit({"all.yaml": text})
    assert promote().status == 0
    assert promoted(repo, "all.yaml") == text.replace("tag: '1'", "tag: '2'")


@pytest.mark.parametrize(
    ("staging", "production"),
    [
        pytest.param(("web-staging", "x"), ("web-production", "y"), id="by-name"),
        pytest.param(("web", "staging"), ("web", "production"), id="by-destination"),
    ],
)
def test_target_revisions_of_applications(
    repo: RepoBuilder, promote: Fleet, staging: tuple[str, str], production: tuple[str, str]
) -> None:
    text = application(*production, "v1") + "---\n" + application("api-production", "p", "v1")
    repo.commit({"a.yaml": application(*staging, "v2"), "b.yaml": text})
    done = promote()
    assert done.status == 0, done.err
    assert "b.yaml: spec.source.targetRevision: v1 -> v2" in done.out
    assert promoted(repo, "b.yaml") == text.replace("Revision: v1", "Revision: v2", 1)


def test_versions_that_applications_say_beside_their_revision(
    repo: RepoBuilder, promote: Fleet
) -> None:
    def text(env: str, tag: str, image: str, replicas: int) -> str:
        return application("web-" + env, env, "main") + (
            "    helm:\n"
            f"      parameters: [{{name: replicas, value: '{replicas}'}}, {{name: image.tag, value: '{tag}'}}]\n"
            f"      valuesObject: {{proxy: {{tag: {tag}, size: {replicas}}}}}\n"
            f"    kustomize: {{images: [other:v1, 'registry:5000/web:{image}']}}   # {env}\n"
        )

    before = text("production", "v1", "v3", 9)
    repo.commit({"a.yaml": text("staging", "v2", "v4", 1), "b.yaml": before})
    done = promote()
    assert done.status == 0, done.err
    assert done.out.splitlines()[:3] == [
        "b.yaml: spec.source.helm.parameters[1].value: v1 -> v2",
        "b.yaml: spec.source.helm.valuesObject.proxy.tag: v1 -> v2",
        "b.yaml: spec.source.kustomize.images[1]: registry:5000/web:v3 -> registry:5000/web:v4",
    ]
    assert promoted(repo, "b.yaml") == text("production", "v2", "v4", 9)


@pytest.mark.parametrize(
    "odd",
    [
        "metadata: web\nspec: []",
        "metadata: {name: web-staging, labels: [a]}\nspec: {source: {helm: [], kustomize: x}}",
        "metadata: {name: web-staging}\nspec: {sources: {a: b}, destination: x}",
        "metadata: {name: web-staging}\nspec: {source: {helm: {parameters: [x, {name: tag}]}}}",
        "metadata: {name: web-staging, labels: {a: {b: c}}}\nspec: {destination: {name: [a]}}",
    ],
)
@pytest.mark.parametrize("kind", ["Application", "ApplicationSet"])
def test_documents_that_are_none_say_nothing(
    repo: RepoBuilder, promote: Fleet, odd: str, kind: str
) -> None:
    repo.commit({"a.yaml": f"apiVersion: argoproj.io/v1alpha1\nkind: {kind}\n{odd}\n"})
    done = promote()
    assert done.status == 1
    assert "cannot tell how web differs" in done.err


def test_branches_that_are_environments(repo: RepoBuilder, promote: Fleet) -> None:
    repo.commit({"web/cm.yaml": "a: 1", "web/old.yaml": "b: 1", "api/cm.yaml": "c: 1"})
    repo.branch("production")
    repo.branch("staging")
    repo.commit(
        {"web/cm.yaml": "a: 2", "web/old.yaml": None, "api/cm.yaml": "c: 2"}, branch="staging"
    )
    base = repo.head("production")
    documents = [application("web-" + env, env, env) for env in ("staging", "production")]
    repo.commit({"fleet/web.yaml": "---\n".join(documents)})
    done = promote()
    assert done.status == 0, done.err
    assert f"on top of {base[:12]}" in done.out
    assert promoted(repo, "web/cm.yaml") == "a: 2"
    assert promoted(repo, "api/cm.yaml") == "c: 1"
    with pytest.raises(RuntimeError):
        promoted(repo, "web/old.yaml")


def test_whole_files_where_no_versions_are(repo: RepoBuilder, promote: Fleet) -> None:
    repo.commit(
        {
            "staging/web/cm.yaml": "data: new\nurl: https://web.staging.example.com\n",
            "staging/web/more.txt": "x",
            "production/web/cm.yaml": "data: old\n",
            "production/web/own.yaml": "stays: true\n",
        }
    )
    done = promote()
    assert done.status == 0, done.err
    assert promoted(repo, "production/web/cm.yaml").startswith("data: new")
    assert promoted(repo, "production/web/more.txt") == "x"
    assert promoted(repo, "production/web/own.yaml") == "stays: true\n"
    assert "production/web/cm.yaml now names staging: look at it" in done.err


def test_files_that_differ_in_more_than_versions_are_left_unless_asked_for(
    repo: RepoBuilder, promote: Fleet
) -> None:
    repo.commit({**overlay("staging", "1", "1", 1), **overlay("production", "1", "1", 9)})
    done = promote()
    assert done.status == 0
    assert "nothing to promote" in done.err
    assert (
        "1 file differs: apps/web/staging/kustomization.yaml; --files copies whole files"
        in done.err
    )
    assert repo.head(BRANCH) == ""
    assert promote("--files").status == 0
    assert "count: 1" in promoted(repo, "apps/web/production/kustomization.yaml")


def test_a_dry_run_writes_nothing_and_shows_the_change(repo: RepoBuilder, promote: Fleet) -> None:
    repo.commit({"fleet/web.yaml": APPSET})
    done = promote("--dry-run")
    assert done.status == 3
    assert "--- a/fleet/web.yaml\n+++ b/fleet/web.yaml\n" in done.out
    assert "+          - {env: production, revision: v1.4.0, replicas: 9}" in done.out
    assert repo.head(BRANCH) == ""


def test_the_working_tree_and_the_current_branch_stay(
    repo: RepoBuilder, fleet: Fleet, tmp_path: Path
) -> None:
    repo.commit({"fleet/web.yaml": APPSET})
    checkout = tmp_path / "checkout"
    subprocess.run(["git", "clone", "-q", str(repo.path), str(checkout)], check=True)
    (checkout / "fleet/web.yaml").write_text("edited")
    (checkout / "staged").write_text("x")
    git = ["git", "-C", str(checkout)]
    subprocess.run([*git, "add", "staged"], check=True)
    words = ("--from=staging", "--to=production", "--app=web", "--branch=mine")
    assert fleet("promote", checkout, *words).status == 0

    def said(*arguments: str) -> str:
        done = subprocess.run([*git, *arguments], capture_output=True, text=True, check=True)
        return done.stdout

    assert said("status", "--short") == " M fleet/web.yaml\nA  staged\n"
    assert said("branch", "--show-current") == "main\n"
    assert said("diff", "--stat", "main", "mine").splitlines()[-1].startswith(" 1 file changed")
    assert (
        said("log", "-1", "--format=%an %s", "mine")
        == "Ada Promote web from staging to production\n"
    )
    again = fleet("promote", checkout, *words)
    assert again.status == 1
    assert "branch 'mine' already exists" in again.err


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param({"x.yaml": "a: 1"}, "cannot tell how web differs", id="nothing"),
        pytest.param(
            {"a.yaml": application("web", "staging", "v1"), "b.yaml": "---\n".join([
                application("web-staging", "s2", "v2"), application("web-production", "p", "v0")])},
            "staging has web at several revisions: v1, v2", id="ambiguous",
        ),
        pytest.param(
            {"web/values-staging.yaml": "tag: v2", "web/values-production.yaml": "tag: >-\n  v1\n"},
            "tag cannot be changed without writing the file anew", id="folded",
        ),
        pytest.param(
            {"a.yaml": "---\n".join(application(f"web-{e}", e, e) for e in ("staging", "production"))},
            "which is not in this repository", id="branches-elsewhere",
        ),
    ],
)  # fmt: skip
def test_what_it_cannot_tell_is_an_error(
    repo: RepoBuilder, promote: Fleet, files: dict[str, str], message: str
) -> None:
    repo.commit(files)
    done = promote()
    assert done.status == 1
    assert message in done.err
    assert repo.head(BRANCH) == ""


def test_nobody_to_be_the_author_is_an_error(
    repo: RepoBuilder, promote: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "")
    repo.commit({"fleet/web.yaml": APPSET})
    done = promote()
    assert done.status == 1
    assert "git makes no commit" in done.err


def test_a_folder_that_is_not_there_is_an_error(repo: RepoBuilder, fleet: Fleet) -> None:
    repo.commit({"fleet/web.yaml": APPSET})
    done = fleet("promote", repo.path / "ghost", "--from=staging", "--to=production", "--app=web")
    assert (done.status, done.err) == (1, f"fleet: {repo.path}/ghost is not a directory\n")
    assert repo.head(BRANCH) == ""

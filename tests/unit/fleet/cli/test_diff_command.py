"""``fleet diff``: what a merge would do to each cluster, from two revisions of a repository and nothing else."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from fleet.testing.repos import RepoBuilder

Fleet = Callable[..., Any]

URL = "https://git.example.com/team/fleet.git"
CLUSTERS = """\
apiVersion: gitopsfleet.io/v1alpha1
kind: Cluster
metadata: {name: staging, labels: {env: staging}}
spec: {}
---
apiVersion: gitopsfleet.io/v1alpha1
kind: Cluster
metadata: {name: production, labels: {env: production}}
spec: {}
"""
SET = """\
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {name: apps, namespace: argocd}
spec:
  goTemplate: true
  generators:
  - git:
      repoURL: https://git.example.com/team/fleet.git
      revision: main
      directories: [{path: 'apps/*'}]
  template:
    metadata: {name: '{{.path.basename}}'}
    spec:
      project: default
      source: {repoURL: https://git.example.com/team/fleet.git, targetRevision: main, path: '{{.path.path}}'}
      destination: {name: staging, namespace: shop}
"""


def app(name: str, cluster: str = "production", url: str = URL, **more: str) -> str:
    source = ", ".join(f"{key}: {value}" for key, value in {"path": "apps/a0", **more}.items())
    return (
        f"apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: {name}}}\nspec:\n"
        f"  project: default\n  source: {{repoURL: '{url}', {source}}}\n"
        f"  destination: {{name: {cluster}, namespace: shop}}\n"
    )


def config(name: str, **data: str) -> str:
    values = ", ".join(f"{key}: '{value}'" for key, value in data.items())
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{{values}}}\n"


def secret(**data: str) -> str:
    values = ", ".join(f"{key}: '{value}'" for key, value in data.items())
    return f"apiVersion: v1\nkind: Secret\nmetadata: {{name: keys}}\nstringData: {{{values}}}\n"


@pytest.fixture
def repo(tmp_path: Path) -> RepoBuilder:
    made = RepoBuilder(tmp_path / "fleet.git")
    made.commit(
        {
            "fleet/clusters.yaml": CLUSTERS,
            "fleet/set.yaml": SET,
            **{f"apps/a{n}/cm.yaml": config("x", k=str(n)) for n in range(3)},
        }
    )
    return made


@pytest.fixture
def diff(fleet: Fleet, repo: RepoBuilder) -> Fleet:
    """Runs ``fleet diff`` over the last commit of the repository, as JSON that fits its schema."""

    def run(*arguments: str, base: str = "HEAD~1", **_: str) -> Any:
        words = ("--path", "fleet", "--from", base, "--url", URL, *arguments)
        done = fleet("diff", repo.path, *words, "-o", "json")
        done.fits("diff")
        return done

    return run


def changes(done: Any) -> list[tuple[str, str, list[tuple[str, str]]]]:
    return [
        (
            f"{item['cluster']}/{item['name']}",
            item["change"],
            [(change["ref"], change["change"]) for change in item["objects"]],
        )
        for item in done.json["applications"]
    ]


def test_a_change_that_touches_nothing_has_no_differences(repo: RepoBuilder, diff: Fleet) -> None:
    repo.commit({"README.md": "words"})
    done = diff()
    assert (done.status, changes(done)) == (0, [])
    assert "no differences" in done.err


def test_generated_applications_come_change_and_go(repo: RepoBuilder, diff: Fleet) -> None:
    repo.commit(
        {
            "apps/a0/cm.yaml": None,
            "apps/a1/cm.yaml": config("x", k="one"),
            "apps/a3/cm.yaml": config("x") + "---\n" + config("z"),
        }
    )
    done = diff()
    assert done.status == 3
    assert changes(done) == [
        ("staging/a0", "removed", [("ConfigMap x", "removed")]),
        ("staging/a1", "changed", [("ConfigMap x", "changed")]),
        ("staging/a3", "added", [("ConfigMap x", "added"), ("ConfigMap z", "added")]),
    ]
    (changed,) = done.json["applications"][1]["objects"]
    assert '-  k: "1"\n+  k: one\n' in changed["diff"]
    assert done.json["applications"][1]["document"] == "", "the Application itself is the same"


def test_an_application_moves_from_cluster_to_cluster(repo: RepoBuilder, diff: Fleet) -> None:
    repo.commit({"fleet/app.yaml": app("web", "staging")})
    repo.commit({"fleet/app.yaml": app("web", "production")})
    done = diff()
    assert [item[:2] for item in changes(done)] == [
        ("production/web", "added"),
        ("staging/web", "removed"),
    ]


def test_only_what_may_differ_is_rendered(repo: RepoBuilder, diff: Fleet) -> None:
    def renders() -> float:
        return REGISTRY.get_sample_value("fleet_render_renders_total", {"kind": "directory"}) or 0

    repo.commit({"apps/a1/cm.yaml": config("x", k="one"), "README.md": "words"})
    before = renders()
    assert [item[0] for item in changes(diff())] == ["staging/a1"]
    assert renders() - before == 2, "its two sides, and nothing of a0 and a2"
    repo.commit({"apps/a9/cm.yaml": config("x", k="one")})
    before = renders()
    assert [item[0] for item in changes(diff())] == ["staging/a9"]
    assert renders() - before == 1


def test_what_stays_on_a_cluster_is_no_removal(repo: RepoBuilder, diff: Fleet) -> None:
    kept = app("kept", "staging")
    gone = app("gone", "staging").replace(
        "{name: gone}", "{name: gone, finalizers: [resources-finalizer.argocd.argoproj.io]}"
    )
    repo.commit({"fleet/web.yaml": app("web"), "fleet/kept.yaml": kept, "fleet/gone.yaml": gone})
    files = {"fleet/web.yaml": None, "fleet/kept.yaml": None, "fleet/gone.yaml": None}
    repo.commit({**files, "fleet/clusters.yaml": CLUSTERS.partition("---\n")[0]})
    found = {item["name"]: item for item in diff().json["applications"]}
    assert {name: bool(item["objects"]) for name, item in found.items()} == {
        "gone": True,
        "kept": False,
        "web": False,
    }
    assert found["web"]["stays"] == "its cluster leaves the fleet; everything on it stays"
    assert "no resources finalizer" in found["kept"]["stays"]


def test_a_document_that_changes_shows_its_lines(repo: RepoBuilder, diff: Fleet) -> None:
    repo.tag("v1")
    repo.commit({"fleet/app.yaml": app("web", targetRevision="v1")})
    repo.commit({"apps/a0/cm.yaml": config("x", k="new")})
    repo.tag("v2")
    repo.commit({"fleet/app.yaml": app("web", targetRevision="v2")})
    done = diff()
    (item,) = done.json["applications"]
    assert "-    targetRevision: v1\n+    targetRevision: v2\n" in item["document"]
    assert [change["change"] for change in item["objects"]] == ["changed"]


def test_a_release_branch_is_not_what_is_merged(repo: RepoBuilder, diff: Fleet) -> None:
    repo.branch("stable")
    repo.commit({"fleet/app.yaml": app("web", targetRevision="stable")})
    repo.commit({"apps/a0/cm.yaml": config("x", k="new")})
    assert [item[0] for item in changes(diff())] == ["staging/a0"]


def test_a_checkout_with_a_detached_head_is_enough(
    repo: RepoBuilder, fleet: Fleet, tmp_path: Path
) -> None:
    base = repo.head()
    repo.branch("change")
    head = repo.commit({"apps/a1/cm.yaml": config("x", k="one")}, branch="change")
    checkout = tmp_path / "checkout"
    git = ["git", "-C", str(checkout)]
    subprocess.run(["git", "clone", "-q", str(repo.path), str(checkout)], check=True)
    subprocess.run([*git, "checkout", "-q", head], check=True)
    subprocess.run([*git, "branch", "-q", "-D", "main"], check=True)
    subprocess.run(
        [*git, "remote", "set-url", "origin", URL.replace("//", "//me:secret@")], check=True
    )
    (checkout / "apps/a2/cm.yaml").write_text("not committed")
    done = fleet("diff", checkout / "fleet", "--from", "origin/main", "-o", "json")
    assert changes(done) == [("staging/a1", "changed", [("ConfigMap x", "changed")])]
    assert [done.json["base"]["commit"], done.json["head"]["commit"]] == [base, head]
    assert "secret" not in done.out + done.err
    status = subprocess.run([*git, "status", "--short"], capture_output=True, text=True, check=True)
    assert status.stdout == " M apps/a2/cm.yaml\n"


def test_the_working_tree_can_be_what_is_compared(
    repo: RepoBuilder, fleet: Fleet, tmp_path: Path
) -> None:
    checkout = tmp_path / "checkout"
    subprocess.run(["git", "clone", "-q", str(repo.path), str(checkout)], check=True)
    (checkout / "apps/a1/cm.yaml").write_text(config("x", k="edited"))
    (checkout / "apps/a9").mkdir()
    (checkout / "apps/a9/cm.yaml").write_text(config("new"))
    (checkout / "apps/a2/cm.yaml").unlink()
    words = ("--from=HEAD", f"--url={URL}")
    assert fleet("diff", checkout / "fleet", *words).status == 0
    done = fleet("diff", checkout / "fleet", *words, "--working-tree", "-o", "json")
    done.fits("diff")
    assert done.status == 3
    assert changes(done) == [
        ("staging/a1", "changed", [("ConfigMap x", "changed")]),
        ("staging/a2", "removed", [("ConfigMap x", "removed")]),
        ("staging/a9", "added", [("ConfigMap new", "added")]),
    ]
    assert done.json["head"] == {"revision": "working tree", "commit": ""}
    page = fleet("diff", checkout / "fleet", *words, "--working-tree", "-o", "markdown").out
    assert "to `working tree`\n" in page
    done = fleet("diff", repo.path, *words, "--working-tree")
    assert (done.status, done.err) == (
        1, "fleet: --working-tree: this repository is bare, it has none\n",
    )  # fmt: skip


def test_values_of_secrets_are_never_shown(repo: RepoBuilder, fleet: Fleet, diff: Fleet) -> None:
    repo.commit({"apps/a0/s.yaml": secret(same="hunter2", other="hunter3", gone="hunter4")})
    repo.commit({"apps/a0/s.yaml": secret(same="hunter2", other="changed5", new="hunter6")})
    (item,) = diff().json["applications"]
    (change,) = item["objects"]
    assert change["diff"] == (
        "@@ -3,6 +3,6 @@\n metadata:\n   name: keys\n stringData:\n-  gone: '***'\n-  other: '*** (old value)'\n"
        "+  new: '***'\n+  other: '*** (new value)'\n   same: '***'\n"
    )
    for form in ("text", "markdown", "json"):
        done = fleet("diff", repo.path, "--path=fleet", "--from=HEAD~1", f"--url={URL}", "-o", form)
        assert "hunter" not in done.out + done.err
        assert "changed5" not in done.out + done.err


def test_what_the_shrink_budget_would_hold_is_said(repo: RepoBuilder, diff: Fleet) -> None:
    repo.commit({f"apps/a{n}/cm.yaml": None for n in range(3)})
    done = diff()
    (held,) = done.json["held"]
    assert held["subject"] == "appset/apps"
    assert "would remove all of 3" in held["message"]
    assert held["removed"] == ["a0", "a1", "a2"]


def test_objects_that_vanish_are_held_too(repo: RepoBuilder, diff: Fleet) -> None:
    many = "---\n".join(config(f"c{n}") for n in range(8))
    repo.commit({"apps/a0/cm.yaml": many})
    repo.commit({"apps/a0/cm.yaml": config("c0")})
    (held,) = diff().json["held"]
    assert held["subject"] == "app/staging/a0"


def test_documents_that_an_application_brings_are_judged_as_a_set(
    repo: RepoBuilder, diff: Fleet
) -> None:
    home = (
        "\n---\napiVersion: gitopsfleet.io/v1alpha1\nkind: Cluster\n"
        "metadata: {name: home}\nspec: {management: true}\n"
    )
    root = app("root", "home", path="brings").replace(
        "  source:", "  syncPolicy: {automated: {prune: true}}\n  source:"
    )
    many = "---\n".join(app(f"web{n}") for n in range(6))
    repo.commit(
        {
            "fleet/clusters.yaml": CLUSTERS + home,
            "fleet/root.yaml": root,
            "brings/apps.yaml": f"{many}---\n{config('own')}",
        }
    )
    repo.commit({"brings/apps.yaml": f"{app('web0')}---\n{config('own')}"})
    done = diff()
    (held,) = done.json["held"]
    assert (held["subject"], held["removed"]) == ("children/root", [f"web{n}" for n in range(1, 6)])
    assert [item[:2] for item in changes(done)] == [
        (f"production/web{n}", "removed") for n in range(1, 6)
    ], "and none of it a second time among the objects of root"


@pytest.mark.parametrize(
    ("policy", "left"),
    [("sync", []), ("create-delete", []), ("create-only", None), ("create-update", None)],
)
def test_policies_say_what_a_deleted_set_leaves(
    repo: RepoBuilder, diff: Fleet, policy: str, left: list[str] | None
) -> None:
    repo.commit({"fleet/set.yaml": SET + f"  syncPolicy: {{applicationsSync: {policy}}}\n"})
    repo.commit({"fleet/set.yaml": None})
    done = diff()
    assert len(done.json["applications"]) == (0 if left is None else 3)
    assert bool(done.json["held"]) == (left is not None)


def test_a_failing_set_keeps_what_it_has(repo: RepoBuilder, diff: Fleet) -> None:
    repo.commit({"fleet/set.yaml": SET.replace("revision: main", "revision: gone")})
    done = diff()
    assert done.status == 1
    assert changes(done) == []
    assert any(item["object"] == "ApplicationSet/apps" for item in done.json["problems"])


def test_a_set_that_only_the_hub_can_evaluate_is_said(repo: RepoBuilder, diff: Fleet) -> None:
    start, end = SET.index("  - git:"), SET.index("  template:")
    forge = f"{SET[:start]}  - scmProvider: {{github: {{organization: shop}}}}\n{SET[end:]}"
    repo.commit({"fleet/forge.yaml": forge.replace("name: apps", "name: forge")})
    repo.commit({"fleet/forge.yaml": None})
    (said,) = diff().json["unchecked"]
    assert "what ApplicationSet forge makes" in said


def test_a_broken_document_is_named_with_its_line(repo: RepoBuilder, diff: Fleet) -> None:
    repo.commit({"fleet/bad.yaml": app("bad").replace("project: default", "project: [1]")})
    done = diff()
    assert done.status == 1
    assert "error: fleet/bad.yaml:5: " in done.err
    repo.commit({"fleet/bad.yaml": "a: [\n"})
    assert "error: fleet/bad.yaml:" in diff().err


def test_manifests_that_do_not_render_are_errors(repo: RepoBuilder, diff: Fleet) -> None:
    repo.commit({"apps/a0/cm.yaml": config("true")})
    done = diff()
    assert done.status == 1
    assert "staging/a0 cannot be rendered" in done.err
    assert changes(done) == []


def test_another_repository_is_given_or_named(
    repo: RepoBuilder, diff: Fleet, tmp_path: Path
) -> None:
    other = RepoBuilder(tmp_path / "other.git")
    other.commit({"web/cm.yaml": config("web")})
    foreign = "https://git.example.com/team/other.git"
    repo.commit({"fleet/app.yaml": app("web", url=foreign, path="web")})
    done = diff()
    (item,) = done.json["applications"]
    assert item["objects"] == []
    assert f"--repo {foreign}=DIR" in item["unchecked"]
    done = diff("--repo", f"{foreign}={other.path}")
    assert changes(done) == [("production/web", "added", [("ConfigMap web", "added")])]


def test_what_cannot_be_rendered_here_and_does_not_change_is_no_difference(
    repo: RepoBuilder, diff: Fleet
) -> None:
    chart = app("web", url="https://charts.example.com", chart="web", targetRevision="1.0.0")
    repo.commit({"fleet/app.yaml": chart.replace("path: apps/a0, ", "")})
    repo.commit({"README.md": "words"})
    done = diff()
    assert (done.status, changes(done), done.json["unchecked"]) == (0, [], [])


@pytest.mark.parametrize(
    ("path", "unchecked"),
    [("values/web.yaml", 1), ("values/other.yaml", 0)],
    ids=["its-values", "other"],
)
def test_a_chart_with_values_of_this_repository_is_said_when_they_change(
    repo: RepoBuilder, diff: Fleet, path: str, unchecked: int
) -> None:
    chart = (
        f"{{repoURL: {URL}, ref: values, targetRevision: main}}, {{repoURL: https://charts.example.com, "
        "chart: web, targetRevision: 1.0.0, helm: {valueFiles: [$values/values/web.yaml]}}"
    )
    lines = app("web").splitlines()
    document = "\n".join([*lines[:5], f"  sources: [{chart}]", *lines[6:], ""])
    repo.commit({"fleet/app.yaml": document, "values/web.yaml": "a: 1"})
    repo.commit({path: "a: 2"})
    done = diff()
    assert [item for item in changes(done) if item[0] == "production/web"] == []
    assert len(done.json["unchecked"]) == unchecked


def test_manifests_can_be_left_out(repo: RepoBuilder, diff: Fleet) -> None:
    repo.commit({"apps/a1/cm.yaml": config("x", k="one"), "apps/a9/cm.yaml": config("x")})
    done = diff("--no-manifests")
    assert changes(done) == [("staging/a9", "added", [])]


@pytest.mark.parametrize("revision", ["nope", "", "--help", "HEAD~99", "HEAD:fleet"])
def test_an_unknown_revision_is_an_error(repo: RepoBuilder, fleet: Fleet, revision: str) -> None:
    done = fleet("diff", repo.path, f"--from={revision}")
    assert done.status == 1
    assert "is not in this repository" in done.err


def test_a_repo_option_that_leads_to_no_repository_is_named(
    repo: RepoBuilder, fleet: Fleet, tmp_path: Path
) -> None:
    pair = f"{URL}={tmp_path}"
    done = fleet("diff", repo.path, "--from=HEAD", f"--repo={pair}")
    assert done.status == 1
    assert f"--repo {pair!r}: {tmp_path} is not in a git repository" in done.err


def test_a_number_and_its_text_are_not_the_same(repo: RepoBuilder, diff: Fleet) -> None:
    crd = "apiVersion: example.com/v1\nkind: Thing\nmetadata: {{name: x}}\nspec: {{on: {}}}\n"
    repo.commit({"apps/a0/thing.yaml": crd.format("1")})
    repo.commit({"apps/a0/thing.yaml": crd.format("true")})
    assert changes(diff()) == [("staging/a0", "changed", [("Thing.example.com x", "changed")])]


def test_usage_is_status_two(fleet: Fleet, tmp_path: Path) -> None:
    assert fleet("diff", tmp_path).status == 2
    assert fleet("diff", tmp_path, "--from", "HEAD").status == 1, "no repository"


def test_text_lists_applications_and_their_lines(repo: RepoBuilder, fleet: Fleet) -> None:
    repo.commit({"apps/a1/cm.yaml": config("x", k="one"), "apps/a9/cm.yaml": config("x")})
    done = fleet("diff", repo.path, "--path", "fleet", "--from", "HEAD~1", "--url", URL)
    assert "~ staging/a1  changed  objects: 1 changed" in done.out
    assert "=== staging/a1: ConfigMap x changed" in done.out
    assert "\x1b[" not in done.out, "no colours where no terminal is"
    assert "applications: 1 added, 1 changed, on 1 cluster" in done.err


def test_markdown_folds_details_and_cannot_be_broken_out_of(
    repo: RepoBuilder, fleet: Fleet
) -> None:
    repo.commit({"apps/a1/cm.yaml": config("x", k="```\n\n</details><b>@everyone")})
    done = fleet(
        "diff", repo.path, "--path=fleet", "--from=HEAD~1", f"--url={URL}", "-o", "markdown"
    )
    assert done.status == 3
    assert done.out.startswith("<!-- fleet diff -->\n")
    assert r"| ~ | staging | a1 | apps | changed | objects: 1 changed |" in done.out
    assert "<details><summary>~ staging/a1: changed</summary>" in done.out
    assert "\n````diff\n" in done.out


@pytest.mark.parametrize(
    ("form", "title"),
    [
        ("text", "=== staging/a0, staging/a1, staging/a2: ConfigMap new added"),
        ("markdown", "<details><summary>~ staging/a0, staging/a1, staging/a2: changed</summary>"),
    ],
)
def test_the_same_difference_is_shown_once(
    repo: RepoBuilder, fleet: Fleet, form: str, title: str
) -> None:
    repo.commit({f"apps/a{n}/new.yaml": config("new") for n in range(3)})
    done = fleet("diff", repo.path, "--path=fleet", "--from=HEAD~1", f"--url={URL}", "-o", form)
    assert title in done.out
    assert done.out.count("+kind: ConfigMap") == 1


def test_markdown_stays_below_what_forges_take(repo: RepoBuilder, fleet: Fleet) -> None:
    long = {f"k{n}": "v" * 200 for n in range(100)}
    repo.commit({f"apps/b{n}/cm.yaml": config("x", own=str(n), **long) for n in range(6)})
    done = fleet(
        "diff", repo.path, "--path=fleet", "--from=HEAD~1", f"--url={URL}", "-o", "markdown"
    )
    assert len(done.out.encode()) <= 60_001
    assert "Details of 4 applications are left out" in done.out
    assert done.out.count("<details>") == done.out.count("</details>") == 2

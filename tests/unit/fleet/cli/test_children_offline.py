"""App of apps in offline commands: what Applications bring to the fleet is followed as the hub would follow it."""

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
metadata: {name: home}
spec: {management: true}
---
apiVersion: gitopsfleet.io/v1alpha1
kind: Cluster
metadata: {name: production}
spec: {}
"""
PRUNE = "{automated: {prune: true}}"
FINALIZER = "finalizers: [resources-finalizer.argocd.argoproj.io]"


def app(
    name: str,
    path: str,
    cluster: str = "production",
    *,
    sync: str = "{}",
    meta: str = "",
    project: str = "default",
) -> str:
    more = f", {meta}" if meta else ""
    return (
        f"apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: {name}{more}}}\nspec:\n"
        f"  project: {project}\n  source: {{repoURL: '{URL}', path: {path}}}\n  syncPolicy: {sync}\n"
        f"  destination: {{name: {cluster}, namespace: argocd}}\n"
    )


def parent(name: str, *, sync: str = PRUNE, **more: str) -> str:
    """An Application that brings what is in the folder of its name."""
    return app(name, name, "home", sync=sync, **more)


def appset(name: str, *names: str) -> str:
    elements = ", ".join(f"{{name: {each}}}" for each in names)
    return (
        f"apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {{name: {name}}}\nspec:\n"
        f"  generators: [{{list: {{elements: [{elements}]}}}}]\n  template:\n"
        f"    metadata: {{name: '{{{{name}}}}'}}\n    spec:\n      project: default\n"
        f"      source: {{repoURL: '{URL}', path: '{{{{name}}}}'}}\n"
        "      destination: {name: production, namespace: shop}\n"
    )


def config(value: str) -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x}}\ndata: {{k: '{value}'}}\n"


@pytest.fixture
def repo(tmp_path: Path) -> RepoBuilder:
    made = RepoBuilder(tmp_path / "fleet.git")
    made.commit(
        {
            "fleet/clusters.yaml": CLUSTERS,
            "fleet/root.yaml": parent("root", meta=FINALIZER),
            "root/apps.yaml": app("web", "web", meta=FINALIZER) + "---\n" + parent("team"),
            "team/set.yaml": appset("shops", "shop"),
            **{f"{name}/cm.yaml": config("one") for name in ("web", "shop")},
        }
    )
    return made


@pytest.fixture
def diff(fleet: Fleet, repo: RepoBuilder) -> Fleet:
    def run(*arguments: str, base: str = "HEAD~1") -> Any:
        words = ("--path", "fleet", "--from", base, "--url", URL, *arguments)
        done = fleet("diff", repo.path, *words, "-o", "json")
        done.fits("diff")
        return done

    return run


@pytest.fixture
def validate(fleet: Fleet, repo: RepoBuilder, tmp_path: Path) -> Callable[..., Any]:
    """Runs ``fleet validate`` over a checkout of the repository."""

    def run(*arguments: str, files: dict[str, str] | None = None) -> Any:
        checkout = tmp_path / "checkout"
        subprocess.run(["git", "clone", "-q", str(repo.path), str(checkout)], check=True)
        for name, text in (files or {}).items():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            (checkout / name).write_text(text)
        return fleet("validate", checkout / "fleet", "--url", URL, *arguments)

    return run


def changes(done: Any) -> dict[str, tuple[str, list[str]]]:
    return {
        f"{item['cluster']}/{item['name']}": (
            item["change"],
            [f"{each['ref']} {each['change']}" for each in item["objects"]],
        )
        for item in done.json["applications"]
    }


CHANGED = ("changed", ["ConfigMap x changed"])


def test_manifests_of_children_are_compared_also_those_of_sets_that_children_bring(
    repo: RepoBuilder, diff: Fleet
) -> None:
    repo.commit({"web/cm.yaml": config("two"), "shop/cm.yaml": config("two")})
    done = diff()
    assert done.status == 3
    assert changes(done) == {"production/shop": CHANGED, "production/web": CHANGED}
    found = {item["name"]: item for item in done.json["applications"]}
    assert found["web"]["parents"] == ["root"]
    assert (found["shop"]["parents"], found["shop"]["set"]) == (["root", "team"], "shops")


def test_children_come_change_and_go(repo: RepoBuilder, diff: Fleet) -> None:
    repo.commit(
        {
            "root/apps.yaml": app("web", "shop", meta=FINALIZER) + "---\n" + parent("team"),
            "root/api.yaml": app("api", "web"),
            "team/set.yaml": appset("shops"),
        }
    )
    found = changes(diff())
    assert found.pop("home/team") == ("changed", ["ApplicationSet.argoproj.io shops changed"])
    assert found == {
        "production/api": ("added", ["ConfigMap x added"]),
        "production/shop": ("removed", ["ConfigMap x removed"]),
        "production/web": ("changed", []),
    }, "and root shows none of them a second time"


def test_a_child_that_a_set_makes_now_is_one_change(repo: RepoBuilder, diff: Fleet) -> None:
    repo.commit({"root/apps.yaml": parent("team"), "team/set.yaml": appset("shops", "shop", "web")})
    done = diff()
    assert [*changes(done)] == ["home/team", "production/web"]
    assert done.json["applications"][1]["set"] == "shops"


def test_without_manifests_nothing_is_followed_and_it_is_said(
    repo: RepoBuilder, diff: Fleet
) -> None:
    repo.commit({"web/cm.yaml": config("two")})
    done = diff("--no-manifests")
    assert (done.status, changes(done)) == (0, {})
    assert done.json["unchecked"] == ["what Applications bring to the fleet: nothing is rendered"]


def test_what_a_parent_without_prune_no_longer_renders_stays(
    repo: RepoBuilder, diff: Fleet
) -> None:
    repo.commit({"fleet/root.yaml": parent("root", sync="{automated: {}}")})
    repo.commit({"root/apps.yaml": parent("team")})
    done = diff()
    (item,) = done.json["applications"]
    assert item["name"] == "root"
    assert item["remark"] == (
        "it does not prune, so what it no longer renders stays in the fleet: web"
    )


def test_children_of_a_parent_that_is_not_automated_are_shown_as_after_a_sync(
    repo: RepoBuilder, diff: Fleet, fleet: Fleet
) -> None:
    repo.commit({"fleet/root.yaml": parent("root", sync="{}")})
    repo.commit({"root/apps.yaml": app("web", "shop") + "---\n" + parent("team")})
    (item,) = diff().json["applications"]
    assert (item["name"], item["change"]) == ("web", "changed")
    assert item["remark"] == "comes with a sync of application root, which is not automated"
    for form in ("text", "markdown"):
        done = fleet("diff", repo.path, "--path=fleet", "--from=HEAD~1", f"--url={URL}", "-o", form)
        assert "comes with a sync of application root" in done.out
        assert "rendered by root" in done.out


@pytest.mark.parametrize(("meta", "left"), [(FINALIZER, False), ("", True)])
def test_a_parent_that_goes_takes_its_children_as_its_finalizer_says(
    repo: RepoBuilder, diff: Fleet, meta: str, left: bool
) -> None:
    repo.commit({"fleet/root.yaml": parent("root", meta=meta)})
    repo.commit({"fleet/root.yaml": None})
    found = changes(diff())
    assert ("production/web" in found) is not left
    assert found["home/root"][0] == "removed"


def test_a_child_that_moves_to_the_fleet_repository_or_to_another_parent_does_not_go(
    repo: RepoBuilder, diff: Fleet
) -> None:
    web = app("web", "web", meta=FINALIZER)
    repo.commit({"root/apps.yaml": parent("team"), "fleet/web.yaml": web})
    assert [*changes(diff())] == ["home/root"]
    repo.commit({"fleet/web.yaml": None, "team/web.yaml": web})
    assert [*changes(diff())] == ["home/team"]


def test_a_parent_that_does_not_render_keeps_its_children(repo: RepoBuilder, diff: Fleet) -> None:
    repo.commit(
        {"root/apps.yaml": "apiVersion: v1\nmetadata: {}\nkind: [\n", "web/cm.yaml": config("two")}
    )
    done = diff()
    assert done.status == 1
    assert changes(done) == {"production/web": CHANGED}
    assert "home/root cannot be rendered" in done.err


def test_what_left_waits_for_a_parent_that_may_bring_it_and_does_not_render(
    repo: RepoBuilder, diff: Fleet
) -> None:
    broken = "apiVersion: argoproj.io/v1alpha1\nmetadata: {}\nkind: [\n"
    repo.commit({"root/apps.yaml": parent("team"), "team/set.yaml": broken})
    done = diff()
    assert changes(done) == {"home/root": ("changed", ["Application.argoproj.io web removed"])}
    assert (
        "warning: rendered by home/team: Application/team: what left elsewhere stays until it renders, "
        "for it may bring that: web"
    ) in done.err
    repo.commit({"team/set.yaml": appset("shops", "shop")})
    assert "at the first revision, what Application team may bring to the fleet" in diff().err


def test_a_parent_that_loses_many_children_is_held(repo: RepoBuilder, diff: Fleet) -> None:
    many = "---\n".join(app(f"w{n}", "web", meta=FINALIZER) for n in range(6))
    repo.commit({"root/many.yaml": many})
    repo.commit({"fleet/root.yaml": None})
    assert [item["subject"] for item in diff().json["held"]] == ["children/root"]


def test_only_what_may_bring_documents_is_rendered(repo: RepoBuilder, diff: Fleet) -> None:
    def renders() -> float:
        return REGISTRY.get_sample_value("fleet_render_renders_total", {"kind": "directory"}) or 0

    plain = [app(f"plain{n}", f"plain{n}", "home") for n in range(9)]
    repo.commit(
        {
            "fleet/plain.yaml": "---\n".join(plain),
            **{f"plain{n}/cm.yaml": config(str(n)) for n in range(9)},
        }
    )
    repo.commit({"web/cm.yaml": config("two"), "plain1/cm.yaml": config("new")})
    before = renders()
    assert [*changes(diff())] == ["home/plain1", "production/web"]
    assert renders() - before == 2 + 4, "root and team, and the two sides of what changed"


def test_a_loop_is_named_and_its_members_stay_as_they_are(
    repo: RepoBuilder, validate: Fleet
) -> None:
    repo.commit({"team/set.yaml": parent("root")})
    repo.commit({"fleet/root.yaml": None, "fleet/a.yaml": parent("a"), "a/b.yaml": parent("b")})
    repo.commit({"b/c.yaml": parent("c"), "c/b.yaml": parent("b")})
    done = validate()
    assert done.status == 1
    assert "rendered by home/c: Application/c: loop: b -> c -> b" in done.out


def test_a_root_in_its_own_folder_is_no_loop(repo: RepoBuilder, validate: Fleet) -> None:
    repo.commit({"root/root.yaml": parent("root", meta=FINALIZER)})
    done = validate()
    assert done.status == 0, done.out
    assert "4 Applications, 2 clusters: 0 errors, 0 warnings" in done.err


def test_levels_end(repo: RepoBuilder, validate: Fleet) -> None:
    chain = {f"l{n}/a.yaml": parent(f"l{n + 1}") for n in range(8)}
    repo.commit({"fleet/l0.yaml": parent("l0"), **chain, "l8/cm.yaml": config("x")})
    done = validate()
    said = "rendered by home/l5: Application/l6: more than 5 levels: l0 -> l1 -> l2 -> l3 -> l4 -> l5 -> l6"
    assert f"warning: {said}\n" in done.out


def test_mistakes_of_children_are_named_by_parent_object_and_field(
    repo: RepoBuilder, validate: Fleet
) -> None:
    repo.commit(
        {
            "root/apps.yaml": app("web", "web", project="ghost") + "---\n" + parent("team"),
            "root/more.yaml": app("far", "web", "nowhere") + "---\n" + app("own", "web"),
            "root/typo.yaml": "a: [\n",
            "fleet/own.yaml": app("own", "web"),
            "team/set.yaml": appset("shops", "{}", "shop").replace("default", "'{{nope}}'"),
            "team/odd.yaml": appset("odd", "x").replace("list:", "lists:"),
        }
    )
    done = validate()
    assert done.status == 1
    for said in (
        "error: rendered by home/root: Application/web: spec.project: application references project ghost",
        "error: rendered by home/root: Application/far: spec.destination: there are no clusters with this name",
        "warning: rendered by home/root: Application/own: it already belongs to a document of the fleet (own.yaml:1",
        'error: rendered by home/team: ApplicationSet/odd: spec.generators[0].lists: unknown generator "lists"',
        "error: rendered by home/team: ApplicationSet/shops: ",
        "warning: root/typo.yaml: Application/root: holds no manifests: not valid YAML",
    ):
        assert done.out.count(said) == 1, done.out


def test_a_project_says_what_its_parents_may_bring(repo: RepoBuilder, validate: Fleet) -> None:
    narrow = (
        "apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: narrow, namespace: argocd}\n"
        "spec:\n  sourceRepos: ['*']\n  destinations: [{name: home, namespace: argocd}]\n"
        "  namespaceResourceBlacklist: [{group: argoproj.io, kind: AppProject}]\n"
    )
    brought = narrow.replace("narrow", "mine")
    root = parent("root", project="narrow")
    repo.commit({"fleet/p.yaml": narrow, "fleet/root.yaml": root, "root/p.yaml": brought})
    done = validate()
    assert (
        "rendered by home/root: AppProject/mine: argoproj.io/AppProject in namespace argocd "
        "is not permitted in project 'narrow'"
    ) in done.out


def test_a_project_that_is_brought_judges_as_any_other(repo: RepoBuilder, validate: Fleet) -> None:
    mine = (
        "apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: mine, namespace: argocd}\n"
        "spec:\n  sourceRepos: ['*']\n  destinations: [{name: production, namespace: argocd}]\n"
    )
    own = app("own", "web", project="mine")
    repo.commit({"root/p.yaml": mine, "fleet/own.yaml": own})
    assert validate().status == 0


def test_a_dependency_on_a_child_is_known(repo: RepoBuilder, validate: Fleet) -> None:
    needs = "annotations: {gitopsfleet.io/depends-on: 'web, set/shops, shop'}"
    repo.commit({"fleet/own.yaml": app("own", "web", meta=needs)})
    done = validate()
    assert (done.status, done.out) == (0, "")
    repo.commit({"root/apps.yaml": parent("team")})


def test_a_dependency_on_what_nobody_brings_is_unknown(repo: RepoBuilder, validate: Fleet) -> None:
    needs = "annotations: {gitopsfleet.io/depends-on: 'ghost'}"
    repo.commit({"fleet/own.yaml": app("own", "web", meta=needs)})
    assert "unknown application 'ghost'" in validate().out


def test_while_a_parent_cannot_be_looked_at_a_name_may_be_its_childs(
    repo: RepoBuilder, validate: Fleet
) -> None:
    needs = "annotations: {gitopsfleet.io/depends-on: 'ghost'}"
    elsewhere = app("far", "x", "home").replace(URL, "https://git.example.com/far.git")
    repo.commit({"fleet/own.yaml": app("own", "web", meta=needs), "fleet/far.yaml": elsewhere})
    done = validate()
    assert (done.status, done.out) == (0, "")
    assert (
        "not checked: what Application far may bring to the fleet: repository "
        "https://git.example.com/far.git is not given: --repo https://git.example.com/far.git=DIR"
    ) in done.err


def test_a_parent_that_cannot_be_rendered_is_an_error_of_its_document(
    repo: RepoBuilder, validate: Fleet
) -> None:
    repo.commit({"fleet/root.yaml": parent("root").replace("path: root", "path: rot")})
    done = validate()
    assert done.status == 1
    assert "error: root.yaml:1: Application/root" in done.out
    assert "home/root cannot be rendered" in done.out


def test_validate_looks_at_the_working_tree(repo: RepoBuilder, validate: Fleet) -> None:
    done = validate(files={"root/new.yaml": app("new", "web", project="ghost")})
    assert "rendered by home/root: Application/new: spec.project" in done.out


def test_validate_leaves_ignored_files_out(repo: RepoBuilder, validate: Fleet) -> None:
    repo.commit({".gitignore": "new.yaml\n"})
    done = validate(files={"root/new.yaml": app("new", "web", project="ghost")})
    assert (done.status, done.out) == (0, "")


def test_validate_renders_nothing_if_asked(repo: RepoBuilder, validate: Fleet) -> None:
    repo.commit({"root/apps.yaml": app("web", "web", project="ghost")})
    done = validate("--no-manifests")
    assert (done.status, done.out) == (0, "")
    assert "not checked: what Applications bring to the fleet: nothing is rendered" in done.err

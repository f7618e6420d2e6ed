"""What becomes of Applications that exist: more than the recorded cases say."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.argo.application import read_application
from fleet.argo.policy import Trim, merge_existing, open_trims
from fleet.errors import Where
from fleet.model.application import Application
from fleet.model.appset import ApplicationSet, ApplicationsSync, IgnoredField


def application(name: str, *, metadata: dict[str, Any] | None = None, **spec: Any) -> Application:
    document = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, **(metadata or {})},
        "spec": {
            "project": "default",
            "source": {"repoURL": "https://git.example.com/a.git", "targetRevision": "main"},
            "destination": {"name": "alpha"},
            **spec,
        },
    }
    return read_application(document, where=Where())


def appset(sync: ApplicationsSync = ApplicationsSync.SYNC, **fields: Any) -> ApplicationSet:
    return ApplicationSet(name="set", namespace="argocd", applications_sync=sync, **fields)


@pytest.mark.parametrize(
    ("sync", "names", "project_of_b"),
    [
        (ApplicationsSync.SYNC, ["b", "c", "w"], "new"),
        (ApplicationsSync.CREATE_ONLY, ["a", "b", "c", "w"], "default"),
        (ApplicationsSync.CREATE_UPDATE, ["a", "b", "c", "w"], "new"),
        (ApplicationsSync.CREATE_DELETE, ["b", "c", "w"], "default"),
    ],
)
def test_policies(sync: ApplicationsSync, names: list[str], project_of_b: str) -> None:
    existing = [application("a"), application("b"), application("w")]
    made = [application("c"), application("b", project="new")]
    after = merge_existing(made, existing, appset(sync), withheld=["w"])
    assert [item.name for item in after] == names
    assert [item.project for item in after if item.name == "b"] == [project_of_b]


def test_ignored_fields_stay_and_lists_are_replaced_whole() -> None:
    sources = [
        {"repoURL": "https://git.example.com/a.git", "targetRevision": "v9"},
        {"repoURL": "https://git.example.com/b.git"},
    ]
    live = application("a", sources=sources)
    ignored = (IgnoredField(json_pointers=("/spec/sources/0/targetRevision",)),)
    same = [{**sources[0], "targetRevision": "main"}, sources[1]]
    (after,) = merge_existing(
        [application("a", sources=same)], [live], appset(ignored_fields=ignored)
    )
    assert after.sources[0].target_revision == "v9"
    other = [*same, {"repoURL": "https://git.example.com/c.git"}]
    (after,) = merge_existing(
        [application("a", sources=other)], [live], appset(ignored_fields=ignored)
    )
    assert after.sources[0].target_revision == ""
    assert len(after.sources) == 3


def test_ignored_fields_of_another_application_do_not_count() -> None:
    live = application("a", project="live")
    ignored = (IgnoredField(name="b", json_pointers=("/spec/project",)),)
    (after,) = merge_existing([application("a")], [live], appset(ignored_fields=ignored))
    assert after.project == "default"


def test_pointers_with_escapes_and_missing_paths() -> None:
    live = application("a", metadata={"annotations": {"x/y": "hand"}})
    ignored = (
        IgnoredField(
            json_pointers=("/metadata/annotations/x~1y", "/spec/none/0", "", "/spec/sources/9")
        ),
    )
    made = application("a", metadata={"annotations": {"x/y": "made", "z": "1"}})
    (after,) = merge_existing([made], [live], appset(ignored_fields=ignored))
    assert after.annotations == {"x/y": "hand", "z": "1"}


def test_deletion_hooks_finalizers_stay_and_foreign_ones_go() -> None:
    post = "post-delete-finalizer.argocd.argoproj.io/cleanup"
    live = application("a", metadata={"finalizers": [post, "example.com/foreign"]})
    made = application("a", metadata={"finalizers": ["resources-finalizer.argocd.argoproj.io"]})
    (after,) = merge_existing([made], [live], appset())
    assert after.finalizers == ("resources-finalizer.argocd.argoproj.io", post)


def test_what_was_found_about_the_template_is_told_once() -> None:
    made = application("a", syncPolicy={"syncOptions": ["Replace=true", "Nonsense=1"]})
    (after,) = merge_existing([made], [application("a")], appset())
    assert after.unsupported == made.unsupported
    assert after.warnings == made.warnings


JQ = (IgnoredField(jq_expressions=(".spec.source.targetRevision",)),)


def test_jq_expressions_are_asked_about_what_would_change_only() -> None:
    same, live = application("same"), application("a", project="live")
    made = [same, application("a", project="made"), application("new")]
    trims = open_trims(made, [same, live], appset(ignored_fields=JQ))
    assert trims.keys() == {"a"}
    assert trims["a"].expressions == JQ[0].jq_expressions
    assert trims["a"].live == live.document
    assert open_trims(made, [same, live], appset()) == {}
    assert open_trims(made, [live], appset(ApplicationsSync.CREATE_ONLY, ignored_fields=JQ)) == {}


def test_jq_expressions_see_what_the_pointers_left() -> None:
    ignored = (*JQ, IgnoredField(json_pointers=("/spec/project",)))
    live, made = application("a", project="live"), application("a", project="made")
    trim = open_trims([made], [live], appset(ignored_fields=ignored))["a"]
    assert "project" not in trim.live["spec"]
    assert "project" not in trim.wanted["spec"]


def test_what_a_jq_expression_took_stays_as_it_is_live() -> None:
    live = application("a", project="live")
    trim = Trim(
        live={**live.document, "spec": {"project": "live"}},
        wanted={**live.document, "spec": {"project": "made"}},
    )
    made = application("a", project="made", source={"repoURL": "https://git.example.com/b.git"})
    (after,) = merge_existing([made], [live], appset(ignored_fields=JQ), trims={"a": trim})
    assert after.project == "made"
    assert after.sources == live.sources
    with pytest.raises(ValueError, match="not been evaluated"):
        merge_existing([made], [live], appset(ignored_fields=JQ))


@pytest.mark.parametrize("pointers", [(), ("/spec/project",)], ids=["whole", "ignoring"])
def test_one_and_true_are_not_the_same_to_a_chart(pointers: tuple[str, ...]) -> None:
    def with_value(value: object) -> Application:
        source = {"repoURL": "https://git.example.com/a.git", "chart": "c", "targetRevision": "1"}
        return application("a", source={**source, "helm": {"valuesObject": {"enabled": value}}})

    ignored = (IgnoredField(json_pointers=pointers),) if pointers else ()
    (after,) = merge_existing([with_value(True)], [with_value(1)], appset(ignored_fields=ignored))
    assert after.document["spec"]["source"]["helm"]["valuesObject"]["enabled"] is True

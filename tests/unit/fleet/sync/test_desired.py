"""Desired state: namespaces, marks, rules, order; and a problem never hides the rest."""

import random

import pytest

from fleet.codec import yamldoc
from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput, Denied, NotReady
from fleet.model.assignment import IgnoreRule, KindPattern, ProjectRules, Section
from fleet.model.identity import ObjectRef
from fleet.sync.desired import Desired, desired_manifests
from fleet.sync.manifest import OWNED_LABEL, TRACKING_ID, Protection, Scope

CLUSTER_KINDS = {"Namespace", "ClusterRole", "CustomResourceDefinition", "PersistentVolume"}
KNOWN = {"ConfigMap", "Secret", "Service", "Deployment", "Job", *CLUSTER_KINDS}
RULES = ProjectRules(name="p", namespaces=("*",), cluster_kinds=(KindPattern(group="*", kind="*"),))


def scope_of(_group: str, kind: str) -> Scope | None:
    if kind not in KNOWN:
        return None
    return Scope.CLUSTER if kind in CLUSTER_KINDS else Scope.NAMESPACED


def objects(text: str) -> list[JsonObject]:
    return [document.value for document in yamldoc.load_documents(text)]


def desired(text: str, **fields: object) -> Desired:
    section = Section(
        **{"target": "app", "project": RULES, "namespace": "home", "artifact": "sha256:a", **fields}  # type: ignore[arg-type]
    )
    return desired_manifests(section, objects(text), scope_of, cluster="c1")


def names(found: Desired) -> list[str]:
    return [f"{item.ref.kind}/{item.ref.name}" for item in found.manifests]


def test_namespace_and_marks_are_added_and_the_input_stays() -> None:
    text = """
apiVersion: v1
kind: ConfigMap
metadata: {name: a, labels: {x: z}, creationTimestamp: null}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: b, namespace: own}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: c, namespace: nonsense}
"""
    given = objects(text)
    before = objects(text)
    section = Section(target="app", project=RULES, namespace="home", artifact="sha256:a")
    found = desired_manifests(section, given, scope_of, cluster="c1")
    assert given == before
    assert not found.problems
    a, b, c = (next(m.body for m in found.manifests if m.ref.name == name) for name in "abc")
    assert a["metadata"] == {
        "name": "a",
        "namespace": "home",
        "labels": {"x": "z", OWNED_LABEL: "true"},
        "annotations": {TRACKING_ID: "app:/ConfigMap:home/a"},
    }
    assert b["metadata"]["namespace"] == "own"
    assert "namespace" not in c["metadata"]
    assert c["metadata"]["annotations"][TRACKING_ID] == (
        "app:rbac.authorization.k8s.io/ClusterRole:/c"
    )


ORDER = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: d}
---
apiVersion: v1
kind: Service
metadata: {name: s}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: late, annotations: {argocd.argoproj.io/sync-wave: "2"}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: early, namespace: other, annotations: {argocd.argoproj.io/sync-wave: "-1"}}
---
apiVersion: v1
kind: Namespace
metadata: {name: other, annotations: {argocd.argoproj.io/sync-wave: "5"}}
---
apiVersion: example.com/v1
kind: Secret
metadata: {name: custom, annotations: {argocd.argoproj.io/sync-wave: "1"}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: secrets.example.com, annotations: {argocd.argoproj.io/sync-wave: "3"}}
spec: {group: example.com, scope: Namespaced, names: {kind: Secret}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: b}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
"""


def test_order_is_wave_then_kind_then_name_with_namespaces_and_crds_first() -> None:
    assert names(desired(ORDER)) == [
        "Namespace/other",
        "ConfigMap/early",
        "ConfigMap/a",
        "ConfigMap/b",
        "Service/s",
        "Deployment/d",
        "CustomResourceDefinition/secrets.example.com",
        "Secret/custom",
        "ConfigMap/late",
    ]


def test_order_does_not_depend_on_the_input_order() -> None:
    section = Section(target="app", project=RULES, namespace="home", artifact="sha256:a")
    expected = desired(ORDER)
    given = objects(ORDER)
    for seed in range(20):
        random.Random(seed).shuffle(given)
        assert desired_manifests(section, given, scope_of, cluster="c1") == expected


CR = "{apiVersion: example.com/v1, kind: Widget, metadata: {name: w}}"
CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec: {group: example.com, scope: SCOPE, names: {kind: Widget}}
"""


@pytest.mark.parametrize(("scope", "namespace"), [("Cluster", ""), ("Namespaced", "home")])
def test_scope_of_a_kind_that_the_artifact_brings_itself(scope: str, namespace: str) -> None:
    found = desired(f"{CR}\n---{CRD.replace('SCOPE', scope)}")
    assert names(found) == ["CustomResourceDefinition/widgets.example.com", "Widget/w"]
    assert found.manifests[1].ref.namespace == namespace


@pytest.mark.parametrize(
    ("text", "fields", "error", "message"),
    [
        (CR, {}, NotReady, "does not know the kind Widget of group example.com"),
        (
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}",
            {"namespace": ""},
            BadInput,
            "ConfigMap a names no namespace and its application has no destination.namespace",
        ),
        (
            "{apiVersion: v1, kind: ConfigMap, metadata: {}}",
            {},
            BadInput,
            "needs apiVersion, kind and metadata.name",
        ),
        (
            "{apiVersion: batch/v1, kind: Job, metadata: {generateName: j-}}",
            {},
            BadInput,
            "generateName",
        ),
        (
            "{apiVersion: v1, kind: Secret, metadata: {name: a, annotations: {argocd.argoproj.io/sync-wave: x}}}",
            {},
            BadInput,
            "sync wave 'x' is not a whole number",
        ),
        (
            "{apiVersion: v1, kind: Namespace, metadata: {name: a}}",
            {"project": ProjectRules(name="tight", namespaces=("*",))},
            Denied,
            "project tight does not permit Namespace a",
        ),
        (
            "{apiVersion: v1, kind: Secret, metadata: {name: a, namespace: kube-system}}",
            {"project": ProjectRules(name="tight", namespaces=("home",))},
            Denied,
            "project tight does not permit Secret a in namespace kube-system",
        ),
    ],
    ids=[
        "unknown kind",
        "no namespace",
        "no name",
        "generateName",
        "bad wave",
        "cluster kind",
        "namespace",
    ],
)
def test_a_problem_names_its_object_and_the_rest_goes_on(
    text: str, fields: dict[str, object], error: type[Exception], message: str
) -> None:
    fine = "{apiVersion: v1, kind: ConfigMap, metadata: {name: fine, namespace: home}}"
    found = desired(f"{text}\n---\n{fine}", **fields)
    assert names(found) == ["ConfigMap/fine"]
    (problem,) = found.problems
    assert isinstance(problem.error, error)
    assert message in str(problem.error)
    assert found.error() is problem.error


def test_what_needs_a_human_is_raised_before_what_may_come() -> None:
    bad = "{apiVersion: v1, kind: ConfigMap, metadata: {generateName: x}}"
    assert isinstance(desired(f"{CR}\n---\n{bad}").error(), BadInput)


@pytest.mark.parametrize(
    ("options", "text", "expected"),
    [
        ((), "ConfigMap", ["ConfigMap/a"]),
        (("CreateNamespace=true",), "ConfigMap", ["Namespace/home", "ConfigMap/a"]),
        (("CreateNamespace=false",), "ConfigMap", ["ConfigMap/a"]),
    ],
    ids=["not asked", "asked", "denied"],
)
def test_create_namespace(options: tuple[str, ...], text: str, expected: list[str]) -> None:
    body = f"{{apiVersion: v1, kind: {text}, metadata: {{name: a}}}}"
    found = desired(body, sync_options=options)
    assert names(found) == expected
    made = [item for item in found.manifests if not item.tracked]
    assert [item.keep for item in made] == [True] * len(made)
    assert all(OWNED_LABEL not in str(item.body) for item in made)


def test_a_namespace_of_the_artifact_wins_over_create_namespace() -> None:
    text = "{apiVersion: v1, kind: Namespace, metadata: {name: home, labels: {a: b}}}"
    (made,) = desired(text, sync_options=("CreateNamespace=true",)).manifests
    assert made.tracked
    assert made.body["metadata"]["labels"]["a"] == "b"


def test_an_empty_artifact_stays_empty() -> None:
    section = Section(
        target="app",
        project=RULES,
        namespace="home",
        artifact="sha256:a",
        sync_options=("CreateNamespace=true",),
    )
    assert desired_manifests(section, [], scope_of, cluster="c").manifests == ()


def test_the_last_of_two_equal_names_counts_with_a_warning() -> None:
    text = """
{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {k: first}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: home}, data: {k: last}}
"""
    found = desired(text)
    assert [item.body["data"] for item in found.manifests] == [{"k": "last"}]
    assert found.warnings == ("/ConfigMap:home/a is there twice, the last one counts",)


@pytest.mark.parametrize("second", [True, False], ids=["a-hook", "no-hook"])
@pytest.mark.parametrize("first", [True, False], ids=["hook", "no-hook"])
def test_the_last_of_two_objects_counts_hooks_among_them(first: bool, second: bool) -> None:
    mark = "annotations: {argocd.argoproj.io/hook: PreSync}"
    found = desired(
        "---".join(
            f"\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a, {mark if is_hook else ''}}}\n"
            for is_hook in (first, second)
        )
    )
    assert (len(found.hooks), len(found.manifests)) == ((1, 0) if second else (0, 1))
    assert found.warnings == ("/ConfigMap:home/a is there twice, the last one counts",)


def test_lists_are_opened_and_test_hooks_dropped() -> None:
    text = """
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}
- {apiVersion: v1, kind: Pod, metadata: {name: t, annotations: {helm.sh/hook: test}}}
- {apiVersion: v1, kind: Secret, metadata: {name: s, annotations: {argocd.argoproj.io/hook: Skip}}}
"""
    assert names(desired(text)) == ["ConfigMap/a"]


@pytest.mark.parametrize(
    ("rule", "pointers"),
    [
        (
            IgnoreRule(group="apps", kind="Deployment", json_pointers=("/spec/replicas",)),
            ("/spec/replicas",),
        ),
        (IgnoreRule(group="*", kind="*", json_pointers=("/a",)), ("/a",)),
        (IgnoreRule(group="", kind="Deployment", json_pointers=("/a",)), ()),
        (IgnoreRule(group="apps", kind="Deployment", name="other", json_pointers=("/a",)), ()),
        (
            IgnoreRule(group="apps", kind="Deployment", namespace="home", json_pointers=("/a",)),
            ("/a",),
        ),
        (IgnoreRule(group="apps", kind="Deployment", namespace="x", json_pointers=("/a",)), ()),
    ],
    ids=["exact", "globs", "other group", "other name", "namespace", "other namespace"],
)
def test_ignore_rules_reach_their_objects(rule: IgnoreRule, pointers: tuple[str, ...]) -> None:
    text = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, spec: {replicas: 2}}"
    (item,) = desired(text, ignore=(rule,)).manifests
    assert item.ignore.pointers == pointers


def test_an_ignored_field_does_not_change_the_digest_but_others_do() -> None:
    rule = IgnoreRule(group="apps", kind="Deployment", json_pointers=("/spec/replicas",))

    def text(replicas: int, other: int) -> str:
        return (
            "{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, "
            f"spec: {{replicas: {replicas}, minReadySeconds: {other}}}}}"
        )

    one, two, three = (
        desired(text(*values), ignore=(rule,)).manifests[0].digest
        for values in ((1, 1), (2, 1), (1, 2))
    )
    assert one == two != three


@pytest.mark.parametrize(
    ("annotation", "pruning", "deletion"),
    [
        ("argocd.argoproj.io/sync-options: Prune=false", Protection.KEEP, Protection.NONE),
        (
            "argocd.argoproj.io/sync-options: 'Validate=false, Delete=confirm'",
            Protection.NONE,
            Protection.CONFIRM,
        ),
        ("helm.sh/resource-policy: keep", Protection.KEEP, Protection.KEEP),
        ("argocd.argoproj.io/sync-options: Prune=true", Protection.FREE, Protection.NONE),
    ],
)
def test_what_its_author_wants_kept(
    annotation: str, pruning: Protection, deletion: Protection
) -> None:
    text = (
        f"{{apiVersion: v1, kind: ConfigMap, metadata: {{name: d, annotations: {{{annotation}}}}}}}"
    )
    (found,) = desired(text).manifests
    assert (found.keep, found.pruning, found.deletion) == (False, pruning, deletion)


def test_refs_contain_problems_too() -> None:
    found = desired(
        "{apiVersion: v1, kind: Secret, metadata: {name: a, namespace: x}}",
        project=ProjectRules(name="t", namespaces=("home",)),
    )
    assert found.refs == {ObjectRef("", "Secret", "x", "a")}


HOOKS = """
apiVersion: v1
kind: Namespace
metadata: {name: home, annotations: {argocd.argoproj.io/sync-wave: "5"}}
---
apiVersion: batch/v1
kind: Job
metadata: {generateName: migrate-, annotations: {argocd.argoproj.io/hook: PreSync, argocd.argoproj.io/sync-wave: "-1"}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: test, annotations: {helm.sh/hook: test}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: typo, annotations: {argocd.argoproj.io/hook: presync}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
"""


def test_hooks_are_apart_and_what_they_need_comes_before_them() -> None:
    found = desired(HOOKS)
    assert [(hook.ref.name, hook.generated, hook.wave) for hook in found.hooks] == [
        ("migrate-", True, -1)
    ]
    assert names(found) == ["Namespace/home", "ConfigMap/a"]
    assert [item.key[:2] for item in found.manifests] == [(0, -1), (1, 0)]
    assert found.warnings == ("batch/Job:/typo is never applied: no sync has a presync hook",)


def test_a_project_s_rules_hold_for_hooks_too() -> None:
    rules = ProjectRules(name="p", namespaces=("elsewhere",))
    found = desired(HOOKS, project=rules)
    assert not found.hooks
    assert {type(problem.error) for problem in found.problems} == {Denied}

"""Ignore rules of argocd-cm."""

from __future__ import annotations

import pytest

from fleet.jq.paths import Batch, JqPaths
from fleet.model.assignment import IgnoreRule
from fleet.sync.globalrules import GlobalRules, global_rules
from fleet.testing.clock import FakeClock

RULES = "resource.customizations.ignoreDifferences."
REPLICAS = "jsonPointers: [/spec/replicas]"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({}, ()),
        ({"url": "https://argo.example.com", "resource.customizations.health.x": "return"}, ()),
        (
            {f"{RULES}apps_Deployment": REPLICAS},
            (IgnoreRule(group="apps", kind="Deployment", json_pointers=("/spec/replicas",)),),
        ),
        (
            {f"{RULES}admissionregistration.k8s.io_MutatingWebhookConfiguration": (
                "jqPathExpressions:\n- '.webhooks[]?.clientConfig.caBundle'\n"
            )},
            (
                IgnoreRule(
                    group="admissionregistration.k8s.io",
                    kind="MutatingWebhookConfiguration",
                    jq_expressions=(".webhooks[]?.clientConfig.caBundle",),
                ),
            ),
        ),
        (
            {f"{RULES}ConfigMap": "managedFieldsManagers: [injector]"},
            (IgnoreRule(group="", kind="ConfigMap", managers=("injector",)),),
        ),
        (
            {f"{RULES}all": "managedFieldsManagers: [kube-controller-manager]\njsonPointers:\n"},
            (IgnoreRule(group="*", kind="*", managers=("kube-controller-manager",)),),
        ),
        ({f"{RULES}all": "jsonPointers: []"}, ()),
        (
            {
                "resource.customizations": (
                    "apps/Deployment:\n  ignoreDifferences: |\n    jsonPointers: [/spec/replicas]\n"
                    "argoproj.io/Rollout:\n  health.lua: return\n"
                )
            },
            (IgnoreRule(group="apps", kind="Deployment", json_pointers=("/spec/replicas",)),),
        ),
        ({"resource.compareoptions": "ignoreAggregatedRoles: false"}, ()),
        ({"resource.compareoptions": "ignoreResourceStatusField: all"}, ()),
    ],
    ids=[
        "empty", "other keys", "pointers", "jq", "core group", "all", "no rule", "older form", "option off",
        "status",
    ],
)  # fmt: skip
def test_rules(data: dict[str, str], expected: tuple[IgnoreRule, ...]) -> None:
    assert global_rules(data) == GlobalRules(rules=expected)


def test_aggregated_roles() -> None:
    (rule,) = global_rules({"resource.compareoptions": "ignoreAggregatedRoles: true"}).rules
    assert (rule.group, rule.kind) == ("rbac.authorization.k8s.io", "ClusterRole")
    assert rule.jq_expressions


def test_what_is_not_followed_is_said() -> None:
    found = global_rules(
        {
            f"{RULES}apps_Deployment": f"{REPLICAS}\njsonpointers: [/a]",
            "resource.compareoptions": "ignoreResourceStatusField: none",
        }
    )
    assert len(found.rules) == 1
    assert found.warnings == (
        f"{RULES}apps_Deployment: unknown field jsonpointers",
        "resource.compareoptions: ignoreResourceStatusField 'none' is not followed: a status is never compared",
    )


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({f"{RULES}apps_Deployment": "[1"}, "apps_Deployment cannot be used"),
        ({f"{RULES}apps_Deployment": "text"}, "no map"),
        ({f"{RULES}apps_Deployment": "jsonPointers: /a"}, "jsonPointers cannot be used"),
        ({f"{RULES}apps_Deployment": "jsonPointers: [1]"}, "no list of texts"),
        ({f"{RULES}apps_": REPLICAS}, "names no kind"),
        ({f"{RULES}a_b_C": REPLICAS}, "names no kind"),
        ({"resource.compareoptions": "- a"}, "resource.compareoptions cannot be used"),
        ({"resource.customizations": "a/B: {ignoreDifferences: 1}"}, "a/B"),
    ],
    ids=[
        "yaml",
        "text",
        "one text",
        "number",
        "no kind",
        "too many parts",
        "options",
        "older form",
    ],
)
def test_what_cannot_be_read_is_named(data: dict[str, str], said: str) -> None:
    (problem,) = global_rules(data).problems
    assert said in problem.message
    assert problem.where.field == f"data.{next(iter(data))}"
    assert problem.where.object == "ConfigMap/argocd-cm"


DEPLOYMENT = IgnoreRule(group="apps", kind="Deployment", json_pointers=("/spec/replicas",))
SERVICE = IgnoreRule(kind="Service", json_pointers=("/spec/clusterIP",))
ROLE = IgnoreRule(group="rbac.authorization.k8s.io", kind="ClusterRole", json_pointers=("/rules",))
ALL = IgnoreRule(group="*", kind="*", managers=("injector",))
BROKEN = "jsonPointers: 7"


@pytest.mark.parametrize(
    ("data", "kept"),
    [
        ({f"{RULES}apps_Deployment": BROKEN}, (DEPLOYMENT,)),
        ({f"{RULES}all": BROKEN}, (ALL,)),
        ({f"{RULES}Pod": BROKEN}, ()),
        ({f"{RULES}a_b_C": REPLICAS}, ()),
        ({"resource.customizations": "apps/Deployment: {ignoreDifferences: 1}"}, (DEPLOYMENT,)),
        ({"resource.customizations": "[1"}, (DEPLOYMENT, ROLE, ALL)),
        ({"resource.compareoptions": "[1"}, (ROLE,)),
    ],
    ids=[
        "its kind",
        "all kinds",
        "another kind",
        "no kind",
        "older entry",
        "older text",
        "options",
    ],
)
def test_a_key_that_cannot_be_read_keeps_the_rules_of_its_kinds_and_spoils_no_other(
    data: dict[str, str], kept: tuple[IgnoreRule, ...]
) -> None:
    service = {f"{RULES}Service": "jsonPointers: [/spec/clusterIP]"}
    found = global_rules({**service, **data}, (DEPLOYMENT, ROLE, ALL))
    assert found.rules == (SERVICE, *kept)
    (problem,) = found.problems
    assert ("were in force before stay" in problem.message) == bool(kept)


def test_a_key_that_was_never_read_leaves_its_kind_alone_where_earlier_rules_are_unknown() -> None:
    """A hub without a past: a field that the key means to leave alone would be put back at once."""
    found = global_rules({f"{RULES}apps_Deployment": BROKEN, f"{RULES}Service": BROKEN}, None)
    assert [(rule.group, rule.kind) for rule in found.rules] == [
        ("", "Service"),
        ("apps", "Deployment"),
    ]
    assert "objects of apps/Deployment are not compared" in found.problems[1].message
    (rule,) = global_rules({"resource.customizations": "[1"}, None).rules
    assert (rule.group, rule.kind) == ("*", "*")
    again = global_rules({f"{RULES}apps_Deployment": BROKEN}, found.rules)
    assert again.rules == found.rules[1:], "and so it stays until the key is mended"
    mended = global_rules({f"{RULES}apps_Deployment": REPLICAS}, again.rules)
    assert mended.rules == (DEPLOYMENT,)


async def test_what_is_left_alone_is_all_that_an_object_says() -> None:
    (rule,) = global_rules({f"{RULES}Pod": BROKEN}, None).rules
    paths = JqPaths(FakeClock())
    try:
        live = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "labels": {"b": "c"}}}
        batch = Batch(
            documents=({**live, "spec": {}, "data": {}},), expressions=rule.jq_expressions
        )
        ((answer,),) = await paths.delete([batch])
    finally:
        await paths.close()
    assert answer == {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}

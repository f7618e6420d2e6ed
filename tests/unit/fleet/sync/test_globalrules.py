"""Ignore rules of argocd-cm."""

from __future__ import annotations

import pytest

from fleet.errors import BadInput
from fleet.model.assignment import IgnoreRule
from fleet.sync.globalrules import GlobalRules, global_rules

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
    with pytest.raises(BadInput, match=said):
        global_rules(data)

"""The users' rules: which keys mean what, which rule is asked, and what is said of keys that cannot be used."""

from __future__ import annotations

import pytest

from fleet.codec import yamldoc
from fleet.codec.jsontypes import JsonObject
from fleet.health.customrules import MAX_LENGTH, has_rules, rules_of
from fleet.model.healthrules import HealthRule, HealthRules, Language

LUA = "return {}"


def config_map(data: JsonObject) -> JsonObject:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "argocd-cm"},
        "data": data,
    }


def rules(data: JsonObject) -> HealthRules:
    found = rules_of(config_map(data))
    assert found.problems == ()
    return found.rules


@pytest.mark.parametrize(
    ("key", "group", "kind", "language"),
    [
        pytest.param("resource.customizations.health.argoproj.io_Application", "argoproj.io", "Application", "lua", id="lua"),
        pytest.param("resource.customizations.health.Pod", "", "Pod", "lua", id="core"),
        pytest.param("resource.customizations.health._Pod", "", "Pod", "lua", id="core-with-empty-group"),
        pytest.param("resource.customizations.health.*.example.com_*", "*.example.com", "*", "lua", id="wildcards"),
        pytest.param("gitopsfleet.health.example.com_Widget", "example.com", "Widget", "cel", id="cel"),
    ],
)  # fmt: skip
def test_keys(key: str, group: str, kind: str, language: str) -> None:
    (rule,) = rules({key: LUA}).rules
    assert rule == HealthRule(
        group=group, kind=kind, language=Language(language), text=LUA, source=key
    )


def test_the_older_form_and_that_a_newer_key_replaces_it() -> None:
    old = yamldoc.dump(
        {
            "argoproj.io/Application": {"health.lua": "old", "actions": "x"},
            "*.aws.crossplane.io/*": {"health.lua": LUA},
            "Pod": {"health.lua": LUA},
            "apps/Deployment": {"ignoreDifferences": "x"},
        }
    )
    found = rules(
        {
            "resource.customizations": old,
            "resource.customizations.health.argoproj.io_Application": "new",
        }
    )
    assert {(rule.group, rule.kind): rule.text for rule in found.rules} == {
        ("argoproj.io", "Application"): "new",
        ("*.aws.crossplane.io", "*"): LUA,
        ("", "Pod"): LUA,
    }


def test_other_keys_are_none_of_ours() -> None:
    data = {
        "timeout.reconciliation": "60s",
        "resource.customizations.useOpenLibs.apps_Deployment": "true",
        "resource.customizations.actions.apps_Deployment": "x",
    }
    assert rules(data).rules == ()
    assert not has_rules(config_map(data))
    assert has_rules(config_map({"resource.customizations": ""}))
    assert not has_rules({**config_map({"gitopsfleet.health.Pod": "'x'"}), "kind": "Secret"})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param({"resource.customizations.health.a_b_c": LUA}, "does not end in <group>_<Kind>", id="key"),
        pytest.param({"resource.customizations.health.": LUA}, "does not end in <group>_<Kind>", id="no-kind"),
        pytest.param({"resource.customizations.health.Pod": " "}, "holds no lua text", id="empty"),
        pytest.param({"gitopsfleet.health.Pod": 3}, "holds no cel text", id="number"),
        pytest.param({"gitopsfleet.health.Pod": "x" * (MAX_LENGTH[Language.CEL] + 1)}, "is longer than 4096", id="long"),
        pytest.param({"resource.customizations": "a: ["}, "not valid YAML", id="old-no-yaml"),
        pytest.param({"resource.customizations": "- a"}, "is no map", id="old-no-map"),
        pytest.param({"resource.customizations": "a/b/c: {health.lua: x}"}, "a/b/c is no group/Kind", id="old-kind"),
        pytest.param({"resource.customizations": "a/B: {health.lua: [x]}"}, "a/B holds no lua text", id="old-text"),
        pytest.param(
            {"resource.customizations.health.Pod": LUA, "gitopsfleet.health.Pod": "'x'"},
            "gitopsfleet.health.Pod is about the same kind",
            id="two-languages",
        ),
    ],
)  # fmt: skip
def test_a_key_that_cannot_be_used_is_named_and_stops_no_other(
    data: JsonObject, message: str
) -> None:
    found = rules_of(
        config_map({**data, "resource.customizations.health.ok.io_Ok": LUA}), file="cm.yaml"
    )
    (problem,) = found.problems
    assert message in str(problem)
    assert str(problem).startswith("cm.yaml: ConfigMap argocd-cm: data.")
    assert ("ok.io", "Ok") in [(rule.group, rule.kind) for rule in found.rules.rules]


@pytest.mark.parametrize(
    ("group", "kind", "expected"),
    [
        pytest.param("iam.example.com", "Role", "iam.example.com Role", id="exact"),
        pytest.param("iam.example.com", "User", "iam.example.com *", id="group"),
        pytest.param("s3.example.com", "Role", "*.example.com Role", id="glob-of-groups"),
        pytest.param("s3.example.com", "Bucket", "*.example.com *", id="all"),
        pytest.param("example.org", "Role", None, id="none"),
    ],
)
def test_the_most_specific_rule_is_asked(group: str, kind: str, expected: str | None) -> None:
    names = (
        "*.example.com *",
        "iam.example.com *",
        "*.example.com Role",
        "iam.example.com Role",
    )
    found = HealthRules(
        rules=tuple(
            HealthRule(
                group=name.split()[0],
                kind=name.split()[1],
                language=Language.LUA,
                text=LUA,
                source=name,
            )
            for name in names
        )
    ).find(group, kind)
    assert (found.source if found else None) == expected

"""The fleet's own rules, out of its argocd-cm."""

from __future__ import annotations

import pytest

from fleet.codec.jsontypes import JsonObject
from fleet.model.assignment import ClusterRules
from fleet.wire.rules import decode_rules, encode_rules
from hub.rules import cluster_rules

LUA = "hs = {status = 'Healthy'} return hs"
HEALTH = "resource.customizations.health.example.test_Widget"
IGNORE = "resource.customizations.ignoreDifferences.apps_Deployment"


def settings(data: JsonObject, *, name: str = "argocd-cm", namespace: str = "argocd") -> JsonObject:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": data,
    }


GOOD = {HEALTH: LUA, IGNORE: "jsonPointers:\n- /spec/replicas\n"}


def test_rules_are_read_and_go_over_the_wire() -> None:
    rules, problems = cluster_rules([settings({}, name="other"), settings(GOOD)], ClusterRules())
    assert problems == ()
    (health,) = rules.health.rules
    assert (health.group, health.kind, health.text) == ("example.test", "Widget", LUA)
    (ignored,) = rules.ignore
    assert (ignored.group, ignored.kind, ignored.json_pointers) == (
        "apps", "Deployment", ("/spec/replicas",),
    )  # fmt: skip
    digest, data = encode_rules(rules)
    assert decode_rules(data, digest) == rules  # type: ignore[arg-type]  # a digest


def test_no_settings_are_no_rules() -> None:
    before, _ = cluster_rules([settings(GOOD)], ClusterRules())
    assert cluster_rules([], before) == (ClusterRules(), ())
    assert encode_rules(ClusterRules()) == ("", b"")


@pytest.mark.parametrize(
    ("key", "text"),
    [(HEALTH, " "), (IGNORE, "jsonPointers: 7\n")],
    ids=["health", "ignore"],
)
def test_a_key_that_cannot_be_read_leaves_what_was_in_force(key: str, text: str) -> None:
    before, _ = cluster_rules([settings(GOOD)], ClusterRules())
    rules, problems = cluster_rules([settings({**GOOD, key: text})], before)
    assert rules == before
    (problem,) = problems
    assert key in problem.message or key in problem.where.field
    assert problem.fatal

"""The fleet's own rules, out of its argocd-cm."""

from __future__ import annotations

from typing import cast

import pytest

from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.errors import Transient, Where
from fleet.model.assignment import ClusterRules
from fleet.testing.store import MemoryStore
from fleet.wire.rules import decode_rules, encode_rules
from hub.rules import FleetRules, cluster_rules
from hub.state import State

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


def test_a_problem_names_the_file_and_only_its_key_is_missing() -> None:
    service = IGNORE.replace("apps_Deployment", "Service")
    data = {**GOOD, service: "7", "resource.compareoptions": "ignoreAggregatedRoles: true"}
    others, place = settings({}, name="other"), Where(file="fleet/argocd-cm.yaml", line=3)
    rules, problems = cluster_rules(
        [others, settings(data)], ClusterRules(), places=[Where(), place]
    )
    assert [rule.kind for rule in rules.ignore] == ["Deployment", "ClusterRole"]
    (problem,) = problems
    assert (problem.where.file, problem.where.line) == ("fleet/argocd-cm.yaml", 3)
    assert problem.where.field == f"data.{service}"
    assert "cannot be used: it is no map; it had no rule in force" in problem.message


async def test_a_hub_without_a_past_compares_nothing_that_an_unreadable_key_names() -> None:
    store = MemoryStore()
    broken = [settings({IGNORE: "jsonPointers: 7"})]
    hub = FleetRules(store=store, state=State())
    await hub.follow(
        [], complete=False
    )  # its repository is not read yet: nothing is known of a past
    await hub.follow(broken, complete=True)
    held = hub.state.rules
    assert [(rule.group, rule.kind) for rule in held.ignore] == [("apps", "Deployment")]
    again = FleetRules(store=store, state=State())
    await again.restore()
    await again.follow(broken, complete=True)
    assert again.state.rules == held
    await again.follow([settings({})], complete=True)
    await again.follow(broken, complete=True)
    assert again.state.rules == ClusterRules(), "it is known that there was none"


@pytest.mark.parametrize("data", ["a text", ["a", "list"], 7], ids=["text", "list", "number"])
def test_data_that_is_no_map_leaves_what_was_in_force_and_is_said(data: JsonValue) -> None:
    before, _ = cluster_rules([settings(GOOD)], ClusterRules())
    rules, problems = cluster_rules([settings(cast("JsonObject", data))], before)
    assert rules == before
    (problem,) = problems
    assert problem.fatal
    assert (problem.where.object, problem.where.field) == ("ConfigMap/argocd-cm", "data")


def test_settings_may_be_in_a_repository_that_was_not_read_yet() -> None:
    before, _ = cluster_rules([settings(GOOD)], ClusterRules())
    assert cluster_rules([], before, complete=False) == (before, ())


async def test_what_is_in_force_survives_a_stop_and_is_durable_before_it_counts() -> None:
    """A key that is broken by now leaves it in force: nothing else remembers what it said."""
    store, state = MemoryStore(), State()
    await FleetRules(store=store, state=state).follow([settings(GOOD)], complete=True)
    wanted = state.rules
    broken = [settings({HEALTH: " ", IGNORE: "jsonPointers: 7"})]
    again = FleetRules(store=store, state=State())
    await again.restore()
    assert len(await again.follow(broken, complete=True)) == 2
    assert again.state.rules == wanted
    commits = store.commits
    await again.follow([settings(GOOD)], complete=True)
    assert store.commits == commits, "nothing changed"
    store.fail_next()
    with pytest.raises(Transient):
        await again.follow([], complete=True)
    assert again.state.rules == wanted

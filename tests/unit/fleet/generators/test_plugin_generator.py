"""The plugin generator: what it asks for, and what becomes of the answer in both template modes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from fleet.generators import Failed, Generated, Missing, evaluate_set
from fleet.model.answers import NOT_CONFIGURED, PluginRequest, Rows
from fleet.model.appset import ApplicationSet
from fleet.model.cluster import Cluster
from fleet.model.identity import ClusterName
from fleet.model.world import Unavailable, World

MakeSet = Callable[..., ApplicationSet]
WORLD = World(clusters=(Cluster(name=ClusterName("alpha"), server="https://alpha"),))
GENERATORS = """
- plugin:
    configMapRef: {name: rows}
    input: {parameters: {n: 2, deep: {a: [1]}}}
    values: {v: '{{.name}}!'}
"""
TEMPLATE = """
metadata: {name: '{{.name}}', annotations: {all: '{{.values.v}} {{.more.x}} {{.generator.input.parameters.n}}'}}
spec:
  project: default
  source: {repoURL: https://git.example.com/x.git, path: apps}
  destination: {server: https://alpha, namespace: demo}
"""
REQUEST = PluginRequest(config="rows", appset="set", parameters=b'{"deep":{"a":[1]},"n":2}')
ROWS: Rows = ({"name": "b", "more": {"x": 1}}, {"name": "a", "more": {"x": "y"}})


def evaluate(appset: ApplicationSet, answer: Rows | Unavailable) -> Generated | Failed:
    assert evaluate_set(appset, WORLD) == Missing(requests=frozenset({REQUEST}))
    result = evaluate_set(appset, replace(WORLD, answers={REQUEST: answer}))
    assert not isinstance(result, Missing)
    return result


def test_rows_in_go_mode(make_set: MakeSet) -> None:
    result = evaluate(make_set(GENERATORS, TEMPLATE), ROWS)
    assert isinstance(result, Generated)
    assert [(item.name, item.annotations["all"], item.row) for item in result.applications] == [
        ("a", "a! y 2", "generators[0].plugin[rows#1]"),
        ("b", "b! 1 2", "generators[0].plugin[rows#0]"),
    ]


def test_rows_in_fast_mode(make_set: MakeSet) -> None:
    appset = make_set(
        GENERATORS.replace("{{.", "{{"), TEMPLATE.replace("{{.", "{{"), goTemplate=False
    )
    result = evaluate(appset, ROWS)
    assert isinstance(result, Generated)
    assert result.applications[0].annotations["all"] == "a! y 2"


def test_no_rows(make_set: MakeSet) -> None:
    assert evaluate(make_set(GENERATORS, TEMPLATE), ()).errors == ()


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        (NOT_CONFIGURED, "error getting plugin from generator: error fetching ConfigMap: gone"),
        ("Unavailable", "error getting plugin from generator: error listing params: gone"),
    ],
)
def test_failures(make_set: MakeSet, reason: str, message: str) -> None:
    answer = Unavailable(since=datetime(2026, 1, 1, tzinfo=UTC), reason=reason, message="gone")
    result = evaluate(make_set(GENERATORS, TEMPLATE), answer)
    assert isinstance(result, Failed)
    assert result.errors[0].message == message

"""The clusterDecisionResource generator over documents of a fleet repository."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import yaml

from fleet.argo.assembly import assemble
from fleet.argo.documents import read_fleet_documents
from fleet.codec.yamldoc import load_documents
from fleet.generators import Failed, Generated, Missing, evaluate_set
from fleet.model.appset import ApplicationSet
from fleet.model.cluster import Cluster
from fleet.model.identity import ClusterName
from fleet.model.world import World

MakeSet = Callable[..., ApplicationSet]
CLUSTERS = tuple(
    Cluster(name=ClusterName(name), server=f"https://{name}") for name in ("alpha", "beta")
)
CONFIG = """
apiVersion: v1
kind: ConfigMap
metadata: {name: placements}
data: {apiVersion: cluster.example.com/v1beta1, kind: placementdecisions, statusListKey: decisions, matchKey: clusterName}
"""
DECISION = """
apiVersion: cluster.example.com/v1beta1
kind: PlacementDecision
metadata: {name: web, labels: {app: web}}
status:
  decisions:
  - {clusterName: beta, reason: near, weight: 3}
  - {clusterName: unknown}
  - {clusterName: alpha, reason: spare}
"""
TEMPLATE = """
metadata: {name: 'web-{{.name}}', annotations: {why: '{{.reason}} {{.server}} {{.values.v}}'}}
spec:
  project: default
  source: {repoURL: https://git.example.com/x.git, path: apps}
  destination: {name: '{{.name}}', namespace: demo}
"""


def world(*documents: str) -> World:
    """As a fleet repository with these documents gives it."""
    text = "\n---\n".join(documents)
    found = read_fleet_documents(load_documents(text, source="x.yaml", positions=True))
    assembled, _problems = assemble([found], CLUSTERS)
    return assembled


def generators(config: str) -> str:
    return f"[{{clusterDecisionResource: {{configMapRef: placements, {config}}}}}]"


@pytest.mark.parametrize(
    "choice",
    [
        "name: web",
        "labelSelector: {matchLabels: {app: web}}",
        "labelSelector: {matchExpressions: [{key: app, operator: In, values: [web, api]}]}",
    ],
)
def test_decisions_become_rows(make_set: MakeSet, choice: str) -> None:
    # values of this generator are not filled, as in Argo CD
    appset = make_set(generators(choice + ", values: {v: '{{ .name }}'}"), TEMPLATE)
    result = evaluate_set(appset, world(CONFIG, DECISION))
    assert isinstance(result, Generated), result
    assert [(item.name, item.annotations["why"]) for item in result.applications] == [
        ("web-alpha", "spare https://alpha {{ .name }}"),
        ("web-beta", "near https://beta {{ .name }}"),
    ]
    assert result.inputs.resources
    assert result.inputs.clusters


@pytest.mark.parametrize(
    ("documents", "config", "message"),
    [
        ((DECISION,), "name: web", 'error reading configMapRef: ConfigMap "placements" not found (the hub reads no cluster'),
        ((CONFIG,), "name: web", "no clusterDecisionResources found (the hub reads no cluster"),
        ((CONFIG, DECISION), "name: other", "no clusterDecisionResources found"),
        ((CONFIG, DECISION), "labelSelector: {matchLabels: {app: x}}", "no clusterDecisionResources found"),
        ((CONFIG, DECISION), "values: {a: b}", "there is a problem with the definition of the ClusterDecisionResource generator"),
        ((CONFIG, DECISION), "name: web, labelSelector: {matchLabels: {a: b}}", "there is a problem with the definition"),
        ((CONFIG.replace("cluster.example.com/v1beta1", "v1"), DECISION), "name: web", 'ConfigMap "placements": apiVersion v1 has no group'),
        ((CONFIG.replace("kind: placement", "x: placement"), DECISION), "name: web", 'ConfigMap "placements" needs the key kind'),
    ],
)  # fmt: skip
def test_failures(make_set: MakeSet, documents: tuple[str, ...], config: str, message: str) -> None:
    result = evaluate_set(make_set(generators(config)), world(*documents))
    assert isinstance(result, Failed), result
    assert result.errors[0].message.startswith(message)


def changed(status: Any) -> str:
    return yaml.safe_dump({**yaml.safe_load(DECISION), "status": status})


@pytest.mark.parametrize(
    "status", [{}, {"decisions": []}, {"decisions": None}, {"decisions": [{"other": "x"}]}]
)
def test_no_decisions_give_no_rows(make_set: MakeSet, status: Any) -> None:
    result = evaluate_set(make_set(generators("name: web")), world(CONFIG, changed(status)))
    assert isinstance(result, Generated)
    assert result.applications == ()


def test_it_asks_for_nothing(make_set: MakeSet) -> None:
    result = evaluate_set(make_set(generators("name: web")), replace(World(), clusters=CLUSTERS))
    assert not isinstance(result, Missing)

"""``fleet rollout`` against a running hub: what it prints, its schemas, what it refuses, its exit statuses.

No cluster has an agent, so every target is set aside and every step waits.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from fleet.codec.jsontypes import JsonObject
from fleet.testing.estate import wait_until
from fleet.testing.fleets import Fleet
from fleet.testing.repos import RepoBuilder

SCHEMAS = Path(__file__).resolve().parents[2] / "config" / "schemas"

CLUSTERS = """
apiVersion: gitopsfleet.io/v1alpha1
kind: Cluster
metadata: {name: staging}
spec: {}
"""

SET = """
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {name: NAME, namespace: argocd, annotations: {gitopsfleet.io/rollout-soak: 'SOAK'}}
spec:
  goTemplate: true
  generators:
  - list: {elements: [{name: one, stage: canary}, {name: two, stage: rest}, {name: lost, stage: none}]}
  template:
    metadata: {name: 'NAME-{{.name}}', labels: {stage: '{{.stage}}'}}
    spec:
      project: default
      source: {repoURL: MY_REPO, targetRevision: main, path: app}
      destination: {name: staging, namespace: shop}
  strategy:
    type: RollingSync
    rollingSync:
      steps:
      - matchExpressions: [{key: stage, operator: In, values: [canary]}]
      - matchExpressions: [{key: stage, operator: In, values: [rest]}]
        maxUpdate: 50%
"""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("rollouts")
    with Fleet.start(folder, {}, hub={"render": {"requireSandbox": False}}) as started:
        repo: RepoBuilder = started.repo
        sets = "---".join(
            SET.replace("NAME", name).replace("SOAK", soak).replace("MY_REPO", repo.url)
            for name, soak in (("web", "10m,0s"), ("odd", "soon"))
        )
        configmap = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"
        started.commit(
            {
                "fleet/clusters.yaml": CLUSTERS,
                "fleet/sets.yaml": sets,
                "app/cm.yaml": configmap,
            }
        )

        def is_rolling() -> bool:
            ran = started.cli("rollout", "list", "-o", "json")
            rows = {row["name"]: row for row in ran.json["items"]} if ran.status == 0 else {}
            return "web" in rows and rows["web"]["targets"] == 2

        wait_until(is_rolling, what="a rollout of two targets")
        yield started


def schema(name: str) -> JsonObject:
    found: JsonObject = json.loads((SCHEMAS / f"{name}.json").read_text())
    return found


def test_list_and_status_fit_their_schemas(fleet: Fleet) -> None:
    listed = fleet.cli("rollout", "list", "-o", "json").json
    jsonschema.validate(listed, schema("rollout-list"))
    assert [row["name"] for row in listed["items"]] == ["odd", "web"]
    shown = fleet.cli("rollout", "status", "web", "-o", "json")
    assert shown.status == 0
    jsonschema.validate(shown.json, schema("rollout-status"))
    assert [
        (row["number"], row["maxUpdate"], row["soakSeconds"]) for row in shown.json["steps"]
    ] == [
        (1, "", 600),
        (2, "50%", 0),
    ]


def test_status_shows_steps_targets_and_who_matches_none(fleet: Fleet) -> None:
    text = fleet.cli("rollout", "status", "web").text
    assert "Open step: 1 of 2" in text
    assert "staging/web-one 1 SetAside cluster staging is offline" in text
    assert "staging/web-lost - Unmatched matches no step: it is never synced" in text
    assert "Rollout: Progressing, step 1 of 2: 0 of 2 healthy, 1 match no step" in (
        fleet.cli("appset", "get", "web").text
    )


def test_an_invalid_rollout_is_a_problem_with_file_and_field(fleet: Fleet) -> None:
    shown = fleet.cli("rollout", "status", "odd")
    assert shown.status == 4
    assert "gitopsfleet.io/rollout-soak: not a duration: 'soon'" in shown.text
    problems = fleet.cli("problems", "-o", "json").json["items"]
    found = {(row["reason"], row["object"], row["field"]) for row in problems}
    assert ("InvalidRolloutConfig", "ApplicationSet/odd", "spec.strategy") in found
    place = ("MatchesNoStep", "ApplicationSet/web", "spec.strategy.rollingSync.steps")
    assert place in found


def test_orders_and_what_they_refuse(fleet: Fleet) -> None:
    paused = fleet.cli("rollout", "pause", "web", "--reason", "change freeze")
    assert (paused.status, paused.err) == (0, "the rollout of web is Paused\n")
    shown = fleet.cli("rollout", "status", "web")
    assert shown.status == 4, "it goes on only if told to"
    assert "change freeze" in shown.text
    refused = fleet.cli("rollout", "retry", "web")
    assert refused.status == 1
    assert "a rollout that is Paused cannot be told to retry" in refused.err
    assert "fleet rollout resume first" in refused.err
    assert fleet.cli("rollout", "resume", "web").status == 0
    aborted = fleet.cli("rollout", "abort", "web")
    assert aborted.err == "the rollout of web is Aborted\n"
    assert fleet.cli("rollout", "status", "web").status == 4
    assert fleet.cli("rollout", "retry", "web").status == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["status", "nothing"], "there is no ApplicationSet 'nothing'", id="unknown"),
        pytest.param(["pause", "odd"], "has no rollout that could be told to pause", id="invalid"),
    ],
)
def test_mistakes_are_one_line(fleet: Fleet, arguments: list[str], message: str) -> None:
    ran = fleet.cli("rollout", *arguments)
    assert ran.status == 1
    assert message in ran.err
    assert len(ran.err.splitlines()) == 1

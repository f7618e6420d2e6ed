"""Dependencies that cannot be satisfied: a cycle blocks its members and nothing else, so does an unknown name."""

from __future__ import annotations

import time

from fleet.testing.audit import AGENT
from fleet.testing.fleets import Fleet, application, at, configmap, documents

QUIET = 1.0


def deploy(fleet: Fleet, prefix: str, needs: dict[str, str]) -> None:
    """Commit applications on staging, each with one ConfigMap, with what they depend on."""
    apps = [
        application(
            f"{prefix}-{name}",
            repo=fleet.repo.url,
            path=f"{prefix}/{name}",
            cluster="staging",
            namespace=f"{prefix}-{name}",
            depends_on=depends_on,
        )
        for name, depends_on in needs.items()
    ]
    sources = {f"{prefix}/{name}/a.yaml": configmap("a", text=name) for name in needs}
    fleet.commit({f"fleet/{prefix}.yaml": documents(*apps), **sources})


def test_a_cycle_blocks_only_its_members_and_is_named_in_full(fleet: Fleet) -> None:
    cursor = fleet.cursor("staging")
    needs = {"a": "ring-b", "b": "ring-c", "c": "ring-a", "self": "ring-self", "outside": ""}
    deploy(fleet, "ring", needs)

    fleet.wait_for("staging", at("configmaps", "ring-outside", "a"))
    fleet.wait_good("staging/ring-outside")
    for member in "abc":
        fleet.wait_row(f"staging/ring-{member}", sync="OutOfSync", message="ring-a")
        message = fleet.estate.apps()[f"staging/ring-{member}"].message
        assert "cycle" in message
        assert all(f"staging/ring-{name}" in message for name in "abc"), message
    assert "cycle" in fleet.estate.apps()["staging/ring-self"].message
    time.sleep(QUIET)
    places = {w.namespace or w.name for w in cursor.writes(user=AGENT)} - {"gitops-fleet"}
    assert places == {"ring-outside"}

    graph = fleet.cli("graph", "--cluster", "staging")
    assert graph.status == 0
    assert "cycle: staging/ring-self -> staging/ring-self" in graph.out
    assert sum("cycle:" in line and "ring-b" in line for line in graph.out.splitlines()) == 1
    explained = fleet.cli("explain", "staging/ring-a")
    assert explained.status == 0
    assert "cycle" in explained.out

    deploy(fleet, "ring", {**needs, "c": ""})  # the ring is opened
    fleet.wait_good("staging/ring-a", "staging/ring-b", "staging/ring-c")
    created = [
        w.namespace
        for w in cursor.writes(user=AGENT, resource="configmaps", name="a")
        if w.is_creation and w.namespace in ("ring-a", "ring-b", "ring-c")
    ]
    assert created == ["ring-c", "ring-b", "ring-a"]


def test_a_missing_dependency_blocks_and_an_optional_one_does_not(fleet: Fleet) -> None:
    cursor = fleet.cursor("staging")
    needs = {
        "strict": "lack-later",
        "other-cluster": "cluster/production/lack-nowhere",
        "label": "label/tier=lack",
        "optional": "lack-never?, label/tier=lack?",
    }
    deploy(fleet, "lack", needs)

    fleet.wait_good("staging/lack-optional")
    fleet.wait_row("staging/lack-strict", sync="OutOfSync", message="lack-later")
    fleet.wait_row("staging/lack-other-cluster", sync="OutOfSync", message="lack-nowhere")
    fleet.wait_row("staging/lack-label", sync="OutOfSync", message="tier=lack")
    time.sleep(QUIET)
    places = {w.namespace or w.name for w in cursor.writes(user=AGENT)} - {"gitops-fleet"}
    assert places == {"lack-optional"}

    row = next(
        row
        for row in fleet.cli("app", "list", "-o", "json").json["items"]
        if row["name"] == "lack-strict"
    )
    assert "lack-later" in " ".join(row["waitingFor"])
    explained = fleet.cli("explain", "staging/lack-strict")
    assert "depends on    lack-later: waits" in explained.out
    assert fleet.cli("app", "wait", "lack-strict", "--timeout", "0.1").status == 1

    deploy(fleet, "lack", {**needs, "later": ""})
    fleet.wait_good("staging/lack-strict", "staging/lack-later")

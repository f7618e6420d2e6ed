"""Differences from YAML to the API server's audit log: what is left to others, what is put back, and that looking writes nothing."""

from __future__ import annotations

import base64
import time

import pytest

from fleet.codec.jsontypes import JsonObject
from fleet.testing.audit import AGENT, Cursor
from fleet.testing.estate import wait_until
from fleet.testing.fleets import Fleet, application, at, configmap, deployment, documents

NAMESPACE = "differences"
CLUSTER = "staging"
QUIET = 1.5
RULES: dict[str, JsonObject] = {
    "json-pointer": {"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas"]},
    "jq": {"group": "*", "kind": "Deploy*", "jqPathExpressions": [".spec.replicas"]},
    "managers": {"group": "apps", "kind": "Deployment", "managedFieldsManagers": ["autoscaler"]},
}
RESPECT = ("CreateNamespace=true", "RespectIgnoreDifferences=true")


def app(
    fleet: Fleet,
    name: str,
    *rules: JsonObject,
    options: tuple[str, ...] = ("CreateNamespace=true",),
    annotations: dict[str, str] | None = None,
) -> JsonObject:
    """An Application with these rules."""
    made = application(
        name,
        repo=fleet.repo.url,
        path=name,
        cluster=CLUSTER,
        namespace=NAMESPACE,
        options=options,
        annotations=annotations,
    )
    made["spec"]["ignoreDifferences"] = list(rules)
    return made


def scale(fleet: Fleet, name: str, count: int) -> None:
    """Do what a HorizontalPodAutoscaler does."""
    path = f"{at('deployments', NAMESPACE, name)}/scale?fieldManager=autoscaler"
    fleet.change(CLUSTER, path, {"spec": {"replicas": count}})


def spec(fleet: Fleet, name: str) -> JsonObject:
    found = fleet.get(CLUSTER, at("deployments", NAMESPACE, name))
    assert found is not None
    chosen: JsonObject = found["spec"]
    return chosen


def written(cursor: Cursor, *, dry_runs: bool = False) -> list[str]:
    """What the agent wrote, its own state left out."""
    found = cursor.writes(user=AGENT, dry_runs=dry_runs)
    return [str(write) for write in found if write.namespace != "gitops-fleet"]


@pytest.fixture(scope="module")
def scaled(fleet: Fleet) -> Fleet:
    """A Deployment for each form of rule, scaled by another manager."""
    files = {f"scaled-{name}/web.yaml": deployment(f"scaled-{name}", replicas=1) for name in RULES}
    apps = [app(fleet, f"scaled-{name}", rule, options=RESPECT) for name, rule in RULES.items()]
    fleet.commit({"fleet/scaled.yaml": documents(*apps), **files})
    fleet.wait_good(*(f"{CLUSTER}/scaled-{name}" for name in RULES))
    return fleet


@pytest.mark.parametrize("name", RULES)
def test_replicas_are_the_autoscalers(scaled: Fleet, name: str) -> None:
    name = f"scaled-{name}"
    cursor = scaled.cursor(CLUSTER)
    scale(scaled, name, 4)
    time.sleep(QUIET)
    assert spec(scaled, name)["replicas"] == 4
    assert written(cursor) == []
    scaled.wait_row(f"{CLUSTER}/{name}", sync="Synced")
    # Known now: another scaling is not even compared.
    cursor = scaled.cursor(CLUSTER)
    scale(scaled, name, 3)
    time.sleep(QUIET)
    assert written(cursor, dry_runs=True) == []
    # A change of git comes with the replicas that live.
    scaled.commit({f"{name}/web.yaml": deployment(name, image="example.com/app:2")})
    wait_until(
        lambda: (
            spec(scaled, name)["template"]["spec"]["containers"][0]["image"] == "example.com/app:2"
        ),
        what="the new image",
    )
    assert spec(scaled, name)["replicas"] == 3
    scaled.wait_row(f"{CLUSTER}/{name}", sync="Synced")


def test_without_respect_the_next_apply_brings_what_git_says(fleet: Fleet) -> None:
    name = "disrespect"
    fleet.commit(
        {
            f"fleet/{name}.yaml": documents(app(fleet, name, RULES["json-pointer"])),
            f"{name}/web.yaml": deployment(name),
        }
    )
    fleet.wait_good(f"{CLUSTER}/{name}")
    scale(fleet, name, 4)
    time.sleep(QUIET)
    assert spec(fleet, name)["replicas"] == 4
    fleet.commit({f"{name}/web.yaml": deployment(name, image="example.com/app:2")})
    wait_until(lambda: spec(fleet, name)["replicas"] == 1, what="the replicas of git")


def test_an_expression_that_cannot_be_used_is_an_error_of_its_application(fleet: Fleet) -> None:
    name = "broken-rule"
    rule = {"group": "apps", "kind": "Deployment", "jqPathExpressions": ["last(range(infinite))"]}
    fleet.commit(
        {
            f"fleet/{name}.yaml": documents(app(fleet, name, rule)),
            f"{name}/web.yaml": deployment(name),
        }
    )
    fleet.wait_row(f"{CLUSTER}/{name}", message="'last(range(infinite))' cannot be used")
    assert fleet.estate.apps()[f"{CLUSTER}/{name}"].sync != "Synced"
    assert fleet.get(CLUSTER, at("deployments", NAMESPACE, name)) is None
    fleet.commit({f"fleet/{name}.yaml": documents(app(fleet, name, RULES["jq"]))})
    fleet.wait_good(f"{CLUSTER}/{name}")


def test_a_refresh_asks_with_dry_runs_alone(fleet: Fleet) -> None:
    name = "looked-at"
    secret: JsonObject = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "stringData": {"password": "not a real one"},
    }
    units = deployment(name).replace(
        "- image:", "- resources: {limits: {cpu: 1000m, memory: 1024Mi}}\n        image:"
    )
    assert "1000m" in units
    fleet.commit(
        {
            f"fleet/{name}.yaml": documents(app(fleet, name)),
            f"{name}/objects.yaml": documents(secret),
            f"{name}/web.yaml": units,
        }
    )
    fleet.wait_good(f"{CLUSTER}/{name}")
    time.sleep(QUIET)
    before = _versions(fleet, name)
    cursor = fleet.cursor(CLUSTER)
    assert fleet.cli("app", "refresh", name, "--hard").status == 0
    wait_until(lambda: len(written(cursor, dry_runs=True)) == 2, what="two dry runs")
    time.sleep(QUIET)
    assert written(cursor) == []
    assert _versions(fleet, name) == before
    fleet.wait_good(f"{CLUSTER}/{name}")


def _versions(fleet: Fleet, name: str) -> list[str]:
    paths = (at("deployments", NAMESPACE, name), at("secrets", NAMESPACE, name))
    return [(fleet.get(CLUSTER, path) or {})["metadata"]["resourceVersion"] for path in paths]


def test_a_key_of_a_secret_that_is_changed_or_leaves_git(fleet: Fleet) -> None:
    """It is written as stringData, which nobody would own."""
    name = "texts"

    def secret(**texts: str) -> str:
        return documents(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name},
                "stringData": texts,
            }
        )

    def data() -> JsonObject:
        found: JsonObject = (fleet.get(CLUSTER, at("secrets", NAMESPACE, name)) or {})["data"]
        return found

    fleet.commit(
        {
            f"fleet/{name}.yaml": documents(app(fleet, name)),
            f"{name}/secret.yaml": secret(a="one", b="two"),
        }
    )
    fleet.wait_good(f"{CLUSTER}/{name}")
    good = data()
    fleet.change(CLUSTER, at("secrets", NAMESPACE, name), {"data": {"a": "d3Jvbmc="}})
    wait_until(lambda: data() == good, what="the healing of a Secret")
    fleet.commit({f"{name}/secret.yaml": secret(a="one")})
    wait_until(lambda: data().keys() == {"a"}, what="the key's leaving")


def test_an_extraneous_object_does_not_count(fleet: Fleet) -> None:
    name = "extraneous"
    note = {"argocd.argoproj.io/compare-options": "IgnoreExtraneous"}
    kept: JsonObject = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{name}-kept", "annotations": note},
    }
    made = app(fleet, name)
    made["spec"]["syncPolicy"]["automated"] = {"selfHeal": True}
    fleet.commit(
        {
            f"fleet/{name}.yaml": documents(made),
            f"{name}/kept.yaml": documents(kept),
            f"{name}/left.yaml": configmap(f"{name}-left"),
            f"{name}/stays.yaml": configmap(f"{name}-stays"),
        }
    )
    fleet.wait_good(f"{CLUSTER}/{name}")
    fleet.commit({f"{name}/kept.yaml": None})
    fleet.settled()
    fleet.wait_good(f"{CLUSTER}/{name}")
    fleet.commit({f"{name}/left.yaml": None})
    fleet.wait_row(f"{CLUSTER}/{name}", sync="OutOfSync")
    assert fleet.get(CLUSTER, at("configmaps", NAMESPACE, f"{name}-kept")) is not None


def test_differences_are_shown_without_the_values_of_secrets(fleet: Fleet) -> None:
    name, canary = "shown", "canary-3f9c"
    secret: JsonObject = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "stringData": {"password": f"{canary}-git", "same": f"{canary}-same"},
    }
    made = app(fleet, name, RULES["json-pointer"])
    made["spec"]["syncPolicy"]["automated"] = {"prune": True}
    fleet.commit(
        {
            f"fleet/{name}.yaml": documents(made),
            f"{name}/secret.yaml": documents(secret),
            f"{name}/web.yaml": deployment(name),
        }
    )
    fleet.wait_good(f"{CLUSTER}/{name}")
    assert fleet.cli("app", "diff", name).status == 0
    scale(fleet, name, 3)
    changed = base64.b64encode(f"{canary}-live".encode()).decode()
    fleet.change(CLUSTER, at("secrets", NAMESPACE, name), {"data": {"password": changed}})
    fleet.wait_row(f"{CLUSTER}/{name}", sync="OutOfSync")
    cursor = fleet.cursor(CLUSTER)

    ran = fleet.cli("app", "diff", name, "-o", "json")
    (found,) = ran.json["objects"]
    assert ran.status == 3
    assert (found["ref"], found["paths"]) == (f"/Secret:{NAMESPACE}/{name}", ["data.password"])
    assert "*** (old value)" in found["diff"]
    looks = (
        ("diff", name),
        ("manifests", name),
        ("manifests", name, "--live"),
        ("resources", name),
    )
    shown = [ran, *(fleet.cli("app", *words) for words in looks)]
    assert [each.status for each in shown] == [3, 3, 0, 0, 0]
    encoded = base64.b64encode(canary.encode()).decode()[:12]
    assert not [each for each in shown if canary in each.text or encoded in each.text]
    assert written(cursor) == []

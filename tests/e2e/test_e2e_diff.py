"""Differences from YAML to the API server's audit log: what is left to others, what is put back, and that looking writes nothing."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Scaled:
    """What was seen of three Deployments, each with another form of rule, after each thing that happened to all of them."""

    kept: dict[str, int]
    """Replicas after a scaling by another manager."""
    written: list[str]
    """What the agent wrote then."""
    asked: list[str]
    """What it wrote after the next scaling, dry runs included."""
    after: dict[str, JsonObject]
    """The specs after a new image from git."""


@pytest.fixture(scope="module")
def scaled(fleet: Fleet) -> Scaled:
    names = {rule: f"scaled-{rule}" for rule in RULES}
    rows = {rule: f"{CLUSTER}/{name}" for rule, name in names.items()}
    files = {f"{name}/web.yaml": deployment(name, replicas=1) for name in names.values()}
    apps = [app(fleet, names[rule], RULES[rule], options=RESPECT) for rule in RULES]
    fleet.commit({"fleet/scaled.yaml": documents(*apps), **files})
    fleet.wait_good(*rows.values())
    cursor = fleet.cursor(CLUSTER)
    for name in names.values():
        scale(fleet, name, 4)
    time.sleep(QUIET)
    kept = {rule: spec(fleet, name)["replicas"] for rule, name in names.items()}
    wrote = written(cursor)
    for row in rows.values():
        fleet.wait_row(row, sync="Synced")
    cursor = fleet.cursor(CLUSTER)
    for name in names.values():
        scale(fleet, name, 3)
    time.sleep(QUIET)
    asked = written(cursor, dry_runs=True)
    image = "example.com/app:2"
    fleet.commit({f"{name}/web.yaml": deployment(name, image=image) for name in names.values()})
    wait_until(
        lambda: all(
            spec(fleet, name)["template"]["spec"]["containers"][0]["image"] == image
            for name in names.values()
        ),
        what="the new image",
    )
    after = {rule: spec(fleet, name) for rule, name in names.items()}
    for row in rows.values():
        fleet.wait_row(row, sync="Synced")
    return Scaled(kept, wrote, asked, after)


@pytest.mark.parametrize("rule", RULES)
def test_replicas_are_the_autoscalers(scaled: Scaled, rule: str) -> None:
    name = f"/{NAMESPACE}/scaled-{rule}"
    assert scaled.kept[rule] == 4
    assert not [write for write in scaled.written if name in write]
    # Known now: another scaling is not even compared.
    assert not [write for write in scaled.asked if name in write]
    # A change of git comes with the replicas that live.
    assert scaled.after[rule]["replicas"] == 3


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

"""Sync policy, one row each, and pruning: what Argo CD would keep is kept (design decision 2)."""

from __future__ import annotations

import time
from collections.abc import Mapping

from fleet.codec.jsontypes import JsonObject
from fleet.testing.audit import AGENT
from fleet.testing.estate import wait_until
from fleet.testing.fleets import KEEP_IN_STEP, Fleet, application, at, configmap, documents

QUIET = 1.0
"""Seconds that something must stay as it is; healing and pruning take a tenth of that."""


def deploy(
    fleet: Fleet,
    name: str,
    *,
    automated: JsonObject | None = KEEP_IN_STEP,
    finalizer: bool = True,
    objects: Mapping[str, str],
) -> None:
    """Commit an application of that name, with ConfigMaps of that name and text, on production."""
    app = application(
        name,
        repo=fleet.repo.url,
        path=name,
        cluster="production",
        namespace=name,
        automated=automated,
        finalizer=finalizer,
    )
    sources = {f"{name}/{key}.yaml": configmap(key, text=text) for key, text in objects.items()}
    fleet.commit({f"fleet/{name}.yaml": documents(app), **sources})
    if automated is not None:
        for key in objects:
            fleet.wait_for("production", at("configmaps", name, key))
        fleet.wait_good(f"production/{name}")


def text_of(fleet: Fleet, app: str, name: str) -> str | None:
    """What a ConfigMap says; None where it is not there."""
    found = fleet.get("production", at("configmaps", app, name))
    return found["data"]["text"] if found else None


def wait_text(fleet: Fleet, app: str, name: str, text: str | None) -> None:
    wait_until(lambda: text_of(fleet, app, name) == text, what=f"{app}/{name} is {text}")


def test_without_automated_nothing_is_applied_until_somebody_asks(fleet: Fleet) -> None:
    cursor = fleet.cursor("production")
    deploy(fleet, "manual", automated=None, objects={"a": "one"})
    fleet.wait_row("production/manual", sync="OutOfSync")
    time.sleep(QUIET)
    assert not [w for w in cursor.writes(user=AGENT) if "manual" in (w.namespace, w.name)]

    ran = fleet.cli("app", "sync", "manual", "--wait", "--timeout", "30")
    assert ran.status == 0, ran
    assert text_of(fleet, "manual", "a") == "one"

    fleet.commit({"manual/a.yaml": configmap("a", text="two")})
    fleet.wait_row("production/manual", sync="OutOfSync")
    time.sleep(QUIET)
    assert text_of(fleet, "manual", "a") == "one"
    fleet.change("production", at("configmaps", "manual", "a"), {"data": {"text": "by hand"}})
    time.sleep(QUIET)
    assert text_of(fleet, "manual", "a") == "by hand"

    ran = fleet.cli("app", "sync", "manual", "--wait", "--timeout", "30")
    assert ran.status == 0, ran
    assert text_of(fleet, "manual", "a") == "two"


def test_without_prune_what_left_the_source_is_kept_and_shown(fleet: Fleet) -> None:
    deploy(fleet, "noprune", automated={"selfHeal": True}, objects={"a": "one", "b": "one"})
    cursor = fleet.cursor("production")

    fleet.commit({"noprune/b.yaml": None, "noprune/a.yaml": configmap("a", text="two")})
    wait_text(fleet, "noprune", "a", "two")
    fleet.wait_row("production/noprune", sync="OutOfSync", health="Healthy")
    time.sleep(QUIET)
    assert text_of(fleet, "noprune", "b") == "one"
    assert not [w for w in cursor.writes(user=AGENT) if w.verb == "delete"]

    ran = fleet.cli("app", "sync", "noprune", "--prune", "--wait", "--timeout", "30")
    assert ran.status == 0, ran
    assert text_of(fleet, "noprune", "b") is None


def test_without_self_heal_drift_is_shown_and_left(fleet: Fleet) -> None:
    deploy(fleet, "noheal", automated={"prune": True}, objects={"a": "one", "b": "one"})
    cursor = fleet.cursor("production")

    fleet.change("production", at("configmaps", "noheal", "a"), {"data": {"text": "by hand"}})
    fleet.wait_row("production/noheal", sync="OutOfSync")
    fleet.delete("production", at("configmaps", "noheal", "b"))
    time.sleep(QUIET)
    assert text_of(fleet, "noheal", "a") == "by hand"
    assert text_of(fleet, "noheal", "b") is None
    assert not cursor.writes(user=AGENT, namespace="noheal")

    fleet.commit({"noheal/a.yaml": configmap("a", text="two")})  # a new revision is synced
    wait_text(fleet, "noheal", "a", "two")
    wait_text(fleet, "noheal", "b", "one")
    fleet.wait_good("production/noheal")


def test_with_prune_what_left_the_source_is_deleted(fleet: Fleet) -> None:
    deploy(fleet, "prune", objects={"a": "one", "b": "one"})
    cursor = fleet.cursor("production")

    pushed = fleet.commit({"prune/b.yaml": None})
    fleet.wait_for("production", at("configmaps", "prune", "b"), gone=True)
    print(f"pruned {time.monotonic() - pushed:.2f} s after the push")

    fleet.wait_good("production/prune")
    assert text_of(fleet, "prune", "a") == "one"
    (deletion,) = [w for w in cursor.writes(user=AGENT) if w.verb == "delete"]
    assert (deletion.resource, deletion.namespace, deletion.name) == ("configmaps", "prune", "b")


def test_an_application_with_finalizer_takes_its_objects_with_it(fleet: Fleet) -> None:
    deploy(fleet, "leaves", objects={"a": "one", "b": "one"})

    pushed = fleet.commit({"fleet/leaves.yaml": None})
    for name in ("a", "b"):
        fleet.wait_for("production", at("configmaps", "leaves", name), gone=True)
    gone = time.monotonic() - pushed
    fleet.wait_left("production/leaves")
    print(f"gone {gone:.2f} s after the push, forgotten {time.monotonic() - pushed:.2f} s after it")
    assert fleet.get("production", "/api/v1/namespaces/leaves"), "Argo CD keeps it, too"


def test_an_application_without_finalizer_leaves_its_objects(fleet: Fleet) -> None:
    deploy(fleet, "orphans", finalizer=False, objects={"a": "one"})
    cursor = fleet.cursor("production")

    fleet.commit({"fleet/orphans.yaml": None})
    fleet.wait_left("production/orphans")
    time.sleep(QUIET)
    assert text_of(fleet, "orphans", "a") == "one"
    assert not cursor.writes(user=AGENT, namespace="orphans")

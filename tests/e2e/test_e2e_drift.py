"""Drift: what somebody changes by hand is put back in under two seconds, by the watch and not by a poll."""

from __future__ import annotations

import pytest

from fleet.codec.jsontypes import JsonObject
from fleet.testing.audit import AGENT
from fleet.testing.estate import wait_until
from fleet.testing.fleets import Fleet, application, at, configmap, deployment, documents

HEALED_WITHIN = 2.0


def data(name: str) -> str:
    return at("configmaps", "drift", name)


def program(name: str) -> str:
    return at("deployments", "drift", name)


CHANGES: dict[str, tuple[str, JsonObject | None]] = {
    "data-of-a-configmap": (data("data"), {"data": {"text": "wrong", "more": "nobody manages it"}}),
    "image-of-a-deployment": (
        program("image"),
        {
            "spec": {
                "template": {
                    "spec": {"containers": [{"name": "app", "image": "example.com/other:2"}]}
                }
            }
        },
    ),
    "label-of-ours-removed": (
        data("label"),
        {"metadata": {"labels": {"gitopsfleet.io/owned": None}}},
    ),
    "deleted-configmap": (data("gone"), None),
    "deleted-deployment": (program("gone"), None),
}
"""One object each: healing the same one again and again waits longer and longer, on purpose."""


@pytest.fixture(scope="module")
def drifting(fleet: Fleet) -> Fleet:
    """An application with an object for each change, in step."""
    app = application(
        "drift", repo=fleet.repo.url, path="drift", cluster="production", namespace="drift"
    )
    configmaps = {
        f"drift/data-{name}.yaml": configmap(name, text="right")
        for name in ("data", "label", "gone", "only")
    }
    deployments = {f"drift/program-{name}.yaml": deployment(name) for name in ("image", "gone")}
    fleet.commit({"fleet/drift.yaml": documents(app), **configmaps, **deployments})
    fleet.wait_for("production", program("gone"))
    fleet.wait_good("production/drift")
    return fleet


@pytest.mark.parametrize(("path", "patch"), CHANGES.values(), ids=CHANGES.keys())
def test_drift_is_healed(drifting: Fleet, path: str, patch: JsonObject | None) -> None:
    before = drifting.get("production", path)
    assert before is not None
    cursor = drifting.cursor("production")
    resource, name = path.split("/")[-2:]

    if patch is None:
        drifting.delete("production", path)
    else:
        drifting.change("production", path, patch)
    healed = wait_until(
        lambda: cursor.writes(user=AGENT, resource=resource, namespace="drift", name=name),
        what="the agent's write",
    )[0]

    (change, *_) = [w for w in cursor.writes(resource=resource, name=name) if w.user == "admin"]
    seconds = healed.done - change.received
    print(f"healed after {seconds * 1000:.0f} ms")
    assert seconds < HEALED_WITHIN
    after = drifting.get("production", path)
    assert after is not None
    assert ours(after) == ours(before)
    drifting.wait_good("production/drift")


def ours(body: JsonObject) -> JsonObject:
    """The fields that git decides."""
    if body["kind"] == "ConfigMap":
        chosen: JsonObject = {"text": body["data"]["text"]}
    else:
        chosen = {"containers": body["spec"]["template"]["spec"]["containers"]}
    return {**chosen, "labels": body["metadata"]["labels"]}


def test_healing_writes_nothing_but_what_differs(drifting: Fleet) -> None:
    cursor = drifting.cursor("production")
    drifting.change("production", data("only"), {"data": {"text": "wrong"}})
    wait_until(lambda: cursor.writes(user=AGENT, name="only"), what="the agent's write")
    drifting.wait_good("production/drift")
    written = [w for w in cursor.writes(user=AGENT) if w.namespace != "gitops-fleet"]
    assert [str(w) for w in written] == ["fleet-agent patch configmaps/drift/only: 200"]

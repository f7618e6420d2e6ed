"""The shrink budget: a generator that suddenly finds nothing removes nothing until somebody says yes."""

from __future__ import annotations

import time

from fleet.testing.audit import AGENT
from fleet.testing.estate import wait_until
from fleet.testing.fleets import Fleet, application, appset, at, configmap, documents

NAMES = ("one", "two", "three")
QUIET = 1.5


def test_an_emptied_generator_is_held_until_it_is_approved(fleet: Fleet) -> None:
    template = application(
        "shrink-{{.path.basename}}",
        repo=fleet.repo.url,
        path="{{.path.path}}",
        cluster="production",
        namespace="shrink-{{.path.basename}}",
    )
    generator = {
        "git": {
            "repoURL": fleet.repo.url,
            "revision": "main",
            "directories": [{"path": "shrink/*"}],
        }
    }
    files = {f"shrink/{name}/a.yaml": configmap("a", text=name) for name in NAMES}
    fleet.commit({"fleet/shrink.yaml": documents(appset("shrink", [generator], template)), **files})
    for name in NAMES:
        fleet.wait_for("production", at("configmaps", f"shrink-{name}", "a"))
    fleet.wait_good(*(f"production/shrink-{name}" for name in NAMES))
    assert fleet.cli("approve").status == 0
    cursor = fleet.cursor("production")

    fleet.commit(dict.fromkeys(files))
    fleet.settled()
    held = wait_until(lambda: next(iter(held_subjects(fleet)), ""), what="the hold")
    assert held == "appset/shrink"
    shown = fleet.cli("approve")
    assert shown.status == 4, shown
    assert "appset/shrink" in shown.out
    assert "would remove all of 3" in shown.text
    (row,) = fleet.cli("approve", "-o", "json").json["items"]
    assert row["removed"] == sorted(f"shrink-{name}" for name in NAMES)
    sets = fleet.cli("appset", "get", "shrink", "-o", "json").json
    assert sets["reason"] == "Held"
    time.sleep(QUIET)
    assert not [w for w in cursor.writes(user=AGENT) if w.verb == "delete"]
    for name in NAMES:
        found = fleet.get("production", at("configmaps", f"shrink-{name}", "a"))
        assert found is not None
        assert found["data"]["text"] == name

    # an approval names what is held; another digest is refused
    assert fleet.cli("approve", "appset/shrink", "--digest", "sha256:other").status == 1
    assert held_subjects(fleet) == ["appset/shrink"]

    approved = fleet.cli("approve", "appset/shrink", "--reason", "they moved")
    assert approved.status == 0, approved
    for name in NAMES:
        fleet.wait_for("production", at("configmaps", f"shrink-{name}", "a"), gone=True)
    for name in NAMES:
        fleet.wait_left(f"production/shrink-{name}")
    deleted = {w.namespace for w in cursor.writes(user=AGENT) if w.verb == "delete"}
    assert deleted == {f"shrink-{name}" for name in NAMES}
    assert fleet.cli("approve").status == 0


def held_subjects(fleet: Fleet) -> list[str]:
    """What waits for an approval."""
    return [row["subject"] for row in fleet.cli("approve", "-o", "json").json["items"]]

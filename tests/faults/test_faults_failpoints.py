"""The agent killed before and after every durable step of a sync with waves, hooks and prunes: each thing happens once,
in its order.

``make test`` tries some places, chosen by the printed seed; ``make faults`` (``FLEET_FAULTS=all``) every place and every
passing of it. Judged by the API server's audit log alone.
"""

from __future__ import annotations

import itertools
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import pytest

from agents.failpoints import FAILPOINTS, VARIABLE
from fleet.codec.jsontypes import JsonObject
from fleet.errors import NotReady
from fleet.testing.audit import AGENT, Cursor
from fleet.testing.estate import wait_until
from fleet.testing.fleets import Fleet, application, at, documents

NAMESPACE = "t-points"
HOOK = "argocd.argoproj.io/hook"
POLICY = "argocd.argoproj.io/hook-delete-policy"
WAVE = "argocd.argoproj.io/sync-wave"
HOOKS = ("before", "check", "tidy")
EVERY = os.environ.get("FLEET_FAULTS") == "all"
LONG = 60.0
SAMPLED_SECONDS = 100.0
PASSINGS = 3
"""How often a place may be passed before it kills, where places are only sampled."""


@dataclass(slots=True)
class Points:
    """An application whose every version goes through everything, and the agent that is killed meanwhile."""

    fleet: Fleet
    version: int = 0
    reached: dict[str, int] = field(default_factory=dict)
    """How many passings of each place were killed at."""

    def sync_killed_at(self, place: str, passing: int) -> bool:
        """Bring out the next version, kill the agent on the way, and let another finish; whether it was killed."""
        member = self.fleet.estate.members["north"]
        cursor = self.fleet.cursor("north")
        member.agent.kill()
        member.agent.start(**{VARIABLE: f"{place}:{passing}"})
        self.version += 1
        self.fleet.commit({"points/all.yaml": _manifests(self.version)})
        wait_until(
            lambda: not member.agent.is_running or self._is_through(cursor),
            timeout=LONG,
            what=f"{place}:{passing}, or the end",
        )
        was_killed = not member.agent.is_running
        if was_killed:
            member.agent.kill()  # it is dead; what the test held of it is let go
            member.agent.start()
            self._finish(cursor, f"{place}:{passing}")
            self.reached[place] = passing
        _check(cursor, self.version, f"{place}:{passing}")
        return was_killed

    def _finish(self, cursor: Cursor, what: str) -> None:
        try:
            wait_until(lambda: self._is_through(cursor), timeout=LONG, what=f"the end after {what}")
        except NotReady as error:
            error.add_note(f"it is {self.fleet.estate.apps().get('north/points')}")
            error.add_note("\n".join(map(str, cursor.writes(user=AGENT, namespace=NAMESPACE))))
            raise

    def _is_through(self, cursor: Cursor) -> bool:
        row = self.fleet.estate.apps().get("north/points")
        if row is None or (row.sync, row.health, row.operation) != (
            "Synced",
            "Healthy",
            "Succeeded",
        ):
            return False
        top = self.fleet.get("north", at("configmaps", NAMESPACE, "top")) or {}
        return (
            top["data"]["text"] == str(self.version)
            and self.fleet.get("north", at("configmaps", NAMESPACE, f"old-{self.version - 1}"))
            is None
            and self.fleet.get("north", at("configmaps", NAMESPACE, "tidy")) is None
            and len(_creations(cursor, "tidy")) > 0
        )


@pytest.fixture(scope="module")
def points(start_fleet: Callable[..., Fleet]) -> Iterator[Points]:
    fleet = start_fleet(agent={"sync": {"firstRetry": "200ms", "lastRetry": "1s"}})
    app = application(
        "points", repo=fleet.repo.url, path="points", cluster="north", namespace=NAMESPACE
    )
    made = Points(fleet)
    fleet.commit({"fleet/points.yaml": documents(app), "points/all.yaml": _manifests(0)})
    fleet.wait_good("north/points", timeout=LONG)
    yield made
    print(f"killed at {sum(made.reached.values())} passings of {len(made.reached)} places")


@pytest.mark.timeout(7200 if EVERY else 300)
def test_a_killed_agent_does_everything_once_and_in_order(
    points: Points, dice: random.Random
) -> None:
    if EVERY:
        for place in FAILPOINTS:
            for passing in itertools.count(1):
                if not points.sync_killed_at(place, passing):
                    break
        never = set(FAILPOINTS) - points.reached.keys() - _ELSEWHERE
        assert not never, f"nothing passed {sorted(never)}"
        return
    until = time.monotonic() + SAMPLED_SECONDS
    places = [(place, n) for place in FAILPOINTS for n in range(1, PASSINGS + 1)]
    dice.shuffle(places)
    for place, passing in places:
        points.sync_killed_at(place, passing)
        if time.monotonic() > until:
            break
    assert len(points.reached) > 2, "some places were passed"


_ELSEWHERE = frozenset(
    ("inventory.before-drop", "inventory.after-drop", "operation.before-accept", "operation.after-accept")
)  # fmt: skip
"""Places that only an application which leaves passes, or a sync that a person asks for: `test_agent_crashes` does."""


def _manifests(version: int) -> str:
    maps = [
        _map("base", 0, str(version)),
        _map("mid", 1, str(version)),
        _map("top", 2, str(version)),
        _map(f"old-{version}", 1, "leaves with the next"),
        _map("before", -1, str(version), **{HOOK: "PreSync"}),
        _map("tidy", 1, str(version), **{HOOK: "PostSync", POLICY: "HookSucceeded"}),
    ]
    job: JsonObject = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "check", "annotations": {HOOK: "PostSync"}},
        "spec": {
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [{"name": "main", "image": "example.com/check:1"}],
                }
            }
        },
    }
    return documents(*maps, job)


def _map(name: str, wave: int, text: str, **notes: str) -> JsonObject:
    metadata = {"name": name, "annotations": {WAVE: str(wave), **notes}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"text": text}}


def _creations(cursor: Cursor, name: str) -> list[float]:
    return [
        write.received
        for write in cursor.writes(user=AGENT, namespace=NAMESPACE, name=name)
        if write.is_creation
    ]


def _check(cursor: Cursor, version: int, what: str) -> None:
    """Every object has its new state by one write that changed it, every hook ran once, and all in order."""
    for hook in HOOKS:
        assert len(_creations(cursor, hook)) == 1, f"{what}: {hook} ran {_creations(cursor, hook)}"
    changed = {name: _changed(cursor, name, str(version)) for name in ("base", "mid", "top")}
    pruned = _deletions(cursor, f"old-{version - 1}")
    assert pruned, f"{what}: what left was not pruned"
    order: Mapping[str, float] = {
        "before": _creations(cursor, "before")[0],
        **changed,
        "check": _creations(cursor, "check")[0],
        "tidy": _creations(cursor, "tidy")[0],
    }
    assert list(order) == sorted(order, key=order.__getitem__), f"{what}: {order}"
    assert pruned[0] < order["check"], f"{what}: the PostSync hook came before the prune"
    deleted = {
        write.name
        for write in cursor.writes(user=AGENT, namespace=NAMESPACE)
        if write.verb.startswith("delete")
    }
    assert deleted <= {f"old-{version - 1}", *HOOKS}, f"{what}: {deleted}"


def _changed(cursor: Cursor, name: str, text: str) -> float:
    """When an object got its new text; there is one such state, however often it was applied."""
    writes = [
        write
        for write in cursor.writes(
            user=AGENT, namespace=NAMESPACE, resource="configmaps", name=name
        )
        if write.request.get("data", {}).get("text") == text
    ]
    versions = {write.response["metadata"]["resourceVersion"] for write in writes}
    assert len(versions) == 1, f"{name} was changed {len(versions)} times"
    return writes[0].received


def _deletions(cursor: Cursor, name: str) -> list[float]:
    return [
        write.received
        for write in cursor.writes(user=AGENT, namespace=NAMESPACE, name=name)
        if write.verb == "delete"
    ]

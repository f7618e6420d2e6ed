"""A RollingSync over three real clusters: canary first, a bad version that goes no further and back, people, a crash."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial

import pytest

from fleet.codec.jsontypes import JsonObject
from fleet.errors import NotReady
from fleet.testing.audit import AGENT, Cursor, Write
from fleet.testing.estate import wait_until
from fleet.testing.fleets import Fleet, application, appset, at, configmap, deployment, documents
from fleet.wire import api
from fleet.wire.rollouts import RolloutDetail, RolloutOrder

CANARY, REST = "canary", ("east", "west")
LABELS: Mapping[str, Mapping[str, str]] = {
    CANARY: {"stage": "canary"},
    **{name: {"stage": "rest"} for name in REST},
}
PATH = at("configmaps", "web", "version")
QUIET = 1.5
WAIT = 60.0


def rolling(fleet: Fleet, **annotations: str) -> str:
    """A set with one Application a cluster, in two steps by the cluster's label."""
    template = application(
        "web-{{.name}}",
        repo=fleet.repo.url,
        path="web",
        cluster="{{.name}}",
        namespace="web",
        automated={"prune": True},
    )
    template["metadata"]["labels"] = {"stage": "{{.metadata.labels.stage}}"}
    made = appset("web", [{"clusters": {}}], template)
    made["spec"]["strategy"] = {
        "type": "RollingSync",
        "rollingSync": {"steps": [step("canary"), {**step("rest"), "maxUpdate": 1}]},
    }
    made["metadata"]["annotations"] = {
        f"gitopsfleet.io/rollout-{name.replace('_', '-')}": value
        for name, value in annotations.items()
    }
    return documents(made)


def step(stage: str) -> JsonObject:
    return {"matchExpressions": [{"key": "stage", "operator": "In", "values": [stage]}]}


def version(
    fleet: Fleet, text: str, *, bad: bool = False, also: Mapping[str, str] | None = None
) -> None:
    """Commit a version; no controller makes Pods on these clusters, so a Deployment never turns Healthy."""
    files: dict[str, str | None] = {"web/version.yaml": configmap("version", text=text)}
    files |= also or {}
    files["web/broken.yaml"] = deployment("broken") if bad else None
    fleet.commit(files)


def text_of(fleet: Fleet, cluster: str) -> str:
    found = fleet.get(cluster, PATH)
    return str(found["data"]["text"]) if found else ""


def _has_text(fleet: Fleet, cluster: str, text: str) -> bool:
    return text_of(fleet, cluster) == text


def wait_text(fleet: Fleet, text: str, *clusters: str) -> None:
    for name in clusters or LABELS:
        is_there = partial(_has_text, fleet, name, text)
        wait_until(is_there, timeout=WAIT, what=f"version {text} on {name}")


def state(fleet: Fleet) -> str:
    return status(fleet).rollout.state


def status(fleet: Fleet) -> RolloutDetail:
    return fleet.estate.call("GET", "rollouts/web", RolloutDetail)


def tell(fleet: Fleet, order: str, *, reason: str = "") -> str:
    """What ``fleet rollout`` does; its command line is tested without clusters, and starts slowly on a busy machine."""
    body = RolloutOrder(reason=reason)
    return fleet.estate.call("POST", f"rollouts/web/{order}", api.Message, body).message


def wait_state(fleet: Fleet, wanted: str) -> None:
    wait_until(lambda: state(fleet) == wanted, timeout=WAIT, what=f"a rollout that is {wanted}")


def creation(cursor: Cursor) -> Write:
    """The write that made the ConfigMap."""
    writes = cursor.writes(user=AGENT, resource="configmaps", name="version")
    return next(write for write in writes if write.is_creation)


@pytest.mark.timeout(600)
def test_a_rollout_over_three_clusters(new_fleet: Callable[..., Fleet]) -> None:
    # After a kill of the hub agents come back at once, not up to a minute later: that is not what this is about.
    soon: JsonObject = {"link": {"lastRetry": "1s"}}
    fleet = new_fleet(CANARY, *REST, labels=LABELS, agent=soon)
    cursors = {name: fleet.cursor(name) for name in LABELS}
    fleet.repo.commit({"fleet/web.yaml": rolling(fleet)})
    version(fleet, "one")
    wait_text(fleet, "one")
    wait_state(fleet, "Done")
    made = {name: creation(cursor) for name, cursor in cursors.items()}
    assert made[CANARY].done < min(made[name].received for name in REST), "the canary came first"

    # a bad version goes to the canary, and back
    rest = {name: fleet.cursor(name) for name in REST}
    # as short as that for this version only: a good one may take longer on a busy machine
    short = rolling(fleet, health_window="3s", on_failure="return")
    version(fleet, "two", bad=True, also={"fleet/web.yaml": short})
    wait_text(fleet, "two", CANARY)
    wait_state(fleet, "Stopped")
    wait_text(fleet, "one", CANARY)
    for name, cursor in rest.items():
        assert not cursor.writes(user=AGENT, resource="configmaps", name="version"), name
    fleet.wait_row("canary/web-canary", message="went back to what it had")
    fleet.wait_row("east/web-east", message="waits for step 2 of the rollout")
    shown = fleet.cli("rollout", "status", "web")
    assert shown.status == 4
    assert "step 1 failed: canary/web-canary" in shown.text
    assert "Returned" in shown.text

    # the repair goes everywhere
    long = rolling(fleet, health_window="10m", on_failure="return")
    version(fleet, "three", also={"fleet/web.yaml": long})
    wait_text(fleet, "three")
    wait_state(fleet, "Done")

    # a person pauses; the hub is killed in the middle; nothing moves before somebody says so
    assert tell(fleet, "pause", reason="freeze") == "the rollout of web is Paused"
    version(fleet, "four")
    fleet.settled()
    fleet.estate.hub.kill()
    fleet.estate.start_hub()
    wait_state(fleet, "Paused")
    time.sleep(QUIET)
    assert {text_of(fleet, name) for name in LABELS} == {"three"}
    with pytest.raises(NotReady, match="fleet rollout resume first"):
        tell(fleet, "promote")
    assert tell(fleet, "resume") == "the rollout of web is Progressing"
    wait_text(fleet, "four")
    wait_state(fleet, "Done")

    # the canary soaks; the hub is killed meanwhile; promote ends the soak
    fleet.commit({"fleet/web.yaml": rolling(fleet, soak="1h,0s")})
    fleet.settled()
    version(fleet, "five")
    wait_text(fleet, "five", CANARY)
    wait_state(fleet, "Soaking")
    before = status(fleet)
    fleet.estate.hub.kill()
    fleet.estate.start_hub()
    wait_state(fleet, "Soaking")
    time.sleep(QUIET)
    assert status(fleet) == before
    assert {text_of(fleet, name) for name in REST} == {"four"}
    tell(fleet, "promote")
    wait_text(fleet, "five")
    wait_state(fleet, "Done")

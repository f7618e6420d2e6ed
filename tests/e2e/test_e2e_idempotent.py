"""Applying again writes nothing: neither restarts nor a hard refresh touch an object that is as git says."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from fleet.codec.jsontypes import JsonObject
from fleet.testing.audit import AGENT, Cursor
from fleet.testing.estate import wait_until
from fleet.testing.fleets import Fleet, application, at, configmap, deployment, documents
from fleet.wire import api

QUIET = 2.0
KINDS = (
    "/api/v1/namespaces",
    "/api/v1/configmaps",
    "/api/v1/secrets",
    "/api/v1/services",
    "/api/v1/serviceaccounts",
    "/apis/apps/v1/deployments",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
)
SERVICE: JsonObject = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "program"},
    "spec": {"selector": {"app": "program"}, "ports": [{"port": 80}]},
}
SECRET: JsonObject = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "secret"},
    "stringData": {"password": "not a real one"},
}
ROLE: JsonObject = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {"name": "still-reader"},
    "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
}
ACCOUNT: JsonObject = {
    "apiVersion": "v1",
    "kind": "ServiceAccount",
    "metadata": {"name": "program"},
}


@pytest.fixture(scope="module")
def still(fleet: Fleet) -> Fleet:
    """An application with objects of many kinds on staging, in step."""
    app = application(
        "still", repo=fleet.repo.url, path="still", cluster="staging", namespace="still"
    )
    fleet.commit(
        {
            "fleet/still.yaml": documents(app),
            "still/objects.yaml": documents(SERVICE, SECRET, ROLE, ACCOUNT),
            "still/program.yaml": deployment("program"),
            "still/settings.yaml": configmap("settings", text="one"),
        }
    )
    fleet.wait_for("staging", at("deployments", "still", "program"))
    fleet.wait_good("staging/still")
    return fleet


def versions(fleet: Fleet) -> dict[str, str]:
    """The resource version of everything on staging that is ours."""
    found = {}
    for kind in KINDS:
        listed = fleet.get("staging", f"{kind}?labelSelector=gitopsfleet.io/owned=true")
        for item in (listed or {"items": []})["items"]:
            place = item["metadata"]
            name = f"{kind} {place.get('namespace', '')}/{place['name']}"
            found[name] = place["resourceVersion"]
    return found


def restart_hub(fleet: Fleet, cursor: Cursor) -> None:
    assert fleet.estate.hub.stop() == 0
    stopped = time.monotonic()
    fleet.estate.start_hub()
    wait_until(
        lambda: (row := fleet.estate.apps().get("staging/still")) and row.sync == "Synced",
        what="the hub's knowing the application again",
    )

    def is_back() -> bool:
        age = fleet.estate.call("GET", "clusters/staging", api.ClusterRow).age_seconds
        return age is not None and age + 1 < time.monotonic() - stopped

    wait_until(is_back, what="the agent's speaking to the new hub")


def restart_agent(fleet: Fleet, cursor: Cursor) -> None:
    agent = fleet.estate.members["staging"].agent
    assert agent.stop() == 0
    agent.start()
    wait_until(
        lambda: cursor.reads(user=AGENT, resource="clusterroles", verb="list"),
        what="the new agent's looking at its objects",
    )


def kill_agent(fleet: Fleet, cursor: Cursor) -> None:
    agent = fleet.estate.members["staging"].agent
    agent.kill()
    agent.start()
    wait_until(
        lambda: cursor.reads(user=AGENT, resource="clusterroles", verb="list"),
        what="the new agent's looking at its objects",
    )


def refresh_hard(fleet: Fleet, cursor: Cursor) -> None:
    ran = fleet.cli("app", "refresh", "still", "--hard")
    assert ran.status == 0, ran
    wait_until(
        lambda: cursor.reads(user=AGENT, resource="clusterroles", verb="get"),
        what="the agent's reading its objects in full",
    )


def sync_again(fleet: Fleet, cursor: Cursor) -> None:
    ran = fleet.cli("app", "sync", "still", "--wait", "--timeout", "100", timeout=120)
    assert ran.status == 0, ran


ACTIONS: dict[str, Callable[[Fleet, Cursor], None]] = {
    "hub-restarted": restart_hub,
    "agent-restarted": restart_agent,
    "agent-killed": kill_agent,
    "hard-refresh": refresh_hard,
    "sync-asked-for": sync_again,
}


@pytest.mark.parametrize("act", ACTIONS.values(), ids=ACTIONS.keys())
def test_nothing_is_written(still: Fleet, act: Callable[[Fleet, Cursor], None]) -> None:
    before = versions(still)
    assert len([name for name in before if "still" in name]) >= 6
    cursor = still.cursor("staging")

    act(still, cursor)
    time.sleep(QUIET)

    assert versions(still) == before
    is_asking = act is refresh_hard  # the one that is to find out, by dry runs
    writes = [
        write
        for write in cursor.writes(user=AGENT, dry_runs=not is_asking)
        if write.namespace != "gitops-fleet"
    ]
    assert not [str(write) for write in writes]
    still.wait_good("staging/still")

"""Clusters that come and go: a new one gets exactly its targets, one that leaves git keeps everything."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.codec.jsontypes import JsonObject
from fleet.testing.audit import AGENT
from fleet.testing.controlplane import ClusterSource, ControlPlane, Options
from fleet.testing.estate import wait_until
from fleet.testing.fleets import Fleet, application, appset, at, cluster, configmap, documents

QUIET = 1.5
CANARY = "canary-of-"
OWNED = "?labelSelector=gitopsfleet.io/owned=true"


def visitors(fleet: Fleet) -> str:
    """An ApplicationSet for every cluster that is open to visitors, each with a folder of its own."""
    template = application(
        "visit-{{.name}}",
        repo=fleet.repo.url,
        path="visit/{{.name}}",
        cluster="{{.name}}",
        namespace="visit-{{.name}}",
    )
    generator = {"clusters": {"selector": {"matchLabels": {"open": "yes"}}}}
    return documents(appset("visit", [generator], template))


@pytest.fixture(scope="module")
def guests(control_planes: ClusterSource) -> Iterator[dict[str, ControlPlane]]:
    """Two more control planes."""
    planes = control_planes.start_all(("guest", "lodger"), Options(audit=True))
    yield {plane.name: plane for plane in planes}
    for plane in planes:
        plane.stop()


@pytest.fixture(scope="module")
def host(fleet: Fleet) -> Fleet:
    """The shared fleet with something on another cluster, and with sources for two more."""
    names = ("neighbour", "guest", "lodger")
    sources = {f"visit/{name}/a.yaml": configmap("a", text=CANARY + name) for name in names}
    neighbour = application(
        "neighbour",
        repo=fleet.repo.url,
        path="visit/neighbour",
        cluster="staging",
        namespace="neighbour",
    )
    own = {"fleet/neighbour.yaml": documents(neighbour), "fleet/visit.yaml": visitors(fleet)}
    fleet.commit({**own, **sources})
    fleet.wait_for("staging", at("configmaps", "neighbour", "a"))
    fleet.wait_good("staging/neighbour")
    return fleet


@pytest.fixture(scope="module")
def guest(host: Fleet, guests: dict[str, ControlPlane]) -> Iterator[str]:
    """A cluster that git declares and that has just joined."""
    declared = cluster("guest", labels={"open": "yes"})
    cursors = {name: host.cursor(name) for name in host.planes}
    host.commit({"fleet/guest.yaml": documents(declared)})
    host.join("guest", guests["guest"])
    host.wait_for("guest", at("configmaps", "visit-guest", "a"))
    host.wait_good("guest/visit-guest")
    for name, cursor in cursors.items():
        written = [w for w in cursor.writes(user=AGENT) if w.namespace != "gitops-fleet"]
        assert not [str(write) for write in written], f"the newcomer changed {name}"
    yield "guest"
    host.estate.members["guest"].agent.kill()
    del host.planes["guest"]


def test_a_new_cluster_gets_exactly_its_targets(host: Fleet, guest: str) -> None:
    assert owned(host, guest) == {"configmaps visit-guest/a"}
    (found,) = items(host, guest, "configmaps")
    assert found["data"]["text"] == CANARY + guest
    spaces = {item["metadata"]["name"] for item in items(host, guest, "namespaces", "")}
    system = {"default", "kube-system", "kube-public", "kube-node-lease", "gitops-fleet"}
    assert spaces - system == {"visit-guest"}

    others = {name for name in host.planes if name != guest}
    assert others >= {"management", "staging", "production"}
    for other in others:
        assert not [ref for ref in owned(host, other) if "visit-guest" in ref]
    # not a byte of another cluster's targets reached it: neither its API server nor its agent's disk
    seen = host.planes[guest].audit_log
    assert seen is not None
    assert CANARY + "guest" in seen.read_text()
    for place in (seen, *files_of(host, guest)):
        text = place.read_bytes().decode(errors="replace")
        for other in ("neighbour", "lodger"):
            assert CANARY + other not in text, place
            assert f"visit/{other}" not in text, place


def test_a_cluster_that_leaves_git_keeps_everything(host: Fleet, guest: str) -> None:
    before = objects(host, guest)
    assert before
    cursor = host.cursor(guest)

    host.commit({"fleet/guest.yaml": None})
    host.settled()
    state = wait_until(
        lambda: cluster_state(host, guest) == "Detached", what="the cluster's being detached"
    )
    assert state
    time.sleep(QUIET)
    assert objects(host, guest) == before
    assert not [w for w in cursor.writes(user=AGENT) if w.verb == "delete"]
    assert not host.cli("approve", "-o", "json").json["items"], "nothing of it is a removal"

    # a change of its source does not reach it, a manual change is healed
    host.commit({"visit/guest/a.yaml": configmap("a", text=CANARY + "guest, changed")})
    host.settled()
    host.change(guest, at("configmaps", "visit-guest", "a"), {"data": {"text": "by hand"}})
    wait_until(lambda: objects(host, guest).items() >= before.items(), what="the healing")
    time.sleep(QUIET)
    assert objects(host, guest) == before

    host.commit({"fleet/guest.yaml": documents(cluster("guest", labels={"open": "yes"}))})
    changed = CANARY + "guest, changed"
    wait_until(
        lambda: changed in objects(host, guest).values(), what="its being part of the fleet again"
    )
    host.commit({"visit/guest/a.yaml": configmap("a", text=CANARY + "guest")})
    wait_until(lambda: objects(host, guest) == before, what="the old text")
    host.wait_good("guest/visit-guest")


def test_removing_a_cluster_with_cascade_takes_everything_off_it(
    host: Fleet, guests: dict[str, ControlPlane], tmp_path: Path
) -> None:
    plane = guests["lodger"]
    token = tmp_path / "token"
    added = host.cli("cluster", "add", "lodger", "--label", "open=yes", "--token-out", str(token))
    assert added.status == 0, added
    assert "fleet agent join --hub https://" in added.out
    host.join("lodger", plane)
    host.wait_for("lodger", at("configmaps", "visit-lodger", "a"))
    host.wait_good("lodger/visit-lodger")
    by_hand: JsonObject = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}}
    plane.request("POST", at("configmaps", "visit-lodger"), by_hand)

    refused = host.cli("cluster", "remove", "staging", "--cascade", "--yes")
    assert refused.status == 1
    assert "take it out of git first" in refused.text

    removed = host.cli("cluster", "remove", "lodger", "--cascade", "--yes")
    assert removed.status == 0, removed
    host.wait_for("lodger", at("configmaps", "visit-lodger", "a"), gone=True)
    wait_until(lambda: cluster_state(host, "lodger") == "", what="its being forgotten")
    assert not owned(host, "lodger")
    assert host.get("lodger", at("configmaps", "visit-lodger", "b")), "not ours"
    assert host.cli("cluster", "get", "lodger").status == 1
    host.estate.members["lodger"].agent.kill()
    del host.planes["lodger"]

    again = subprocess.run(  # its identity is worth nothing any more
        [sys.executable, "-m", "agents", "join", "--hub", host.estate.agents_url, "--token-file",
         str(token), "--config", str(host.estate.members["lodger"].config)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert again.returncode == 1
    assert "Traceback" not in again.stderr


# reading


def items(fleet: Fleet, name: str, kind: str, query: str = OWNED) -> list[JsonObject]:
    listed = fleet.get(name, f"/api/v1/{kind}{query}")
    assert listed is not None
    return list(listed["items"])


def owned(fleet: Fleet, name: str) -> set[str]:
    """Everything of ours on a cluster, of the kinds that tests use."""
    kinds = ("configmaps", "secrets", "services", "namespaces")
    found = {(kind, item["metadata"]["namespace"] if kind != "namespaces" else "", item["metadata"]["name"])
             for kind in kinds for item in items(fleet, name, kind)}  # fmt: skip
    return {f"{kind} {namespace}/{object_}" for kind, namespace, object_ in found}


def objects(fleet: Fleet, name: str) -> dict[str, str]:
    """The ConfigMaps of ours with what they say."""
    return {
        f"{item['metadata']['namespace']}/{item['metadata']['name']}": item["data"]["text"]
        for item in items(fleet, name, "configmaps")
    }


def cluster_state(fleet: Fleet, name: str) -> str:
    """A cluster's state as the command shows it; empty where the hub does not know it."""
    rows = fleet.cli("cluster", "list", "-o", "json").json["items"]
    return next((row["state"] for row in rows if row["name"] == name), "")


def files_of(fleet: Fleet, name: str) -> list[Path]:
    """What the cluster's agent keeps on disk, its log included."""
    home = fleet.estate.folder / name
    return [path for path in home.rglob("*") if path.is_file()]

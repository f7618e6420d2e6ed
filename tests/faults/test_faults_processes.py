"""Hub and agents killed, stopped and started again at bad moments: nothing is lost, doubled, or left over.

One fleet for all of them; each works in namespaces of its own. Judged by the API servers and their audit logs.
"""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleet.codec.jsontypes import JsonObject
from fleet.testing.apiproxy import ApiProxy
from fleet.testing.audit import AGENT, Cursor
from fleet.testing.estate import wait_until
from fleet.testing.faults import (
    change_settings,
    generation,
    positions,
    run_agent,
    spoil,
    wait_text,
    writes_of_applications,
)
from fleet.testing.fleets import Fleet, application, appset, configmap, deployment, documents
from fleet.wire import api

CLUSTERS = ("north", "south")
CONTROLLERS = "system:kube-controller-manager"
LONG = 90.0


@pytest.fixture(scope="module")
def fleet(start_fleet: Callable[..., Fleet]) -> Fleet:
    return start_fleet()


@pytest.fixture(autouse=True)
def everything_runs_again(fleet: Fleet) -> Iterator[None]:
    """A test that failed in the middle must not take the others with it."""
    yield
    if not fleet.estate.hub.is_running:
        fleet.estate.start_hub()
    for member in fleet.estate.members.values():
        if not member.agent.is_running:
            member.agent.start()


# the hub


def test_a_hub_killed_again_and_again_while_it_dispatches_loses_nothing(
    fleet: Fleet, dice: random.Random
) -> None:
    cursors = {name: fleet.cursor(name) for name in CLUSTERS}
    names = [f"many-{number:02d}" for number in range(20)]
    apps = {f"many/{name}/all.yaml": configmap(name, text="hello") for name in names}
    fleet.commit({"fleet/many.yaml": documents(_everywhere(fleet, "many")), **apps})
    for moment in [dice.uniform(0.0, 1.0)] + [dice.uniform(0.5, 2.5) for _ in range(4)]:
        time.sleep(moment)
        fleet.estate.hub.kill()
        fleet.estate.hub.start(**fleet.estate.environment)
    fleet.estate.wait_ready(timeout=LONG)
    assert fleet.estate.hub.cpu_seconds() < 10, "what is under way costs a hub that starts no more"
    fleet.wait_good(*(f"{c}/{name}-{c}" for c in CLUSTERS for name in names), timeout=LONG)
    for name, cursor in cursors.items():
        writes = [w for w in cursor.writes(user=AGENT) if w.namespace.startswith("t-many")]
        created = Counter(w.name for w in writes if w.is_creation and w.resource == "configmaps")
        assert created == Counter(names), "each object was created once"
        assert not [w for w in writes if w.verb.startswith("delete")]
        seen = positions(cursor)
        assert seen, "assignments were written down"
        assert seen == sorted(seen), f"{name} went back: {seen}"


def test_what_the_api_acknowledged_survives_a_kill(fleet: Fleet, tmp_path: Path) -> None:
    manual = application(
        "asked", repo=fleet.repo.url, path="asked", cluster="north", namespace="t-asked",
        automated=None,
    )  # fmt: skip
    fleet.commit(
        {"fleet/asked.yaml": documents(manual), "asked/all.yaml": configmap("asked", text="hello")}
    )
    fleet.wait_row("north/asked", sync="OutOfSync")

    sync = api.SyncRequest()
    fleet.estate.call("POST", "apps/north~asked/sync", api.OperationAnswer, sync)
    fleet.estate.hub.kill()
    fleet.estate.start_hub()
    fleet.wait_for("north", "/api/v1/namespaces/t-asked/configmaps/asked", timeout=LONG)

    added = api.AddCluster(name="east", labels={"side": "east"})
    token = fleet.estate.call("POST", "clusters", api.JoinInstructions, added).token
    fleet.estate.hub.kill()
    fleet.estate.start_hub()
    rows = fleet.estate.call("GET", "clusters", api.ClusterList).items
    assert {"side": "east"} in [row.labels for row in rows if row.name == "east"]
    assert "joined as cluster east" in _join(fleet, "north", token, tmp_path)
    fleet.estate.hub.kill()
    fleet.estate.start_hub()
    east = fleet.estate.call("GET", "clusters/east", api.ClusterRow)
    assert east.state != "NotJoined"
    fleet.estate.call("DELETE", "clusters/east", api.Message)


def test_an_approval_survives_a_kill(fleet: Fleet) -> None:
    names = ("first", "second", "third")
    files = {f"held/{name}/all.yaml": configmap(name, text="hello") for name in names}
    fleet.commit({"fleet/held.yaml": documents(_everywhere(fleet, "held")), **files})
    path = "/api/v1/namespaces/t-held-{0}/configmaps/{0}"
    for name in names:
        fleet.wait_for("south", path.format(name), timeout=LONG)
    fleet.wait_good(*(f"{c}/{name}-{c}" for c in CLUSTERS for name in names), timeout=LONG)
    fleet.commit(dict.fromkeys(files))

    def holds() -> tuple[api.HoldRow, ...]:
        return tuple(
            hold for hold in fleet.estate.call("GET", "holds", api.HoldList).items
            if "held" in hold.subject
        )  # fmt: skip

    (hold,) = wait_until(holds, what="the hold of the emptied set")
    asked = api.ApproveRequest(subject=hold.subject, digest=hold.digest)
    fleet.estate.call("POST", "approve", api.Message, asked)
    fleet.estate.hub.kill()
    for name in names:
        assert fleet.get("south", path.format(name)) is not None, (
            "nothing goes before it is decided"
        )
    fleet.estate.start_hub()
    for cluster in CLUSTERS:
        for name in names:
            fleet.wait_for(cluster, path.format(name), gone=True, timeout=LONG)


def test_a_stop_drains_within_the_grace_period(fleet: Fleet) -> None:
    files = {f"drain/d{n}/all.yaml": configmap(f"d{n}", text="hello") for n in range(5)}
    fleet.commit({"fleet/drain.yaml": documents(_everywhere(fleet, "drain")), **files})
    started = time.monotonic()
    status = fleet.estate.hub.stop(timeout=30)
    assert (status, time.monotonic() - started < 20) == (0, True)
    fleet.estate.start_hub()
    fleet.wait_for("south", "/api/v1/namespaces/t-drain-d4/configmaps/d4", timeout=LONG)
    started = time.monotonic()
    status = fleet.estate.members["south"].agent.stop(timeout=30)
    assert (status, time.monotonic() - started < 20) == (0, True)


def test_a_restart_while_the_repository_is_away_changes_nothing(fleet: Fleet) -> None:
    path = "/api/v1/namespaces/t-away/configmaps/away"
    app = application("away", repo=fleet.repo.url, path="away", cluster="north", namespace="t-away")
    fleet.commit(
        {"fleet/away.yaml": documents(app), "away/all.yaml": configmap("away", text="before")}
    )
    fleet.wait_for("north", path, timeout=LONG)
    fleet.wait_good("north/away", timeout=LONG)
    cursors = [fleet.cursor(name) for name in CLUSTERS]
    fleet.estate.hub.kill()
    hidden = fleet.repo.path.rename(fleet.repo.path.with_suffix(".hidden"))
    try:
        fleet.estate.start_hub()
        fleet.wait_row("north/away", sync="Synced", health="Healthy", timeout=LONG)
        fleet.estate.push(fleet.repo.url)
        time.sleep(2)
        assert [str(w) for cursor in cursors for w in writes_of_applications(cursor)] == []
    finally:
        hidden.rename(fleet.repo.path)
    fleet.commit({"away/all.yaml": configmap("away", text="after")})
    plane = fleet.planes["north"]
    wait_text(plane, path, "after", timeout=LONG)


# the agent


@pytest.mark.parametrize("count", [1, 4, 7])
def test_an_agent_killed_after_some_of_its_patches_finishes(
    fleet: Fleet, count: int, tmp_path: Path
) -> None:
    total, name = 8, f"killed-{count}"
    objects = [f"object-{number}" for number in range(total)]
    place = f"/api/v1/namespaces/t-{name}/configmaps"
    app = application(name, repo=fleet.repo.url, path=name, cluster="north", namespace=f"t-{name}")
    member, cursor = fleet.estate.members["north"], fleet.cursor("north")
    with ApiProxy(fleet.planes["north"]) as proxy:
        stop = proxy.stop_after(
            count, lambda method, path: method == "PATCH" and path.startswith(f"{place}/")
        )
        through = proxy.kubeconfig(member.kubeconfig, tmp_path / "proxy.kubeconfig")
        member.agent.kill()
        change_settings(member.config, kubeconfig=str(through))
        member.agent.start()
        fleet.commit(
            {
                f"fleet/{name}.yaml": documents(app),
                f"{name}/all.yaml": "---\n".join(configmap(each, text="hi") for each in objects),
            }
        )
        assert stop.reached.wait(LONG), f"{stop.passed} of {count} patches: {member.agent.tail()}"
        member.agent.kill()
    found = fleet.get("north", place) or {}
    assert len([i for i in found["items"] if i["metadata"]["name"] in objects]) == count
    change_settings(member.config, kubeconfig=str(member.kubeconfig))
    member.agent.start()
    fleet.wait_for("north", f"{place}/{objects[-1]}", timeout=LONG)
    fleet.wait_good(f"north/{name}", timeout=LONG)
    created = Counter(
        w.name for w in cursor.writes(user=AGENT, namespace=f"t-{name}", resource="configmaps")
        if w.is_creation
    )  # fmt: skip
    assert created == Counter(objects)
    # What was created before the kill is in the inventory: it goes with the application.
    fleet.commit({f"fleet/{name}.yaml": None})
    for each in objects:
        fleet.wait_for("north", f"{place}/{each}", gone=True, timeout=LONG)


def test_what_an_agent_created_before_it_was_killed_is_not_orphaned(
    fleet: Fleet, tmp_path: Path
) -> None:
    objects = [f"object-{number}" for number in range(8)]
    place = "/api/v1/namespaces/t-orphaned/configmaps"
    app = application(
        "orphaned", repo=fleet.repo.url, path="orphaned", cluster="north", namespace="t-orphaned"
    )
    member = fleet.estate.members["north"]
    with ApiProxy(fleet.planes["north"]) as proxy:
        stop = proxy.stop_after(
            4, lambda method, path: method == "PATCH" and path.startswith(f"{place}/")
        )
        member.agent.kill()
        through = proxy.kubeconfig(member.kubeconfig, tmp_path / "proxied")
        change_settings(member.config, kubeconfig=str(through))
        member.agent.start()
        manifests = "---\n".join(configmap(each, text="hi") for each in objects)
        fleet.commit({"fleet/orphaned.yaml": documents(app), "orphaned/all.yaml": manifests})
        assert stop.reached.wait(LONG), f"{stop.passed} of 4 patches: {member.agent.tail()}"
        member.agent.kill()
    assigned = generation(fleet, "north")
    change_settings(member.config, kubeconfig=str(member.kubeconfig))
    # The application leaves before the agent is back, which has lost its disk, too: it never gets to finish.
    fleet.commit({"fleet/orphaned.yaml": None})
    wait_until(lambda: generation(fleet, "north") > assigned, what="its leaving")
    cursor = fleet.cursor("north")
    shutil.rmtree(member.config.parent / "state")
    member.agent.start()
    for each in objects:
        fleet.wait_for("north", f"{place}/{each}", gone=True, timeout=LONG)
    writes = cursor.writes(user=AGENT, namespace="t-orphaned", resource="configmaps")
    assert Counter(w.verb for w in writes) == {"delete": 4}


def test_an_agent_restarted_without_its_hub_heals_and_keeps_the_order(fleet: Fleet) -> None:
    drifting = application(
        "drifting", repo=fleet.repo.url, path="drifting", cluster="south", namespace="t-drifting"
    )
    fleet.commit(
        {
            "fleet/drifting.yaml": documents(drifting),
            "drifting/all.yaml": configmap("drifting", text="right"),
        }
    )
    path = "/api/v1/namespaces/t-drifting/configmaps/drifting"
    fleet.wait_for("south", path, timeout=LONG)
    fleet.wait_good("south/drifting", timeout=LONG)
    cursor, plane = fleet.cursor("south"), fleet.planes["south"]
    _commit_pair(fleet, "restarted", ready_after=8.0)
    fleet.wait_for("south", _base("restarted"), timeout=LONG)
    fleet.estate.hub.kill()
    member = fleet.estate.members["south"]
    member.agent.kill()
    spoil(plane, path, text="wrong")
    member.agent.start()
    wait_text(plane, path, "right")
    # And once it runs, in the time that counts.
    healed = spoil(plane, path, text="wrong")
    wait_text(plane, path, "right")
    assert time.monotonic() - healed < 5
    delay = _release_delay(fleet, cursor, "restarted")
    assert 0 <= delay < 0.5, f"released {delay:.3f} s after Ready"


def test_a_dependent_is_released_at_once_while_the_hub_is_down(fleet: Fleet) -> None:
    cursor = fleet.cursor("south")
    _commit_pair(fleet, "alone", ready_after=3.0)
    fleet.wait_for("south", _base("alone"), timeout=LONG)
    fleet.estate.hub.kill()
    delay = _release_delay(fleet, cursor, "alone")
    assert 0 <= delay < 0.5, f"released {delay:.3f} s after Ready"
    fleet.estate.start_hub()
    fleet.wait_good("south/alone-base", "south/alone-dependent", timeout=LONG)


# doing and reading


def _everywhere(fleet: Fleet, folder: str) -> dict[str, object]:
    """An ApplicationSet: each folder below one, on each cluster."""
    name = "{{.path.basename}}"
    matrix = {
        "matrix": {
            "generators": [
                {"git": {"repoURL": fleet.repo.url, "revision": "main",
                         "directories": [{"path": f"{folder}/*"}]}},
                {"clusters": {"selector": {"matchExpressions": [
                    {"key": "side", "operator": "DoesNotExist"}]}}},
            ]
        }
    }  # fmt: skip
    template = application(
        f"{name}-{{{{.name}}}}", repo=fleet.repo.url, path="{{.path.path}}", cluster="{{.name}}",
        namespace=f"t-{folder}-{name}",
    )  # fmt: skip
    return appset(folder, [matrix], template)


def _commit_pair(fleet: Fleet, name: str, *, ready_after: float) -> None:
    """Two applications in south, one after the other."""
    common: JsonObject = {"repo": fleet.repo.url, "cluster": "south"}
    base = application(f"{name}-base", path=f"{name}/base", namespace=f"t-{name}-base", **common)
    dependent = application(
        f"{name}-dependent", path=f"{name}/dependent", namespace=f"t-{name}-dependent",
        depends_on=f"{name}-base", **common,
    )  # fmt: skip
    fleet.commit(
        {
            f"fleet/{name}.yaml": documents(base, dependent),
            f"{name}/base/all.yaml": deployment("base", ready_after=ready_after),
            f"{name}/dependent/all.yaml": configmap("dependent", text="hello"),
        }
    )


def _base(name: str) -> str:
    return f"/apis/apps/v1/namespaces/t-{name}-base/deployments/base"


def _release_delay(fleet: Fleet, cursor: Cursor, name: str) -> float:
    """Seconds from the status write that made the base Ready to the first write for its dependent."""
    place = f"/api/v1/namespaces/t-{name}-dependent/configmaps/dependent"
    fleet.wait_for("south", place, timeout=LONG)
    ready = next(
        w for w in cursor.writes(user=CONTROLLERS, resource="deployments", namespace=f"t-{name}-base")
        if w.subresource == "status" and w.response["status"].get("availableReplicas") == 1
    )  # fmt: skip
    first = min(
        w.received for w in cursor.writes(user=AGENT)
        if f"t-{name}-dependent" in (w.namespace, w.name)
    )  # fmt: skip
    return first - ready.done


def _join(fleet: Fleet, cluster: str, token: str, folder: Path) -> str:
    """Join with a token, as another agent in a cluster, and leave it at that."""
    config = folder / "agent.yaml"
    config.write_text(fleet.estate.members[cluster].config.read_text())
    (folder / "token").write_text(token)
    state = {"path": str(folder / "state"), "backend": "file"}
    change_settings(config, state=state, tokenFile=str(folder / "token"))
    return run_agent(fleet, "join", config).text

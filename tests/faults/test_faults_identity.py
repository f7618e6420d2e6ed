"""Certificates that expire, are voided, or expired too long ago: who comes back alone, and who only by a human.

The certificates of this fleet live for seconds. Judged by whether a commit reaches a cluster's API server.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from fleet.testing.audit import Cursor
from fleet.testing.controlplane import ControlPlane
from fleet.testing.estate import wait_until
from fleet.testing.faults import (
    change_settings,
    expires,
    identity_of,
    new_token,
    positions,
    run_agent,
    settings_of,
    spoil,
    wait_text,
    writes_of_applications,
)
from fleet.testing.fleets import Fleet, application, cluster, configmap, documents
from fleet.wire import api

CLUSTERS = ("north", "south")
PATH = "/api/v1/namespaces/t-shop/configmaps/shop"
LONG = 90.0
SHORT_LIVED = {"certificateLifetime": "6s", "renewExpiredFor": "30s"}


@pytest.fixture(scope="module")
def shared_fleet(start_fleet: Callable[..., Fleet]) -> Fleet:
    fleet = start_fleet(hub={"identity": SHORT_LIVED})
    shops = [
        application(
            f"shop-{name}", repo=fleet.repo.url, path="shop", cluster=name, namespace="t-shop"
        )
        for name in CLUSTERS
    ]
    fleet.commit(
        {"fleet/shop.yaml": documents(*shops), "shop/all.yaml": configmap("shop", text="first")}
    )
    return fleet


@pytest.fixture
def fleet(shared_fleet: Fleet) -> Iterator[Fleet]:
    """The fleet with everything in order, before and after."""
    _sell(shared_fleet, "in order", *CLUSTERS)
    yield shared_fleet
    estate = shared_fleet.estate
    if settings_of(estate.folder / "hub.yaml")["identity"] != SHORT_LIVED:
        _restart_hub(shared_fleet, **SHORT_LIVED)
        for name in CLUSTERS:  # whose certificates live too long now
            _join_again(shared_fleet, name)
    if not estate.hub.is_running:
        estate.start_hub()
    for member in estate.members.values():
        if not member.agent.is_running:
            member.agent.start()


def test_certificates_renew_themselves(fleet: Fleet) -> None:
    before = {name: identity_of(fleet.planes[name]) for name in CLUSTERS}
    for name in CLUSTERS:
        plane, old = fleet.planes[name], before[name]["certificate"]

        def is_renewed(plane: ControlPlane = plane, old: str = old) -> bool:
            return bool(identity_of(plane)["certificate"] != old)

        wait_until(is_renewed, what=f"the renewal of {name}", poll=0.2)
        assert identity_of(plane)["key"] != before[name]["key"]
    _sell(fleet, "after a renewal", *CLUSTERS)


def test_all_certificates_expired_while_the_hub_was_away_and_everyone_returns(fleet: Fleet) -> None:
    fleet.estate.hub.kill()
    wait_until(
        lambda: max(expires(plane) for plane in fleet.planes.values()) < time.time(),
        what="the expiry of all certificates",
        poll=0.2,
    )
    spoiled = spoil(fleet.planes["south"], PATH, text="by hand")
    wait_text(fleet.planes["south"], PATH, "in order")
    assert time.monotonic() - spoiled < 2
    cursors = {name: fleet.cursor(name) for name in CLUSTERS}
    fleet.estate.start_hub()
    _sell(fleet, "back again", *CLUSTERS)
    for name, cursor in cursors.items():
        assert expires(fleet.planes[name]) > time.time() - 6
        written = [w.request["data"]["text"] for w in writes_of_applications(cursor)]
        # The healing may have come into the log only after it could be seen.
        assert [text for text in written if text != "in order"] == ["back again"]


def test_a_revoked_agent_does_not_return_by_itself(fleet: Fleet) -> None:
    agent = fleet.estate.members["south"].agent
    answer = fleet.cli("cluster", "revoke", "south", "--yes")
    assert answer.status == 0, answer.text
    cursor, before = fleet.cursor("south"), _standing(fleet)
    agent.kill()
    agent.start()
    _sell(fleet, "revoked", "north")
    _stays_away(fleet, before)
    _join_again(fleet, "south")
    _returns(fleet, cursor, "revoked")


def test_a_removed_cluster_does_not_return_by_itself(fleet: Fleet) -> None:
    declared = fleet.repo.read("fleet/clusters.yaml").decode()
    agent = fleet.estate.members["south"].agent
    agent.kill()
    fleet.commit({"fleet/clusters.yaml": documents(cluster("north"))})
    wait_until(lambda: _state(fleet, "south") == "Detached", what="the cluster's leaving git")
    fleet.estate.call("DELETE", "clusters/south", api.Message)
    cursor, before = fleet.cursor("south"), _standing(fleet)
    agent.start()
    fleet.commit({"fleet/clusters.yaml": declared})
    _sell(fleet, "removed", "north")
    _stays_away(fleet, before)
    _join_again(fleet, "south")
    _returns(fleet, cursor, "removed")


def test_a_certificate_that_expired_too_long_ago_needs_a_human(fleet: Fleet) -> None:
    member, south = fleet.estate.members["south"], fleet.planes["south"]
    member.agent.kill()
    # The other agent gets a longer life first, so that it alone is spared.
    _restart_hub(fleet, certificateLifetime="5m", renewExpiredFor="30s")
    wait_until(
        lambda: expires(fleet.planes["north"]) > time.time() + 60, what="a longer life", poll=0.2
    )
    _restart_hub(fleet, certificateLifetime="5m", renewExpiredFor="1s")
    wait_until(lambda: time.time() > expires(south) + 1.5, what="the end of the grace", poll=0.1)
    cursor, before = fleet.cursor("south"), _standing(fleet)
    member.agent.start()
    _sell(fleet, "too late", "north")
    _stays_away(fleet, before)
    _join_again(fleet, "south")
    _returns(fleet, cursor, "too late")


# doing and reading


def _sell(fleet: Fleet, text: str, *clusters: str) -> None:
    """Commit a change and see it arrive."""
    fleet.commit({"shop/all.yaml": configmap("shop", text=text)})
    for name in clusters:
        wait_text(fleet.planes[name], PATH, text, timeout=LONG)


def _standing(fleet: Fleet) -> tuple[str, str]:
    """The object in south as it is there, and the certificate of the agent there."""
    found = fleet.get("south", PATH)
    assert found is not None
    certificate = identity_of(fleet.planes["south"])["certificate"]
    return found["metadata"]["resourceVersion"], certificate


def _stays_away(fleet: Fleet, before: tuple[str, str]) -> None:
    """For some seconds no news reach south, nothing there is touched, and its agent gets no certificate."""
    time.sleep(4)
    assert fleet.estate.members["south"].agent.is_running
    assert _standing(fleet) == before


def _returns(fleet: Fleet, cursor: Cursor, text: str) -> None:
    """What it missed arrives, in order, and nothing was deleted for it."""
    wait_text(fleet.planes["south"], PATH, text, timeout=LONG)
    assert positions(cursor) == sorted(positions(cursor))
    assert [w for w in writes_of_applications(cursor) if w.verb == "delete"] == []


def _join_again(fleet: Fleet, name: str) -> None:
    """What a human does: a new token, and the agent started with it."""
    member = fleet.estate.members[name]
    member.agent.stop()
    (member.config.parent / "token").write_text(new_token(fleet, name))
    ran = run_agent(fleet, "join", member.config)
    assert ran.status == 0, ran.text
    member.agent.start()


def _state(fleet: Fleet, name: str) -> str:
    rows = fleet.estate.call("GET", "clusters", api.ClusterList).items
    return next((row.state for row in rows if row.name == name), "")


def _restart_hub(fleet: Fleet, **identity: str) -> None:
    fleet.estate.hub.kill()
    change_settings(fleet.estate.folder / "hub.yaml", identity=identity)
    fleet.estate.start_hub()

"""What must not pass between a hub, its agents and their clusters: others' content, replays, doubles, other clusters.

One fleet for all tests; its agents keep their state in files, so that a copied machine is a copied folder. Judged by
API servers and their audit logs.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from fleet.codec.canonical import digest_bytes
from fleet.model.assignment import Head
from fleet.model.report import ClusterFacts, Report, TargetStatus
from fleet.testing.controlplane import ControlPlane
from fleet.testing.controlplane.ports import PortLease
from fleet.testing.controlplane.processes import Watchdog
from fleet.testing.estate import Daemon, wait_until
from fleet.testing.fakehub import FakeHub, Kept
from fleet.testing.faults import (
    change_settings,
    generation,
    spoil,
    wait_text,
    writes_of_applications,
)
from fleet.testing.fleets import Fleet, application, configmap, documents
from fleet.wire import codec, routes
from fleet.wire.enrolment import FetchRequest
from fleet.wire.frames import read_frames
from fleet.wire.heads import payload_of

CLUSTERS = ("north", "south")
PATH = "/api/v1/namespaces/t-{0}/configmaps/own"
LONG = 90.0


@pytest.fixture(scope="module")
def shared_fleet(start_fleet: Callable[..., Fleet]) -> Fleet:
    """Each cluster has an application of its own."""
    fleet = start_fleet(agent={"state": {"backend": "file"}})
    apps = [
        application(
            f"own-{name}", repo=fleet.repo.url, path=f"own/{name}", cluster=name,
            namespace=f"t-{name}",
        )
        for name in CLUSTERS
    ]  # fmt: skip
    fleet.commit(
        {
            "fleet/own.yaml": documents(*apps),
            **{f"own/{name}/all.yaml": configmap("own", text=name) for name in CLUSTERS},
        }
    )
    return fleet


@pytest.fixture
def fleet(shared_fleet: Fleet) -> Iterator[Fleet]:
    """The fleet with everything in order, before and after."""
    _write(shared_fleet, "in order", *CLUSTERS)
    shared_fleet.wait_good("north/own-north", "south/own-south", timeout=LONG)
    yield shared_fleet
    estate = shared_fleet.estate
    if not estate.hub.is_running:
        estate.start_hub()
    for member in estate.members.values():
        if not member.agent.is_running:
            member.agent.start()


# content of others


def test_content_of_another_cluster_is_answered_like_what_does_not_exist(fleet: Fleet) -> None:
    for name in CLUSTERS:
        _write(fleet, f"canary of {name}", name)
    fleet.wait_good("north/own-north", "south/own-south", timeout=LONG)
    kept = {name: Kept.of(_state(fleet, name)) for name in CLUSTERS}
    foreign = kept["north"].blobs.keys() - kept["south"].blobs.keys()
    own = kept["south"].blobs.keys() - kept["north"].blobs.keys()
    assert _holding(kept["north"], "canary of north") <= foreign
    assert _holding(kept["south"], "canary of south") <= own
    unknown = digest_bytes(b"what nobody ever made")
    with _certificate(fleet, "south") as context:
        for route in (routes.SECTIONS, routes.ARTIFACTS):
            nothing = _ask(fleet, context, "GET", f"{route}/{unknown}")
            assert nothing[0] == 404
            for digest in foreign:
                assert _ask(fleet, context, "GET", f"{route}/{digest}") == nothing
        assert {
            _ask(fleet, context, "GET", f"{route}/{digest}")[0]
            for digest in own
            for route in (routes.SECTIONS, routes.ARTIFACTS)
        } == {200, 404}, "each is either a section or an artifact"
        asked = FetchRequest(digests=(*sorted(foreign), unknown, *sorted(own)))
        status, body = _ask(fleet, context, "POST", routes.FETCH, codec.encode(asked))
        assert status == 200
        found = {frame.digest: frame.data for frame in read_frames(body)}
        assert {digest for digest, data in found.items() if data is not None} == own
        assert b"canary of north" not in body
        # Nor is it had by claiming to have it.
        claim = _holding(kept["north"], "canary of north").pop()
        claimed = TargetStatus(target="own-south", applied=claim, assigned=claim)
        uid = _identity(fleet, "south")["cluster_uid"]
        report = Report(
            sequence=10**6, epoch=1, generation=1, facts=ClusterFacts(uid=uid), changed=(claimed,),
            complete=True,
        )  # fmt: skip
        assert _ask(fleet, context, "POST", routes.REPORT, codec.encode(report))[0] == 200
        assert _ask(fleet, context, "GET", f"{routes.ARTIFACTS}/{claim}")[0] == 404
    nobody = _trusting(fleet, "south")
    answers = {_ask(fleet, nobody, "GET", f"{routes.ARTIFACTS}/{each}") for each in (*own, unknown)}
    assert {status for status, _ in answers} == {401}
    assert len(answers) == 1


# replays


def test_old_and_foreign_assignments_are_refused_when_they_are_replayed(fleet: Fleet) -> None:
    state, plane, member = (
        _state(fleet, "north"),
        fleet.planes["north"],
        fleet.estate.members["north"],
    )
    path = PATH.format("north")
    old = Kept.of(state)
    _write(fleet, "newer", "north")
    fleet.wait_good("north/own-north", timeout=LONG)
    while generation(fleet, "south") <= generation(fleet, "north"):
        _write(fleet, f"newer than {generation(fleet, 'south')}", "south")
    current, foreign = Kept.of(state), Kept.of(_state(fleet, "south"))
    fleet.estate.members["south"].agent.stop()
    fleet.estate.hub.kill()
    # The foreign one is not refused for its age.
    assert _position(foreign) > _position(current)
    cursor = fleet.cursor("north")
    pki = fleet.estate.folder / "hub" / "pki"
    with FakeHub(fleet.estate.agents_port, pki=pki) as fake:
        for offer in (old, foreign):
            fake.offer(offer)
            fake.wait_taken(2)
        assert [str(w) for w in writes_of_applications(cursor)] == []
        # An agent without a disk remembers no assignment, only how far it was.
        member.agent.stop()
        shutil.rmtree(state / "blobs")
        (state / "head.json").unlink()
        member.agent.start()
        for offer in (old, foreign):
            fake.offer(offer)
            fake.wait_taken(2)
        # Nor does it take them from its own disk.
        for kept in (old, foreign):
            member.agent.stop()
            (state / "head.json").write_bytes(codec.encode(kept.head))
            for digest, data in kept.blobs.items():
                (state / "blobs" / digest.removeprefix("sha256:")).write_bytes(data)
            member.agent.start()
            fake.wait_taken(fake.handed_out + 2)
        assert [str(w) for w in writes_of_applications(cursor)] == []
        assert (plane.get(path) or {})["data"] == {"text": "newer"}
        # That all of this was for their content: what it had before is taken, and healed to.
        spoil(plane, path, text="by hand")
        fake.offer(current)
        wait_text(plane, path, "newer")
    assert plane.get(PATH.format("south")) is None
    fleet.estate.start_hub()
    _write(fleet, "with the hub", "north")


# clusters that do not answer


@pytest.mark.parametrize("is_killed", [False, True], ids=["frozen", "killed"])
def test_a_cluster_that_does_not_answer_delays_no_other(fleet: Fleet, is_killed: bool) -> None:
    south = fleet.planes["south"]
    server = south.pids()["kube-apiserver"]
    if is_killed:
        south.kill_apiserver()
    else:
        os.kill(server, signal.SIGSTOP)
    try:
        fleet.commit({"own/south/all.yaml": configmap("own", text="while it was away")})
        for number in range(3):
            started = _write(fleet, f"number {number}", "north")
            assert time.monotonic() - started < 3
    finally:
        if is_killed:
            south.start_apiserver()
        else:
            os.kill(server, signal.SIGCONT)
    wait_text(south, PATH.format("south"), "while it was away", timeout=60)
    fleet.wait_good("south/own-south", timeout=LONG)
    spoiled = spoil(south, PATH.format("south"), text="by hand")
    wait_text(south, PATH.format("south"), "while it was away")
    assert time.monotonic() - spoiled < 2, "its watches work again"


# doubles


def test_a_copied_agent_is_refused_and_does_not_fight_with_the_first(
    fleet: Fleet, tmp_path: Path
) -> None:
    refused = fleet.metric("fleet_hub_double_agents_total")
    with _copied_agent(fleet, "north", tmp_path, fleet.planes["north"]):
        wait_until(
            lambda: fleet.metric("fleet_hub_double_agents_total") > refused,
            what="the refusal of the second agent",
        )
        cursor = fleet.cursor("north")
        for text in ("one", "two", "three"):
            _write(fleet, text, "north")
            time.sleep(1)
        written = [w.request["data"]["text"] for w in writes_of_applications(cursor)]
        assert written == ["one", "two", "three"]
        first = fleet.estate.members["north"].agent
        first.kill()
        # A machine that is really gone is followed by its copy.
        fleet.commit({"own/north/all.yaml": configmap("own", text="by the copy")})
        wait_text(fleet.planes["north"], PATH.format("north"), "by the copy", timeout=LONG)


def test_an_agent_in_a_rebuilt_cluster_touches_nothing(fleet: Fleet, tmp_path: Path) -> None:
    """The same name and state, another kube-system: here that of a neighbour, which has objects to lose."""
    cursor = fleet.cursor("south")
    fleet.estate.members["north"].agent.stop()
    with _copied_agent(fleet, "north", tmp_path, fleet.planes["south"]) as copy:
        _write_only(fleet, "for the rebuilt one", "north")
        assert copy.wait(timeout=60) == 1
        assert "another control plane" in copy.tail()
    assert [str(w) for w in writes_of_applications(cursor)] == []
    assert fleet.get("south", PATH.format("north")) is None


# doing and reading


def _write(fleet: Fleet, text: str, *clusters: str) -> float:
    """Commit a change for some clusters and see it arrive; returns when it was pushed."""
    pushed = _write_only(fleet, text, *clusters)
    for name in clusters:
        wait_text(fleet.planes[name], PATH.format(name), text, timeout=LONG)
    return pushed


def _write_only(fleet: Fleet, text: str, *clusters: str) -> float:
    return fleet.commit({f"own/{name}/all.yaml": configmap("own", text=text) for name in clusters})


def _state(fleet: Fleet, name: str) -> Path:
    return fleet.estate.members[name].config.parent / "state"


def _holding(kept: Kept, text: str) -> set[str]:
    found = {str(digest) for digest, data in kept.blobs.items() if text.encode() in data}
    assert found, f"no artifact holds {text!r}"
    return found


def _position(kept: Kept) -> tuple[int, int]:
    head = codec.decode(payload_of(kept.head), Head)
    return head.epoch, head.generation


def _identity(fleet: Fleet, name: str) -> dict[str, str]:
    kept: dict[str, str] = json.loads((_state(fleet, name) / "identity.json").read_text())
    return kept


def _trusting(fleet: Fleet, name: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=_identity(fleet, name)["ca_bundle"])
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


@contextmanager
def _certificate(fleet: Fleet, name: str) -> Iterator[ssl.SSLContext]:
    """A TLS context with an agent's own certificate."""
    identity, context = _identity(fleet, name), _trusting(fleet, name)
    pair = fleet.estate.folder / f"{name}.pem"
    pair.touch(mode=0o600)
    pair.write_text(identity["certificate"] + identity["key"])
    context.load_cert_chain(pair)
    yield context
    pair.unlink()


def _ask(
    fleet: Fleet, context: ssl.SSLContext, method: str, path: str, body: bytes | None = None
) -> tuple[int, bytes]:
    place = urlsplit(fleet.estate.agents_url)
    connection = http.client.HTTPSConnection(
        place.hostname or "", place.port, timeout=20, context=context
    )
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@contextmanager
def _copied_agent(fleet: Fleet, name: str, folder: Path, plane: ControlPlane) -> Iterator[Daemon]:
    """A second agent on a copy of everything that the first one has, in a cluster."""
    member, lease = fleet.estate.members[name], PortLease()
    home = folder / "copy"
    shutil.copytree(member.config.parent, home)
    change_settings(
        home / "agent.yaml",
        state={"path": str(home / "state"), "backend": "file"},
        kubeconfig=str(plane.kubeconfig_of("fleet-agent")),
        probes={"listen": f"127.0.0.1:{lease.port}"},
    )
    watchdog = Watchdog(home)
    argv = [sys.executable, "-P", "-m", "agents", "run", "--config", str(home / "agent.yaml")]
    copy = Daemon(f"copy of {name}", argv, log=home / "copy.log", watchdog=watchdog)
    copy.start()
    try:
        yield copy
    finally:
        copy.kill()
        watchdog.close()
        lease.release()

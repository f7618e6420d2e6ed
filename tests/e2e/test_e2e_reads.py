"""Reading from real clusters through the hub, by the command line: differences, objects, manifests, events, logs.

The Pods of these clusters have no kubelet. What a kubelet does is played by a proxy before the API server that answers
for logs; all else passes through it.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
from aiohttp import web

from fleet.codec.jsontypes import JsonObject
from fleet.testing.apiproxy import ApiProxy
from fleet.testing.controlplane import ControlPlane
from fleet.testing.estate import wait_until
from fleet.testing.fleets import Fleet, application, at, configmap, deployment, documents

CANARY = "Y2FuYXJ5LXZhbHVl"
SECRET: JsonObject = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "login"},
    "data": {"password": CANARY},
}


@pytest.fixture(scope="module")
def reading(fleet: Fleet) -> Fleet:
    """Two applications in one namespace, the first without self-heal."""
    apps = [
        application(
            name,
            repo=fleet.repo.url,
            path=name,
            cluster="staging",
            namespace="reads",
            automated={"prune": True},
        )
        for name in ("reads", "reads-other")
    ]
    fleet.commit(
        {
            "fleet/reads.yaml": documents(*apps),
            "reads/web.yaml": deployment("web"),
            "reads/data.yaml": configmap("data", text="right"),
            "reads/secret.yaml": documents(SECRET),
            "reads-other/web.yaml": deployment("other"),
        }
    )
    fleet.wait_good("staging/reads", "staging/reads-other")
    return fleet


def test_events_are_those_of_the_application_and_of_what_it_owns(reading: Fleet) -> None:
    ran = reading.cli("app", "events", "reads", "-o", "json")
    assert ran.status == 0, ran.err
    events = json.loads(ran.out)["items"]
    kinds = {item["object"].split("/")[1] for item in events}
    assert {"Deployment", "ReplicaSet", "Pod"} <= kinds
    assert {"ScalingReplicaSet", "SuccessfulCreate", "Scheduled"} <= {i["reason"] for i in events}
    assert not [item for item in events if "other" in item["object"]]


def test_the_tree_goes_down_to_the_pods(reading: Fleet) -> None:
    lines = reading.cli("app", "resources", "reads", "-o", "tree").out.splitlines()
    web = lines.index(next(line for line in lines if "Deployment:reads/web" in line))
    assert "ReplicaSet:reads/web-" in lines[web + 1]
    assert "/Pod:reads/web-" in lines[web + 2]
    assert lines[web + 2].startswith("   └─")
    assert not [line for line in lines if "other" in line]


def test_manifests_are_masked_in_the_cluster(reading: Fleet) -> None:
    for source in ("--source", "--live"):
        ran = reading.cli("app", "manifests", "reads", source, "-o", "json")
        found = {item["kind"]: item for item in json.loads(ran.out)}
        assert set(found) == {"ConfigMap", "Deployment", "Secret"}
        assert found["Secret"]["data"] == {"password": "***"}
        assert CANARY not in ran.out
    assert found["ConfigMap"]["metadata"]["uid"]


def test_differences_and_their_exit_status(reading: Fleet) -> None:
    assert reading.cli("app", "diff", "reads").status == 0
    reading.change("staging", at("configmaps", "reads", "data"), {"data": {"text": "wrong"}})
    reading.change("staging", at("secrets", "reads", "login"), {"data": {"password": "b3RoZXI="}})
    ran = wait_until(
        lambda: (seen := reading.cli("app", "diff", "reads")).status == 3 and seen,
        what="differences to be seen",
    )
    assert ran
    assert "-  text: wrong" in ran.out
    assert "+  text: right" in ran.out
    assert "(old value)" in ran.out
    assert CANARY not in ran.out
    assert "b3RoZXI" not in ran.out
    assert reading.cli("app", "diff", "reads", "--no-exit-code").status == 0
    assert reading.cli("app", "diff", "reads", "--resource", ":ConfigMap:data").status == 3
    assert reading.cli("app", "diff", "reads", "--resource", "apps:Deployment:web").status == 0
    assert reading.cli("app", "diff", "reads", "--resource", ":ConfigMap:ghost").status == 1
    assert reading.cli("app", "sync", "reads", "--wait").status == 0


def test_who_is_not_there(reading: Fleet) -> None:
    assert "no application 'ghost'" in reading.cli("app", "logs", "ghost").err
    foreign = reading.cli("app", "logs", "reads", "--pod", "other-*")
    assert "no pod 'other-*' on this cluster" in foreign.err


# logs, with a kubelet


class Kubelet(ApiProxy):
    """Plays the part of the API server that asks kubelets."""

    def __init__(self, plane: ControlPlane) -> None:
        super().__init__(plane)
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.left = threading.Event()
        self.is_there = True
        """Else the API server itself is asked, which knows of no kubelet."""

    def application(self) -> web.Application:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_get("/api/v1/namespaces/{namespace}/pods/{pod}/log", self._log)
        app.router.add_route("*", "/{path:.*}", self._handle)
        return app

    async def _log(self, request: web.Request) -> web.StreamResponse:
        if not self.is_there:
            return await self._handle(request)
        self.asked.append((request.match_info["pod"], dict(request.query)))
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"2026-01-01T00:00:00.1Z hello\n")
        if "follow" not in request.query:
            return response
        try:
            for number in range(1_000_000):
                await response.write(f"2026-01-01T00:00:01Z line {number} \x1b[31m\n".encode())
        finally:
            self.left.set()
        return response


@pytest.fixture(scope="module")
def behind(
    fleet: Fleet, reading: Fleet, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Kubelet]:
    """The agent of staging talks to its API server through the proxy."""
    member = fleet.estate.members["staging"]
    config = member.config.read_text()
    with Kubelet(fleet.planes["staging"]) as kubelet:
        file = kubelet.kubeconfig(
            member.kubeconfig, tmp_path_factory.mktemp("kubelet") / "kubeconfig"
        )
        member.agent.stop()
        member.config.write_text(config.replace(str(member.kubeconfig), str(file)))
        member.agent.start()
        yield kubelet
        member.agent.stop()
        member.config.write_text(config)
        member.agent.start()


def test_logs_of_the_applications_pods_and_no_others(reading: Fleet, behind: Kubelet) -> None:
    wait_until(lambda: reading.cli("app", "logs", "reads").status == 0, what="the agent to be back")
    behind.asked.clear()
    ran = reading.cli("app", "logs", "reads", "--tail", "7", "--since", "5m")
    ((pod, query),) = behind.asked
    assert ran.out == f"{pod}  hello\n"
    assert pod.startswith("web-")
    assert query == {
        "container": "app",
        "timestamps": "true",
        "tailLines": "7",
        "sinceSeconds": "300",
    }


def test_a_log_that_the_api_server_cannot_get_is_told_with_its_reason(
    reading: Fleet, behind: Kubelet
) -> None:
    wait_until(lambda: reading.cli("app", "logs", "reads").status == 0, what="the agent to be back")
    behind.is_there = False
    try:
        ran = reading.cli("app", "logs", "reads")
    finally:
        behind.is_there = True
    assert (ran.status, ran.out) == (1, "")
    assert "Pod:reads/web-" in ran.err
    assert "Traceback" not in ran.err
    assert len(ran.err.splitlines()) == 1


def test_following_until_interrupted(reading: Fleet, behind: Kubelet) -> None:
    """A log without end: it flows, costs the agent no memory, and ends at the kubelet when the person leaves."""
    member = reading.estate.members["staging"]
    before = member.agent.rss_mib()
    behind.left.clear()
    with following(reading, "app", "logs", "reads", "-f") as (person, lines):
        assert lines().endswith("  hello")
        while not lines().endswith("line 20000 "):
            pass
        assert member.agent.rss_mib() - max(before, 55.0) < 25  # it may only just have started
        assert not behind.left.is_set()
        person.send_signal(signal.SIGINT)
        assert person.wait(60) == 130
        assert behind.left.wait(30)
        assert person.stderr is not None
        assert person.stderr.read() == ""


def test_a_reader_that_has_seen_enough(reading: Fleet, behind: Kubelet) -> None:
    behind.left.clear()
    with following(reading, "app", "logs", "reads", "-f") as (person, lines):
        lines()
        assert person.stdout is not None
        person.stdout.close()
        assert person.wait(60) == 0
        assert behind.left.wait(30)


@contextlib.contextmanager
def following(
    fleet: Fleet, *arguments: str
) -> Iterator[tuple[subprocess.Popen[str], Callable[[], str]]]:
    """Run a command that does not end by itself; gives it and what returns its next line."""
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "fleet.cli.main", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=fleet.cli_environment(),
    ) as person:
        assert person.stdout is not None
        stdout = person.stdout
        try:
            yield person, lambda: stdout.readline().rstrip("\n")
        finally:
            person.kill()

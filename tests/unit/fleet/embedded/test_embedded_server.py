"""The server seen by HTTP clients: watches, illnesses on request, credentials, workloads, objects that outlive it."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from fleet.codec.jsontypes import JsonObject
from fleet.embedded.faults import Fault, FaultKind
from fleet.embedded.server import EmbeddedServer, Options
from fleet.embedded.statefile import load, save
from fleet.errors import BadInput, Transient
from fleet.kube.adapter import KubernetesCluster
from fleet.kube.connection import Connection, ConnectionSettings
from fleet.kube.errors import Conflict, Gone, OutcomeUnknown
from fleet.kube.port import ClusterPort, Resource

MAPS = "/api/v1/namespaces/default/configmaps"
PLAIN = Options(tls=False, token="secret", ready_delay=0.0)
CONFIG_MAPS = Resource(
    group="", version="v1", kind="ConfigMap", plural="configmaps", namespaced=True
)
WORKLOADS = "/apis/apps/v1/namespaces/default/deployments"


def config_map(name: str = "a", **labels: str) -> JsonObject:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default", "labels": labels},
        "data": {"x": "1"},
    }


class Client:
    """A client with the administrator's token."""

    def __init__(self, server: EmbeddedServer, session: aiohttp.ClientSession) -> None:
        self.server = server
        self.session = session

    async def ask(self, method: str, path: str, body: JsonObject | None = None) -> JsonObject:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        data = None if body is None else json.dumps(body)
        async with self.session.request(method, path, data=data, headers={"Content-Type": kind}) as answer:  # fmt: skip
            found: JsonObject = await answer.json()
            return found

    async def watch(self, query: str, count: int, accept: str = "*/*") -> list[JsonObject]:
        """The first events of a watch."""
        found: list[JsonObject] = []
        async with self.session.get(f"{MAPS}?watch=1&{query}", headers={"Accept": accept}) as answer:  # fmt: skip
            async for line in answer.content:
                found.append(json.loads(line))
                if len(found) == count:
                    break
        return found


@asynccontextmanager
async def serving(options: Options = PLAIN) -> AsyncIterator[Client]:
    async with EmbeddedServer(options) as server:
        headers = {"Authorization": f"Bearer {server.options.token}"}
        async with aiohttp.ClientSession(base_url=server.url, headers=headers) as session:
            yield Client(server, session)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with serving() as found:
        yield found


@asynccontextmanager
async def agents_client(server: EmbeddedServer, folder: Path) -> AsyncIterator[ClusterPort]:
    file = server.write_kubeconfig(folder / "kubeconfig")
    settings = ConnectionSettings(kubeconfig=str(file), stall_timeout=0.2, request_timeout=0.5)
    cluster = KubernetesCluster(Connection(settings))
    yield cluster
    await cluster.close()


# -- watches ----------------------------------------------------------------------------------


async def test_watch_may_begin_with_what_is_there(client: Client) -> None:
    await client.ask("POST", MAPS, config_map())
    query = "sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"
    first, second, mark = await client.watch(query, 3)
    assert {first["object"]["metadata"]["name"], second["object"]["metadata"]["name"]} == {
        "a", "kube-root-ca.crt",
    }  # fmt: skip
    assert mark["type"] == "BOOKMARK"
    assert mark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_bookmarks_say_how_far_the_stream_has_come() -> None:
    async with serving(replace(PLAIN, bookmark_every=0.02)) as client:
        version = client.server.store.version
        (mark,) = await client.watch(f"resourceVersion={version}&allowWatchBookmarks=true", 1)
        assert mark["type"] == "BOOKMARK"
        assert mark["object"]["metadata"]["resourceVersion"] == str(version)


async def test_watch_ends_at_its_time_and_all_can_be_ended(client: Client) -> None:
    version = client.server.store.version
    assert await client.watch(f"resourceVersion={version}&timeoutSeconds=1", 1) == []
    async with client.session.get(f"{MAPS}?watch=1") as answer:
        await answer.content.readline()
        client.server.break_watches()
        with pytest.raises(aiohttp.ClientError):
            await asyncio.wait_for(answer.content.readline(), 5)


async def test_forgotten_changes_are_gone() -> None:
    async with serving(replace(PLAIN, kept_events=2)) as client:
        version = client.server.store.version
        for number in range(8):
            await client.ask("POST", MAPS, config_map(f"m{number}"))
        (event,) = await client.watch(f"resourceVersion={version}", 1)
        assert (event["type"], event["object"]["code"]) == ("ERROR", 410)
        latest = client.server.store.version - 1
        (event,) = await client.watch(f"resourceVersion={latest}", 1)
        assert event["object"]["metadata"]["name"] == "m7"


async def test_watch_of_metadata_and_rows(client: Client) -> None:
    await client.ask("POST", MAPS, config_map())
    partial = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    table = "application/json;as=Table;g=meta.k8s.io;v=v1"
    (event,) = await client.watch("fieldSelector=metadata.name=a", 1, partial)
    assert set(event["object"]) == {"kind", "apiVersion", "metadata"}
    (event,) = await client.watch("fieldSelector=metadata.name=a", 1, table)
    assert event["object"]["rows"][0]["cells"][:2] == ["a", 1]


# -- illnesses --------------------------------------------------------------------------------


async def test_busy_is_waited_out(client: Client, tmp_path: Path) -> None:
    client.server.faults.add(Fault(kind=FaultKind.BUSY, verb="patch", times=1, retry_after=0))
    async with agents_client(client.server, tmp_path) as cluster:
        live = await cluster.apply(CONFIG_MAPS, config_map())
    assert live["data"] == {"x": "1"}


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(kind=FaultKind.ERROR, verb="patch", status=503), Transient),
        (Fault(kind=FaultKind.CONFLICT, verb="patch", plural="configmaps", name="a"), Conflict),
        (Fault(kind=FaultKind.SLOW, verb="patch", delay=2.0, times=-1), OutcomeUnknown),
        (Fault(kind=FaultKind.DROP, verb="patch", times=-1), OutcomeUnknown),
    ],
    ids=["error", "conflict", "slow", "drop"],
)
async def test_illness_of_writes(
    client: Client, tmp_path: Path, fault: Fault, error: type[Exception]
) -> None:
    client.server.faults.add(fault)
    async with agents_client(client.server, tmp_path) as cluster:
        with pytest.raises(error):
            await cluster.apply(CONFIG_MAPS, config_map())
    client.server.faults.clear()
    was_written = client.server.store.get(("", "configmaps"), ("default", "a")) is not None
    assert was_written is (fault.kind is FaultKind.DROP)


@pytest.mark.parametrize(
    ("kind", "error"), [(FaultKind.STALL, Transient), (FaultKind.GONE, Gone)], ids=["stall", "gone"]
)
async def test_illness_of_watches(
    client: Client, tmp_path: Path, kind: FaultKind, error: type[Exception]
) -> None:
    client.server.faults.add(Fault(kind=kind, verb="watch"))
    version = str(client.server.store.version)
    async with agents_client(client.server, tmp_path) as cluster:
        await cluster.apply(CONFIG_MAPS, config_map())
        with pytest.raises(error):
            await anext(cluster.watch(CONFIG_MAPS, resource_version=version))


# -- credentials ------------------------------------------------------------------------------


async def test_wrong_token_is_refused(client: Client) -> None:
    async with aiohttp.ClientSession(base_url=client.server.url) as stranger:
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            async with stranger.get(MAPS, headers=headers) as answer:
                assert answer.status == 401
        async with stranger.get("/readyz") as answer:
            assert answer.status == 200


async def test_client_certificate_is_enough(tmp_path: Path) -> None:
    async with EmbeddedServer(Options()) as server:
        config = server.kubeconfig(certificate=True)
        file = tmp_path / "kubeconfig"
        file.write_text(json.dumps(config))
        cluster = KubernetesCluster(Connection(ConnectionSettings(kubeconfig=str(file))))
        assert (await cluster.version()).startswith("v1.")
        await cluster.close()


async def test_only_the_ca_in_the_kubeconfig_vouches_for_the_server() -> None:
    async with EmbeddedServer(Options()) as server, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await session.get(f"{server.url}/readyz", ssl=ssl.create_default_context())


# -- workloads --------------------------------------------------------------------------------


def deployment(image: str) -> JsonObject:
    labels = {"app": "web"}
    pod = {"containers": [{"name": "main", "image": image}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
    }  # fmt: skip


async def _until_ready(client: Client, generation: int) -> JsonObject:
    async with asyncio.timeout(5):
        while True:
            live = await client.ask("GET", f"{WORKLOADS}/web")
            status = live["status"]
            if status.get("observedGeneration") == generation and status.get("availableReplicas"):
                return live
            await asyncio.sleep(0.005)


async def test_a_rollout_takes_its_time_and_turns_ready() -> None:
    async with serving(replace(PLAIN, ready_delay=0.1)) as client:
        made = await client.ask("POST", WORKLOADS, deployment("a:1"))
        assert made["status"] == {}
        live = await _until_ready(client, 1)
        assert (live["status"]["readyReplicas"], live["status"]["updatedReplicas"]) == (2, 2)
        await client.ask("PATCH", f"{WORKLOADS}/web", {"spec": {"replicas": 3}})
        live = await _until_ready(client, 2)
        entries = {(e["manager"], e.get("subresource")) for e in live["metadata"]["managedFields"]}
        assert ("kube-controller-manager", "status") in entries


async def test_a_finished_job_goes_when_its_time_is_over(client: Client) -> None:
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "x:1"}]}
    spec = {"ttlSecondsAfterFinished": 0, "template": {"spec": pod}}
    jobs = "/apis/batch/v1/namespaces/default/jobs"
    body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once"}, "spec": spec}
    assert (await client.ask("POST", jobs, body))["metadata"]["uid"]
    async with asyncio.timeout(5):
        while (await client.ask("GET", f"{jobs}/once")).get("code") != 404:
            pass


async def test_workloads_may_never_turn_ready() -> None:
    async with serving(replace(PLAIN, ready_delay=None)) as client:
        await client.ask("POST", WORKLOADS, deployment("a:1"))
        live = await client.ask("GET", f"{WORKLOADS}/web")
        while not live["status"]:
            live = await client.ask("GET", f"{WORKLOADS}/web")
        assert live["status"]["unavailableReplicas"] == 2


# -- objects in a file ------------------------------------------------------------------------


async def test_objects_outlive_the_server(tmp_path: Path) -> None:
    file = tmp_path / "state.db"
    async with serving() as client:
        owner = await client.ask("POST", MAPS, config_map("owner"))
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}  # fmt: skip
        child = config_map("child")
        child["metadata"]["ownerReferences"] = [reference]
        await client.ask("POST", MAPS, child)
        uid, version = client.server.uid, client.server.store.version
        save(client.server.store, file)
    server = EmbeddedServer(PLAIN, store=load(file))
    assert (server.uid, server.store.version >= version) == (uid, True)
    async with server, aiohttp.ClientSession(base_url=server.url, headers={"Authorization": "Bearer secret"}) as session:  # fmt: skip
        client = Client(server, session)
        assert (await client.ask("GET", f"{MAPS}/child"))["data"] == {"x": "1"}
        await client.ask("DELETE", f"{MAPS}/owner")
        assert (await client.ask("GET", f"{MAPS}/child"))["code"] == 404
        (event,) = await client.watch("resourceVersion=1", 1)
        assert event["object"]["code"] == 410


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "state.db"
    file.write_text("not a database, but long enough to be looked at as one" * 20)
    with pytest.raises(BadInput):
        load(file)

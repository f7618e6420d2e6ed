"""What `ClusterPort` promises, kept alike by the in-memory cluster and by a real API server."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from fleet.codec.jsontypes import JsonObject
from fleet.embedded.server import EmbeddedServer
from fleet.errors import FleetError, NotReady
from fleet.kube.adapter import KubernetesCluster
from fleet.kube.connection import Connection, ConnectionSettings
from fleet.kube.errors import (
    AlreadyExists,
    Conflict,
    Gone,
    Invalid,
    NoNamespace,
    NotFound,
    NotServed,
    Terminating,
)
from fleet.kube.port import (
    ClusterPort,
    EventType,
    LogQuery,
    PatchType,
    Propagation,
    Resource,
    WatchEvent,
)
from fleet.testing.cluster import FakeCluster
from fleet.testing.controlplane import ControlPlane

_CRD = "apiextensions.k8s.io"


@dataclass(frozen=True)
class Place:
    """A cluster with a namespace of the test's own."""

    cluster: ClusterPort
    namespace: str
    forget: Callable[[], None]
    """Make the server forget what happened so far."""

    async def resource(self, kind: str, group: str = "") -> Resource:
        found = (await self.cluster.discovery()).preferred(group, kind)
        assert found is not None
        return found

    def config_map(self, name: str, **data: str) -> JsonObject:
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": self.namespace, "labels": {"test": "contract"}},
            "data": data,
        }


@pytest.fixture
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    cluster: ClusterPort
    server: EmbeddedServer | None = None
    if request.param == "fake":
        cluster = fake = FakeCluster(page_size=2)
        forget: Callable[[], None] = fake.compact
    elif request.param == "embedded":
        server = EmbeddedServer()
        await server.start()
        forget = server.compact
        file = server.write_kubeconfig(tmp_path / "kubeconfig")
        cluster = KubernetesCluster(
            Connection(ConnectionSettings(kubeconfig=str(file))), page_size=2
        )
    else:
        plane: ControlPlane = request.getfixturevalue("cluster")
        forget = partial(_restart, plane)
        settings = ConnectionSettings(kubeconfig=str(plane.kubeconfig), stall_timeout=70)
        cluster = KubernetesCluster(Connection(settings), page_size=2)
    name = f"contract-{uuid.uuid4().hex[:8]}"
    namespaces = (await cluster.discovery()).preferred("", "Namespace")
    assert namespaces is not None
    await cluster.apply(
        namespaces, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    )
    yield Place(cluster, name, forget)
    await cluster.delete(namespaces, "", name)
    await cluster.close()
    if server is not None:
        await server.stop()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The real half carries the marker of all tests that need a control plane."""
    if "place" in metafunc.fixturenames:
        metafunc.parametrize(
            "place",
            ["fake", "embedded", pytest.param("real", marks=pytest.mark.controlplane)],
            indirect=True,
        )


async def eventually(check: Callable[[], Awaitable[bool]], *, within: float = 20) -> None:
    """Ask until it holds: controllers of a real cluster need their time."""
    deadline = time.monotonic() + within
    while not await check():
        if time.monotonic() > deadline:
            raise NotReady("it did not come to hold")
        await asyncio.sleep(0.05)


async def is_gone(cluster: ClusterPort, resource: Resource, namespace: str, name: str) -> bool:
    try:
        await cluster.get(resource, namespace, name)
    except NotFound:
        return True
    return False


async def test_discovery_knows_scope_and_names(place: Place) -> None:
    found = await place.cluster.discovery()
    deployments = found.find("apps", "v1", "Deployment")
    assert deployments is not None
    assert (deployments.plural, deployments.namespaced) == ("deployments", True)
    assert {"get", "list", "watch", "patch", "delete"} <= deployments.verbs
    assert found.preferred("", "Namespace") == found.find("", "v1", "Namespace")
    assert found.find("apps", "v1", "Nonsense") is None
    assert {"v1", "apps/v1", "apps/v1/Deployment"} <= set(found.api_versions())
    assert (await place.cluster.version()).startswith("v1.")


async def test_crd_is_discovered_after_refresh(place: Place) -> None:
    group = f"{place.namespace}.example.com"
    definition: JsonObject = {
        "apiVersion": f"{_CRD}/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets", "singular": "widget"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "x-kubernetes-preserve-unknown-fields": True,
                        }
                    },
                }
            ],
        },
    }
    cluster = place.cluster
    definitions = await place.resource("CustomResourceDefinition", _CRD)
    await cluster.apply(definitions, definition)

    async def served() -> bool:
        return (await cluster.discovery(refresh=True)).preferred(group, "Widget") is not None

    await eventually(served)
    widgets = await place.resource("Widget", group)
    body = {
        "apiVersion": f"{group}/v1",
        "kind": "Widget",
        "metadata": {"name": "w", "namespace": place.namespace},
        "spec": {"size": 1},
    }

    async def applied() -> bool:
        try:
            return bool((await cluster.apply(widgets, body))["spec"] == {"size": 1})
        except NotFound:
            return False

    await eventually(applied)
    await cluster.delete(definitions, "", f"widgets.{group}")

    async def unserved() -> bool:
        return (await cluster.discovery(refresh=True)).preferred(group, "Widget") is None

    await eventually(unserved)


async def test_apply_creates_then_writes_nothing(place: Place) -> None:
    maps = await place.resource("ConfigMap")
    first = await place.cluster.apply(maps, place.config_map("a", x="1"))
    again = await place.cluster.apply(maps, place.config_map("a", x="1"))
    assert first["kind"] == "ConfigMap"
    assert first["metadata"]["uid"]
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_apply_removes_what_is_no_longer_applied(place: Place) -> None:
    maps = await place.resource("ConfigMap")
    await place.cluster.apply(maps, place.config_map("a", x="1", y="2"))
    after = await place.cluster.apply(maps, place.config_map("a", x="1"))
    assert after["data"] == {"x": "1"}


async def test_managed_fields_name_what_was_applied(place: Place) -> None:
    maps = await place.resource("ConfigMap")
    live = await place.cluster.apply(maps, place.config_map("a", x="1"))
    (entry,) = live["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"]) == ("gitops-fleet", "Apply")
    assert entry["fieldsV1"] == {
        "f:data": {"f:x": {}},
        "f:metadata": {"f:labels": {"f:test": {}}},
    }


async def test_managed_fields_of_keyed_lists(place: Place) -> None:
    deployments = await place.resource("Deployment", "apps")
    live = await place.cluster.apply(deployments, _deployment(place.namespace, image="a:1"))
    (entry,) = live["metadata"]["managedFields"]
    containers = entry["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"]
    assert containers == {'k:{"name":"main"}': {".": {}, "f:image": {}, "f:name": {}}}


async def test_keyed_list_items_of_others_stay(place: Place) -> None:
    deployments = await place.resource("Deployment", "apps")
    await place.cluster.apply(deployments, _deployment(place.namespace, image="a:1"))
    sidecar = _deployment(place.namespace, image="s:1", container="sidecar")
    await place.cluster.apply(deployments, sidecar, manager="injector")
    live = await place.cluster.apply(deployments, _deployment(place.namespace, image="a:2"))
    containers = live["spec"]["template"]["spec"]["containers"]
    assert [(c["name"], c["image"]) for c in containers] == [("main", "a:2"), ("sidecar", "s:1")]


async def test_conflict_names_the_field_and_force_takes_it(place: Place) -> None:
    maps = await place.resource("ConfigMap")
    await place.cluster.apply(maps, place.config_map("a", x="1"), manager="other")
    with pytest.raises(Conflict) as caught:
        await place.cluster.apply(maps, place.config_map("a", x="2"))
    (cause,) = caught.value.fields
    assert cause.field == ".data.x"
    assert "other" in cause.message
    live = await place.cluster.apply(maps, place.config_map("a", x="2"), force=True)
    assert live["data"] == {"x": "2"}
    managers = {e["manager"]: e["fieldsV1"] for e in live["metadata"]["managedFields"]}
    assert "f:data" not in managers["other"]


async def test_update_by_others_takes_the_field_from_us(place: Place) -> None:
    maps = await place.resource("ConfigMap")
    await place.cluster.apply(maps, place.config_map("a", x="1", y="1"), manager="us")
    live = await place.cluster.patch(maps, place.namespace, "a", {"data": {"x": "9"}})
    sets = {e["manager"]: e["fieldsV1"] for e in live["metadata"]["managedFields"]}
    assert sets["us"]["f:data"] == {"f:y": {}}
    assert sets["gitops-fleet"] == {"f:data": {"f:x": {}}}


async def test_dry_run_shows_and_writes_nothing(place: Place) -> None:
    maps = await place.resource("ConfigMap")
    before = await place.cluster.apply(maps, place.config_map("a", x="1"))
    shown = await place.cluster.apply(maps, place.config_map("a", x="2"), dry_run=True)
    assert shown["data"] == {"x": "2"}
    assert await place.cluster.get(maps, place.namespace, "a") == before
    await place.cluster.apply(maps, place.config_map("b", x="2"), dry_run=True)
    assert await is_gone(place.cluster, maps, place.namespace, "b")


async def test_resource_version_as_precondition_of_apply(place: Place) -> None:
    maps = await place.resource("ConfigMap")
    first = await place.cluster.apply(maps, place.config_map("a", x="1"))
    await place.cluster.apply(maps, place.config_map("a", x="2"))
    stale = place.config_map("a", x="3")
    stale["metadata"]["resourceVersion"] = first["metadata"]["resourceVersion"]
    with pytest.raises(Conflict) as caught:
        await place.cluster.apply(maps, stale)
    assert caught.value.fields == ()


async def test_metadata_only_leaves_the_rest_out(place: Place) -> None:
    maps = await place.resource("ConfigMap")
    applied = await place.cluster.apply(maps, place.config_map("a", x="1"), metadata_only=True)
    got = await place.cluster.get(maps, place.namespace, "a", metadata_only=True)
    listed = await _list(place, maps, metadata_only=True)
    assert applied == got == listed[0]
    assert set(got) == {"apiVersion", "kind", "metadata"}
    assert (got["apiVersion"], got["kind"]) == ("v1", "ConfigMap")
    assert got["metadata"]["managedFields"]


async def test_create_get_and_already_exists(place: Place) -> None:
    maps = await place.resource("ConfigMap")
    made = await place.cluster.create(maps, place.config_map("a", x="1"))
    assert await place.cluster.get(maps, place.namespace, "a") == made
    with pytest.raises(AlreadyExists):
        await place.cluster.create(maps, place.config_map("a", x="1"))


async def test_a_version_that_is_not_served_is_told_from_an_object_that_is_not_there(
    place: Place,
) -> None:
    maps = replace(await place.resource("ConfigMap"), version="v9")
    with pytest.raises(NotServed):
        await place.cluster.get(maps, place.namespace, "a")
    with pytest.raises(NotServed):
        await place.cluster.delete(maps, place.namespace, "a")
    with pytest.raises(NotServed):
        await place.cluster.apply(maps, {**place.config_map("a"), "apiVersion": "v9"})


async def test_missing_object_and_namespace_are_not_found(place: Place) -> None:
    maps = await place.resource("ConfigMap")
    with pytest.raises(NotFound):
        await place.cluster.get(maps, place.namespace, "a")
    with pytest.raises(NotFound):
        await place.cluster.delete(maps, place.namespace, "a")
    body = place.config_map("a")
    body["metadata"]["namespace"] = "no-such-namespace"
    with pytest.raises(NoNamespace) as caught:
        await place.cluster.apply(maps, body)
    assert "no-such-namespace" in str(caught.value)
    with pytest.raises(NoNamespace):
        await place.cluster.create(maps, body)
    with pytest.raises(NotFound):
        await place.cluster.get(await place.resource("Namespace"), "", "no-such-namespace")


async def test_invalid_names_the_field_and_no_value(place: Place) -> None:
    secrets = await place.resource("Secret")
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": place.namespace},
        "stringData": {"password": 31337},
    }
    with pytest.raises(Invalid) as caught:
        await place.cluster.apply(secrets, body)
    assert ".stringData.password" in str(caught.value)
    assert "31337" not in str(caught.value)


async def test_invalid_secret_value_is_never_repeated(place: Place) -> None:
    secrets = await place.resource("Secret")
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": place.namespace},
        "data": {"password": "hunter2!!"},
    }
    with pytest.raises(FleetError) as caught:
        await place.cluster.apply(secrets, body)
    assert "hunter2" not in str(caught.value)
    with pytest.raises(FleetError) as caught:
        await place.cluster.create(secrets, body)
    assert "hunter2" not in str(caught.value)


async def test_immutable_field(place: Place) -> None:
    maps = await place.resource("ConfigMap")
    await place.cluster.apply(maps, place.config_map("a", x="1") | {"immutable": True})
    with pytest.raises(Invalid) as caught:
        await place.cluster.patch(maps, place.namespace, "a", {"data": {"x": "2"}})
    assert caught.value.immutable
    assert [cause.field for cause in caught.value.fields] == ["data"]


async def test_patch_types(place: Place) -> None:
    maps = await place.resource("ConfigMap")
    await place.cluster.apply(maps, place.config_map("a", x="1", y="2"))
    merged = await place.cluster.patch(maps, place.namespace, "a", {"data": {"x": None, "z": "3"}})
    assert merged["data"] == {"y": "2", "z": "3"}
    operations = [
        {"op": "remove", "path": "/data/z"},
        {"op": "add", "path": "/data/q", "value": "4"},
    ]
    patched = await place.cluster.patch(maps, place.namespace, "a", operations, type=PatchType.JSON)
    assert patched["data"] == {"y": "2", "q": "4"}


async def test_patch_may_answer_with_metadata_alone(place: Place) -> None:
    maps = await place.resource("ConfigMap")
    await place.cluster.apply(maps, place.config_map("a", x="1"))
    shown = await place.cluster.patch(
        maps, place.namespace, "a", {"data": {"x": "2"}}, metadata_only=True
    )
    assert "data" not in shown
    live = await place.cluster.get(maps, place.namespace, "a")
    assert live["data"] == {"x": "2"}
    assert shown["metadata"]["resourceVersion"] == live["metadata"]["resourceVersion"]


async def test_status_is_apart(place: Place) -> None:
    deployments = await place.resource("Deployment", "apps")
    await place.cluster.apply(deployments, _deployment(place.namespace, image="a:1"))
    other = {"status": {"replicas": 7}}
    ignored = await place.cluster.patch(deployments, place.namespace, "main", other)
    assert (ignored.get("status") or {}).get("replicas") != 7
    live = await place.cluster.patch(
        deployments,
        place.namespace,
        "main",
        {"status": {"observedGeneration": 99}, "spec": {"paused": True}},
        subresource="status",
    )
    assert live["status"]["observedGeneration"] == 99
    assert "paused" not in live["spec"]


async def test_generation_follows_the_spec(place: Place) -> None:
    deployments = await place.resource("Deployment", "apps")
    first = await place.cluster.apply(deployments, _deployment(place.namespace, image="a:1"))
    second = await place.cluster.apply(deployments, _deployment(place.namespace, image="a:2"))
    assert (first["metadata"]["generation"], second["metadata"]["generation"]) == (1, 2)


async def test_pages_cover_everything_once(place: Place) -> None:
    maps = await place.resource("ConfigMap")
    names = [f"a{number}" for number in range(5)]
    for name in names:
        await place.cluster.apply(maps, place.config_map(name))
    pages = [
        page
        async for page in place.cluster.pages(
            maps, namespace=place.namespace, selector="test=contract"
        )
    ]
    assert [len(page.items) for page in pages] == [2, 2, 1]
    assert [item["metadata"]["name"] for page in pages for item in page.items] == names
    assert {item["kind"] for page in pages for item in page.items} == {"ConfigMap"}
    assert len({page.resource_version for page in pages}) == 1


async def test_selector_by_key_alone(place: Place) -> None:
    maps = await place.resource("ConfigMap")
    await place.cluster.apply(maps, place.config_map("a"))
    bare = place.config_map("b")
    del bare["metadata"]["labels"]
    await place.cluster.apply(maps, bare)
    found = await _list(place, maps, selector="test")
    assert [item["metadata"]["name"] for item in found] == ["a"]


async def test_watch_sees_changes_through_the_selector(place: Place) -> None:
    cluster = place.cluster
    maps = await place.resource("ConfigMap")
    version = await _version(place, maps)
    await cluster.apply(maps, place.config_map("a", x="1"))
    await cluster.apply(maps, place.config_map("a", x="2"))
    await cluster.patch(maps, place.namespace, "a", {"metadata": {"labels": {"test": None}}})
    await cluster.patch(maps, place.namespace, "a", {"metadata": {"labels": {"test": "contract"}}})
    await cluster.delete(maps, place.namespace, "a")
    events = await _events(place, maps, version, 5)
    assert [event.type for event in events] == [
        EventType.ADDED,
        EventType.MODIFIED,
        EventType.DELETED,
        EventType.ADDED,
        EventType.DELETED,
    ]
    assert events[1].object["data"] == {"x": "2"}
    assert events[0].object["kind"] == "ConfigMap"
    assert all(event.resource_version for event in events)


async def test_watch_of_metadata(place: Place) -> None:
    maps = await place.resource("ConfigMap")
    version = await _version(place, maps)
    await place.cluster.apply(maps, place.config_map("a", x="1"))
    (event,) = await _events(place, maps, version, 1, metadata_only=True)
    assert set(event.object) == {"apiVersion", "kind", "metadata"}
    assert event.object["kind"] == "ConfigMap"
    assert event.object["metadata"]["managedFields"]


async def test_watch_waits_for_what_comes(place: Place) -> None:
    maps = await place.resource("ConfigMap")
    version = await _version(place, maps)
    seen = asyncio.create_task(_events(place, maps, version, 1))
    await asyncio.sleep(0.05)
    await place.cluster.apply(maps, place.config_map("late"))
    (event,) = await asyncio.wait_for(seen, 10)
    assert event.object["metadata"]["name"] == "late"


async def test_watch_from_a_forgotten_version_is_gone(place: Place) -> None:
    maps = await place.resource("ConfigMap")
    await place.cluster.apply(maps, place.config_map("a"))
    await asyncio.to_thread(place.forget)
    with pytest.raises(Gone):
        await asyncio.wait_for(_events(place, maps, "1", 1), 20)


async def test_delete_honours_preconditions(place: Place) -> None:
    maps = await place.resource("ConfigMap")
    live = await place.cluster.apply(maps, place.config_map("a", x="1"))
    metadata = live["metadata"]
    with pytest.raises(Conflict):
        await place.cluster.delete(maps, place.namespace, "a", uid=str(uuid.uuid4()))
    with pytest.raises(Conflict):
        await place.cluster.delete(maps, place.namespace, "a", resource_version="1")
    assert (
        await place.cluster.delete(
            maps,
            place.namespace,
            "a",
            uid=metadata["uid"],
            resource_version=metadata["resourceVersion"],
        )
        is None
    )
    assert await is_gone(place.cluster, maps, place.namespace, "a")


async def test_finalizer_keeps_a_deleted_object(place: Place) -> None:
    maps = await place.resource("ConfigMap")
    body = place.config_map("a")
    body["metadata"]["finalizers"] = ["example.com/hold"]
    await place.cluster.apply(maps, body)
    waiting = await place.cluster.delete(maps, place.namespace, "a")
    assert waiting is not None
    assert waiting["metadata"]["deletionTimestamp"]
    assert waiting["metadata"]["finalizers"] == ["example.com/hold"]
    await place.cluster.patch(maps, place.namespace, "a", {"metadata": {"finalizers": None}})
    assert await is_gone(place.cluster, maps, place.namespace, "a")


@pytest.mark.parametrize(
    ("propagation", "stays"),
    [(Propagation.BACKGROUND, False), (Propagation.FOREGROUND, False), (Propagation.ORPHAN, True)],
    ids=["background", "foreground", "orphan"],
)
async def test_dependents_follow_by_propagation(
    place: Place, propagation: Propagation, stays: bool
) -> None:
    cluster, namespace = place.cluster, place.namespace
    maps = await place.resource("ConfigMap")
    owner = await cluster.apply(maps, place.config_map("owner"))
    child = place.config_map("child")
    reference = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": "owner",
        "uid": owner["metadata"]["uid"],
        "blockOwnerDeletion": True,
    }
    child["metadata"]["ownerReferences"] = [reference]
    await cluster.apply(maps, child)
    await asyncio.sleep(
        0 if isinstance(cluster, FakeCluster) else 0.5
    )  # the collector must know it
    await cluster.delete(maps, namespace, "owner", propagation=propagation)

    async def owner_gone() -> bool:
        return await is_gone(cluster, maps, namespace, "owner")

    async def child_gone() -> bool:
        return await is_gone(cluster, maps, namespace, "child")

    await eventually(owner_gone)
    if not stays:
        await eventually(child_gone)
        return
    live = await cluster.get(maps, namespace, "child")
    assert not live["metadata"].get("ownerReferences")


async def test_terminating_namespace_takes_nothing_new(place: Place) -> None:
    cluster = place.cluster
    maps = await place.resource("ConfigMap")
    namespaces = await place.resource("Namespace")
    name = f"{place.namespace}-2"
    await cluster.apply(
        namespaces, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    )
    stuck = place.config_map("stuck")
    stuck["metadata"] |= {"namespace": name, "finalizers": ["example.com/hold"]}
    await cluster.apply(maps, stuck)
    await cluster.delete(namespaces, "", name)
    fresh = place.config_map("fresh")
    fresh["metadata"]["namespace"] = name
    with pytest.raises(Terminating):
        await cluster.apply(maps, fresh)

    async def is_marked() -> bool:
        live = await cluster.get(maps, name, "stuck")
        return bool(live["metadata"].get("deletionTimestamp"))

    await eventually(is_marked)
    await cluster.patch(maps, name, "stuck", {"metadata": {"finalizers": None}})

    async def namespace_gone() -> bool:
        return await is_gone(cluster, namespaces, "", name)

    await eventually(namespace_gone)


def _restart(plane: ControlPlane) -> None:
    """A fresh watch cache starts at the present."""
    if plane.is_given:
        pytest.skip("a given cluster's API server is not ours to restart")
    plane.kill_apiserver()
    plane.start_apiserver()


def _deployment(namespace: str, *, image: str, container: str = "main") -> JsonObject:
    labels = {"app": "main"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "main", "namespace": namespace},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": container, "image": image}]},
            },
        },
    }


async def _list(
    place: Place, resource: Resource, *, selector: str = "", metadata_only: bool = False
) -> list[JsonObject]:
    pages = place.cluster.pages(
        resource,
        namespace=place.namespace,
        selector=selector or "test=contract",
        metadata_only=metadata_only,
    )
    return [item async for page in pages for item in page.items]


async def _version(place: Place, resource: Resource) -> str:
    pages = place.cluster.pages(resource, namespace=place.namespace)
    return [page.resource_version async for page in pages][-1]


async def _events(
    place: Place, resource: Resource, version: str, count: int, *, metadata_only: bool = False
) -> list[WatchEvent]:
    found: list[WatchEvent] = []
    stream = place.cluster.watch(
        resource,
        resource_version=version,
        namespace=place.namespace,
        selector="test=contract",
        metadata_only=metadata_only,
    )
    async with aclosing(stream) as events:
        async for event in events:
            if event.type is not EventType.BOOKMARK:
                found.append(event)
            if len(found) == count:
                break
    return found


async def test_replace_takes_away_what_the_body_leaves_out(place: Place) -> None:
    cluster, maps = place.cluster, await place.resource("ConfigMap")
    before = await cluster.apply(maps, place.config_map("a", one="1", two="2"))
    after = await cluster.replace(maps, place.config_map("a", two="3"))
    assert after["data"] == {"two": "3"}
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    with pytest.raises(NotFound):
        await cluster.replace(maps, place.config_map("ghost"))


async def test_replace_honours_the_resource_version(place: Place) -> None:
    cluster, maps = place.cluster, await place.resource("ConfigMap")
    before = await cluster.apply(maps, place.config_map("a", one="1"))
    await cluster.apply(maps, place.config_map("a", one="2"))
    body = place.config_map("a", one="3")
    body["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"]
    with pytest.raises(Conflict):
        await cluster.replace(maps, body)


async def test_dry_runs_of_other_writes_write_nothing(place: Place) -> None:
    cluster, maps = place.cluster, await place.resource("ConfigMap")
    made = await cluster.create(maps, place.config_map("new", one="1"), dry_run=True)
    assert made["data"] == {"one": "1"}
    with pytest.raises(NotFound):
        await cluster.get(maps, place.namespace, "new")
    before = await cluster.apply(maps, place.config_map("a", one="1"))
    shown = await cluster.replace(maps, place.config_map("a", one="2"), dry_run=True)
    assert shown["data"] == {"one": "2"}
    await cluster.delete(maps, place.namespace, "a", dry_run=True)
    live = await cluster.get(maps, place.namespace, "a")
    assert live["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


async def test_a_pod_that_is_not_there_has_no_log(place: Place) -> None:
    with pytest.raises(NotFound):
        await anext(place.cluster.logs(place.namespace, "ghost", LogQuery(container="main")))


async def test_the_log_of_a_pod_without_a_node_is_empty(place: Place) -> None:
    pods = await place.resource("Pod")
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "waiting", "namespace": place.namespace},
        "spec": {
            "schedulerName": "nobody",
            "containers": [{"name": "main", "image": "example/none:1"}],
        },
    }
    await place.cluster.apply(pods, body)
    lines = place.cluster.logs(place.namespace, "waiting", LogQuery(container="main"))
    assert [line async for line in lines] == []

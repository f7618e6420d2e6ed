"""Logs and events of an application: which there are, which are another's, and what a log that never ends costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace

import pytest

from agents.events import MOST_EVENTS, read_events
from agents.followedlogs import LOOK_AGAIN, FollowedLogs
from agents.ownership import Roots
from agents.podlogs import MOST_CONTAINERS, PodLogs, sortable
from agents.reads import roots_of
from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.kube.errors import Forbidden, Invalid, NotFound
from fleet.model.identity import ObjectRef
from fleet.sync.hooks import RUN
from fleet.sync.inventory import HookEntry, Inventory
from fleet.sync.manifest import TRACKING_ID
from fleet.testing.clock import FakeClock
from fleet.testing.cluster import FakeCluster
from fleet.wire.requests import ALL_LINES, Event, Frame, LogArguments, LogLine, Note, Streams

WEB = ObjectRef("apps", "Deployment", "default", "web")


class Shop:
    """A cluster with an application of one Deployment, and others in the same namespace."""

    def __init__(self) -> None:
        self.cluster = FakeCluster(page_size=2)
        self.clock = FakeClock()
        self.uids: dict[str, str] = {}

    async def make(
        self, kind: str, name: str, owner: str = "", *, group: str = "", **body: JsonValue
    ) -> str:
        """Create an object, owned by another one; returns its UID."""
        resource = (await self.cluster.discovery(refresh=True)).preferred(group, kind)
        assert resource is not None
        metadata: JsonObject = {"name": name, "namespace": "default"}
        if owner:
            owner_kind, _, owner_name = owner.partition("/")
            metadata["ownerReferences"] = [
                {
                    "apiVersion": _API_VERSIONS[owner_kind],
                    "kind": owner_kind,
                    "name": owner_name,
                    "uid": self.uids.get(owner, "gone"),
                }
            ]
        made = await self.cluster.create(
            resource,
            {"apiVersion": resource.api_version, "kind": kind, "metadata": metadata, **body},
        )
        self.uids[f"{kind}/{name}"] = made["metadata"]["uid"]
        return str(made["metadata"]["uid"])

    async def deploy(self, name: str, *pods: str) -> None:
        await self.make("Deployment", name, group="apps")
        await self.make("ReplicaSet", f"{name}-1", f"Deployment/{name}", group="apps")
        for pod in pods:
            await self.pod(pod, f"ReplicaSet/{name}-1")

    async def pod(self, name: str, owner: str = "", *containers: str) -> None:
        names = containers or ("main",)
        spec = {"nodeName": "node", "containers": [{"name": each} for each in names]}
        await self.make("Pod", name, owner, spec=spec)
        self.status(name, running=names)

    def status(self, pod: str, *, phase: str = "Running", running: tuple[str, ...] = ()) -> None:
        states = [{"name": name, "state": {"running": {}}} for name in running]
        status = {"phase": phase, "containerStatuses": states}
        self.cluster.put_status("Pod", "default", pod, status)

    def write(self, pod: str, *texts: str, container: str = "main") -> None:
        self.cluster.containers.write("default", pod, container, *texts)

    @property
    def roots(self) -> Roots:
        return {WEB: self.uids["Deployment/web"]}

    def logs(self, **asked: object) -> PodLogs:
        return PodLogs(self.cluster, self.roots, LogArguments(**asked))  # type: ignore[arg-type]

    def follow(self, **asked: object) -> AsyncGenerator[Frame, None]:
        return FollowedLogs(self.logs(follow=True, **asked), self.clock).read()

    async def event(self, name: str, about: str, message: str = "", **body: JsonValue) -> None:
        kind, _, of = about.partition("/")
        involved = {
            "apiVersion": _API_VERSIONS.get(kind, "v1"),
            "kind": kind,
            "name": of,
            "namespace": "default",
            "uid": self.uids.get(about, ""),
        }
        await self.make(
            "Event", name, involvedObject=involved, message=message, reason="Because", **body
        )


_API_VERSIONS = {
    "Deployment": "apps/v1",
    "ReplicaSet": "apps/v1",
    "StatefulSet": "apps/v1",
    "CronJob": "batch/v1",
    "Job": "batch/v1",
    "Pod": "v1",
    "Node": "v1",
}


@pytest.fixture
async def shop() -> Shop:
    made = Shop()
    await made.deploy("web", "web-a", "web-b")
    await made.deploy("other", "other-a")
    await made.pod("alone")
    return made


async def all_of(frames: AsyncIterator[Frame]) -> list[Frame]:
    return [frame async for frame in frames]


def texts(frames: list[Frame]) -> list[str]:
    return [f"{item.pod}: {item.text}" for item in frames if isinstance(item, LogLine)]


def notes(frames: list[Frame]) -> list[str]:
    return [item.message for item in frames if isinstance(item, Note)]


# whose logs


async def test_only_what_the_application_owns_is_read(shop: Shop) -> None:
    for pod in ("web-a", "other-a", "web-b", "alone"):
        shop.write(pod, f"of {pod}")
    frames = await all_of(shop.logs().read())
    assert texts(frames) == ["web-a: of web-a", "web-b: of web-b"]
    assert frames[0] == Streams(names=("web-a/main", "web-b/main"))


@pytest.mark.parametrize(
    ("pod", "owner"),
    [
        pytest.param("other-a", "", id="another application's"),
        pytest.param("alone", "", id="nobody's"),
        pytest.param("ghost", "", id="not there"),
        pytest.param("orphan", "ReplicaSet/gone", id="its owner is gone"),
        pytest.param("static", "Node/web", id="of a node"),
    ],
)
async def test_a_foreign_pod_is_like_one_that_is_not_there(
    shop: Shop, pod: str, owner: str
) -> None:
    if owner:
        await shop.pod(pod, owner)
    if pod != "ghost":
        shop.write(pod, "secret")
    with pytest.raises(NotFound, match=f"no pod '{pod}' on this cluster"):
        await all_of(shop.logs(pod=pod).read())
    assert shop.cluster.reads["logs"] == 0


@pytest.mark.parametrize(
    "uid",
    [
        pytest.param("of-an-earlier-life", id="deleted and made again by somebody else"),
        pytest.param("", id="never applied: the name belongs to somebody else"),
    ],
)
async def test_a_name_alone_owns_nothing(shop: Shop, uid: str) -> None:
    shop.write("web-a", "secret")
    await shop.event("e1", "Deployment/web", "secret")
    await shop.event("e2", "Pod/web-a", "secret")
    with pytest.raises(NotFound):
        await all_of(PodLogs(shop.cluster, {WEB: uid}, LogArguments()).read())
    assert await all_of(read_events(shop.cluster, {WEB: uid})) == []


@pytest.mark.parametrize(
    "chain",
    [
        pytest.param(("Pod/job",), id="a pod of its own"),
        pytest.param(("StatefulSet/job", "Pod/job-0"), id="StatefulSet"),
        pytest.param(("CronJob/job", "Job/job-1", "Pod/job-1-x"), id="CronJob"),
    ],
)
async def test_pods_are_found_through_every_owner(shop: Shop, chain: tuple[str, ...]) -> None:
    owner = ""
    for item in chain:
        kind, _, name = item.partition("/")
        group = _API_VERSIONS[kind].rpartition("/")[0]
        if kind == "Pod":
            await shop.pod(name, owner)
            shop.write(name, "hello")
        else:
            await shop.make(kind, name, owner, group=group)
        owner = item
    kind, _, name = chain[0].partition("/")
    root = ObjectRef(_API_VERSIONS[kind].rpartition("/")[0], kind, "default", name)
    logs = PodLogs(shop.cluster, {root: shop.uids[chain[0]]}, LogArguments())
    assert texts(await all_of(logs.read())) == [f"{chain[-1].partition('/')[2]}: hello"]


async def test_owners_that_own_each_other_end(shop: Shop) -> None:
    shop.uids["ReplicaSet/b"] = "uid-of-b"
    await shop.make("ReplicaSet", "a", "ReplicaSet/b", group="apps")
    await shop.make("ReplicaSet", "b", "ReplicaSet/a", group="apps")
    await shop.pod("ring", "ReplicaSet/b")
    with pytest.raises(NotFound):
        await all_of(shop.logs(pod="ring").read())


async def test_kinds_that_may_not_be_seen_own_nothing_and_are_named(shop: Shop) -> None:
    shop.write("web-a", "secret")
    refusal = Forbidden("replicasets is forbidden")
    pages = shop.cluster.pages

    def guarded(resource: object, **more: object) -> object:
        if getattr(resource, "kind", "") == "ReplicaSet":
            shop.cluster.fail("list", "replicasets", refusal)
        return pages(resource, **more)  # type: ignore[arg-type]

    shop.cluster.pages = guarded  # type: ignore[method-assign,assignment]
    with pytest.raises(NotFound, match="not looked through: replicasets: replicasets is forbidden"):
        await all_of(shop.logs().read())


@pytest.mark.parametrize(
    ("marks", "is_ours"),
    [
        pytest.param({TRACKING_ID: "shop:batch/Job:default/migrate", RUN: "1"}, True, id="ours"),
        pytest.param({TRACKING_ID: "shop:batch/Job:default/migrate"}, False, id="never run as one"),
        pytest.param(
            {TRACKING_ID: "other:batch/Job:default/migrate", RUN: "1"}, False, id="foreign"
        ),
        pytest.param({}, False, id="somebody else's by that name"),
    ],
)
async def test_hooks_belong_by_their_marks(
    shop: Shop, marks: dict[str, str], is_ours: bool
) -> None:
    uid = await shop.make("Job", "migrate", group="batch")
    shop.cluster.edit("Job", "default", "migrate", {"metadata": {"annotations": marks}})
    job = ObjectRef("batch", "Job", "default", "migrate")
    gone = replace(job, name="gone")
    hooks = {ref: HookEntry(ref=ref) for ref in (job, gone)}
    inventory = Inventory(target="shop", cluster_uid="", hooks=hooks)
    assert await roots_of(shop.cluster, inventory) == ({job: uid} if is_ours else {})


# which lines


async def test_lines_of_all_pods_are_merged_by_time(shop: Shop) -> None:
    for number, pod in enumerate(("web-b", "web-a", "web-a", "web-b")):
        shop.write(pod, str(number))
    frames = await all_of(shop.logs().read())
    assert [item.text for item in frames if isinstance(item, LogLine)] == ["0", "1", "2", "3"]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param({"tail": 1}, ["web-a: 3", "web-b: x"], id="tail"),
        pytest.param(
            {"tail": ALL_LINES}, ["web-a: 1", "web-a: 2", "web-a: 3", "web-b: x"], id="all"
        ),
        pytest.param({"pod": "web-b"}, ["web-b: x"], id="pod"),
        pytest.param({"pod": "*-a"}, ["web-a: 1", "web-a: 2", "web-a: 3"], id="pattern"),
        pytest.param({"filter": "2"}, ["web-a: 2"], id="filter"),
        pytest.param({"since": 2}, ["web-a: 3", "web-b: x"], id="since"),
        pytest.param({"filter": "nothing"}, [], id="filter without a match"),
    ],
)
async def test_choosing_lines(shop: Shop, asked: dict[str, object], expected: list[str]) -> None:
    shop.write("web-a", "1", "2", "3")
    shop.write("web-b", "x")
    assert texts(await all_of(shop.logs(**asked).read())) == expected


async def test_previous_lines(shop: Shop) -> None:
    shop.write("web-a", "before")
    shop.cluster.containers.restart("default", "web-a", "main")
    shop.write("web-a", "after")
    found = await all_of(shop.logs(pod="web-a", previous=True).read())
    assert texts(found) == ["web-a: before"]


async def test_containers(shop: Shop) -> None:
    await shop.pod("web-c", "ReplicaSet/web-1", "main", "proxy")
    for container in ("main", "proxy"):
        shop.write("web-c", container, container=container)
    assert texts(await all_of(shop.logs(pod="web-c").read())) == ["web-c: main", "web-c: proxy"]
    found = await all_of(shop.logs(pod="web-c", container="proxy").read())
    assert texts(found) == ["web-c: proxy"]
    with pytest.raises(NotFound, match="no container 'sidecar': there are main, proxy"):
        await all_of(shop.logs(container="sidecar").read())


async def test_a_container_that_waits_does_not_hide_the_others(shop: Shop) -> None:
    shop.write("web-b", "hello")
    frames = await all_of(shop.logs().read())
    assert texts(frames) == ["web-b: hello"]
    assert notes(frames) == ['/Pod:default/web-a: container "main" is waiting to start']


async def test_nothing_but_failures_is_a_failure(shop: Shop) -> None:
    with pytest.raises(Invalid, match="waiting to start"):
        await all_of(shop.logs().read())


async def test_there_is_a_limit_to_containers_and_it_is_said(shop: Shop) -> None:
    for number in range(MOST_CONTAINERS + 3):
        await shop.pod(f"web-many-{number:03}", "ReplicaSet/web-1")
        shop.write(f"web-many-{number:03}", "hello")
    frames = await all_of(shop.logs(pod="web-many-*").read())
    assert len(texts(frames)) == MOST_CONTAINERS
    assert notes(frames) == ["3 more pods are not read: choose some with --pod"]


@pytest.mark.parametrize(
    ("early", "late"),
    [
        pytest.param("2026-01-01T00:00:00.1Z", "2026-01-01T00:00:00.12Z", id="trimmed zeros"),
        pytest.param("2026-01-01T02:00:00.100000000+02:00", "2026-01-01T00:00:01Z", id="zones"),
        pytest.param("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000001Z", id="no fraction"),
    ],
)
def test_times_sort_whatever_their_form(early: str, late: str) -> None:
    assert sortable(early) < sortable(late)


# following


class Reading:
    """A read that goes on, and what came of it so far."""

    def __init__(self, frames: AsyncGenerator[Frame, None], clock: FakeClock) -> None:
        self.found: list[Frame] = []
        self.clock = clock
        self.gate = asyncio.Event()
        self.gate.set()
        self.task = asyncio.create_task(self._read(frames))

    async def _read(self, frames: AsyncGenerator[Frame, None]) -> None:
        async with aclosing(frames):
            async for frame in frames:
                self.found.append(frame)
                await self.gate.wait()

    async def settle(self) -> list[str]:
        for _ in range(20):
            await self.clock.settle()
        return texts(self.found)

    async def leave(self) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})


async def test_lines_come_as_they_are_written(shop: Shop) -> None:
    shop.write("web-a", "1")
    reading = Reading(shop.follow(pod="web-a"), shop.clock)
    assert await reading.settle() == ["web-a: 1"]
    shop.write("web-a", "2")
    assert await reading.settle() == ["web-a: 1", "web-a: 2"]
    await reading.leave()


async def test_who_leaves_leaves_no_stream_behind(shop: Shop) -> None:
    shop.write("web-a", "1")
    shop.write("web-b", "1")
    reading = Reading(shop.follow(), shop.clock)
    await reading.settle()
    assert shop.cluster.containers.readers == 2
    await reading.leave()
    assert shop.cluster.containers.readers == 0
    assert shop.clock.sleepers == 0


async def test_pods_of_a_rollout_join_from_their_first_line(shop: Shop) -> None:
    shop.write("web-a", "old")
    reading = Reading(shop.follow(pod="web-*", tail=0), shop.clock)
    await reading.settle()
    await shop.pod("web-c", "ReplicaSet/web-1")
    shop.write("web-c", "first", "second")
    await shop.pod("foreign", "ReplicaSet/other-1")
    shop.write("foreign", "secret")
    await shop.clock.advance(LOOK_AGAIN)
    assert await reading.settle() == ["web-c: first", "web-c: second"]
    assert Streams(names=("web-a/main", "web-b/main", "web-c/main")) in reading.found
    await reading.leave()


async def test_a_container_that_starts_anew_is_followed_on(shop: Shop) -> None:
    shop.write("web-a", "before")
    reading = Reading(shop.follow(pod="web-a"), shop.clock)
    await reading.settle()
    shop.cluster.containers.restart("default", "web-a", "main")
    shop.write("web-a", "after")
    await shop.clock.advance(LOOK_AGAIN)
    assert await reading.settle() == ["web-a: before", "web-a: after"]
    await reading.leave()


async def test_a_container_that_cannot_be_read_is_said_once(shop: Shop) -> None:
    shop.write("web-b", "1")
    reading = Reading(shop.follow(), shop.clock)
    for _ in range(4):
        await shop.clock.advance(LOOK_AGAIN)
    await reading.settle()
    assert len(notes(reading.found)) == 1
    shop.write("web-a", "at last")
    await shop.clock.advance(LOOK_AGAIN)
    assert "web-a: at last" in await reading.settle()
    await reading.leave()


async def test_it_ends_when_every_pod_has(shop: Shop) -> None:
    shop.write("web-a", "1")
    reading = Reading(shop.follow(pod="web-a"), shop.clock)
    await reading.settle()
    shop.status("web-a", phase="Succeeded")
    shop.cluster.containers.end("default", "web-a", "main")
    for _ in range(2):
        await shop.clock.advance(LOOK_AGAIN)
        await reading.settle()
    assert reading.task.done()
    assert texts(reading.found) == ["web-a: 1"]


async def test_a_log_that_is_faster_than_its_reader_does_not_pile_up(shop: Shop) -> None:
    shop.write("web-a", *(str(number) for number in range(5000)))
    reading = Reading(shop.follow(pod="web-a", tail=ALL_LINES), shop.clock)
    reading.gate.clear()
    await reading.settle()
    before = shop.cluster.containers.given
    await reading.settle()
    assert shop.cluster.containers.given == before < 100
    reading.gate.set()
    while len(texts(reading.found)) < 5000:
        await shop.clock.settle()
    await reading.leave()


# events


async def test_events_of_the_application_and_of_what_it_owns(shop: Shop) -> None:
    await shop.event("e1", "Deployment/web", "scaled", lastTimestamp="2026-01-01T00:00:03Z")
    await shop.event("e2", "Pod/web-a", "pulled", eventTime="2026-01-01T00:00:01.5Z")
    await shop.event(
        "e3", "ReplicaSet/web-1", "made", lastTimestamp="2026-01-01T00:00:02Z", count=4
    )
    await shop.event("e4", "Pod/other-a", "foreign", lastTimestamp="2026-01-01T00:00:02Z")
    await shop.event("e5", "Pod/alone", "foreign", lastTimestamp="2026-01-01T00:00:02Z")
    await shop.event("e6", "Pod/gone", "of nobody", lastTimestamp="2026-01-01T00:00:02Z")
    found = await all_of(read_events(shop.cluster, shop.roots))
    assert [
        (item.row.object, item.row.message, item.row.count)
        for item in found
        if isinstance(item, Event)
    ] == [
        ("default/Pod/web-a", "pulled", 1),
        ("default/ReplicaSet/web-1", "made", 4),
        ("default/Deployment/web", "scaled", 1),
    ]
    assert len(found) == 3


async def test_an_event_without_a_uid_is_its_objects_by_name(shop: Shop) -> None:
    uid = shop.uids.pop("Deployment/web")
    await shop.event("e1", "Deployment/web", "scaled")
    assert len(await all_of(read_events(shop.cluster, {WEB: uid}))) == 1


async def test_events_show_no_credentials_and_no_control_characters(shop: Shop) -> None:
    await shop.event("e1", "Deployment/web", "pull https://me:hunter2@host/x \x1b[31mred\u202e")
    (found,) = await all_of(read_events(shop.cluster, shop.roots))
    assert isinstance(found, Event)
    assert "hunter2" not in found.row.message
    assert found.row.message.isprintable()


async def test_only_the_newest_events_are_kept(shop: Shop) -> None:
    for number in range(MOST_EVENTS + 2):
        stamp = f"2026-01-01T00:{number // 60:02}:{number % 60:02}Z"
        await shop.event(f"e{number}", "Deployment/web", str(number), lastTimestamp=stamp)
    found = await all_of(read_events(shop.cluster, shop.roots))
    assert notes(found) == ["2 older events are left out"]
    kept = [item.row.message for item in found if isinstance(item, Event)]
    assert (kept[0], kept[-1], len(kept)) == ("2", str(MOST_EVENTS + 1), MOST_EVENTS)


async def test_events_that_may_not_be_read_are_no_empty_answer(shop: Shop) -> None:
    shop.cluster.fail("list", "events", Forbidden("events is forbidden"))
    found = await all_of(read_events(shop.cluster, shop.roots))
    assert notes(found) == ["events of namespace default: events is forbidden"]

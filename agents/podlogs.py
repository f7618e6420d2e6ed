"""Logs of an application's Pods: of its own and of those that its objects own, never of another.

Read once, the containers' lines are merged by their times. Followed, they come as they are written
(`agents.followedlogs`). Each container is one stream with a small buffer: nothing grows with the log.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncGenerator, Collection
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from agents.ownership import Ownership, Roots
from fleet.codec.jsontypes import JsonObject
from fleet.errors import FleetError
from fleet.kube.errors import NotFound
from fleet.kube.port import ClusterPort, LogQuery, Resource
from fleet.model.identity import ObjectRef
from fleet.wire.requests import ALL_LINES, Frame, LogArguments, LogLine, Note, Streams

MOST_CONTAINERS = 50
"""Containers that are read at a time."""

_OVER = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True, order=True)
class Container:
    """One container of one Pod."""

    namespace: str
    pod: str
    uid: str
    name: str

    def __str__(self) -> str:
        return f"{self.pod}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What there is to read."""

    containers: tuple[Container, ...] = ()
    running: frozenset[Container] = frozenset()
    notes: tuple[str, ...] = ()
    """What was left out, and why."""
    is_over: bool = False
    """There are Pods, and all of them have ended."""


class PodLogs:
    """The logs of one application, for one read."""

    def __init__(self, cluster: ClusterPort, roots: Roots, asked: LogArguments) -> None:
        self._cluster = cluster
        self._roots = roots
        self._asked = asked

    async def read(self) -> AsyncGenerator[Frame, None]:
        """Give what is written by now; raises NotFound where there is nothing to read."""
        found = await self.find()
        for note in found.notes:
            yield Note(message=note)
        async with AsyncExitStack() as stack:
            streams = [
                await stack.enter_async_context(aclosing(self.lines(item, self.query(item))))
                for item in found.containers
            ]
            begun = await asyncio.gather(*(_next(stream) for stream in streams))
            failed = [head for head in begun if isinstance(head, FleetError)]
            if failed and len(failed) == len(begun):
                raise failed[0]
            yield Streams(names=tuple(str(item) for item in found.containers))
            for error in failed:
                yield Note(message=str(error))
            async with aclosing(_merged(streams, begun)) as merged:
                async for frame in merged:
                    yield frame

    def query(self, item: Container) -> LogQuery:
        """Return what is asked of a container."""
        asked = self._asked
        return LogQuery(
            container=item.name,
            follow=asked.follow,
            previous=asked.previous,
            tail=None if asked.tail == ALL_LINES else asked.tail,
            since_seconds=asked.since,
        )

    async def lines(self, item: Container, query: LogQuery) -> AsyncGenerator[LogLine, None]:
        """Read one container's lines, those with the text that is looked for."""
        async with aclosing(self._cluster.logs(item.namespace, item.pod, query)) as lines:
            async for line in lines:
                time, text = _parted(line.decode("utf-8", "replace"))
                if self._asked.filter in text:
                    yield LogLine(pod=item.pod, container=item.name, time=time, text=text)

    # -- which --------------------------------------------------------------------------------

    async def find(self) -> Found:
        """Look which containers there are; raises NotFound where there is none to read."""
        discovery = await self._cluster.discovery()
        pods = discovery.preferred("", "Pod")
        if pods is None:
            raise NotFound("the cluster serves no Pods")
        ownership = Ownership(self._cluster, discovery, self._roots)
        names = [
            found
            for namespace in sorted({ref.namespace for ref in self._roots if ref.namespace})
            for found in await self._owned(pods, namespace, ownership)
        ]
        bodies = [
            body for place in names[:MOST_CONTAINERS] for body in await self._get(pods, place)
        ]
        containers = [item for body in bodies for item in _containers(body, self._asked.container)]
        if not containers:
            raise NotFound(self._nothing(bodies, ownership.hidden))
        left = len(names) - MOST_CONTAINERS
        return Found(
            containers=tuple(containers[:MOST_CONTAINERS]),
            running=frozenset(item for body in bodies for item in _running(body)),
            notes=tuple(_notes(len(containers) - MOST_CONTAINERS, left, ownership.hidden)),
            is_over=all(_phase(body) in _OVER for body in bodies),
        )

    async def _owned(
        self, pods: Resource, namespace: str, ownership: Ownership
    ) -> list[tuple[str, str]]:
        """Find the application's Pods in a namespace; page by page, and only their names are kept."""
        found: list[tuple[str, str]] = []
        pages = self._cluster.pages(pods, namespace=namespace, metadata_only=True)
        async with aclosing(pages):
            async for page in pages:
                for item in page.items:
                    metadata = item["metadata"]
                    name, uid = str(metadata.get("name") or ""), str(metadata.get("uid") or "")
                    ref = ObjectRef("", "Pod", namespace, name)
                    if self._is_named(name) and await ownership.has(
                        ref, uid, ownership.owners_of(item, namespace)
                    ):
                        found.append((namespace, name))
        return found

    def _is_named(self, name: str) -> bool:
        return not self._asked.pod or fnmatchcase(name, self._asked.pod)

    async def _get(self, pods: Resource, place: tuple[str, str]) -> list[JsonObject]:
        try:
            return [await self._cluster.get(pods, *place)]
        except NotFound:
            return []

    def _nothing(self, bodies: Collection[JsonObject], hidden: Collection[str]) -> str:
        if bodies:
            names = sorted({name for body in bodies for name in _names(body, every=True)})
            return f"no container {self._asked.container!r}: there are {', '.join(names)}"
        what = f"no pod {self._asked.pod!r}" if self._asked.pod else "no pods"
        why = f"; not looked through: {', '.join(sorted(hidden))}" if hidden else ""
        return f"the application has {what} on this cluster{why}"


async def _merged(
    streams: list[AsyncGenerator[LogLine, None]], begun: list[LogLine | FleetError | None]
) -> AsyncGenerator[Frame, None]:
    """Give the lines of all streams by their times; of each, one line is at hand."""
    heads = [
        (sortable(head.time), position, head)
        for position, head in enumerate(begun)
        if isinstance(head, LogLine)
    ]
    heapq.heapify(heads)
    while heads:
        _, position, line = heads[0]
        yield line
        following = await _next(streams[position])
        if isinstance(following, LogLine):
            key = sortable(following.time) or heads[0][0]
            heapq.heapreplace(heads, (key, position, following))
            continue
        heapq.heappop(heads)
        if following is not None:
            yield Note(message=str(following))


async def _next(stream: AsyncGenerator[LogLine, None]) -> LogLine | FleetError | None:
    """The next line, what went wrong, or None at the end."""
    try:
        return await anext(stream, None)
    except FleetError as error:
        return error


def sortable(time: str) -> str:
    """Return a time so that text order is time order, whatever zone the node is in."""
    if not time or time.endswith("Z"):
        return time.removesuffix("Z")
    try:
        return datetime.fromisoformat(time).astimezone(UTC).isoformat().partition("+")[0]
    except ValueError:
        return time


def _parted(line: str) -> tuple[str, str]:
    """Take the time off a line; the rest of one that was cut has none."""
    time, _, text = line.partition(" ")
    return (time, text) if time[:4].isdigit() and "T" in time[:11] else ("", line)


def _containers(body: JsonObject, wanted: str) -> list[Container]:
    return [
        _container(body, name) for name in _names(body, every=bool(wanted)) if wanted in ("", name)
    ]


def _names(body: JsonObject, *, every: bool) -> list[str]:
    """Names of a Pod's containers; ``every``: with those that only prepare it, or look into it."""
    spec = body.get("spec") or {}
    kinds = ("containers", "initContainers", "ephemeralContainers") if every else ("containers",)
    return [str(item.get("name") or "") for kind in kinds for item in spec.get(kind) or ()]


def _running(body: JsonObject) -> list[Container]:
    status = body.get("status") or {}
    return [
        _container(body, str(item.get("name") or ""))
        for kind in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
        for item in status.get(kind) or ()
        if "running" in (item.get("state") or {})
    ]


def _container(body: JsonObject, name: str) -> Container:
    metadata = body["metadata"]
    return Container(metadata["namespace"], metadata["name"], str(metadata.get("uid") or ""), name)


def _phase(body: JsonObject) -> str:
    return str((body.get("status") or {}).get("phase") or "")


def _notes(containers: int, pods: int, hidden: Collection[str]) -> list[str]:
    notes = [f"not looked through: {text}" for text in sorted(hidden)]
    if pods > 0:
        notes.append(f"{pods} more pods are not read: choose some with --pod")
    elif containers > 0:
        notes.append(
            f"{containers} more containers are not read: choose some with --pod or --container"
        )
    return notes

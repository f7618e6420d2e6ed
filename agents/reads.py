"""The kinds of reads and what answers them; every one is about one application that is on this cluster."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TypeVar

from agents.assignment import Assignment
from agents.events import read_events
from agents.followedlogs import FollowedLogs
from agents.inventory import Inventories
from agents.liveread import LiveReader
from agents.ownership import Roots
from agents.podlogs import PodLogs
from fleet.errors import BadInput
from fleet.kube.errors import NotFound
from fleet.kube.port import ClusterPort
from fleet.runtime.clock import Clock
from fleet.sync.hooks import RUN
from fleet.sync.inventory import Inventory
from fleet.sync.manifest import TRACKING_ID, annotation, parse_tracking_id
from fleet.wire import codec
from fleet.wire.references import parse_resource
from fleet.wire.requests import (
    Compared,
    DiffArguments,
    Difference,
    Frame,
    LogArguments,
    Manifest,
    ManifestArguments,
    Problem,
    ReadKind,
    ReadRequest,
    Resource,
)

T = TypeVar("T")


class Reads:
    """Answers reads, kind by kind."""

    def __init__(
        self,
        cluster: ClusterPort,
        reader: LiveReader,
        inventories: Inventories,
        assignment: Callable[[], Assignment | None],
        clock: Clock,
    ) -> None:
        self._cluster = cluster
        self._reader = reader
        self._inventories = inventories
        self._assignment = assignment
        self._clock = clock

    async def read(self, request: ReadRequest) -> AsyncGenerator[Frame, None]:
        """Give the frames of an answer, without its end; raises what is told to the person."""
        inventory = self._inventory(request.target)
        roots = await roots_of(self._cluster, inventory) if inventory is not None else {}
        async with aclosing(self._frames(request, roots)) as frames:
            async for frame in frames:
                yield frame

    def _frames(self, request: ReadRequest, roots: Roots) -> AsyncGenerator[Frame, None]:
        match request.kind:
            case ReadKind.LOGS:
                asked = _arguments(request, LogArguments)
                logs = PodLogs(self._cluster, roots, asked)
                return FollowedLogs(logs, self._clock).read() if asked.follow else logs.read()
            case ReadKind.EVENTS:
                return read_events(self._cluster, roots)
            case ReadKind.RESOURCES:
                return self._resources(request.target)
            case ReadKind.MANIFESTS:
                return self._manifests(request.target, _arguments(request, ManifestArguments))
            case ReadKind.DIFF:
                return self._diff(request.target, _arguments(request, DiffArguments))
            case _:
                raise BadInput(
                    f"this agent knows no {request.kind}", hint="update the agent of this cluster"
                )

    def _inventory(self, target: str) -> Inventory | None:
        """Return what the target has, if anything yet; raises NotFound where this cluster has no such target."""
        inventory = self._inventories.get(target)
        assignment = self._assignment()
        if inventory is None and (assignment is None or target not in assignment.sections):
            raise NotFound(f"application {target!r} is not on this cluster")
        return inventory

    async def _resources(self, target: str) -> AsyncGenerator[Frame, None]:
        for row in await self._reader.resources(target):
            yield Resource(row=row)

    async def _manifests(
        self, target: str, asked: ManifestArguments
    ) -> AsyncGenerator[Frame, None]:
        for body in await self._reader.manifests(target, live=asked.live):
            yield Manifest(object=body)

    async def _diff(self, target: str, asked: DiffArguments) -> AsyncGenerator[Frame, None]:
        refs = tuple(parse_resource(text) for text in asked.refs)
        found = await self._reader.diff(target, refs or None)
        yield Compared(target=found.target, artifact=found.artifact)
        for item in found.objects:
            yield Difference(object=item)
        for note in found.problems:
            yield Problem(object=note)


async def roots_of(cluster: ClusterPort, inventory: Inventory) -> Roots:
    """Return the objects of a target with their UIDs, those of its hooks too, which are looked up by their marks."""
    roots = {ref: entry.uid for ref, entry in inventory.entries.items()}
    discovery = await cluster.discovery()
    for ref in inventory.hooks:
        resource = discovery.preferred(ref.group, ref.kind)
        if resource is None:
            continue
        try:
            live = await cluster.get(resource, ref.namespace, ref.name, metadata_only=True)
        except NotFound:
            continue
        is_ours = parse_tracking_id(annotation(live, TRACKING_ID)) == (inventory.target, ref)
        if is_ours and annotation(live, RUN):
            roots[ref] = str(live["metadata"].get("uid") or "")
    return roots


def _arguments(request: ReadRequest, kind: type[T]) -> T:
    return codec.decode(bytes(request.arguments), kind)

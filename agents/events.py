"""Events about an application's objects and about those that they own: the newest, oldest of them first."""

from __future__ import annotations

import heapq
from collections.abc import AsyncGenerator
from contextlib import aclosing

from agents.ownership import Ownership, Roots
from fleet.codec.jsontypes import JsonObject
from fleet.codec.redaction import one_line
from fleet.errors import FleetError
from fleet.kube.errors import NotFound
from fleet.kube.port import ClusterPort, Resource
from fleet.model.identity import ObjectRef
from fleet.wire.requests import Event, EventRow, Frame, Note

MOST_EVENTS = 500

_HOME = "default"
"""Where events about objects of no namespace are kept."""

_LONGEST = 1000


async def read_events(cluster: ClusterPort, roots: Roots) -> AsyncGenerator[Frame, None]:
    """Give the events; raises NotFound where the cluster keeps none."""
    discovery = await cluster.discovery()
    resource = discovery.preferred("", "Event")
    if resource is None:
        raise NotFound("the cluster serves no Events")
    ownership = Ownership(cluster, discovery, roots)
    newest: list[tuple[str, int, EventRow]] = []
    count = 0
    for namespace in sorted({ref.namespace or _HOME for ref in roots}):
        try:
            async with aclosing(
                _belonging(cluster, resource, namespace, roots, ownership)
            ) as events:
                async for event in events:
                    count += 1
                    heapq.heappush(newest, (event.time, count, event))
                    if len(newest) > MOST_EVENTS:
                        heapq.heappop(newest)
        except FleetError as error:
            yield Note(message=f"events of namespace {namespace}: {error.message}")
    for text in sorted(ownership.hidden):
        yield Note(message=f"not looked through: {text}")
    if count > MOST_EVENTS:
        yield Note(message=f"{count - MOST_EVENTS} older events are left out")
    for _, _, event in sorted(newest, key=lambda item: item[:2]):
        yield Event(row=event)


async def _belonging(
    cluster: ClusterPort,
    resource: Resource,
    namespace: str,
    roots: Roots,
    ownership: Ownership,
) -> AsyncGenerator[EventRow, None]:
    async with aclosing(cluster.pages(resource, namespace=namespace)) as pages:
        async for page in pages:
            for body in page.items:
                ref, uid = _about(body)
                if await ownership.has(ref, uid or roots.get(ref, "")):
                    yield _event(body, ref)


def _about(body: JsonObject) -> tuple[ObjectRef, str]:
    about = body.get("involvedObject") or {}
    group = str(about.get("apiVersion") or "").rpartition("/")[0]
    ref = ObjectRef(
        group,
        str(about.get("kind") or ""),
        str(about.get("namespace") or ""),
        str(about.get("name") or ""),
    )
    return ref, str(about.get("uid") or "")


def _event(body: JsonObject, ref: ObjectRef) -> EventRow:
    series = body.get("series") or {}
    times = (
        series.get("lastObservedTime"),
        body.get("lastTimestamp"),
        body.get("eventTime"),
        body.get("firstTimestamp"),
        body["metadata"].get("creationTimestamp"),
    )
    source = body.get("reportingComponent") or (body.get("source") or {}).get("component")
    place = f"{ref.namespace}/" if ref.namespace else ""
    return EventRow(
        time=next((str(time) for time in times if time), ""),
        type=str(body.get("type") or ""),
        reason=str(body.get("reason") or ""),
        object=f"{place}{ref.kind}/{ref.name}",
        message=one_line(str(body.get("message") or body.get("note") or ""), _LONGEST),
        count=_count(series.get("count") or body.get("count")),
        source=str(source or ""),
    )


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 1

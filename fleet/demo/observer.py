"""The observer: what the clusters' API servers say, as it happens.

It watches the kinds that the demo's fleet uses and notes every change with the time it arrived, so that claims about
order and speed rest on the clusters and not on our own daemons' words.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fleet.codec.jsontypes import JsonObject
from fleet.errors import FleetError
from fleet.health.assess import assess
from fleet.health.result import HealthResult, aggregate
from fleet.kube.adapter import KubernetesCluster
from fleet.kube.connection import Connection, ConnectionSettings
from fleet.kube.port import EventType, Resource
from fleet.model.report import Health

TRACKING = "gitopsfleet.io/tracking-id"
KINDS = (
    ("", "ConfigMap"),
    ("", "Service"),
    ("", "ServiceAccount"),
    ("apps", "Deployment"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("demo.gitopsfleet.io", "Widget"),
)
_RETRY = 0.2


@dataclass(frozen=True, slots=True)
class Seen:
    """One change of one object of an application."""

    at: float
    """time.monotonic() when it arrived."""
    cluster: str
    app: str
    kind: str
    name: str
    type: EventType
    healthy: bool


Key = tuple[str, str, str, str]
"""Cluster, kind, namespace, name."""


@dataclass(slots=True)
class Observer:
    """Watches clusters in a thread of its own."""

    kubeconfigs: Mapping[str, Path]
    contexts: Mapping[str, str] = field(default_factory=dict)
    events: list[Seen] = field(default_factory=list)
    _objects: dict[Key, JsonObject] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Observer:
        self._thread = threading.Thread(target=self._run, name="observer", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._loop.call_soon_threadsafe(self._cancel)
        if self._thread is not None:
            self._thread.join(10)

    def object(self, cluster: str, kind: str, namespace: str, name: str) -> JsonObject | None:
        """Return an object as it was last seen; None while it is not there."""
        with self._lock:
            return self._objects.get((cluster, kind, namespace, name))

    def apps(self) -> dict[tuple[str, str], Health]:
        """Health of every application by (app, cluster), from its objects."""
        groups: dict[tuple[str, str], list[HealthResult | None]] = {}
        with self._lock:
            for (cluster, *_), body in self._objects.items():
                groups.setdefault((app_of(body), cluster), []).append(assess(body))
        return {key: aggregate(found) for key, found in groups.items()}

    def first_created(self, cluster: str, app: str) -> float | None:
        """When the first object of an application appeared."""
        return self._time(lambda e: e.type is EventType.ADDED, cluster, app, first=True)

    def last_ready(self, cluster: str, app: str, *, before: float) -> float | None:
        """When the last object of an application that has a health turned healthy, up to a time."""
        with self._lock:
            ready = [
                event.at
                for event in self.events
                if (event.cluster, event.app) == (cluster, app)
                and event.healthy
                and event.at <= before
            ]
        return max(ready) if ready else None

    def _time(self, chosen, cluster: str, app: str, *, first: bool) -> float | None:  # type: ignore[no-untyped-def]
        with self._lock:
            times = [
                e.at for e in self.events if (e.cluster, e.app) == (cluster, app) and chosen(e)
            ]
        return (min(times) if first else max(times)) if times else None

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._watch_all())

    def _cancel(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            task.cancel()

    async def _watch_all(self) -> None:
        clusters = {
            name: KubernetesCluster(
                Connection(
                    ConnectionSettings(
                        kubeconfig=str(kubeconfig), context=self.contexts.get(name, "")
                    )
                )
            )
            for name, kubeconfig in self.kubeconfigs.items()
        }
        jobs = [
            self._watch(name, cluster, group, kind)
            for name, cluster in clusters.items()
            for group, kind in KINDS
        ]
        try:
            await asyncio.gather(*jobs)
        except asyncio.CancelledError:
            pass
        finally:
            for cluster in clusters.values():
                await cluster.close()

    async def _watch(self, name: str, cluster: KubernetesCluster, group: str, kind: str) -> None:
        while True:
            try:
                resource = (await cluster.discovery()).preferred(group, kind)
                if resource is None:
                    await asyncio.sleep(_RETRY)
                    await cluster.discovery(refresh=True)
                    continue
                await self._follow(name, cluster, resource)
            except FleetError:
                await asyncio.sleep(_RETRY)

    async def _follow(self, name: str, cluster: KubernetesCluster, resource: Resource) -> None:
        version, present = "", set()
        async for page in cluster.pages(resource):
            version = page.resource_version
            for body in page.items:
                present.add(self._note(name, resource.kind, EventType.ADDED, body))
        self._drop_absent(name, resource.kind, present)
        async for event in cluster.watch(resource, resource_version=version):
            if event.type is not EventType.BOOKMARK:
                self._note(name, resource.kind, event.type, event.object)

    def _note(self, cluster: str, kind: str, type_: EventType, body: JsonObject) -> Key | None:
        app = app_of(body)
        if not app:
            return None
        metadata = body["metadata"]
        key = (cluster, kind, metadata.get("namespace", ""), metadata["name"])
        health = assess(body)
        with self._lock:
            if type_ is EventType.DELETED:
                self._objects.pop(key, None)
            else:
                self._objects[key] = body
            is_healthy = health is not None and health.status is Health.HEALTHY
            self.events.append(
                Seen(time.monotonic(), cluster, app, kind, metadata["name"], type_, is_healthy)
            )
        return key

    def _drop_absent(self, cluster: str, kind: str, present: set[Key | None]) -> None:
        with self._lock:
            for key in [k for k in self._objects if k[:2] == (cluster, kind) and k not in present]:
                del self._objects[key]


def app_of(body: JsonObject) -> str:
    """Return the application that an object belongs to, from its tracking annotation."""
    annotations = (body.get("metadata") or {}).get("annotations") or {}
    return str(annotations.get(TRACKING, "")).partition(":")[0]

"""Watches: which kinds are followed, and how their streams are kept alive.

Only kinds that some application has are watched, selected by our label; whole objects where health needs them,
metadata otherwise. A stream that ends is continued where it stopped; one whose past the server forgot starts over
with a list. What comes in goes to the `LiveTable`; nothing is decided here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from random import Random

import structlog
from prometheus_client import Counter, Gauge

from agents.live import KindKey, LiveTable, ref_of, version_of
from fleet.errors import FleetError
from fleet.kube.errors import Gone, NotFound
from fleet.kube.port import ClusterPort, EventType, Resource, WatchEvent
from fleet.model.identity import ObjectRef
from fleet.runtime.backoff import Backoff
from fleet.runtime.clock import Clock
from fleet.sync.manifest import OWNED_SELECTOR

log = structlog.get_logger(__name__)

_WATCHES = Gauge("fleet_agent_watches", "Open watches.")
_LISTS = Counter("fleet_agent_lists_total", "Lists taken to start a watch, or to start it over.")

_LASTING = 1.0
"""Seconds after which a watch that ends was a good one: it may be started again at once."""

Needs = Callable[[KindKey], bool]


@dataclass(slots=True, eq=False)
class _Watch:
    """One kind in one namespace (empty: all)."""

    resource: Resource
    namespace: str
    full: bool
    tried: asyncio.Event = field(default_factory=asyncio.Event)
    is_listed: bool = False
    error: FleetError | None = None
    task: asyncio.Task[None] | None = None


class Observer:
    """Keeps a watch for every kind that it is asked for."""

    def __init__(
        self,
        cluster: ClusterPort,
        table: LiveTable,
        clock: Clock,
        *,
        namespaces: tuple[str, ...] = (),
    ) -> None:
        self._cluster = cluster
        self._table = table
        self._clock = clock
        self._namespaces = namespaces
        self._listeners: list[Callable[[], None]] = []
        self._watches: dict[tuple[KindKey, str], _Watch] = {}
        self._group: asyncio.TaskGroup | None = None
        self._started = asyncio.Event()
        self._backoff = Backoff(initial=0.5, maximum=30.0)
        self._rng = Random()  # noqa: S311  # jitter, not a secret

    def listen(self, listener: Callable[[], None]) -> None:
        """Be told when what can be seen changes: a kind is gone, or can be listed at last."""
        self._listeners.append(listener)

    async def run(self) -> None:
        """Hold the watches until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._started.set()
            await asyncio.Event().wait()

    async def ensure(self, resources: Iterable[Resource], full: Needs) -> None:
        """Return when all kinds are followed from a complete list; raises why one cannot be."""
        await self._started.wait()
        wanted = [
            (resource, namespace, full((resource.group, resource.kind)))
            for resource in resources
            for namespace in self._places(resource)
        ]
        for resource, namespace, is_full in wanted:
            self._watch(resource, namespace, full=is_full)
        for resource, namespace, is_full in wanted:
            await self._listed(resource, namespace, full=is_full)

    def keep_only(self, kinds: Iterable[KindKey]) -> None:
        """End the watches of all other kinds."""
        wanted = set(kinds)
        for (kind, namespace), watch in list(self._watches.items()):
            if kind not in wanted:
                self._end(watch)
                del self._watches[kind, namespace]
                self._table.forget(kind)

    def relist(self, kinds: Iterable[KindKey]) -> None:
        """Have all objects of some kinds shown again, by the next `ensure`; until then they stay as they are known."""
        wanted = set(kinds)
        for key, watch in list(self._watches.items()):
            if key[0] in wanted:
                self._end(watch)
                del self._watches[key]

    def _places(self, resource: Resource) -> tuple[str, ...]:
        return self._namespaces if self._namespaces and resource.namespaced else ("",)

    def _watch(self, resource: Resource, namespace: str, *, full: bool) -> _Watch:
        key = ((resource.group, resource.kind), namespace)
        known = self._watches.get(key)
        if known is not None and (known.full or not full):
            return known
        if known is not None:
            self._end(known)
        watch = self._watches[key] = _Watch(resource, namespace, full)
        assert self._group is not None
        name = f"watch-{resource.plural}"
        watch.task = self._group.create_task(self._follow(key, watch), name=name)
        return watch

    async def _listed(self, resource: Resource, namespace: str, *, full: bool) -> None:
        """Wait for the list of a watch, or of the one that has taken its place meanwhile."""
        while True:
            watch = self._watch(resource, namespace, full=full)
            await watch.tried.wait()
            if watch.is_listed:
                return
            if watch.error is not None:
                raise watch.error

    def _end(self, watch: _Watch) -> None:
        if watch.task is not None:
            watch.task.cancel()
        watch.tried.set()

    async def _follow(self, key: tuple[KindKey, str], watch: _Watch) -> None:
        failures = 0
        while True:
            started = self._clock.monotonic()
            is_error = False
            try:
                await self._stream(watch, await self._list(watch))
            except Gone:
                log.info("watch starts over", kind=watch.resource.kind)
            except NotFound:
                self._lost(key, watch)
                return
            except FleetError as error:
                is_error = True
                self._failed(watch, error)
            failures = 0 if self._has_lasted(started) else failures + 1
            if is_error or failures > 1:
                await self._clock.sleep(self._pause(failures))

    async def _list(self, watch: _Watch) -> str:
        """Take in a complete list; returns its resource version."""
        _LISTS.inc()
        listed: set[ObjectRef] = set()
        version = ""
        pages = self._cluster.pages(
            watch.resource,
            namespace=watch.namespace,
            selector=OWNED_SELECTOR,
            metadata_only=not watch.full,
        )
        async for page in pages:
            listed.update(self._table.observe(watch.resource, item) for item in page.items)
            version = page.resource_version
        kind = (watch.resource.group, watch.resource.kind)
        at = int(version) if version.isdigit() else 0
        self._table.settle(kind, listed, at, watch.namespace)
        was_failing, watch.error = watch.error is not None, None
        watch.is_listed = True
        watch.tried.set()
        if was_failing:
            self._tell()
        return version

    async def _stream(self, watch: _Watch, version: str) -> None:
        """Follow from a version, through broken streams, until the server forgot it (Gone)."""
        failures = 0
        while True:
            before, started, is_error = version, self._clock.monotonic(), False
            stream = self._cluster.watch(
                watch.resource,
                resource_version=version,
                namespace=watch.namespace,
                selector=OWNED_SELECTOR,
                metadata_only=not watch.full,
            )
            _WATCHES.inc()
            try:
                async with aclosing(stream) as events:
                    async for event in events:
                        version = event.resource_version or version
                        self._take(watch, event)
            except (Gone, NotFound):
                raise
            except FleetError as error:
                log.debug("watch broke", kind=watch.resource.kind, error=str(error))
                is_error = True
            finally:
                _WATCHES.dec()
            was_good = version != before or self._has_lasted(started)
            failures = 0 if was_good else failures + 1
            if is_error or failures > 1:
                await self._clock.sleep(self._pause(failures))

    def _take(self, watch: _Watch, event: WatchEvent) -> None:
        match event.type:
            case EventType.BOOKMARK:
                pass
            case EventType.DELETED:
                self._table.remove(ref_of(watch.resource, event.object), version_of(event.object))
            case EventType.ADDED | EventType.MODIFIED:
                self._table.observe(watch.resource, event.object)

    def _failed(self, watch: _Watch, error: FleetError) -> None:
        if watch.error is None or watch.error.reason != error.reason:
            log.warning("cannot list", kind=watch.resource.kind, error=str(error))
        watch.error = error
        watch.tried.set()

    def _lost(self, key: tuple[KindKey, str], watch: _Watch) -> None:
        log.info("kind is not served any more", kind=watch.resource.kind)
        self._watches.pop(key, None)
        self._table.forget(key[0])
        watch.is_listed = True
        watch.tried.set()
        self._tell()

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()

    def _has_lasted(self, started: float) -> bool:
        return self._clock.monotonic() - started >= _LASTING

    def _pause(self, failures: int) -> float:
        return self._backoff.delay(failures, self._rng)

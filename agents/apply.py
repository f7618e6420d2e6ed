"""Carries out the steps of a plan: server-side apply and deletion, many at once, at most so many per cluster.

One request an object: the answer says what the object became, so nothing is read before or after. What a request
taught goes to the live table at once, so that the watch's echo is no news. Results are returned, failures too; what
follows from them is decided by `agents.reconcile`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import TypeVar

from prometheus_client import Counter

from agents.ignoring import Ignoring
from agents.live import LiveTable
from agents.writing import Writer
from fleet.codec.jsontypes import JsonObject
from fleet.errors import FleetError, NotReady, Transient
from fleet.kube.errors import Conflict, NotFound, NotServed, UnknownKind
from fleet.kube.port import ClusterPort, Propagation, Resource
from fleet.model.identity import ObjectRef
from fleet.runtime.clock import Clock
from fleet.sync.manifest import (
    OWNED_SELECTOR,
    TRACKING_ID,
    Manifest,
    annotation,
    group_of,
    parse_tracking_id,
)
from fleet.sync.manner import Manner
from fleet.sync.steps import Change

_APPLIED = Counter("fleet_agent_applies_total", "Server-side applies by result.", ["result"])
_DELETED = Counter("fleet_agent_deletes_total", "Deletions by result.", ["result"])
_USUAL = Manner()
_LIST_FROM = 3
_TRIES = 3
_VERSIONS = 2
"""How often a kind is looked for anew because it is served in another version than a moment ago."""


def propagation_of(manner: Manner) -> Propagation:
    """Return the API's word for what happens to dependents."""
    return Propagation(manner.dependents.value.capitalize())


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of one object."""

    change: Change
    live: JsonObject | None = None
    error: FleetError | None = None
    is_anothers: bool = False
    """What has the name of an object to delete is not the one that was meant."""


class Applier:
    """Writes to one cluster."""

    def __init__(
        self,
        cluster: ClusterPort,
        table: LiveTable,
        clock: Clock,
        ignoring: Ignoring,
        *,
        concurrency: int,
    ) -> None:
        self._cluster = cluster
        self._table = table
        self._clock = clock
        self._ignoring = ignoring
        self._writer = Writer(cluster, clock, table.needs_whole)
        self._slots = asyncio.Semaphore(concurrency)

    async def apply(self, changes: Iterable[Change], manner: Manner = _USUAL) -> list[Applied]:
        """Apply objects in parallel; each may ask for a manner of its own."""
        return await _all(changes, lambda change: self._apply(change, manner))

    async def delete(
        self, changes: Iterable[Change], target: str, propagation: Propagation
    ) -> list[Applied]:
        """Ask for the deletion of objects in parallel; ``live`` is what still waits for finalizers."""
        return await _all(changes, lambda change: self._delete(change, target, propagation))

    async def whole(self, refs: Iterable[ObjectRef]) -> dict[ObjectRef, JsonObject]:
        """Read whole objects, several of a kind and namespace by one list; those not there are left out."""
        places: dict[tuple[str, str, str], set[ObjectRef]] = {}
        for ref in refs:
            places.setdefault((ref.group, ref.kind, ref.namespace), set()).add(ref)
        found: dict[ObjectRef, JsonObject] = {}
        discovery = await self._cluster.discovery()
        reads: list[Coroutine[None, None, None]] = []
        for (group, kind, namespace), wanted in places.items():
            resource = discovery.preferred(group, kind)
            if resource is None:
                continue
            if len(wanted) >= _LIST_FROM and namespace:
                reads.append(self._list_whole(resource, namespace, wanted, found))
            else:
                reads.extend(self._get_whole(resource, ref, found) for ref in sorted(wanted))
        await together(reads)
        return found

    async def whole_as(
        self, manifests: Iterable[Manifest], *, singly: bool = False
    ) -> dict[ObjectRef, JsonObject]:
        """Read whole objects, each in the version that its manifest is written in.

        ``singly`` reads no lists, which are of objects with our label, and takes no note of what it finds.
        """
        discovery = await self._cluster.discovery()
        usual: set[ObjectRef] = set()
        other: list[tuple[Resource, ObjectRef]] = []
        for manifest in manifests:
            ref, version = manifest.ref, manifest.api_version.rpartition("/")[2]
            asked = discovery.find(ref.group, version, ref.kind)
            preferred = discovery.preferred(ref.group, ref.kind)
            if singly or (asked is not None and asked != preferred):
                resource = asked or preferred
                other += [(resource, ref)] if resource is not None else []
            else:
                usual.add(ref)
        found = await self.whole(usual)
        await together(self._get_as(resource, ref, found) for resource, ref in other)
        return found

    async def _list_whole(
        self,
        resource: Resource,
        namespace: str,
        wanted: set[ObjectRef],
        found: dict[ObjectRef, JsonObject],
    ) -> None:
        async with self._slots:
            pages = self._cluster.pages(resource, namespace=namespace, selector=OWNED_SELECTOR)
            async for page in pages:
                for item in page.items:
                    ref = self._table.observe(resource, item)
                    if ref in wanted:
                        found[ref] = item

    async def _get_whole(
        self, resource: Resource, ref: ObjectRef, found: dict[ObjectRef, JsonObject]
    ) -> None:
        await self._get_as(resource, ref, found)
        if ref in found:
            self._table.observe(resource, found[ref])

    async def _get_as(
        self, resource: Resource, ref: ObjectRef, found: dict[ObjectRef, JsonObject]
    ) -> None:
        async with self._slots:
            try:
                found[ref] = await self._cluster.get(resource, ref.namespace, ref.name)
            except NotFound:
                return

    async def gone(self, ref: ObjectRef, uid: str) -> bool:
        """Look whether an object is gone, or another one has taken its name."""
        for _ in range(_VERSIONS):
            resource = await self.served(ref)
            if resource is None:
                return True
            try:
                live = await self._cluster.get(
                    resource, ref.namespace, ref.name, metadata_only=True
                )
            except NotServed:
                await self._cluster.discovery(refresh=True)
                continue
            except NotFound:
                return True
            break
        else:
            return False
        return bool(uid) and live["metadata"].get("uid") != uid

    async def why_not_gone(self, ref: ObjectRef) -> str:
        """Say what an object that was deleted waits for."""
        resource = await self.served(ref)
        if resource is None:
            return "is gone"
        try:
            live = await self._cluster.get(resource, ref.namespace, ref.name, metadata_only=True)
        except NotFound:
            return "is gone"
        names = ", ".join(live["metadata"].get("finalizers") or ())
        return f"waits for finalizer {names}" if names else "is being deleted"

    async def served(self, ref: ObjectRef) -> Resource | None:
        """Return an object's kind as the cluster serves it; None where it certainly does not, and so no such object is there."""
        discovery = await self._cluster.discovery()
        found = discovery.preferred(ref.group, ref.kind)
        if found is None:
            discovery = await self._cluster.discovery(refresh=True)
            found = discovery.preferred(ref.group, ref.kind)
        if found is None and not discovery.sees(ref.group):
            raise NotReady(f"the cluster does not say what it serves of {ref.group}").at(
                object=str(ref)
            )
        return found

    async def resource_for(self, manifest: Manifest) -> Resource:
        """The kind as the cluster serves it in the manifest's version; raises UnknownKind."""
        group, version = group_of(manifest.api_version), manifest.api_version.rpartition("/")[2]
        for refresh in (False, True):
            discovery = await self._cluster.discovery(refresh=refresh)
            found = discovery.find(group, version, manifest.ref.kind)
            if found is not None:
                return found
        raise UnknownKind(
            f"the cluster does not serve {manifest.ref.kind} in {manifest.api_version}",
            hint="install its CustomResourceDefinition, or depend on the application that does",
        ).at(object=str(manifest.ref))

    async def _apply(self, change: Change, manner: Manner) -> Applied:
        manifest = change.manifest
        assert manifest is not None, "the planner gives every apply its manifest"
        try:
            live = await self._write(manifest, manner.of(manifest.body))
        except FleetError as error:
            _APPLIED.labels(error.reason).inc()
            return Applied(change, error=error.at(object=str(manifest.ref)))
        _APPLIED.labels("applied").inc()
        return Applied(change, live)

    async def _write(self, manifest: Manifest, manner: Manner) -> JsonObject:
        resource = await self.resource_for(manifest)
        try:
            return await self._write_as(resource, manifest, manner)
        except NotServed:
            await self._cluster.discovery(refresh=True)
            await self.resource_for(manifest)
            raise

    async def _write_as(self, resource: Resource, manifest: Manifest, manner: Manner) -> JsonObject:
        if manifest.manager:
            async with self._slots:
                return await self._writer.write_beside_others(
                    resource, manifest.body, manifest.manager
                )
        if manner.keep_ignored and manifest.ignore:
            live = await self._write_keeping_ignored(resource, manifest, manner)
        else:
            async with self._slots:
                live = await self._writer.write(resource, manifest.body, manner)
        if manifest.tracked:
            self._table.observe(resource, live, written=True)
        return live

    async def _write_keeping_ignored(
        self, resource: Resource, manifest: Manifest, manner: Manner
    ) -> JsonObject:
        """Apply with the live values of what is ignored, if nobody changed them in the meantime."""
        for _ in range(_TRIES):
            live = (await self.whole_as([manifest])).get(manifest.ref)
            if live is None:
                break
            body = await self._ignoring.with_live(manifest, live)
            version = live["metadata"].get("resourceVersion")
            body = {**body, "metadata": {**body["metadata"], "resourceVersion": version}}
            try:
                async with self._slots:
                    return await self._writer.write(resource, body, manner)
            except Conflict:
                continue
        else:
            raise Transient("it is changed faster than it can be applied").at(
                object=str(manifest.ref)
            )
        async with self._slots:
            return await self._writer.write(resource, manifest.body, manner)

    async def _delete(self, change: Change, target: str, propagation: Propagation) -> Applied:
        ref = change.ref
        is_anothers = False
        try:
            resource = await self.served(ref)
            if resource is None:
                return Applied(change)
            async with self._slots:
                live = await self._delete_ours(resource, change, target, propagation)
        except NotServed:
            # In this version: that says nothing about the object.
            await self._cluster.discovery(refresh=True)
            error = NotReady("the cluster serves its kind otherwise than a moment ago")
            return Applied(change, error=error.at(object=str(ref)))
        except (NotFound, Conflict) as error:
            # Either way ours is not there.
            live, is_anothers = None, isinstance(error, Conflict)
        except FleetError as error:
            _DELETED.labels(error.reason).inc()
            return Applied(change, error=error)
        _DELETED.labels("deleted").inc()
        if live is None or resource is None:
            self._table.remove(ref)
        else:
            self._table.observe(resource, live)
        return Applied(change, live, is_anothers=is_anothers)

    async def _delete_ours(
        self, resource: Resource, change: Change, target: str, propagation: Propagation
    ) -> JsonObject | None:
        ref = change.ref
        uid = change.uid or await self._proven_uid(resource, ref, target)
        try:
            return await self._cluster.delete(
                resource, ref.namespace, ref.name, propagation=propagation, uid=uid
            )
        except Conflict as error:
            if await self.gone(ref, uid):
                raise
            raise Transient(f"not deleted: {error.message}").at(object=str(ref)) from error

    async def _proven_uid(self, resource: Resource, ref: ObjectRef, target: str) -> str:
        """The UID of an object whose own annotation says that it is this target's; raises Conflict where it is not."""
        live = await self._cluster.get(resource, ref.namespace, ref.name, metadata_only=True)
        owner = parse_tracking_id(annotation(live, TRACKING_ID))
        if owner != (target, ref):
            raise Conflict("is not marked as this application's")
        return str(live["metadata"]["uid"])


async def _all(
    changes: Iterable[Change], do: Callable[[Change], Coroutine[None, None, Applied]]
) -> list[Applied]:
    return await together([do(change) for change in changes])


T = TypeVar("T")


async def together(work: Iterable[Coroutine[None, None, T]]) -> list[T]:
    """Do all of it at once; the first failure ends the rest and is raised as itself."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(item) for item in work]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors
    return [task.result() for task in tasks]

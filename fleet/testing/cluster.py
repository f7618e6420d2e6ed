"""`ClusterPort` in memory: an API server's rules without the server, for tests of what stands above the port.

It keeps server-side apply with field managers, resource versions, watches with bookmarks and expiry, paging,
finalizers, preconditions, owner references, namespaces that must exist and CRDs that add kinds. It passes the same
contract suite as a real API server. It has no schemas, no defaulting and no controllers: a test plays those with
`put_status`, and breaks things with `fail`.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.embedded.patches import merge_patch
from fleet.errors import FleetError, Where
from fleet.kube.errors import AlreadyExists, Conflict, Gone, NotServed
from fleet.kube.port import (
    FIELD_MANAGER,
    Discovery,
    EventType,
    LogQuery,
    Page,
    PatchType,
    Propagation,
    Resource,
    Validation,
    WatchEvent,
)
from fleet.testing.fakelogs import FakeLogs
from fleet.testing.fakeobjects import (
    as_event,
    bookmark,
    identity_of,
    is_selected,
    json_patch,
    kind_key,
    plain,
    validate,
    view,
)
from fleet.testing.fakestore import Store


@dataclass(frozen=True, slots=True)
class Write:
    """One write that reached the cluster and was carried out."""

    verb: str
    where: str
    manager: str = ""


@dataclass(slots=True)
class _Fault:
    verb: str
    where: str
    error: FleetError
    times: int
    after: bool


class FakeCluster:
    """One cluster in memory."""

    def __init__(self, *, page_size: int = 250) -> None:
        self.writes: list[Write] = []
        """Every write, in order."""
        self.reads: Counter[str] = Counter()
        """How often each read verb was used."""
        self.store = Store()
        self.containers = FakeLogs()
        """What containers wrote."""
        self.before_write: Callable[[Write], None] | None = None
        """Called before a write is carried out; may raise, to play admission or a lost connection."""
        self._page_size = page_size
        self._known = Discovery.of(self.store.resources)
        self._broken = 0
        self._faults: list[_Fault] = []

    @property
    def uid(self) -> str:
        """UID of kube-system, by which a cluster is told from another."""
        return self.store.uid

    def hold_crds(self) -> None:
        """Let new CRDs serve nothing until `establish`."""
        self.store.establish_crds = False

    def establish(self, name: str) -> None:
        """Let a CRD serve its kinds."""
        self.store.establish(name)

    def put_status(self, kind: str, namespace: str, name: str, status: JsonObject) -> None:
        """Write a status as a controller would."""
        self.store.put_status(kind, namespace, name, status)

    # -- what a test does to the cluster ------------------------------------------------------

    def fail(
        self, verb: str, where: str, error: FleetError, *, times: int = 1, after: bool = False
    ) -> None:
        """Let the next calls of a verb on an object (``*`` = any) raise; ``after`` = once carried out.

        Applies with ``dry_run`` are of the verb ``dry-run``.
        """
        self._faults.append(_Fault(verb, where, error, times, after))

    def compact(self) -> None:
        """Forget the past, as etcd's compaction does: watches from older versions end with Gone."""
        self.store.log.clear()
        self.store.forgotten = self.store.version

    def break_watches(self) -> None:
        """End all watch streams, as a server does at their time limit."""
        self._broken += 1
        self.store.wake()

    def edit(self, kind: str, namespace: str, name: str, patch: JsonObject) -> None:
        """Change an object by merge patch as some other client would."""
        resource = next(item for item in self.store.resources if item.kind == kind)
        live = self.store.live(resource, namespace, name)
        self.store.write(resource, live, merge_patch(live, patch), manager="kubectl-edit")

    def objects(self, kind: str) -> dict[str, JsonObject]:
        """All objects of a kind as ``namespace/name`` -> object."""
        return {
            f"{slot[0]}/{slot[1]}": obj
            for key, slots in self.store.objects.items()
            if key[1] == kind
            for slot, obj in sorted(slots.items())
        }

    # -- the port -----------------------------------------------------------------------------

    async def version(self) -> str:
        """A fixed version."""
        return "v1.35.4"

    async def discovery(self, *, refresh: bool = False) -> Discovery:
        """What is served; as kept by a client until it refreshes."""
        if refresh:
            self.reads["discovery"] += 1
            self._raise("discovery", "*")
            if self._known.resources != tuple(self.store.resources):
                self._known = Discovery.of(self.store.resources)
        return self._known

    async def get(
        self, resource: Resource, namespace: str, name: str, *, metadata_only: bool = False
    ) -> JsonObject:
        """One object."""
        await self._arrive("get", resource.describe(namespace, name))
        self._served(resource)
        return view(
            self.store.live(resource, namespace, name), resource, metadata_only=metadata_only
        )

    async def pages(
        self,
        resource: Resource,
        *,
        namespace: str = "",
        selector: str = "",
        metadata_only: bool = False,
    ) -> AsyncGenerator[Page, None]:
        """List in pages that all show the moment of the first."""
        await self._arrive("list", resource.plural)
        self._served(resource)
        version, broken = self.store.version, self.store.forgotten
        items = [
            view(obj, resource, metadata_only=metadata_only)
            for slot, obj in sorted(self.store.objects.get(kind_key(resource), {}).items())
            if is_selected(obj, selector) and namespace in ("", slot[0])
        ]
        for start in range(0, max(len(items), 1), self._page_size):
            if start and self.store.forgotten != broken:
                raise Gone("the continue token is too old", where=Where(object=resource.plural))
            yield Page(tuple(items[start : start + self._page_size]), str(version))

    async def watch(
        self,
        resource: Resource,
        *,
        resource_version: str,
        namespace: str = "",
        selector: str = "",
        metadata_only: bool = False,
    ) -> AsyncGenerator[WatchEvent, None]:
        """Follow changes; a bookmark says how far the stream has come whenever it has caught up."""
        await self._arrive("watch", resource.plural)
        self._served(resource)
        position, broken = int(resource_version or self.store.version), self._broken
        while True:
            news = self.store.news
            if position < self.store.forgotten:
                raise Gone("the resource version is too old", where=Where(object=resource.plural))
            for change in [item for item in self.store.log if item.version > position]:
                if change.kind == kind_key(resource):
                    event = as_event(change, namespace, selector)
                    if event is not None:
                        shown = view(event[1], resource, metadata_only=metadata_only)
                        yield WatchEvent(event[0], shown, str(change.version))
                position = change.version
            if self._broken != broken:
                return
            if self.store.version == position:
                yield WatchEvent(EventType.BOOKMARK, bookmark(resource, position), str(position))
                await news.wait()

    async def apply(
        self,
        resource: Resource,
        body: JsonObject,
        *,
        manager: str = FIELD_MANAGER,
        force: bool = False,
        dry_run: bool = False,
        metadata_only: bool = False,
        validation: Validation = Validation.STRICT,
    ) -> JsonObject:
        """Server-side apply; there are no schemas to be strict about."""
        body = plain(body)
        namespace, name = identity_of(body)
        where = resource.describe(namespace, name)
        await self._arrive("dry-run" if dry_run else "apply", where)
        self._served(resource)
        self._admit(Write("apply", where, manager), dry_run=dry_run)
        live = self.store.objects.get(kind_key(resource), {}).get((namespace, name))
        validate(resource, body, where)
        if live is None:
            self.store.check_room(resource, namespace, where)
        after = self.store.applied(resource, live, body, manager=manager, force=force)
        validate(resource, after, where, live)
        if not dry_run:
            after = self.store.store(resource, live, after, manager="")
            self.writes.append(Write("apply", where, manager))
            self._raise("apply", where, after=True)
        return view(after, resource, metadata_only=metadata_only)

    async def create(
        self,
        resource: Resource,
        body: JsonObject,
        *,
        dry_run: bool = False,
        validation: Validation = Validation.STRICT,
    ) -> JsonObject:
        """Create an object."""
        body = plain(body)
        namespace, name = identity_of(body)
        if not name:
            name = f"{body['metadata'].get('generateName', '')}{uuid.uuid4().hex[:5]}"
            body = {**body, "metadata": {**body["metadata"], "name": name}}
        where = resource.describe(namespace, name)
        await self._arrive("create", where)
        self._served(resource)
        self._admit(Write("create", where, FIELD_MANAGER), dry_run=dry_run)
        validate(resource, body, where)
        if (namespace, name) in self.store.objects.get(kind_key(resource), {}):
            raise AlreadyExists("already exists", where=Where(object=where))
        self.store.check_room(resource, namespace, where)
        if dry_run:
            return view(self.store.born(resource, body), resource)
        self.writes.append(Write("create", where, FIELD_MANAGER))
        made = self.store.store(
            resource, None, self.store.born(resource, body), manager=FIELD_MANAGER
        )
        self._raise("create", where, after=True)
        return view(made, resource)

    async def replace(
        self,
        resource: Resource,
        body: JsonObject,
        *,
        dry_run: bool = False,
        validation: Validation = Validation.STRICT,
    ) -> JsonObject:
        """Put a whole object in the place of the one that lives."""
        body = plain(body)
        namespace, name = identity_of(body)
        where = resource.describe(namespace, name)
        await self._arrive("replace", where)
        self._admit(Write("replace", where, FIELD_MANAGER), dry_run=dry_run)
        live = self.store.live(resource, namespace, name)
        version = body["metadata"].get("resourceVersion")
        if version and version != live["metadata"]["resourceVersion"]:
            raise Conflict("the object has been modified", where=Where(object=where))
        after = self.store.put(resource, live, body)
        validate(resource, after, where, live)
        if dry_run:
            return view(after, resource)
        self.writes.append(Write("replace", where, FIELD_MANAGER))
        return view(self.store.write(resource, live, after, manager=FIELD_MANAGER), resource)

    async def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        patch: JsonValue,
        *,
        type: PatchType = PatchType.MERGE,  # noqa: A002  # the API's word
        subresource: str = "",
        metadata_only: bool = False,
    ) -> JsonObject:
        """Change an object that exists."""
        where = resource.describe(namespace, name)
        await self._arrive("patch", where)
        self._admit(Write("patch", where, FIELD_MANAGER))
        live = self.store.live(resource, namespace, name)
        if type is PatchType.JSON:
            after = json_patch(live, patch, where)
        else:
            after = merge_patch(live, patch)
        after = self.store.by_subresource(resource, live, after, subresource)
        wanted = (patch.get("metadata") or {}) if isinstance(patch, dict) else {}
        version = wanted.get("resourceVersion")
        if version and version != live["metadata"]["resourceVersion"]:
            raise Conflict("the object has been modified", where=Where(object=where))
        validate(resource, after, where, live)
        self.writes.append(Write("patch", where, FIELD_MANAGER))
        after = self.store.write(resource, live, after, manager=FIELD_MANAGER)
        self._raise("patch", where, after=True)
        return view(after, resource, metadata_only=metadata_only)

    async def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        propagation: Propagation = Propagation.BACKGROUND,
        uid: str = "",
        resource_version: str = "",
        dry_run: bool = False,
    ) -> JsonObject | None:
        """Ask for deletion."""
        self._served(resource)
        where = resource.describe(namespace, name)
        await self._arrive("delete", where)
        self._admit(Write("delete", where), dry_run=dry_run)
        live = self.store.live(resource, namespace, name)
        metadata = live["metadata"]
        if uid not in ("", metadata["uid"]) or resource_version not in (
            "",
            metadata["resourceVersion"],
        ):
            raise Conflict(
                "a precondition of the deletion does not hold", where=Where(object=where)
            )
        if dry_run:
            return view(live, resource)
        self.writes.append(Write("delete", where))
        return self.store.delete(resource, live, propagation)

    async def logs(self, namespace: str, pod: str, query: LogQuery) -> AsyncGenerator[bytes, None]:
        """Read or follow what a test let a container write."""
        where = f"/Pod:{namespace}/{pod}"
        await self._arrive("logs", where)
        live = self.store.live(self.store.resource("Pod"), namespace, pod)
        if not (live.get("spec") or {}).get("nodeName"):
            return
        async with aclosing(self.containers.read(namespace, pod, query)) as lines:
            async for line in lines:
                yield line

    async def close(self) -> None:
        """Nothing to let go of."""

    # -- how it is kept -----------------------------------------------------------------------

    async def _arrive(self, verb: str, where: str) -> None:
        await asyncio.sleep(0)
        if verb in ("get", "list", "watch", "dry-run"):
            self.reads[verb] += 1
        self._raise(verb, where)

    def _raise(self, verb: str, where: str, *, after: bool = False) -> None:
        for fault in self._faults:
            if fault.verb == verb and fault.where in ("*", where) and fault.after is after:
                fault.times -= 1
                if fault.times == 0:
                    self._faults.remove(fault)
                raise fault.error

    def _admit(self, write: Write, *, dry_run: bool = False) -> None:
        if self.before_write is not None and not dry_run:
            self.before_write(write)

    def _served(self, resource: Resource) -> None:
        if resource not in self.store.resources:
            raise NotServed("the cluster serves no such kind", where=Where(object=resource.plural))

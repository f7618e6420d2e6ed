"""The objects behind the in-memory cluster and what the server does to them on its own.

Apply with field managers, generations and resource versions, the event log that watches read, finalizers, owner
references, ending namespaces, kinds that CRDs add. `fleet.testing.cluster` puts the port over it.
"""

from __future__ import annotations

import asyncio
import copy
import uuid
from collections import deque

from fleet.codec.jsontypes import JsonObject
from fleet.embedded import apply, managed
from fleet.embedded.errors import Refusal
from fleet.embedded.schema import ANY, Node
from fleet.embedded.tables import tables
from fleet.errors import Where
from fleet.kube.errors import Conflict, FieldCause, NoNamespace, NotFound, Terminating
from fleet.kube.port import EventType, Propagation, Resource
from fleet.testing import fakekinds
from fleet.testing.fakeobjects import (
    Change,
    KindKey,
    identity_of,
    kind_key,
    spec_of,
    timestamp,
    where_of,
    without_owner,
)

_Slot = tuple[str, str]
_KEPT_EVENTS = 1000
_FOREGROUND = "foregroundDeletion"


class Store:
    """All objects of one cluster."""

    def __init__(self) -> None:
        self.establish_crds = True
        self.uid = str(uuid.uuid4())
        self.resources = list(fakekinds.built_in())
        self.objects: dict[KindKey, dict[_Slot, JsonObject]] = {}
        self.definitions: dict[KindKey, JsonObject] = {}
        self.version = 100
        self.log: deque[Change] = deque(maxlen=_KEPT_EVENTS)
        self.forgotten = 100
        self.news = asyncio.Event()
        for name in ("default", "kube-system"):
            self.store(self.namespaces, None, self._new_namespace(name), manager="")

    def establish(self, name: str) -> None:
        """Let a CRD serve its kinds, where ``establish_crds`` is off."""
        resource = self.resource("CustomResourceDefinition")
        live = self.live(resource, "", name)
        self._serve(live)
        condition = {"type": "Established", "status": "True", "reason": "InitialNamesAccepted"}
        self.put_status("CustomResourceDefinition", "", name, {"conditions": [condition]})

    def put_status(self, kind: str, namespace: str, name: str, status: JsonObject) -> None:
        """Write a status as a controller would."""
        resource = next(item for item in self.resources if item.kind == kind)
        live = self.live(resource, namespace, name)
        self.write(resource, live, {**live, "status": status}, manager=f"{kind}-controller")

    @property
    def namespaces(self) -> Resource:
        return self.resource("Namespace")

    def resource(self, kind: str) -> Resource:
        return next(item for item in self.resources if item.kind == kind)

    def live(self, resource: Resource, namespace: str, name: str) -> JsonObject:
        slot = (namespace if resource.namespaced else "", name)
        found = self.objects.get(kind_key(resource), {}).get(slot)
        if found is None:
            where = resource.describe(namespace, name)
            raise NotFound("not found", where=Where(object=where))
        return found

    def check_room(self, resource: Resource, namespace: str, where: str) -> None:
        """A new object needs a namespace that exists and stays."""
        if not resource.namespaced:
            return
        home = self.objects[kind_key(self.namespaces)].get(("", namespace))
        if home is None:
            raise NoNamespace(f'namespace "{namespace}" does not exist', where=Where(object=where))
        if home["metadata"].get("deletionTimestamp"):
            raise Terminating("its namespace is being deleted", where=Where(object=where))

    def applied(
        self,
        resource: Resource,
        live: JsonObject | None,
        body: JsonObject,
        *,
        manager: str,
        force: bool,
    ) -> JsonObject:
        if fakekinds.has_status(resource, self.definitions):
            body = {key: value for key, value in body.items() if key != "status"}
        version = (body["metadata"]).get("resourceVersion")
        base = live if live is not None else self.born(resource, {**body, "metadata": {}}, body)
        if live is not None and version not in (None, live["metadata"]["resourceVersion"]):
            raise Conflict("the object has been modified", where=where_of(resource, body))
        request = apply.Apply(
            manager=managed.applier(manager),
            api_version=resource.api_version,
            force=force,
            now=timestamp(),
        )
        try:
            after, claims = apply.applied(base, body, self._schema(resource), request)
        except Refusal as refusal:
            raise _conflict(refusal, where_of(resource, body)) from refusal
        return apply.with_claims(after, claims)

    def _schema(self, resource: Resource) -> Node:
        """The kind's own schema; what a CRD defines is taken as it comes."""
        known = tables().by_gvk
        return known.get((resource.group, resource.version, resource.kind), ANY)

    def born(
        self, resource: Resource, body: JsonObject, named: JsonObject | None = None
    ) -> JsonObject:
        """What the server gives every new object."""
        namespace, name = identity_of(named if named is not None else body)
        metadata = {
            **(body.get("metadata") or {}),
            "name": name,
            "uid": str(uuid.uuid4()),
            "creationTimestamp": timestamp(),
            "generation": 1,
        }
        if resource.namespaced:
            metadata["namespace"] = namespace
        if resource.kind == "Namespace":
            labels = {"kubernetes.io/metadata.name": name}
            metadata["labels"] = {**(metadata.get("labels") or {}), **labels}
        obj = {**body, "metadata": metadata}
        if fakekinds.has_status(resource, self.definitions):
            obj.pop("status", None)
        if named is not None:
            return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}
        return obj

    def put(self, resource: Resource, live: JsonObject, body: JsonObject) -> JsonObject:
        """What an update with a whole object makes of the live one: all but what only the server writes."""
        metadata = {**body["metadata"]}
        for name in (
            "uid",
            "creationTimestamp",
            "generation",
            "deletionTimestamp",
            "managedFields",
        ):
            metadata.pop(name, None)
            if name in live["metadata"]:
                metadata[name] = live["metadata"][name]
        metadata["resourceVersion"] = live["metadata"]["resourceVersion"]
        return self.by_subresource(resource, live, {**body, "metadata": metadata}, "")

    def by_subresource(
        self, resource: Resource, live: JsonObject, after: JsonObject, subresource: str
    ) -> JsonObject:
        if not fakekinds.has_status(resource, self.definitions):
            return after
        if subresource == "status":
            return {**live, "status": after.get("status")}
        rest = {key: value for key, value in after.items() if key != "status"}
        return rest | ({"status": live["status"]} if "status" in live else {})

    def write(
        self, resource: Resource, live: JsonObject, after: JsonObject, *, manager: str
    ) -> JsonObject:
        """Store what some client wrote by update or patch; changed fields become its own."""
        if manager:
            after = self._claimed(resource, live, after, manager)
        return self.store(resource, live, after, manager="")

    def _claimed(
        self, resource: Resource, before: JsonObject, after: JsonObject, manager: str
    ) -> JsonObject:
        """The object with what changed as its writer's own."""
        updater = managed.updater(manager, resource.api_version)
        schema = self._schema(resource)
        return apply.with_claims(after, apply.updated(before, after, schema, updater, timestamp()))

    def store(
        self, resource: Resource, live: JsonObject | None, after: JsonObject, *, manager: str
    ) -> JsonObject:
        if live is not None and after == live:
            return live
        if manager:
            after = self._claimed(resource, {"metadata": {}}, after, manager)
        metadata = dict(after["metadata"])
        if live is not None and spec_of(live) != spec_of(after):
            metadata["generation"] = live["metadata"].get("generation", 1) + 1
        self.version += 1
        metadata["resourceVersion"] = str(self.version)
        after = copy.deepcopy({**after, "metadata": metadata})
        slot = (metadata.get("namespace", ""), metadata["name"])
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            self._remove(resource, live, after)
            return after
        self.objects.setdefault(kind_key(resource), {})[slot] = after
        self._record(resource, EventType.MODIFIED if live else EventType.ADDED, live, after)
        if resource.kind == "CustomResourceDefinition" and live is None and self.establish_crds:
            self.establish(metadata["name"])
            return self.objects[kind_key(resource)][slot]
        return after

    def delete(
        self, resource: Resource, live: JsonObject, propagation: Propagation
    ) -> JsonObject | None:
        metadata = dict(live["metadata"])
        finalizers = list(metadata.get("finalizers") or ())
        owned = self._dependents(metadata["uid"])
        if propagation is Propagation.FOREGROUND and owned and _FOREGROUND not in finalizers:
            finalizers.append(_FOREGROUND)
        if propagation is Propagation.ORPHAN:
            for other, obj in owned:
                self.write(other, obj, without_owner(obj, metadata["uid"]), manager="")
        metadata["finalizers"] = finalizers
        metadata.setdefault("deletionTimestamp", timestamp())
        if not finalizers:
            metadata.pop("finalizers")
        after = {**live, "metadata": metadata}
        if resource.kind == "Namespace":
            return self._delete_namespace(resource, live, after)
        after = self.store(resource, live, after, manager="")
        for other, obj in owned:
            if propagation is Propagation.FOREGROUND:
                self.delete(other, obj, propagation)
        self._collect()
        slot = (metadata.get("namespace", ""), metadata["name"])
        return self.objects.get(kind_key(resource), {}).get(slot)

    def wake(self) -> None:
        news, self.news = self.news, asyncio.Event()
        news.set()

    def _new_namespace(self, name: str) -> JsonObject:
        body: JsonObject = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        made = self.born(self.namespaces, body)
        if name == "kube-system":
            made["metadata"]["uid"] = self.uid
        return {**made, "status": {"phase": "Active"}}

    def _record(
        self, resource: Resource, kind: EventType, live: JsonObject | None, after: JsonObject
    ) -> None:
        if len(self.log) == self.log.maxlen:
            self.forgotten = self.log[0].version
        self.log.append(Change(self.version, kind_key(resource), kind, live, after))
        self.wake()

    def _remove(self, resource: Resource, live: JsonObject | None, last: JsonObject) -> None:
        metadata = last["metadata"]
        slot = (metadata.get("namespace", ""), metadata["name"])
        if self.objects.get(kind_key(resource), {}).pop(slot, None) is None:
            return
        self._record(resource, EventType.DELETED, live, last)
        if resource.kind == "CustomResourceDefinition":
            self._stop_serving(last)
        self._collect()

    def _delete_namespace(
        self, resource: Resource, live: JsonObject, after: JsonObject
    ) -> JsonObject | None:
        name = live["metadata"]["name"]
        marked = {**after["metadata"], "finalizers": ["kubernetes"]}
        ending = {**after, "metadata": marked, "status": {"phase": "Terminating"}}
        self.store(resource, live, ending, manager="")
        for other in list(self.resources):
            if other.namespaced:
                for slot, obj in list(self.objects.get(kind_key(other), {}).items()):
                    if slot[0] == name and not obj["metadata"].get("deletionTimestamp"):
                        self.delete(other, obj, Propagation.BACKGROUND)
        self._collect()
        return self.objects[kind_key(resource)].get(("", name))

    def _dependents(self, uid: str) -> list[tuple[Resource, JsonObject]]:
        return [
            (resource, obj)
            for resource in self.resources
            for obj in list(self.objects.get(kind_key(resource), {}).values())
            if any(o.get("uid") == uid for o in obj["metadata"].get("ownerReferences") or ())
        ]

    def _collect(self) -> None:
        """Play the garbage collector and the namespace controller."""
        alive = {o["metadata"]["uid"] for slots in self.objects.values() for o in slots.values()}
        for resource in list(self.resources):
            for obj in list(self.objects.get(kind_key(resource), {}).values()):
                metadata = obj["metadata"]
                owners = metadata.get("ownerReferences") or ()
                if owners and not any(owner["uid"] in alive for owner in owners):
                    if not metadata.get("deletionTimestamp"):
                        self.delete(resource, obj, Propagation.BACKGROUND)
                elif _FOREGROUND in (metadata.get("finalizers") or ()) and not self._dependents(
                    metadata["uid"]
                ):
                    self._finish(resource, obj, _FOREGROUND)
        for slot, home in list(self.objects[kind_key(self.namespaces)].items()):
            if home["metadata"].get("deletionTimestamp") and self._is_empty(slot[1]):
                self._finish(self.namespaces, home, "kubernetes")

    def _finish(self, resource: Resource, obj: JsonObject, finalizer: str) -> None:
        rest = [name for name in obj["metadata"].get("finalizers") or () if name != finalizer]
        self.store(
            resource, obj, {**obj, "metadata": {**obj["metadata"], "finalizers": rest}}, manager=""
        )

    def _is_empty(self, namespace: str) -> bool:
        return not any(slot[0] == namespace for slots in self.objects.values() for slot in slots)

    def _serve(self, definition: JsonObject) -> None:
        for resource in fakekinds.defined_by(definition):
            if resource not in self.resources:
                self.resources.append(resource)
            self.definitions[kind_key(resource)] = definition

    def _stop_serving(self, definition: JsonObject) -> None:
        for resource in fakekinds.defined_by(definition):
            for obj in list(self.objects.get(kind_key(resource), {}).values()):
                self._remove(resource, obj, obj)
            if resource in self.resources:
                self.resources.remove(resource)


def _conflict(refusal: Refusal, where: Where) -> Conflict:
    fields = tuple(FieldCause(field=c.field, message=c.message) for c in refusal.causes)
    return Conflict("another manager owns fields of it", where=where, fields=fields)

"""The object of a hook in the cluster: looked up, created under its name, let go of, deleted. No word of operations."""

from __future__ import annotations

from contextlib import suppress

from agents import failpoints
from agents.apply import Applier
from agents.live import LiveTable, Seen
from agents.writing import validation_of
from fleet.codec.jsontypes import JsonObject
from fleet.errors import Transient
from fleet.kube.errors import AlreadyExists, Conflict, NotFound
from fleet.kube.port import ClusterPort, Propagation, Resource
from fleet.model.identity import ObjectRef
from fleet.sync import hooks as hooks_of
from fleet.sync.hooks import FINALIZER, RUN, HookTask
from fleet.sync.manifest import Manifest, annotation
from fleet.sync.manner import Manner
from fleet.sync.steps import Change, Reason


class HookObjects:
    """Objects of hooks in one cluster."""

    def __init__(self, cluster: ClusterPort, table: LiveTable, applier: Applier) -> None:
        self._cluster = cluster
        self._table = table
        self._applier = applier

    def known(self, ref: ObjectRef) -> Seen | None:
        """What the watches say of it."""
        return self._table.get(ref)

    async def there(self, task: HookTask) -> JsonObject | None:
        """Read whatever has a hook's name, as it is now."""
        resource = await self._resource(task)
        try:
            return await self._cluster.get(resource, task.ref.namespace, task.ref.name)
        except NotFound:
            return None

    async def live(self, ref: ObjectRef) -> JsonObject | None:
        """Read the metadata of whatever has a name; None where nothing has."""
        resource = await self._applier.served(ref)
        if resource is None:
            return None
        try:
            return await self._cluster.get(resource, ref.namespace, ref.name, metadata_only=True)
        except NotFound:
            return None

    async def is_served(self, ref: ObjectRef) -> bool:
        """Whether the cluster serves its kind."""
        return await self._applier.served(ref) is not None

    async def observe(self, ref: ObjectRef) -> Seen | None:
        """Read it for the table; raises NotFound where it is not there."""
        resource = await self._applier.served(ref)
        if resource is None:
            raise NotFound("the cluster does not serve its kind any more")
        self._table.observe(resource, await self._cluster.get(resource, ref.namespace, ref.name))
        return self._table.get(ref)

    async def make(
        self, task: HookTask, there: JsonObject | None, app: str, manner: Manner
    ) -> None:
        """Make sure that a hook's object is there and of this run."""
        validation = validation_of(manner.of(task.hook.body))
        resource = await self._resource(task)
        body = hooks_of.body_of(task, app)
        if there is not None and annotation(there, RUN) == task.run:
            live = there
        elif there is not None:
            # No policy deletes it: as with Argo CD, the object that is there is brought up to date.
            live = await self._cluster.apply(resource, body, force=True, validation=validation)
        else:
            failpoints.reach("hook.before-create")
            try:
                live = await self._cluster.create(resource, body, validation=validation)
            except AlreadyExists as error:
                live = await self._cluster.get(resource, task.ref.namespace, task.ref.name)
                if annotation(live, RUN) != task.run:
                    raise Transient(f"not created: {error.message}").at(
                        object=str(task.ref)
                    ) from error
            failpoints.reach("hook.after-create")
        self._table.observe(resource, live)

    async def make_room(self, task: HookTask, live: JsonObject) -> None:
        """Ask once for the deletion of what a hook of an earlier operation left."""
        resource = await self._resource(task)
        await self._let_go(resource, task.ref, live)
        if live["metadata"].get("deletionTimestamp"):
            return
        with suppress(NotFound, Conflict):
            await self._cluster.delete(
                resource,
                task.ref.namespace,
                task.ref.name,
                propagation=Propagation.FOREGROUND,
                uid=str(live["metadata"].get("uid") or ""),
            )

    async def clear(self, ref: ObjectRef, target: str, propagation: Propagation) -> bool:
        """Delete a hook's object if it is there and ours; returns whether something was there."""
        if not await self.release(ref):
            return False
        failpoints.reach("hook.before-delete")
        (done,) = await self._applier.delete(
            [Change(ref=ref, reason=Reason.LEFT)], target, propagation
        )
        failpoints.reach("hook.after-delete")
        if done.error is not None:
            raise done.error
        return True

    async def release(self, ref: ObjectRef) -> bool:
        """Take our finalizer off; whether the object is there."""
        resource = await self._applier.served(ref)
        if resource is None:
            return False
        try:
            live = await self._cluster.get(resource, ref.namespace, ref.name, metadata_only=True)
            await self._let_go(resource, ref, live)
        except NotFound:
            return False
        return True

    async def _let_go(self, resource: Resource, ref: ObjectRef, live: JsonObject) -> None:
        if not hooks_of.is_held(live):
            return
        left = [item for item in live["metadata"]["finalizers"] if item != FINALIZER]
        version = live["metadata"].get("resourceVersion")
        patch: JsonObject = {"metadata": {"finalizers": left, "resourceVersion": version}}
        try:
            await self._cluster.patch(resource, ref.namespace, ref.name, patch, metadata_only=True)
        except Conflict as error:
            raise Transient(f"finalizer not removed: {error.message}").at(
                object=str(ref)
            ) from error

    async def _resource(self, task: HookTask) -> Resource:
        shape = Manifest(
            ref=task.ref, api_version=task.hook.api_version, body={}, wave=task.wave, key=task.key
        )
        return await self._applier.resource_for(shape)

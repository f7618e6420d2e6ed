"""Writes one object to a cluster in the manner that it asks for: applied, put in place of the live one, or made anew.

The usual way is one request. The rarer ones end with an apply too, so that the record of ownership is the same
afterwards. Nothing is deleted that the server would not take back: whether it admits the new object is asked first.
"""

from __future__ import annotations

from collections.abc import Callable

from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.errors import Denied, FleetError, NotReady
from fleet.health.assess import has_rule
from fleet.kube.errors import AlreadyExists, Conflict, Invalid, NotFound, RetiredVersion
from fleet.kube.port import ClusterPort, PatchType, Propagation, Resource, Validation
from fleet.runtime.clock import Clock
from fleet.sync.manifest import TRACKING_ID, annotation
from fleet.sync.manner import Manner
from fleet.sync.takeover import in_served_version, taken_over

_SERVED_SOON = 0.25
_TRIES = 3


class Writer:
    """Writes objects to one cluster."""

    def __init__(
        self, cluster: ClusterPort, clock: Clock, needs_whole: Callable[[str, str], bool] = has_rule
    ) -> None:
        self._cluster = cluster
        self._clock = clock
        self._needs_whole = needs_whole

    async def write(self, resource: Resource, body: JsonObject, manner: Manner) -> JsonObject:
        """Bring an object to what it shall be; returns it, or its metadata, as it lives then."""
        if manner.replace:
            return await self._replace(resource, body, manner)
        try:
            live = await self._apply(resource, body, manner)
        except Invalid as error:
            if not manner.force or not await self._can_be_made_anew(resource, body, manner):
                raise
            return await self._make_anew(resource, body, manner, reason=error)
        return await self._take_over(resource, body, manner, live)

    async def write_beside_others(
        self, resource: Resource, body: JsonObject, manager: str
    ) -> JsonObject:
        """Apply under another manager and take nothing over; what somebody else wants otherwise is an error."""
        try:
            return await self._cluster.apply(resource, body, manager=manager, metadata_only=True)
        except Conflict as error:
            names = ", ".join(cause.field.lstrip(".") for cause in error.fields) or error.message
            raise Denied(
                f"somebody else sets {names} to another value",
                hint="agree with them, or leave it out of managedNamespaceMetadata",
            ) from error

    async def rehearse(self, resource: Resource, body: JsonObject, manner: Manner) -> str:
        """Ask whether the server would take it, and return what would be done: a word for ``would be ...``."""
        live = await self._live(resource, body) if manner.replace else None
        if live is not None and manner.force and _is_ours(live, body):
            if await self._can_be_made_anew(resource, body, manner):
                return "deleted and made anew"
        elif live is not None:
            version = live["metadata"].get("resourceVersion")
            await self._cluster.replace(
                resource,
                _with_version(body, version),
                dry_run=True,
                validation=validation_of(manner),
            )
            return "replaced"
        try:
            await self._cluster.apply(
                resource,
                body,
                force=True,
                dry_run=True,
                metadata_only=True,
                validation=validation_of(manner),
            )
        except Invalid:
            if manner.force and await self._can_be_made_anew(resource, body, manner):
                return "deleted and made anew"
            raise
        return "applied"

    async def _apply(self, resource: Resource, body: JsonObject, manner: Manner) -> JsonObject:
        try:
            return await self._send(resource, body, manner)
        except Conflict:
            if "resourceVersion" in body["metadata"]:
                raise
            # Forced, so this is a race with another writer inside the server: the same request is right again.
            return await self._send(resource, body, manner)
        except NotFound:
            # A kind that discovery knows answers 404 for a moment after its CRD was established.
            await self._clock.sleep(_SERVED_SOON)
            return await self._send(resource, body, manner)
        except RetiredVersion:
            if not await self._renew_records(resource, body):
                raise
            return await self._send(resource, body, manner)

    async def _renew_records(self, resource: Resource, body: JsonObject) -> bool:
        """Put the records of who owns the object's fields into a version that is served; whether any was not."""
        namespace, name = _identity(body)
        live = await self._cluster.get(resource, namespace, name, metadata_only=True)
        discovery = await self._cluster.discovery(refresh=True)
        served = {
            item.api_version
            for item in discovery.resources
            if (item.group, item.kind) == (resource.group, resource.kind)
        }
        fields = in_served_version(live, served, resource.api_version)
        if fields is None:
            return False
        await self._cluster.patch(
            resource,
            namespace,
            name,
            _with_fields(fields, live),
            type=PatchType.JSON,
            metadata_only=True,
        )
        return True

    async def _send(self, resource: Resource, body: JsonObject, manner: Manner) -> JsonObject:
        return await self._cluster.apply(
            resource,
            body,
            force=True,
            metadata_only=not self._needs_whole(resource.group, resource.kind),
            validation=validation_of(manner),
        )

    async def _take_over(
        self, resource: Resource, body: JsonObject, manner: Manner, live: JsonObject
    ) -> JsonObject:
        """Make ours what earlier tools own of the object, and apply again to drop what git does not have."""
        if not manner.migrate:
            return live
        namespace, name = _identity(live)
        for _ in range(_TRIES):
            fields = taken_over(live)
            if fields is None:
                return live
            patch = _with_fields(fields, live)
            try:
                await self._cluster.patch(
                    resource, namespace, name, patch, type=PatchType.JSON, metadata_only=True
                )
            except Conflict:
                live = await self._cluster.get(resource, namespace, name, metadata_only=True)
                continue
            live = await self._apply(resource, _without_version(body), manner)
        return live

    async def _replace(self, resource: Resource, body: JsonObject, manner: Manner) -> JsonObject:
        live = await self._live(resource, body)
        if live is None:
            return await self._apply(resource, body, manner)
        if manner.force and _is_ours(live, body):
            if not await self._can_be_made_anew(resource, body, manner):
                # It says why.
                return await self._apply(resource, body, manner)
            return await self._make_anew(resource, body, manner)
        version = live["metadata"].get("resourceVersion")
        await self._cluster.replace(
            resource, _with_version(body, version), validation=validation_of(manner)
        )
        after = await self._apply(resource, _without_version(body), manner)
        return await self._take_over(resource, body, manner, after)

    async def _can_be_made_anew(self, resource: Resource, body: JsonObject, manner: Manner) -> bool:
        """Ask whether the server would take the object if the live one were not there."""
        try:
            await self._cluster.create(
                resource, _without_version(body), dry_run=True, validation=validation_of(manner)
            )
        except AlreadyExists:
            return True
        except Invalid:
            return False
        return True

    async def _make_anew(
        self,
        resource: Resource,
        body: JsonObject,
        manner: Manner,
        reason: FleetError | None = None,
    ) -> JsonObject:
        live = await self._live(resource, body)
        if live is not None and not _is_ours(live, body):
            raise Denied(
                "is there already and not marked as this application's: it is not deleted to be made anew",
                hint="delete it by hand if it may go",
            ) from reason
        if live is not None:
            left = await self._cluster.delete(
                resource,
                *_identity(live),
                propagation=Propagation.BACKGROUND,
                uid=str(live["metadata"].get("uid") or ""),
            )
            if left is not None:
                raise NotReady("is being deleted, to be made anew") from reason
        return await self._apply(resource, _without_version(body), manner)

    async def _live(self, resource: Resource, body: JsonObject) -> JsonObject | None:
        try:
            return await self._cluster.get(resource, *_identity(body), metadata_only=True)
        except NotFound:
            return None


def validation_of(manner: Manner) -> Validation:
    """Say how strictly the server shall look at fields."""
    return Validation.STRICT if manner.validate else Validation.IGNORE


def _is_ours(live: JsonObject, body: JsonObject) -> bool:
    """Whether what is there carries the mark of the application whose object is written."""
    return bool(mark := annotation(body, TRACKING_ID)) and annotation(live, TRACKING_ID) == mark


def _identity(body: JsonObject) -> tuple[str, str]:
    metadata = body["metadata"]
    return str(metadata.get("namespace") or ""), str(metadata["name"])


def _with_fields(fields: list[JsonValue], live: JsonObject) -> JsonValue:
    """Return the patch that puts managedFields in place, if nobody changed the object in the meantime."""
    version = live["metadata"].get("resourceVersion")
    return [
        {"op": "replace", "path": "/metadata/managedFields", "value": fields},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
    ]


def _with_version(body: JsonObject, version: JsonValue) -> JsonObject:
    return {**body, "metadata": {**body["metadata"], "resourceVersion": version}}


def _without_version(body: JsonObject) -> JsonObject:
    metadata = {key: value for key, value in body["metadata"].items() if key != "resourceVersion"}
    return {**body, "metadata": metadata}

"""`ClusterPort` on a real API server: URLs, content types and watch frames over `fleet.kube.connection`.

Bodies are dicts in and out. Applying is idempotent, so an apply whose answer got lost is sent once more here;
creating is not, and its caller has to look first (`OutcomeUnknown`).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Literal

import msgspec

from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.errors import FleetError, Transient, Where
from fleet.kube import discovery as reading
from fleet.kube import logs
from fleet.kube.connection import JSON, Connection, Request, decoded
from fleet.kube.errors import OutcomeUnknown, from_status
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

_APPLY = "application/apply-patch+yaml"
_PARTIAL = f"{JSON};as=PartialObjectMetadata;g=meta.k8s.io;v=v1,{JSON}"
_PARTIAL_LIST = f"{JSON};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,{JSON}"
_WATCH_SECONDS = 300


class KubernetesCluster:
    """One real cluster."""

    def __init__(self, connection: Connection, *, page_size: int = 250) -> None:
        self._connection = connection
        self._page_size = page_size
        self._discovery: Discovery | None = None
        self._discovering = asyncio.Lock()
        self._roots: dict[str, _Root] = {}

    async def version(self) -> str:
        """The server's version."""
        answer = await self._connection.call_json(_get("/version", "version"))
        return str(answer.get("gitVersion") or "")

    async def discovery(self, *, refresh: bool = False) -> Discovery:
        """What the cluster serves; parallel calls share one refresh, and no news gives the same object."""
        before = self._discovery
        if before is not None and not refresh:
            return before
        async with self._discovering:
            if self._discovery is None or self._discovery is before:
                self._discovery = await self._discover()
            return self._discovery

    async def get(
        self, resource: Resource, namespace: str, name: str, *, metadata_only: bool = False
    ) -> JsonObject:
        """One object."""
        answer = await self._connection.call_json(
            Request(
                method="GET",
                path=resource.path(namespace, name),
                query={},
                where=resource.describe(namespace, name),
                accept=_PARTIAL if metadata_only else JSON,
                secret=_is_secret(resource),
            )
        )
        return _with_kind(answer, resource)

    async def pages(
        self,
        resource: Resource,
        *,
        namespace: str = "",
        selector: str = "",
        metadata_only: bool = False,
    ) -> AsyncGenerator[Page, None]:
        """List in pages."""
        query = {"limit": str(self._page_size)}
        if selector:
            query["labelSelector"] = selector
        while True:
            answer = await self._connection.call_json(
                Request(
                    method="GET",
                    path=resource.path(namespace),
                    query=query,
                    where=resource.plural,
                    accept=_PARTIAL_LIST if metadata_only else JSON,
                    secret=_is_secret(resource),
                )
            )
            metadata = answer.get("metadata") or {}
            items = tuple(_with_kind(item, resource) for item in answer.get("items") or ())
            yield Page(items, str(metadata.get("resourceVersion") or ""))
            if not metadata.get("continue"):
                return
            query = {**query, "continue": str(metadata["continue"])}

    async def watch(
        self,
        resource: Resource,
        *,
        resource_version: str,
        namespace: str = "",
        selector: str = "",
        metadata_only: bool = False,
    ) -> AsyncGenerator[WatchEvent, None]:
        """Follow changes until the server ends the stream."""
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(_WATCH_SECONDS + secrets.randbelow(_WATCH_SECONDS)),
        }
        if selector:
            query["labelSelector"] = selector
        request = Request(
            method="GET",
            path=resource.path(namespace),
            query=query,
            where=resource.plural,
            accept=_PARTIAL if metadata_only else JSON,
            secret=_is_secret(resource),
        )
        async with self._connection.stream(request) as lines:
            async for line in lines:
                event = _event(line, request)
                yield replace(event, object=_with_kind(event.object, resource))

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
        """Server-side apply."""
        namespace, name = _identity(body)
        query = {
            **_write(validation, dry_run=dry_run, manager=manager),
            "force": "true" if force else "false",
        }
        request = Request(
            method="PATCH",
            path=resource.path(namespace, name),
            query=query,
            where=resource.describe(namespace, name),
            body=msgspec.json.encode(body),
            content_type=_APPLY,
            accept=_PARTIAL if metadata_only else JSON,
            secret=_is_secret(resource),
        )
        try:
            answer = await self._connection.call_json(request)
        except OutcomeUnknown:
            answer = await self._connection.call_json(request)
        return _with_kind(answer, resource)

    async def create(
        self,
        resource: Resource,
        body: JsonObject,
        *,
        dry_run: bool = False,
        validation: Validation = Validation.STRICT,
    ) -> JsonObject:
        """Create an object."""
        query = _write(validation, dry_run=dry_run)
        return await self._connection.call_json(_whole("POST", resource, body, query))

    async def replace(
        self,
        resource: Resource,
        body: JsonObject,
        *,
        dry_run: bool = False,
        validation: Validation = Validation.STRICT,
    ) -> JsonObject:
        """Put a whole object in the place of the one that lives."""
        query = _write(validation, dry_run=dry_run)
        return await self._connection.call_json(_whole("PUT", resource, body, query))

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
        return await self._connection.call_json(
            Request(
                method="PATCH",
                path=resource.path(namespace, name, subresource),
                query={"fieldManager": FIELD_MANAGER},
                where=resource.describe(namespace, name),
                body=msgspec.json.encode(patch),
                content_type=type.value,
                accept=_PARTIAL if metadata_only else JSON,
                secret=_is_secret(resource),
            )
        )

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
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        body: JsonObject = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation.value,
            "preconditions": {key: value for key, value in preconditions.items() if value},
            # With a body the server does not look at the query.
            **({"dryRun": ["All"]} if dry_run else {}),
        }
        answer = await self._connection.call_json(
            Request(
                method="DELETE",
                path=resource.path(namespace, name),
                query={},
                where=resource.describe(namespace, name),
                body=msgspec.json.encode(body),
                secret=_is_secret(resource),
            )
        )
        deleting = (answer.get("metadata") or {}).get("deletionTimestamp")
        return answer if deleting and answer.get("kind") != "Status" else None

    async def logs(self, namespace: str, pod: str, query: LogQuery) -> AsyncGenerator[bytes, None]:
        """Read or follow a container's log."""
        request = Request(
            method="GET",
            path=f"/api/v1/namespaces/{namespace}/pods/{pod}/log",
            query=logs.parameters(query),
            where=f"/Pod:{namespace}/{pod}",
            accept="*/*",
        )
        silence = None if query.follow else self._connection.settings.request_timeout
        async with (
            self._connection.parts(request, silence=silence) as parts,
            aclosing(logs.lines(parts)) as lines,
        ):
            async for line in lines:
                yield line

    async def close(self) -> None:
        """Let go of connections."""
        await self._connection.close()

    async def _discover(self) -> Discovery:
        before = list(self._roots.values())
        answers = [await self._discover_root(root) for root in ("/api", "/apis")]
        if self._discovery is not None and before == answers:
            return self._discovery
        return Discovery.of(
            [item for answer in answers for item in answer.resources],
            incomplete=[item for answer in answers for item in answer.missing],
        )

    async def _discover_root(self, root: str) -> _Root:
        known = self._roots.get(root)
        answer = await self._connection.call(
            _get(root, "discovery", accept=reading.AGGREGATED), etag=known.etag if known else ""
        )
        if known is not None and answer.status == 304:
            return known
        body = decoded(answer.body, "discovery")
        if reading.is_aggregated(body):
            found, missing = reading.aggregated_resources(body)
            self._roots[root] = _Root(tuple(found), tuple(missing), answer.etag)
            return self._roots[root]
        found, missing = await self._discover_by_group(root, body)
        return _Root(tuple(found), tuple(missing), "")

    async def _discover_by_group(
        self, root: str, body: JsonObject
    ) -> tuple[list[Resource], list[str]]:
        found: list[Resource] = []
        missing: list[str] = []
        for group, version in reading.group_versions(body):
            path = f"{root}/{group}/{version}" if group else f"{root}/{version}"
            try:
                answer = await self._connection.call_json(_get(path, "discovery"))
            except Transient:
                missing.append(f"{group}/{version}" if group else version)
                continue
            found.extend(reading.listed_resources(group, version, answer))
        return found, missing


@dataclass(frozen=True, slots=True, eq=False)
class _Root:
    """What is served below ``/api`` or ``/apis``, and the tag to ask for news with."""

    resources: tuple[Resource, ...]
    missing: tuple[str, ...]
    etag: str


def _get(path: str, where: str, *, accept: str = JSON) -> Request:
    return Request(method="GET", path=path, query={}, where=where, accept=accept)


def _whole(
    method: Literal["POST", "PUT"], resource: Resource, body: JsonObject, query: Mapping[str, str]
) -> Request:
    """The write of a whole object: a new one to its collection, one that lives to its own place."""
    namespace, name = _identity(body)
    return Request(
        method=method,
        path=resource.path(namespace, name if method == "PUT" else ""),
        query=query,
        where=resource.describe(namespace, name),
        body=msgspec.json.encode(body),
        secret=_is_secret(resource),
    )


def _is_secret(resource: Resource) -> bool:
    return resource.kind == "Secret" and not resource.group


def _write(
    validation: Validation, *, dry_run: bool, manager: str = FIELD_MANAGER
) -> dict[str, str]:
    """The query of a write."""
    query = {"fieldManager": manager, "fieldValidation": validation.value}
    return {**query, "dryRun": "All"} if dry_run else query


def _identity(body: JsonObject) -> tuple[str, str]:
    metadata = body.get("metadata") or {}
    return str(metadata.get("namespace") or ""), str(metadata.get("name") or "")


def _with_kind(item: JsonObject, resource: Resource) -> JsonObject:
    """Items of a typed list come without their kind, partial objects with a kind of their own."""
    return {**item, "apiVersion": resource.api_version, "kind": resource.kind}


def _event(line: bytes, request: Request) -> WatchEvent:
    frame = decoded(line, request.where)
    body = frame.get("object") or {}
    if frame.get("type") == "ERROR":
        raise _watch_error(body, request)
    try:
        kind = EventType(str(frame.get("type")))
    except ValueError as error:
        raise Transient(
            "a watch event of an unknown type", where=Where(object=request.where)
        ) from error
    return WatchEvent(kind, body, str((body.get("metadata") or {}).get("resourceVersion") or ""))


def _watch_error(body: JsonObject, request: Request) -> FleetError:
    return from_status(
        int(body.get("code") or 500), body, where=request.where, secret=request.secret
    )

"""The port to one cluster: what the agent may ask an API server for, in plain dicts.

Implementations: `fleet.kube.adapter` (a real API server) and `fleet.testing.cluster` (in memory); both pass
``tests/contract``. Every method raises only types of `fleet.errors` and `fleet.kube.errors`, and every call ends
within a time limit. Nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from fleet.codec.jsontypes import JsonObject, JsonValue

FIELD_MANAGER = "gitops-fleet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A kind as the cluster serves it in one version."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    verbs: frozenset[str] = frozenset()

    @property
    def api_version(self) -> str:
        """``group/version``, or the version alone for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path of an object, or of the collection where no name is given."""
        base = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        scope = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        tail = "".join(f"/{part}" for part in (self.plural, name, subresource) if part)
        return f"{base}{scope}{tail}"

    def describe(self, namespace: str, name: str) -> str:
        """``group/Kind:namespace/name``, the way objects are named in messages."""
        return f"{self.group}/{self.kind}:{namespace if self.namespaced else ''}/{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """Every kind that the cluster serves, at one moment."""

    resources: tuple[Resource, ...]
    """Preferred versions first within a group."""
    incomplete: frozenset[str] = frozenset()
    """``group/version`` of aggregated APIs that did not answer: what is missing there is unknown, not gone."""
    _by_name: Mapping[tuple[str, str, str], Resource] = field(default_factory=dict)
    _preferred: Mapping[tuple[str, str], Resource] = field(default_factory=dict)

    @classmethod
    def of(cls, resources: Iterable[Resource], *, incomplete: Iterable[str] = ()) -> Discovery:
        """Index the resources."""
        found = tuple(resources)
        preferred: dict[tuple[str, str], Resource] = {}
        for item in found:
            preferred.setdefault((item.group, item.kind), item)
        return cls(
            resources=found,
            incomplete=frozenset(incomplete),
            _by_name={(item.group, item.version, item.kind): item for item in found},
            _preferred=preferred,
        )

    def find(self, group: str, version: str, kind: str) -> Resource | None:
        """The kind in exactly this version."""
        return self._by_name.get((group, version, kind))

    def preferred(self, group: str, kind: str) -> Resource | None:
        """The kind in the version the cluster prefers."""
        return self._preferred.get((group, kind))

    def sees(self, group: str) -> bool:
        """Whether all of a group was to be seen; what is missing of another may be there all the same."""
        return all(name.rpartition("/")[0] != group for name in self.incomplete)

    def api_versions(self) -> tuple[str, ...]:
        """``group/version`` and ``group/version/Kind``, sorted, as Helm's Capabilities want them."""
        names = {item.api_version for item in self.resources}
        return tuple(sorted(names | {f"{r.api_version}/{r.kind}" for r in self.resources}))


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a list; ``resource_version`` is the whole list's, to watch from."""

    items: tuple[JsonObject, ...]
    resource_version: str


class EventType(StrEnum):
    """What a watch event says."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One change; a bookmark carries only its resource version."""

    type: EventType
    object: JsonObject
    resource_version: str


class Propagation(StrEnum):
    """What happens to an object's dependents when it is deleted."""

    FOREGROUND = "Foreground"
    BACKGROUND = "Background"
    ORPHAN = "Orphan"


class PatchType(StrEnum):
    """Content types of PATCH other than server-side apply."""

    MERGE = "application/merge-patch+json"
    JSON = "application/json-patch+json"


class Validation(StrEnum):
    """What the server does with fields that a kind does not have."""

    STRICT = "Strict"
    """It refuses the object."""
    IGNORE = "Ignore"
    """It drops them."""


LOG_LINE = 64 * 1024
"""Bytes of a line of a log; the rest of a longer one comes as lines of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    """Which lines of which container's log."""

    container: str
    follow: bool = False
    previous: bool = False
    tail: int | None = None
    """So many lines from the end; None: all."""
    since: str = ""
    """RFC 3339; empty: from the beginning."""
    since_seconds: int = 0
    """The same, as the node's own clock measures it; 0: from the beginning."""


class ClusterPort(Protocol):
    """One cluster's API server."""

    async def version(self) -> str:
        """The server's version, like ``v1.35.4``."""
        ...

    async def discovery(self, *, refresh: bool = False) -> Discovery:
        """What the cluster serves; kept until ``refresh`` asks again."""
        ...

    async def get(
        self, resource: Resource, namespace: str, name: str, *, metadata_only: bool = False
    ) -> JsonObject:
        """One object; raises NotFound."""
        ...

    def pages(
        self,
        resource: Resource,
        *,
        namespace: str = "",
        selector: str = "",
        metadata_only: bool = False,
    ) -> AsyncGenerator[Page, None]:
        """List in pages of bounded size; raises Gone when a continuation has grown too old."""
        ...

    def watch(
        self,
        resource: Resource,
        *,
        resource_version: str,
        namespace: str = "",
        selector: str = "",
        metadata_only: bool = False,
    ) -> AsyncGenerator[WatchEvent, None]:
        """Changes after a resource version, until the server ends the stream.

        Raises Gone when the version is too old, Transient when the connection fails or stays silent too long.
        """
        ...

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
        """Server-side apply; returns the object as it lives afterwards (its metadata only, if asked)."""
        ...

    async def create(
        self,
        resource: Resource,
        body: JsonObject,
        *,
        dry_run: bool = False,
        validation: Validation = Validation.STRICT,
    ) -> JsonObject:
        """Create; raises AlreadyExists, and OutcomeUnknown where no answer came."""
        ...

    async def replace(
        self,
        resource: Resource,
        body: JsonObject,
        *,
        dry_run: bool = False,
        validation: Validation = Validation.STRICT,
    ) -> JsonObject:
        """Put a whole object in the place of the one that lives; what the body leaves out goes.

        Raises NotFound, and Conflict where the body's resourceVersion is not the live one's.
        """
        ...

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
        """Change an object that exists; returns it as it is then (its metadata only, if asked)."""
        ...

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
        """Ask for deletion; None when it is gone at once, else the object as it waits for its finalizers.

        Raises NotFound, and Conflict where ``uid`` or ``resource_version`` is another's.
        """
        ...

    def logs(self, namespace: str, pod: str, query: LogQuery) -> AsyncGenerator[bytes, None]:
        """Lines of a container's log, each with the time it was taken at in front, without their ends.

        Following goes on until the container ends. A Pod that no node has been found for has none. Raises NotFound
        without such a Pod, BadInput where the container waits to start, or where there is no such container.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...

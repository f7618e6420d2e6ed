"""Requests to bring the children of an Application into force although its sync policy does not (``fleet app sync``).

Durable until they are carried out. A request is for the manifests that were there when it was made: newer ones are
asked for anew, so that nobody says yes to what he has not seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import structlog

from fleet.model.identity import AppName
from fleet.runtime import log as fields
from fleet.store.port import Delete, Kind, Put, Store

log = structlog.get_logger(__name__)


class Request(msgspec.Struct, frozen=True):
    """What somebody asked for."""

    digest: str
    """Of the children."""
    prune: bool = False


@dataclass(slots=True, kw_only=True)
class ChildSyncs:
    """The open requests, by parent, written through to the store."""

    store: Store
    evaluate: Callable[[], None]
    _open: dict[AppName, Request] = field(default_factory=dict)
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def restore(self) -> None:
        """Read those that were open."""
        self._open = {
            AppName(name): msgspec.json.decode(data, type=Request)
            for name, data in (await self.store.load(Kind.CHILD_SYNCS)).items()
        }

    async def ask(self, parent: AppName, digest: str, *, prune: bool) -> None:
        """Ask for exactly the children that a digest names."""
        request = Request(digest, prune)
        async with self._writing:
            await self.store.commit(Put(Kind.CHILD_SYNCS, parent, msgspec.json.encode(request)))
            self._open[parent] = request
        log.info("children asked for", **{fields.TARGET: parent}, digest=digest, prune=prune)
        self.evaluate()

    async def done(self, parent: AppName, request: Request) -> None:
        """Close a request, unless a newer one has taken its place."""
        async with self._writing:
            if self._open.get(parent) is request:
                await self.store.commit(Delete(Kind.CHILD_SYNCS, parent))
                del self._open[parent]

    def open(self) -> dict[AppName, Request]:
        """Return the open requests."""
        return dict(self._open)

    def asks(self, parent: AppName, digest: str) -> bool:
        """Whether these children of a parent were asked for."""
        request = self._open.get(parent)
        return request is not None and request.digest == digest

    def prunes(self, parent: AppName) -> bool:
        """Whether the request is also to remove what left."""
        request = self._open.get(parent)
        return request is not None and request.prune

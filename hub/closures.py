"""The durable table from closures to artifacts: same inputs, same artifact, no render, also after a restart."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from fleet.model.identity import Digest
from fleet.render.ports import StoredClosure
from fleet.store.port import Kind, Put, Store

KEPT = 50_000
KEPT_ABSENT = 10_000


@dataclass(slots=True)
class Closures:
    """Implements `fleet.render.ports.ClosureStore`, with the recent ones in memory.

    Only this process writes closures, so one that was not there is not there until `put`.
    """

    store: Store
    _recent: OrderedDict[Digest, StoredClosure] = field(default_factory=OrderedDict)
    _absent: OrderedDict[Digest, None] = field(default_factory=OrderedDict)

    async def get(self, key: Digest, /) -> StoredClosure | None:
        """Look a closure up."""
        if key in self._recent:
            self._recent.move_to_end(key)
            return self._recent[key]
        if key in self._absent:
            return None
        data = await self.store.get(Kind.CLOSURES, key)
        if data is not None:
            return self._remember(key, StoredClosure.decode(data))
        if key not in self._recent:  # it may have been put while we looked
            self._absent[key] = None
            if len(self._absent) > KEPT_ABSENT:
                self._absent.popitem(last=False)
        return self._recent.get(key)

    async def put(self, key: Digest, closure: StoredClosure, /) -> None:
        """Remember a closure."""
        self._absent.pop(key, None)
        await self.store.commit(Put(Kind.CLOSURES, key, closure.encode()))
        self._remember(key, closure)

    def forget(self, key: Digest) -> None:
        """Drop a closure that is gone from the store."""
        self._recent.pop(key, None)

    def _remember(self, key: Digest, closure: StoredClosure) -> StoredClosure:
        self._absent.pop(key, None)
        self._recent[key] = closure
        if len(self._recent) > KEPT:
            self._recent.popitem(last=False)
        return closure

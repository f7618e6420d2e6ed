"""Retention: what nothing names any more is forgotten after a while, so that the disk stays bounded.

Sections, artifacts and the closures that lead to them stay for a week after they were last in use, so that a commit
that is reverted costs no render. When they were first seen unused is written down: a restart must not start the week
anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter

import structlog

from fleet.codec.canonical import Digest
from fleet.render.ports import StoredClosure
from fleet.runtime.clock import Clock
from fleet.store.port import ArtifactStore, Change, Delete, Kind, Put, Store
from hub.state import State

log = structlog.get_logger(__name__)

KEEP = timedelta(days=7)
EVERY = timedelta(hours=6)
TOGETHER = 32
"""Artifacts that are deleted at once: before each such few all that is in use is looked at, which takes a while."""


@dataclass(slots=True, kw_only=True)
class Retention:
    """Forgets what nothing names."""

    store: Store
    artifacts: ArtifactStore
    state: State
    clock: Clock
    named: Callable[[], Set[str]]
    """Every digest that an assignment, or one of its recent predecessors, names."""
    forgotten: Callable[[Digest], None]
    """Told a closure that is gone."""

    async def run(self) -> None:
        """Look now and then, for ever."""
        while True:
            await self.clock.sleep(EVERY.total_seconds())
            if self.state.desired.evaluated:
                await self.collect()

    async def collect(self) -> int:
        """Forget what may be forgotten; returns how many artifacts went."""
        marks = await self.store.load(Kind.UNUSED)
        sections = await self.store.load(Kind.SECTIONS)
        artifacts = await self.artifacts.digests()
        used = self._in_use()
        unused = (sections.keys() | artifacts) - used
        old = {digest for digest in unused if self._is_old(marks.get(digest))}
        closures = await self._closures_of(old & artifacts)
        old -= self._in_use()  # what came back into use while we looked
        changes: list[Change] = [
            Delete(Kind.UNUSED, digest) for digest in marks if digest not in unused
        ]
        now = self.clock.now().isoformat().encode()
        changes += [Put(Kind.UNUSED, digest, now) for digest in unused if digest not in marks]
        changes += [Delete(Kind.UNUSED, digest) for digest in old]
        changes += [Delete(Kind.SECTIONS, digest) for digest in old if digest in sections]
        keys = [key for key, artifact in closures.items() if artifact in old]
        changes += [Delete(Kind.CLOSURES, key) for key in keys]
        if changes:
            # the closures go first: one that names a missing artifact would be taken for a finished render
            await self.store.commit(*changes)
        for key in keys:
            self.forgotten(key)
        gone = 0
        for batch in _batches(sorted(old & artifacts)):
            # a render that had its closure before may have ended now
            going = set(batch) - self._in_use()
            await asyncio.gather(*(self.artifacts.delete(Digest(digest)) for digest in going))
            gone += len(going)
        if gone:
            log.info("forgot unused artifacts", count=gone, closures=len(keys))
        return gone

    def _is_old(self, mark: bytes | None) -> bool:
        return mark is not None and self.clock.now() - datetime.fromisoformat(mark.decode()) > KEEP

    def _in_use(self) -> set[str]:
        """Digests that assignments name, that are candidates or were split, or that clusters report."""
        used = set(self.named())
        used.update(map(attrgetter("digest"), self.state.candidates.values()))
        used.update(map(attrgetter("artifact"), self.state.offers.values()))
        for statuses in self.state.statuses.values():
            used.update(map(attrgetter("assigned"), statuses.values()))
            used.update(map(attrgetter("applied"), statuses.values()))
        return used

    async def _closures_of(self, artifacts: Set[str]) -> dict[Digest, str]:
        if not artifacts:
            return {}
        found = {
            Digest(key): StoredClosure.decode(data).artifact or ""
            for key, data in (await self.store.load(Kind.CLOSURES)).items()
        }
        return {key: artifact for key, artifact in found.items() if artifact in artifacts}


def _batches(digests: Sequence[str]) -> Iterator[Sequence[str]]:
    return (digests[start : start + TOGETHER] for start in range(0, len(digests), TOGETHER))

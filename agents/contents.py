"""Contents: sections and artifacts by digest, from the cache, else from the hub; what the hub gives is checked and kept."""

from __future__ import annotations

from collections.abc import Iterable

from agents.assignment import Assignment
from agents.cache import Cache
from agents.transport import Transport
from fleet.codec.canonical import Digest
from fleet.errors import Transient
from fleet.wire import codec, routes
from fleet.wire.enrolment import FetchRequest
from fleet.wire.frames import MAX_DIGESTS, FrameReader

_PER_FETCH = 200


class Contents:
    """What heads name by digest."""

    def __init__(self, transport: Transport, cache: Cache) -> None:
        self._transport = transport
        self._cache = cache

    def kept(self, digests: Iterable[Digest]) -> dict[Digest, bytes]:
        """Those that are here."""
        found = ((digest, self._cache.read(digest)) for digest in digests)
        return {digest: data for digest, data in found if data is not None}

    async def get(self, digests: list[Digest]) -> dict[Digest, bytes]:
        """Those that are here, and those that the hub has for us."""
        found = self.kept(digests)
        return {**found, **await self.fetch([item for item in digests if item not in found])}

    def missing(self, assignment: Assignment | None) -> list[Digest]:
        """Artifacts of an assignment that are not here."""
        named = assignment.artifacts() if assignment is not None else ()
        return sorted({digest for digest in named if not self._cache.has(digest)})

    async def fetch(self, digests: list[Digest]) -> dict[Digest, bytes]:
        """Fetch content in batches; what the hub does not have for us is left out."""
        found: dict[Digest, bytes] = {}
        asked = list(dict.fromkeys(digests))
        while asked:
            batch, asked = asked[: min(_PER_FETCH, MAX_DIGESTS)], asked[_PER_FETCH:]
            reply = await self._transport.post(
                routes.FETCH, FetchRequest(digests=tuple(batch)), limit=codec.BLOB_LIMIT
            )
            wanted = set(batch)
            frames = [f for f in FrameReader().feed(reply.body) if f.digest in wanted]
            if not frames:
                raise Transient("the hub answered a request for content with none of it")
            new = {frame.digest: frame.data for frame in frames if frame.data is not None}
            await self._cache.add(new)
            found |= new
            answered = {frame.digest for frame in frames}
            # The hub may stop early to keep an answer small.
            asked = [digest for digest in batch if digest not in answered] + asked
        return found

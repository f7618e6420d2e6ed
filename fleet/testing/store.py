"""In-memory Store and ArtifactStore: the same behaviour as the real ones (one contract suite), without a disk.

`MemoryStore.fail_next` and `MemoryArtifactStore.fail_next` make coming writes fail as a full disk would.
"""

from __future__ import annotations

from fleet.codec.canonical import Digest, digest_bytes, parse_digest, verify
from fleet.errors import Corrupt, NotReady, Transient
from fleet.store.port import UNCHECKED, Change, Conflict, Delete, Kind, Put


class MemoryStore:
    """The Store port on a dict."""

    def __init__(self) -> None:
        self._records: dict[tuple[Kind, str], bytes] = {}
        self._failures = 0
        self._closed = False
        self.commits = 0
        """How many commits succeeded."""

    def fail_next(self, commits: int = 1) -> None:
        """Let the next commits fail with Transient."""
        self._failures = commits

    async def load(self, kind: Kind) -> dict[str, bytes]:
        """Return all records of a kind."""
        return {key: value for (found, key), value in self._records.items() if found is kind}

    async def get(self, kind: Kind, key: str) -> bytes | None:
        """Return one record."""
        return self._records.get((kind, key))

    async def commit(self, *changes: Change) -> None:
        """Write all changes or none."""
        if self._closed:
            raise Transient("the store is closed")
        if self._failures:
            self._failures -= 1
            raise Transient("the database cannot write: disk full (on purpose)")
        records = dict(self._records)
        for change in changes:
            _apply(records, change)
        self._records = records
        self.commits += 1

    async def close(self) -> None:
        """Refuse further commits; what was written stays readable for assertions."""
        self._closed = True


class MemoryArtifactStore:
    """The ArtifactStore port on a dict."""

    def __init__(self) -> None:
        self._blobs: dict[Digest, bytes] = {}
        self._failures = 0

    def fail_next(self, puts: int = 1) -> None:
        """Let the next writes fail with Transient."""
        self._failures = puts

    def damage(self, digest: Digest) -> None:
        """Flip a bit of a blob."""
        data = self._blobs[digest]
        self._blobs[digest] = bytes([data[0] ^ 1]) + data[1:]

    async def put(self, data: bytes) -> Digest:
        """Keep the bytes under their digest."""
        if self._failures:
            self._failures -= 1
            raise Transient("an artifact cannot be written: disk full (on purpose)")
        digest = digest_bytes(data)
        self._blobs[digest] = data
        return digest

    async def get(self, digest: Digest) -> bytes:
        """Return the bytes, checked."""
        if parse_digest(digest) not in self._blobs:
            raise NotReady(f"artifact {digest} is not here")
        try:
            return verify(self._blobs[digest], digest)
        except Corrupt:
            del self._blobs[digest]
            raise

    async def has(self, digest: Digest) -> bool:
        """Tell whether a blob of that name is here."""
        return parse_digest(digest) in self._blobs

    async def delete(self, digest: Digest) -> None:
        """Forget a blob."""
        self._blobs.pop(parse_digest(digest), None)

    async def digests(self) -> frozenset[Digest]:
        """Name everything that is here."""
        return frozenset(self._blobs)

    async def close(self) -> None:
        """Nothing to let go of."""


def _apply(records: dict[tuple[Kind, str], bytes], change: Change) -> None:
    place = (change.kind, change.key)
    match change:
        case Delete():
            records.pop(place, None)
        case Put():
            if change.expect is not UNCHECKED and records.get(place) != change.expect:
                state = "exists already" if change.expect is None else "has changed meanwhile"
                raise Conflict(f"record {change.kind}/{change.key} {state}")
            records[place] = change.value

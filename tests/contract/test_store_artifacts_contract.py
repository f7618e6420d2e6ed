"""One suite for every ArtifactStore."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from fleet.codec.canonical import Digest, digest_bytes
from fleet.errors import BadInput, Corrupt, NotReady
from fleet.store.blobs import FileArtifactStore
from fleet.store.port import ArtifactStore
from fleet.testing.store import MemoryArtifactStore

Damage = Callable[[Digest], None]
MISSING = digest_bytes(b"missing")


@pytest.fixture(params=["memory", "files"])
async def pair(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[tuple[ArtifactStore, Damage]]:
    if request.param == "memory":
        memory = MemoryArtifactStore()
        yield memory, memory.damage
        return
    files = FileArtifactStore(tmp_path / "artifacts")
    yield files, lambda digest: _flip(tmp_path, digest)
    await files.close()


def _flip(folder: Path, digest: Digest) -> None:
    [path] = folder.rglob(digest.removeprefix("sha256:"))
    data = path.read_bytes()
    path.write_bytes(bytes([data[0] ^ 1]) + data[1:])


@pytest.fixture
def store(pair: tuple[ArtifactStore, Damage]) -> ArtifactStore:
    return pair[0]


@pytest.fixture
def damage(pair: tuple[ArtifactStore, Damage]) -> Damage:
    return pair[1]


async def test_what_was_put_is_had(store: ArtifactStore) -> None:
    digest = await store.put(b"content")

    assert digest == digest_bytes(b"content")
    assert await store.get(digest) == b"content"
    assert await store.has(digest)
    assert await store.digests() == {digest}


async def test_putting_again_changes_nothing(store: ArtifactStore) -> None:
    assert await store.put(b"content") == await store.put(b"content")
    assert len(await store.digests()) == 1


async def test_what_is_not_there(store: ArtifactStore) -> None:
    assert not await store.has(MISSING)
    assert await store.digests() == frozenset()
    with pytest.raises(NotReady):
        await store.get(MISSING)
    await store.delete(MISSING)


async def test_deleted_is_gone(store: ArtifactStore) -> None:
    digest = await store.put(b"content")
    await store.delete(digest)

    assert not await store.has(digest)
    with pytest.raises(NotReady):
        await store.get(digest)


async def test_damaged_content_is_discarded_and_heals_by_the_next_put(
    store: ArtifactStore, damage: Damage
) -> None:
    digest = await store.put(b"content")
    damage(digest)

    with pytest.raises(Corrupt):
        await store.get(digest)
    assert not await store.has(digest)
    await store.put(b"content")
    assert await store.get(digest) == b"content"


async def test_damaged_content_heals_by_a_put_that_nobody_read_before(
    store: ArtifactStore, damage: Damage
) -> None:
    digest = await store.put(b"content")
    damage(digest)
    await store.put(b"content")

    assert await store.get(digest) == b"content"


@pytest.mark.parametrize("text", ["", "sha256:../../etc/passwd", "md5:" + "0" * 32])
async def test_what_is_no_digest_is_refused(store: ArtifactStore, text: str) -> None:
    with pytest.raises(BadInput):
        await store.get(Digest(text))

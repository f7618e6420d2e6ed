"""The cache on disk: content is what its name says, or it is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.cache import Cache
from fleet.codec.canonical import Digest, digest_bytes
from fleet.model.assignment import SignedHead

ONE, TWO = b"one", b"two"
NAMES = {digest_bytes(data): data for data in (ONE, TWO)}


def opened(folder: Path) -> Cache:
    cache = Cache(folder)
    cache.open()
    return cache


def file_of(folder: Path, data: bytes) -> Path:
    return folder / "blobs" / digest_bytes(data).removeprefix("sha256:")


async def test_content_is_there_for_the_next_process(tmp_path: Path) -> None:
    await opened(tmp_path).add(NAMES)
    again = opened(tmp_path)
    assert again.has(digest_bytes(ONE))
    assert again.read(digest_bytes(ONE)) == ONE
    assert again.read(digest_bytes(b"unknown")) is None
    assert file_of(tmp_path, ONE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("damage", [b"", b"onE", b"one more"], ids=["cut", "flipped", "longer"])
async def test_damaged_content_is_thrown_away_and_told(tmp_path: Path, damage: bytes) -> None:
    await opened(tmp_path).add(NAMES)
    file_of(tmp_path, ONE).write_bytes(damage)
    cache = opened(tmp_path)
    told: list[bool] = []
    cache.lost = lambda: told.append(True)
    assert cache.read(digest_bytes(ONE)) is None
    assert told == [True]
    assert not cache.has(digest_bytes(ONE))
    assert not file_of(tmp_path, ONE).exists()
    assert cache.read(digest_bytes(TWO)) == TWO


async def test_full_disk_leaves_memory_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = opened(tmp_path)

    def full(_path: Path, _data: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("agents.cache._write", full)
        await cache.add(NAMES)
        assert cache.read(digest_bytes(ONE)) == ONE
        assert not file_of(tmp_path, ONE).exists()
    await cache.keep_only(NAMES)
    assert file_of(tmp_path, ONE).read_bytes() == ONE


async def test_what_nobody_needs_goes(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    await cache.add(NAMES)
    await cache.keep_only([digest_bytes(TWO)])
    assert not cache.has(digest_bytes(ONE))
    assert [path.name for path in (tmp_path / "blobs").iterdir()] == [file_of(tmp_path, TWO).name]


async def test_foreign_files_are_cleared(tmp_path: Path) -> None:
    opened(tmp_path)
    (tmp_path / "blobs" / ".half-written").write_bytes(b"x")
    (tmp_path / "blobs" / "note.txt").write_bytes(b"x")
    opened(tmp_path)
    assert list((tmp_path / "blobs").iterdir()) == []


async def test_head_survives_and_a_broken_one_counts_as_none(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    assert cache.load_head() is None
    head = SignedHead(payload="e30=", signatures=())
    await cache.save_head(head)
    assert opened(tmp_path).load_head() == head
    (tmp_path / "head.json").write_bytes(b'{"payload"')
    assert opened(tmp_path).load_head() is None


async def test_folder_that_cannot_be_made_leaves_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = opened(tmp_path / "file")
    digest = Digest(digest_bytes(ONE))
    await cache.add({digest: ONE})
    assert cache.read(digest) == ONE

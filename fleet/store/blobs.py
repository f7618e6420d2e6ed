"""Artifacts as files: ``FOLDER/ab/abcdef...``, named by the SHA-256 of their content.

A file appears under its name only when all of it is on the disk. What is read is checked against its name; a
damaged file is removed, so that the next `put` of the same content heals it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from fleet.codec.canonical import Digest, digest_bytes, parse_digest, verify
from fleet.errors import BadInput, Corrupt, NotReady, Transient
from fleet.store.files import make_folder, sync_folder, write_durably

T = TypeVar("T")

_THREADS = 4
_PARTIAL = ".partial"


class FileArtifactStore:
    """The ArtifactStore port on a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="artifacts")

    async def put(self, data: bytes) -> Digest:
        """Keep the bytes under their digest; durable when this returns."""
        return await self._run("written", lambda: self._put(data))

    async def get(self, digest: Digest) -> bytes:
        """Return the bytes, checked; raises NotReady, and Corrupt after removing a damaged file."""
        return await self._run("read", lambda: self._get(digest))

    async def has(self, digest: Digest) -> bool:
        """Tell whether a blob of that name is here, without reading it."""
        return await self._run("read", self._path(digest).exists)

    async def delete(self, digest: Digest) -> None:
        """Forget a blob; nothing happens where there is none."""
        await self._run("deleted", lambda: self._path(digest).unlink(missing_ok=True))

    async def digests(self) -> frozenset[Digest]:
        """Name everything that is here; clears away what a crash left half written."""
        return await self._run("listed", self._list)

    async def close(self) -> None:
        """Let the threads go."""
        await asyncio.to_thread(self._threads.shutdown)

    async def _run(self, done: str, job: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, job)
        except OSError as error:
            raise Transient(f"an artifact cannot be {done}: {error.strerror}") from error

    def _path(self, digest: Digest) -> Path:
        value = parse_digest(digest).removeprefix("sha256:")
        return self._folder / value[:2] / value

    def _put(self, data: bytes) -> Digest:
        digest = digest_bytes(data)
        path = self._path(digest)
        if self._is_intact(path, data):
            # whoever wrote it may have died between the rename and the folder's own trip to the disk
            sync_folder(path.parent)
            return digest
        if not path.parent.exists():
            make_folder(path.parent)
            sync_folder(self._folder)
        write_durably(path.with_name(f"{path.name}.{secrets.token_hex(4)}{_PARTIAL}"), path, data)
        return digest

    def _is_intact(self, path: Path, data: bytes) -> bool:
        try:
            return path.read_bytes() == data
        except FileNotFoundError:
            return False

    def _get(self, digest: Digest) -> bytes:
        path = self._path(digest)
        try:
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise NotReady(f"artifact {digest} is not here") from error
        try:
            return verify(data, digest)
        except Corrupt:
            path.unlink(missing_ok=True)
            raise

    def _list(self) -> frozenset[Digest]:
        found: set[Digest] = set()
        for path in self._folder.glob("??/*"):
            if path.name.endswith(_PARTIAL):
                path.unlink(missing_ok=True)
                continue
            try:
                found.add(parse_digest(f"sha256:{path.name}"))
            except BadInput:
                continue  # not ours; never touched
        return frozenset(found)

"""The last assignment, its sections and its artifacts on disk: what makes the agent independent of the hub.

Content is named by its digest and checked whenever it is read; what does not match is thrown away and counts as not
there. A disk that takes nothing more costs nothing but the cache: content stays in memory until it can be written.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import structlog
from prometheus_client import Counter, Gauge

from fleet.codec.canonical import Digest, parse_digest, verify
from fleet.errors import BadInput, Corrupt, FleetError, Transient
from fleet.model.assignment import SignedHead
from fleet.pki.files import write_private
from fleet.runtime import log as fields
from fleet.wire import codec

log = structlog.get_logger(__name__)

_CORRUPT = Counter(
    "fleet_agent_cache_corrupt_total", "Cached content that did not match its digest."
)
_UNWRITTEN = Gauge("fleet_agent_cache_unwritten", "Cached content that the disk did not take.")


class Cache:
    """A folder of content by digest, and the signed head that names what is needed."""

    def __init__(self, folder: Path) -> None:
        self._blobs = folder / "blobs"
        self._head = folder / "head.json"
        self._memory: dict[Digest, bytes] = {}
        self._known: set[Digest] = set()
        self.lost: Callable[[], None] = lambda: None
        """Called when content turns out to be damaged or gone, so that it is fetched again."""

    def open(self) -> None:
        """Make the folder and see what is there; a disk that cannot be used leaves memory."""
        try:
            self._blobs.mkdir(parents=True, exist_ok=True, mode=0o700)
            for path in self._blobs.iterdir():
                try:
                    self._known.add(parse_digest(f"sha256:{path.name}"))
                except BadInput:
                    path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("cache folder cannot be used", **{fields.ERROR: str(error.strerror)})

    def has(self, digest: Digest) -> bool:
        """Whether the content is at hand, as far as is known without reading it."""
        return digest in self._known or digest in self._memory

    def read(self, digest: Digest) -> bytes | None:
        """Return content that matches its digest; None where there is none (any more)."""
        if digest in self._memory:
            return self._memory[digest]
        if digest not in self._known:
            return None
        try:
            return verify(self._path(digest).read_bytes(), digest)
        except Corrupt:
            _CORRUPT.inc()
            log.error(
                "cached content is damaged, it will be fetched again", **{fields.DIGEST: digest}
            )
        except OSError as error:
            log.warning(
                "cached content cannot be read",
                **{fields.DIGEST: digest, fields.ERROR: str(error.strerror)},
            )
        self._drop(digest)
        self.lost()
        return None

    async def add(self, contents: Mapping[Digest, bytes]) -> None:
        """Keep content that was verified."""
        self._memory |= contents
        failed = await asyncio.to_thread(self._write_all, contents)
        for digest in contents.keys() - failed.keys():
            self._known.add(digest)
            self._memory.pop(digest, None)
        for error in list(failed.values())[:1]:
            level = (
                log.warning
                if error.errno in (errno.ENOSPC, errno.EROFS, errno.EDQUOT)
                else log.error
            )
            level("cache cannot be written", **{fields.ERROR: str(error.strerror)})
        _UNWRITTEN.set(len(self._memory))

    async def save_head(self, signed: SignedHead) -> None:
        """Keep the head; a failure is logged, for it can be fetched again."""
        try:
            await asyncio.to_thread(write_private, self._head, codec.encode(signed))
        except Transient as error:
            log.warning("last assignment not written", **{fields.ERROR: str(error)})

    def load_head(self) -> SignedHead | None:
        """Read the head that was kept last; None where there is none that can be read."""
        try:
            return codec.decode(self._head.read_bytes(), SignedHead)
        except FileNotFoundError:
            return None
        except (OSError, FleetError) as error:
            log.warning("last assignment not read", **{fields.ERROR: str(error)})
            return None

    async def keep_only(self, digests: Iterable[Digest]) -> None:
        """Throw away what nobody needs any more, and try again to write what the disk did not take."""
        wanted = set(digests)
        unwanted = (self._known | self._memory.keys()) - wanted
        self._forget(unwanted)
        if unwanted:
            await asyncio.to_thread(self._remove_all, unwanted)
        if self._memory:
            await self.add(dict(self._memory))

    def _drop(self, digest: Digest) -> None:
        self._forget((digest,))
        self._remove_all((digest,))

    def _forget(self, digests: Iterable[Digest]) -> None:
        for digest in digests:
            self._known.discard(digest)
            self._memory.pop(digest, None)

    def _write_all(self, contents: Mapping[Digest, bytes]) -> dict[Digest, OSError]:
        failed = {}
        for digest, data in contents.items():
            try:
                _write(self._path(digest), data)
            except OSError as error:
                failed[digest] = error
        return failed

    def _remove_all(self, digests: Iterable[Digest]) -> None:
        for digest in digests:
            try:
                self._path(digest).unlink(missing_ok=True)
            except OSError as error:
                log.debug("cached content not removed", **{fields.ERROR: str(error.strerror)})

    def _path(self, digest: Digest) -> Path:
        return self._blobs / digest.removeprefix("sha256:")


def _write(path: Path, data: bytes) -> None:
    """Write whole or not at all; without fsync, for what a crash damages is noticed and fetched again."""
    temporary = path.with_name(f".{path.name}")
    temporary.write_bytes(data)
    temporary.chmod(0o600)
    temporary.replace(path)

"""Downloaded charts on disk, by the digest of their bytes: read back only after the digest was checked.

So a chart is fetched once however many Applications use it, and a repository that is down delays nothing that was
rendered before. Blocking; small.
"""

from __future__ import annotations

import os
from pathlib import Path

from fleet.codec.canonical import Digest, digest_bytes


class ChartCache:
    """A folder of ``<sha256>.tgz`` files that is kept below a size by dropping what was used longest ago."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit

    def read(self, digest: Digest) -> bytes | None:
        """Return the chart, or None; a file that does not match its name is removed."""
        path = self._path(digest)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        if digest_bytes(data) != digest:
            path.unlink(missing_ok=True)
            return None
        os.utime(path)
        return data

    def write(self, data: bytes) -> Digest:
        """Keep a chart; it appears whole or not at all."""
        digest = digest_bytes(data)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(digest)
        fresh = path.with_suffix(".new")
        fresh.write_bytes(data)
        fresh.replace(path)
        self._shrink(keep=path)
        return digest

    def _path(self, digest: Digest) -> Path:
        return self._folder / f"{digest.partition(':')[2]}.tgz"

    def _shrink(self, keep: Path) -> None:
        files = sorted(
            (
                (path.stat().st_mtime, path.stat().st_size, path)
                for path in self._folder.glob("*.tgz")
            ),
            reverse=True,
        )
        held = 0
        for _, size, path in files:
            held += size
            if held > self._limit and path != keep:
                path.unlink(missing_ok=True)

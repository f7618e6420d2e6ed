"""A chart's files wherever the chart comes from, as `helm` plans with them: git, or an archive from a repository.

Both forms answer the same three questions: which files has the chart, where in the folder is the file that an
option names, and what is in it.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from typing import Protocol

from fleet.errors import Where
from fleet.render import globs
from fleet.render.inputs import InputFile, Repository, made_file, posix_join
from fleet.render.snapshot import check_inside


class ChartFiles(Protocol):
    """One chart and the files that its options may name."""

    @property
    def place(self) -> str:
        """The chart's directory in the folder."""

    @property
    def shown(self) -> str:
        """The chart's directory as a user knows it."""

    async def load(
        self, want: Callable[[str], bool], scan: Callable[[str], bool]
    ) -> dict[str, bytes]:
        """Put the wanted files into the folder; returns the bytes of those to be scanned."""

    async def find(self, path: str, where: Where) -> tuple[str, bytes] | None:
        """Put a file named by an option into the folder; returns its place and bytes."""

    async def match(self, pattern: str, where: Where) -> list[tuple[str, bytes]]:
        """The same for a pattern, in lexical order."""

    def inputs(self) -> tuple[InputFile, ...]:
        """All files put into the folder."""


class GitFiles:
    """A directory of a repository: a chart, or (with "") where a ``ref`` points."""

    def __init__(self, repository: Repository, directory: str) -> None:
        self.repository = repository
        self.directory = directory
        self.place = repository.place(directory)
        self.shown = directory

    async def load(
        self, want: Callable[[str], bool], scan: Callable[[str], bool]
    ) -> dict[str, bytes]:
        """Put the wanted files into the folder, links followed."""
        where = Where(file=self.directory)
        added = self.repository.add_below(self.directory, want=want, where=where)
        scanned = {path: found for path, found in added if scan(path)}
        texts = await self.repository.read_all(scanned.values())
        return {path: texts[found.path] for path, found in scanned.items()}

    async def find(self, path: str, where: Where) -> tuple[str, bytes] | None:
        """Find a file, relative to the directory, or with a slash in front to the repository."""
        base = "" if path.startswith("/") else self.directory
        found = self.repository.locate(path.lstrip("/"), base=base, where=where)
        if found is None or not found.is_file:
            return None
        return self.repository.add(found), await self.repository.read(found)

    async def match(self, pattern: str, where: Where) -> list[tuple[str, bytes]]:
        """Find the files that a pattern fits."""
        base = "" if pattern.startswith("/") else self.directory
        check_inside(pattern.lstrip("/"), base=base, where=where)
        full = posixpath.normpath(posix_join(base, pattern.lstrip("/")))
        fixed = full[: min(full.find(c) for c in globs.MAGIC if c in full)].rpartition("/")[0]
        paths = [
            entry.path
            for entry in self.repository.below(fixed)
            if globs.matches_segments(full, entry.path)
        ]
        found = [await self.find(f"/{path}", where) for path in sorted(paths)]
        return [each for each in found if each is not None]

    def inputs(self) -> tuple[InputFile, ...]:
        """All files of the repository that are in the folder."""
        return self.repository.inputs()


class ArchiveFiles:
    """The unpacked archive of a chart."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = files
        self.place = "chart"
        self.shown = ""
        self._wanted: set[str] = set()

    async def load(
        self, want: Callable[[str], bool], scan: Callable[[str], bool]
    ) -> dict[str, bytes]:
        """Put the wanted files into the folder."""
        self._wanted |= {path for path in self.files if want(path)}
        return {path: self.files[path] for path in self._wanted if scan(path)}

    async def find(self, path: str, where: Where) -> tuple[str, bytes] | None:
        """Find a file of the chart."""
        path = path.lstrip("/")
        check_inside(path, base="", where=where)
        return self._take(posixpath.normpath(path))

    async def match(self, pattern: str, where: Where) -> list[tuple[str, bytes]]:
        """Find the chart's files that a pattern fits."""
        pattern = pattern.lstrip("/")
        check_inside(pattern, base="", where=where)
        paths = [path for path in sorted(self.files) if globs.matches_segments(pattern, path)]
        return [taken for taken in map(self._take, paths) if taken is not None]

    def _take(self, path: str) -> tuple[str, bytes] | None:
        if path not in self.files:
            return None
        self._wanted.add(path)
        return posix_join(self.place, path), self.files[path]

    def inputs(self) -> tuple[InputFile, ...]:
        """The chart's files that are in the folder."""
        return tuple(
            made_file(posix_join(self.place, path), self.files[path])
            for path in sorted(self._wanted)
        )

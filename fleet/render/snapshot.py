"""One repository at one commit, as a listing: the only place where a path of a repository is resolved.

Nothing is looked up on a disk. A path is walked component by component over the git listing, following
symbolic links as git stores them, so that whatever leaves the repository is refused before a byte is read, and
refused in the same words whether the other end exists or not.
"""

from __future__ import annotations

import posixpath
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from fleet.errors import BadInput, Denied, Where
from fleet.model.world import EntryKind, Tree, TreeEntry

_MAX_LINKS = 40


@dataclass(frozen=True, slots=True)
class Located:
    """Where a path ends: its real path ("" is the root), what is there, and the links passed on the way."""

    path: str
    kind: EntryKind
    object: str
    links: tuple[str, ...] = ()

    @property
    def is_directory(self) -> bool:
        """Whether it may have something below it."""
        return self.kind is EntryKind.DIRECTORY

    @property
    def is_file(self) -> bool:
        """Whether it has bytes."""
        return self.kind in (EntryKind.FILE, EntryKind.EXECUTABLE)


class Snapshot:
    """An index over a `Tree`; ``links`` are the targets of its symbolic links by object id."""

    def __init__(self, url: str, tree: Tree, links: Mapping[str, bytes]) -> None:
        self.url = url
        self.commit = tree.commit
        self.root = tree.root
        self._entries = {entry.path: entry for entry in tree.entries}
        self._paths = sorted(self._entries)
        self._links = links
        self._children: dict[str, list[TreeEntry]] | None = None

    def entry(self, path: str) -> TreeEntry | None:
        """Return what is listed at exactly this path, links not followed."""
        if not path:
            return TreeEntry("", EntryKind.DIRECTORY, self.root)
        return self._entries.get(path)

    def below(self, path: str) -> Iterator[TreeEntry]:
        """Everything under a directory, at any depth, sorted by path."""
        prefix = f"{path}/" if path else ""
        for index in range(bisect_left(self._paths, prefix), len(self._paths)):
            if not self._paths[index].startswith(prefix):
                return
            yield self._entries[self._paths[index]]

    def children(self, path: str) -> tuple[TreeEntry, ...]:
        """What is directly in a directory, sorted by path."""
        if self._children is None:
            self._children = {}
            for each in self._paths:
                parent = each.rpartition("/")[0]
                self._children.setdefault(parent, []).append(self._entries[each])
        return tuple(self._children.get(path, ()))

    def link_target(self, entry: TreeEntry) -> str:
        """Return what a symbolic link says."""
        return self._links[entry.object].decode("utf-8", "replace")

    def locate(self, path: str, *, base: str, where: Where) -> Walk:
        """Walk from directory ``base``; raises Denied for what leaves the repository."""
        check_inside(path, base=base, where=where)
        return self._walk([*base.split("/"), *path.split("/")], where, path)

    def _walk(self, todo: list[str], where: Where, written: str) -> Walk:
        done: list[str] = []
        seen: list[str] = []
        links: list[str] = []
        todo.reverse()
        while todo:
            part = todo.pop()
            if part in ("", "."):
                continue
            if part == "..":
                if not done:
                    raise outside(written, where)
                done.pop()
                continue
            current = "/".join((*done, part))
            seen.append(current)
            entry = self._entries.get(current)
            if entry is not None and entry.kind is EntryKind.SYMLINK:
                links.append(current)
                target = self.link_target(entry)
                if len(links) > _MAX_LINKS:
                    raise BadInput(f"{written!r} follows too many symbolic links", where=where)
                if target.startswith("/"):
                    raise outside(written, where)
                todo.extend(reversed(target.split("/")))
                continue
            if entry is None or (todo and entry.kind is not EntryKind.DIRECTORY):
                self._check_rest(done, [part, *reversed(todo)], written, where)
                return Walk(None, tuple(seen))
            done.append(part)
        end = self.entry("/".join(done))
        assert end is not None
        return Walk(Located(end.path, end.kind, end.object, tuple(links)), tuple(seen))

    def _check_rest(self, done: list[str], rest: list[str], written: str, where: Where) -> None:
        if _leaves(posixpath.normpath("/".join((*done, *rest)))):
            raise outside(written, where)


@dataclass(frozen=True, slots=True)
class Walk:
    """A located path (None: there is nothing) and every listed path that decided it."""

    found: Located | None
    seen: tuple[str, ...]


def check_inside(path: str, *, base: str, where: Where) -> None:
    """Refuse a path that leaves the repository as it is written, whatever tricks its spelling tries."""
    if any(ord(character) < 32 or ord(character) == 127 for character in path):
        raise outside(path, where)
    folded = unicodedata.normalize("NFKC", unquote(unquote(path))).replace("\\", "/")
    for spelling in (path, folded):
        if spelling.startswith("/") or _leaves(posixpath.normpath(posixpath.join(base, spelling))):
            raise outside(path, where)


def outside(path: str, where: Where) -> Denied:
    """The error of every path that leaves its repository."""
    return Denied(f"path {path[:200]!r} is outside the repository", where=where)


def _leaves(normal: str) -> bool:
    return normal == ".." or normal.startswith(("../", "/"))

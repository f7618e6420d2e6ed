"""A commit's tree as generators ask about it: files, directories, and where symbolic links lead.

Built once per tree; the trees themselves are immutable.
"""

from __future__ import annotations

import functools
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass

from fleet.model.world import EntryKind, Tree, TreeEntry

_FOLDERS = (EntryKind.DIRECTORY, EntryKind.SUBMODULE)
_MAX_LINKS = 16


@dataclass(frozen=True, slots=True)
class Listing:
    """What a tree holds, by kind."""

    files: Mapping[str, TreeEntry]
    """Files and symbolic links by path."""
    paths: tuple[str, ...]
    """Their paths, sorted."""
    folders: tuple[str, ...]
    """Directories in the order of a walk, without hidden ones and what is in those."""
    links: Mapping[str, TreeEntry]
    """Symbolic links by path."""


class _Identity:
    """A tree as a key: comparing trees by value would cost more than the listing saves."""

    __slots__ = ("tree",)

    def __init__(self, tree: Tree) -> None:
        self.tree = tree

    def __hash__(self) -> int:
        return id(self.tree)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and self.tree is other.tree


def listing_of(tree: Tree) -> Listing:
    """Return the listing of a tree; the same object for the same tree."""
    return _listing(_Identity(tree))


@functools.lru_cache(maxsize=128)
def _listing(key: _Identity) -> Listing:
    entries = key.tree.entries
    files = {entry.path: entry for entry in entries if entry.kind not in _FOLDERS}
    folders = [
        entry.path
        for entry in entries
        if entry.kind in _FOLDERS
        and not any(part.startswith(".") for part in entry.path.split("/"))
    ]
    return Listing(
        files=files,
        paths=tuple(sorted(files)),
        folders=tuple(sorted(folders, key=lambda path: path.split("/"))),
        links={path: entry for path, entry in files.items() if entry.kind is EntryKind.SYMLINK},
    )


def follow(path: str, listing: Listing, contents: Mapping[str, bytes]) -> TreeEntry | str | None:
    """Follow symbolic links to the file they lead to.

    Returns the file's entry; or the object id of a link whose content is not in ``contents`` yet; or None for a
    link that leaves the repository, leads nowhere, to a directory, or round in circles.
    """
    for _ in range(_MAX_LINKS):
        resolved = _link_on_the_way(path, listing)
        if resolved is None:
            return listing.files.get(path)
        link, rest = resolved
        target = contents.get(link.object)
        if target is None:
            return link.object
        text = target.decode("utf-8", "replace")
        # A path out of the repository ("../x", "/etc/x") is in no listing, so it leads nowhere.
        path = posixpath.normpath(posixpath.join(posixpath.dirname(link.path), text, rest))
    return None


def _link_on_the_way(path: str, listing: Listing) -> tuple[TreeEntry, str] | None:
    """The first part of a path that is a link, and the rest behind it."""
    if not listing.links:
        return None
    parts = path.split("/")
    for count in range(1, len(parts) + 1):
        link = listing.links.get("/".join(parts[:count]))
        if link is not None:
            return link, "/".join(parts[count:])
    return None

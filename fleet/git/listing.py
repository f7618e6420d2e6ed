"""Reads what ``ls-tree``, ``cat-file --batch`` and ``diff-tree`` print. Pure.

Paths that a file system or a tool could read as something else (``..``, ``.git`` in any spelling) are refused
here too, although git's own checks at fetch refuse most of them (security.md row 25).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from fleet.errors import BadInput, Denied, Transient
from fleet.model.world import EntryKind, Tree, TreeEntry

_KINDS = {
    b"100644": EntryKind.FILE,
    b"100664": EntryKind.FILE,
    b"100755": EntryKind.EXECUTABLE,
    b"120000": EntryKind.SYMLINK,
    b"040000": EntryKind.DIRECTORY,
    b"160000": EntryKind.SUBMODULE,
}
# Characters that some file systems leave out of a name, so that ".g<200c>it" becomes ".git" (CVE-2014-9390).
_IGNORED = dict.fromkeys(
    map(
        ord,
        "\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u206a\u206b\u206c\u206d\u206e\u206f\ufeff",
    )
)
_FORBIDDEN = {"", ".", "..", ".git", "git~1"}


def parse_tree(commit: str, root: str, output: bytes, previous: Tree | None = None) -> Tree:
    """Read ``ls-tree -r -t -z``; entries equal to the previous listing's are shared with it.

    Raises Denied for a path that is unsafe on a disk, BadInput for two paths that look the same.
    """
    known = {entry.path: entry for entry in previous.entries} if previous else {}
    entries = [_entry(record, known) for record in output.split(b"\0") if record]
    entries.sort(key=lambda entry: entry.path)
    for first, second in itertools.pairwise(entries):
        if first.path == second.path:
            raise BadInput(f"commit {commit} holds two paths that read {first.path!r}")
    return Tree(commit=commit, root=root, entries=tuple(entries))


def parse_paths(output: bytes) -> tuple[str, ...]:
    """Read NUL-separated paths, as ``diff-tree --name-only -z`` prints them."""
    return tuple(sorted({_text(path) for path in output.split(b"\0") if path}))


class BlobReader:
    """Takes the output of ``cat-file --batch`` piece by piece and enforces the size limits on the way.

    Nothing beyond a limit is ever held: the header announces the size before the content comes.
    """

    def __init__(self, objects: Iterable[str], *, each: int, total: int) -> None:
        self.blobs: dict[str, bytes] = {}
        self.missing: list[str] = []
        self._expected = list(objects)
        self._each, self._left = each, total
        self._buffer = bytearray()
        self._name, self._size = "", -1

    def __call__(self, piece: bytes) -> None:
        """Take a piece; raises BadInput past a limit."""
        self._buffer += piece
        while self._step():
            pass

    @property
    def complete(self) -> bool:
        """Every object was answered."""
        return len(self.blobs) + len(self.missing) == len(self._expected) and not self._buffer

    def _step(self) -> bool:
        if self._size < 0:
            return self._read_header()
        if len(self._buffer) <= self._size:
            return False
        self.blobs[self._name] = bytes(memoryview(self._buffer)[: self._size])
        del self._buffer[: self._size + 1]
        self._size = -1
        return True

    def _read_header(self) -> bool:
        end = self._buffer.find(b"\n")
        if end < 0:
            return False
        words = self._buffer[:end].decode("ascii", "replace").split()
        del self._buffer[: end + 1]
        match words:
            case [name, "missing"]:
                self.missing.append(name)
            case [name, "blob", size]:
                self._admit(name, int(size))
            case [name, kind, _]:
                raise BadInput(f"object {name} is a {kind}, not a file")
            case _:
                raise Transient(f"git answered something unexpected: {' '.join(words)[:80]!r}")
        return True

    def _admit(self, name: str, size: int) -> None:
        if size > self._each:
            raise BadInput(
                f"file with object id {name} has {size} bytes; the limit is {self._each}",
                hint="make it smaller or raise git.limits.blobBytes",
            )
        self._left -= size
        if self._left < 0:
            raise BadInput(
                "the files asked for are together larger than the limit",
                hint="raise git.limits.blobsBytes",
            )
        self._name, self._size = name, size


def _entry(record: bytes, known: dict[str, TreeEntry]) -> TreeEntry:
    head, _, raw = record.partition(b"\t")
    mode, _, name = head.split(b" ", 2)
    path, sha = _text(raw), name.decode("ascii")
    kind = _KINDS.get(mode)
    if kind is None:
        raise BadInput(f"path {path!r} has the unknown file mode {mode.decode('ascii', 'replace')}")
    old = known.get(path)
    if old and old.object == sha and old.kind is kind:
        return old
    if any(_folded(segment) in _FORBIDDEN for segment in path.split("/")):
        raise Denied(f"path {path!r} in the repository is not safe to use")
    return TreeEntry(path, kind, sha)


def _folded(segment: str) -> str:
    """The name as the most forgiving file system would see it."""
    return (
        segment.translate(_IGNORED).lower()
        if segment[:1] in ".gG" or not segment.isascii()
        else segment
    )


def _text(path: bytes) -> str:
    """Decode a path; one that is not UTF-8 stays usable, with its odd bytes written as ``\\xNN``."""
    return path.decode("utf-8", "backslashreplace")

"""The files of one render: what is put into the child's folder, and nothing else.

`Repository` is a snapshot seen by one plan. It resolves paths, collects the files that the plan wants in the
folder, and notes everything that its answers depended on, so that the same plan can be recognised as still right
at another commit without reading a byte (`still_true`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from fleet.codec.canonical import digest_bytes
from fleet.errors import BadInput, Where
from fleet.model.world import EntryKind, TreeEntry
from fleet.render.snapshot import Located, Snapshot

ReadBlobs = Callable[[str, tuple[str, ...]], Awaitable[Mapping[str, bytes]]]
"""(repository URL, object ids) -> bytes."""

_THERE, _CHILDREN, _BELOW = "there", "children", "below"
"""What a plan may ask of a path: what is there, what is directly in it, everything under it."""

_MODES: dict[EntryKind, str] = {
    EntryKind.FILE: "file",
    EntryKind.EXECUTABLE: "executable",
    EntryKind.SYMLINK: "symlink",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFile:
    """One file of the folder: where, what it is, and the name of its content."""

    path: str
    mode: str
    """file, executable or symlink."""
    object: str
    """Git object id, or the digest of ``content``."""
    url: str = ""
    """The repository that has the object; empty when the content is here."""
    content: bytes | None = None


class Repository:
    """A snapshot as one plan uses it; ``prefix`` is where its files go in the folder."""

    def __init__(self, snapshot: Snapshot, read: ReadBlobs, prefix: str) -> None:
        self.snapshot = snapshot
        self.prefix = prefix
        self._read = read
        self._files: dict[str, TreeEntry] = {}
        self._replaced: dict[str, bytes] = {}
        self.facts: dict[tuple[str, str], str] = {}
        """(path, what was asked of it) -> the answer that the plan rests on."""

    def locate(self, path: str, *, base: str = "", where: Where) -> Located | None:
        """Resolve a path as written in ``base``; None when there is nothing, Denied when it leaves."""
        walk = self.snapshot.locate(path, base=base, where=where)
        for seen in walk.seen:
            self._note(seen, _THERE)
        return walk.found

    def children(self, directory: str) -> tuple[TreeEntry, ...]:
        """What is directly in a directory."""
        self._note(directory, _CHILDREN)
        return self.snapshot.children(directory)

    def below(self, directory: str) -> Iterator[TreeEntry]:
        """Everything under a directory."""
        self._note(directory, _BELOW)
        return self.snapshot.below(directory)

    def _note(self, path: str, asked: str) -> None:
        self.facts.setdefault((path, asked), _fact(self.snapshot, path, asked))

    def add(self, found: Located) -> str:
        """Put a file, and the links that led to it, into the folder; returns its path there."""
        for link in found.links:
            self._add_entry(link)
        if found.is_file:
            self._add_entry(found.path)
        return self.place(found.path)

    def add_below(
        self, directory: str, *, want: Callable[[str], bool], where: Where
    ) -> list[tuple[str, Located]]:
        """Put a directory's files into the folder, links followed; ``want`` gets paths inside it.

        Returns those paths with what is behind them.
        """
        return list(self._add_below(directory, "", want, where, ()))

    def _add_below(
        self,
        directory: str,
        inside: str,
        want: Callable[[str], bool],
        where: Where,
        parents: tuple[str, ...],
    ) -> Iterator[tuple[str, Located]]:
        skip = len(directory) + 1 if directory else 0
        for entry in self.below(directory):
            path = posix_join(inside, entry.path[skip:])
            if entry.kind is EntryKind.SYMLINK:
                yield from self._add_link(entry, path, want, where, (*parents, directory))
            elif entry.kind in _MODES and want(path):
                self._add_entry(entry.path)
                yield path, Located(entry.path, entry.kind, entry.object)

    def _add_link(
        self,
        entry: TreeEntry,
        path: str,
        want: Callable[[str], bool],
        where: Where,
        parents: tuple[str, ...],
    ) -> Iterator[tuple[str, Located]]:
        found = self.locate(entry.path, where=Where(file=entry.path))
        if found is None:
            raise BadInput("symbolic link leads nowhere", where=Where(file=entry.path))
        if found.is_directory:
            if any(_is_within(folder, found.path) for folder in parents):
                raise BadInput("symbolic links form a circle", where=Where(file=entry.path))
            for link in found.links:
                self._add_entry(link)
            yield from self._add_below(found.path, path, want, where, parents)
        elif want(path):
            self.add(found)
            yield path, found

    def add_everything(self) -> None:
        """Put the whole repository into the folder: the last resort."""
        for entry in self.below(""):
            if entry.kind in _MODES:
                if entry.kind is EntryKind.SYMLINK:
                    self.locate(entry.path, where=Where(file=entry.path))
                self._add_entry(entry.path)

    def add_link(self, path: str) -> None:
        """Put one symbolic link into the folder."""
        self._add_entry(path)

    def replace(self, path: str, content: bytes) -> None:
        """Put other bytes in a file's place."""
        self._replaced[path] = content

    def _add_entry(self, path: str) -> None:
        entry = self.snapshot.entry(path)
        assert entry is not None
        self._note(path, _THERE)
        self._files[path] = entry

    def place(self, path: str) -> str:
        """Where a path of the repository is in the folder."""
        return posix_join(self.prefix, path)

    async def read(self, found: Located) -> bytes:
        """Return a file's bytes."""
        return (await self.read_all((found,)))[found.path]

    async def read_all(self, files: Iterable[Located]) -> dict[str, bytes]:
        """Return the bytes of several files by path, fetched at once."""
        wanted = {found.path: found.object for found in files}
        blobs = await self._read(self.snapshot.url, tuple(dict.fromkeys(wanted.values())))
        return {path: blobs[object_id] for path, object_id in wanted.items()}

    def added(self) -> dict[str, TreeEntry]:
        """The entries put into the folder, by path in the repository."""
        return dict(self._files)

    def inputs(self) -> tuple[InputFile, ...]:
        """The files of the folder, with their names of content."""
        return tuple(self._input(path, entry) for path, entry in sorted(self._files.items()))

    def _input(self, path: str, entry: TreeEntry) -> InputFile:
        if path in self._replaced:
            return made_file(self.place(path), self._replaced[path])
        return InputFile(
            path=self.place(path),
            mode=_MODES[entry.kind],
            object=entry.object,
            url=self.snapshot.url,
        )


def still_true(facts: Mapping[tuple[str, str], str], snapshot: Snapshot) -> bool:
    """Whether everything that a plan knew about another commit holds at this one."""
    return all(_fact(snapshot, path, asked) == answer for (path, asked), answer in facts.items())


def made_file(path: str, content: bytes) -> InputFile:
    """A file whose content does not come from a repository as it is."""
    return InputFile(path=path, mode="file", object=digest_bytes(content), content=content)


def posix_join(*parts: str) -> str:
    """Join parts of a relative path, empty ones left out."""
    return "/".join(part for part in parts if part)


def _is_within(path: str, folder: str) -> bool:
    return not folder or path == folder or path.startswith(f"{folder}/")


def _fact(snapshot: Snapshot, path: str, asked: str) -> str:
    entry = snapshot.entry(path)
    if entry is None:
        return "absent"
    if entry.kind is not EntryKind.DIRECTORY:
        return f"{entry.kind} {entry.object}"
    match asked:
        case "below":
            return f"tree {entry.object}"
        case "children":
            # directories by name alone: what changes inside them does not concern a listing
            listed = (
                f"{e.path} {_fact(snapshot, e.path, _THERE)}" for e in snapshot.children(path)
            )
            return "\n".join(listed)
        case _:
            return "directory"

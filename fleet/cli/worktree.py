"""A working tree as if it were committed: edited and new files as they lie there, ignored ones left out.

It stands in for `fleet.git.local.LocalRepository` where a command looks at what is not committed yet. Other
revisions of the repository are what they are.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from fleet.errors import BadInput
from fleet.git.local import LocalRepository
from fleet.model.world import EntryKind, Tree, TreeEntry
from fleet.render.local import WORKING_TREE

_NAMED = "./"
"""What names of content begin with: paths, which no object of git can be taken for."""


class WorkingTree:
    """The repository that a folder is in, with what lies in its working tree."""

    def __init__(self, repository: LocalRepository, top: Path) -> None:
        self._repository = repository
        self._top = top
        self._tree: Tree | None = None

    def find_revision(self, revision: str) -> str:
        """Return the commit of another revision."""
        return self._repository.find_revision(revision)

    def tree(self, commit: str) -> Tree:
        """List a commit, or the working tree."""
        if commit != WORKING_TREE:
            return self._repository.tree(commit)
        if self._tree is None:
            found = tuple(sorted(self._entries(), key=lambda entry: entry.path))
            self._tree = Tree(commit=WORKING_TREE, root=".", entries=found)
        return self._tree

    def blobs(self, objects: Iterable[str]) -> dict[str, bytes]:
        """Read files of commits, and of the working tree."""
        wanted = set(objects)
        ours = {name for name in wanted if name.startswith(_NAMED)}
        return self._repository.blobs(sorted(wanted - ours)) | {
            name: self._read(name) for name in ours
        }

    def _entries(self) -> Iterator[TreeEntry]:
        folders: set[str] = set()
        for path in self._repository.working_files():
            kind = self._kind(path)
            if kind is None:
                continue
            yield TreeEntry(path, kind, _NAMED + path)
            folders |= {str(parent) for parent in PurePosixPath(path).parents} - {"."}
        for folder in folders:
            yield TreeEntry(folder, EntryKind.DIRECTORY, _NAMED + folder)

    def _kind(self, path: str) -> EntryKind | None:
        file = self._top / path
        if file.is_symlink():
            return EntryKind.SYMLINK
        if not file.is_file():  # deleted, or a submodule
            return None
        return EntryKind.EXECUTABLE if os.access(file, os.X_OK) else EntryKind.FILE

    def _read(self, name: str) -> bytes:
        file = self._top / name.removeprefix(_NAMED)
        try:
            return os.fsencode(file.readlink()) if file.is_symlink() else file.read_bytes()
        except OSError as error:
            raise BadInput(
                f"{name.removeprefix(_NAMED)} cannot be read: {error.strerror}"
            ) from error

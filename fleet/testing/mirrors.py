"""Git mirrors in memory: the reading half of `fleet.git.mirrors.Mirrors`, for tests that are not about git.

``tests/contract`` holds it to what the real one answers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fleet.errors import BadInput, FleetError
from fleet.model.world import EntryKind, Tree, TreeEntry


@dataclass(slots=True)
class MemoryMirrors:
    """Repositories by URL; each ``commit`` replaces the whole content of a branch."""

    failing: dict[str, FleetError] = field(default_factory=dict)
    """URL -> what every question about it raises."""
    _heads: dict[tuple[str, str], str] = field(default_factory=dict)
    _trees: dict[tuple[str, str], Tree] = field(default_factory=dict)
    _blobs: dict[str, bytes] = field(default_factory=dict)

    def commit(self, repo_url: str, files: Mapping[str, str], *, branch: str = "main") -> str:
        """Make a commit that holds exactly these files; returns its id."""
        entries: dict[str, TreeEntry] = {}
        for path, text in files.items():
            object_ = _id(f"blob {text}")
            self._blobs[object_] = text.encode()
            entries[path] = TreeEntry(path, EntryKind.FILE, object_)
            for parent in _parents(path):
                below = sorted(f"{p} {t}" for p, t in files.items() if p.startswith(f"{parent}/"))
                entries[parent] = TreeEntry(parent, EntryKind.DIRECTORY, _id(f"tree {below}"))
        root = _id(f"tree {sorted(files.items())}")
        commit = _id(f"commit {root} {len(self._trees)}")
        self._trees[repo_url, commit] = Tree(
            commit=commit, root=root, entries=tuple(entries[path] for path in sorted(entries))
        )
        self._heads[repo_url, branch] = commit
        return commit

    def delete_branch(self, repo_url: str, branch: str) -> None:
        """Forget a branch."""
        del self._heads[repo_url, branch]

    async def fetch(self, repo_url: str) -> bool:
        """There is nothing behind it that could have news."""
        self._check(repo_url)
        return False

    async def resolve(self, repo_url: str, revision: str) -> str:
        """Return the commit of a branch, or of itself; raises BadInput for an unknown one."""
        self._check(repo_url)
        name = "main" if revision in ("", "HEAD") else revision
        found = self._heads.get((repo_url, name))
        if found is None and (repo_url, revision) in self._trees:
            found = revision
        if found is None:
            raise BadInput(f"revision {revision!r} is unknown")
        return found

    async def tree(self, repo_url: str, commit: str) -> Tree:
        """Return a commit's listing."""
        self._check(repo_url)
        tree = self._trees.get((repo_url, commit))
        if tree is None:
            raise BadInput(f"commit {commit!r} is unknown")
        return tree

    async def blobs(self, repo_url: str, objects: Iterable[str]) -> dict[str, bytes]:
        """Return files by object id."""
        self._check(repo_url)
        return {object_: self._blobs[object_] for object_ in objects}

    def _check(self, repo_url: str) -> None:
        if repo_url in self.failing:
            raise self.failing[repo_url]


def _id(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def _parents(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: n + 1]) for n in range(len(parts))]

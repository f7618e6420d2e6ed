"""Git repositories and chart repositories in memory: what `fleet.render.ports` asks for, without a disk.

Object ids are git's own for files; directories have ids that follow their content. Every `commit` names the whole
content of a repository.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from fleet.errors import BadInput
from fleet.model.world import EntryKind, Tree, TreeEntry

URL = "https://git.example.com/apps.git"


@dataclass(frozen=True)
class Link:
    """A symbolic link as a file's content."""

    target: str


Content: TypeAlias = str | bytes | Link
Files: TypeAlias = Mapping[str, Content]


def _name(kind: str, data: bytes) -> str:
    return hashlib.sha1(f"{kind} {len(data)}\0".encode() + data, usedforsecurity=False).hexdigest()


class MemoryTrees:
    """Git repositories in memory: every call of ``commit`` is a new commit of the whole content."""

    def __init__(self) -> None:
        self.trees: dict[tuple[str, str], Tree] = {}
        self.heads: dict[str, str] = {}
        self.objects: dict[str, bytes] = {}
        self.read: list[str] = []

    def commit(self, files: Files, url: str = URL) -> str:
        """Make these files the repository's content."""
        entries: dict[str, TreeEntry] = {}
        for path, content in files.items():
            is_link = isinstance(content, Link)
            data = content.target.encode() if isinstance(content, Link) else content
            data = data.encode() if isinstance(data, str) else data
            name = _name("blob", data)
            self.objects[name] = data
            entries[path] = TreeEntry(path, EntryKind.SYMLINK if is_link else EntryKind.FILE, name)
            parents = path.split("/")[:-1]
            for depth in range(len(parents)):
                folder = "/".join(parents[: depth + 1])
                entries.setdefault(folder, TreeEntry(folder, EntryKind.DIRECTORY, ""))
        for path, entry in entries.items():
            if entry.kind is EntryKind.DIRECTORY:
                inside = [e for p, e in entries.items() if p.startswith(f"{path}/")]
                name = _name(
                    "tree",
                    repr(
                        [
                            (e.path, e.kind, e.object)
                            for e in sorted(inside, key=lambda e: e.path)
                            if e.object
                        ]
                    ).encode(),
                )
                entries[path] = TreeEntry(path, EntryKind.DIRECTORY, name)
        listed = tuple(entries[path] for path in sorted(entries))
        root = _name("tree", repr(listed).encode())
        commit = _name("commit", f"{url} {root} {len(self.trees)}".encode())
        self.trees[url, commit] = Tree(commit=commit, root=root, entries=listed)
        self.heads[url] = commit
        return commit

    async def resolve(self, url: str, revision: str, /) -> str:
        if url not in self.heads:
            raise BadInput(f"no repository {url}")
        return self.heads[url]

    async def tree(self, url: str, commit: str, /) -> Tree:
        return self.trees[url, commit]

    async def blobs(self, url: str, object_ids: tuple[str, ...], /) -> dict[str, bytes]:
        self.read += object_ids
        return {name: self.objects[name] for name in object_ids}


@dataclass(frozen=True)
class Version:
    version: str
    digest: str


@dataclass
class MemoryCharts:
    """Chart repositories in memory."""

    archives: dict[tuple[str, str, str], bytes] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    async def resolve(self, repo_url: str, chart: str, version_range: str, /) -> Version:
        self.asked.append((repo_url, chart, version_range))
        versions = [v for (r, c, v) in self.archives if (r, c) == (repo_url, chart)]
        if not versions:
            raise BadInput(f"no chart {chart} in {repo_url}")
        return Version(max(versions), "")

    async def chart(self, repo_url: str, chart: str, version: str, /) -> bytes:
        return self.archives[repo_url, chart, version]


def packed_chart(files: Mapping[str, str], top: str = "web") -> bytes:
    """A chart archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for path, text in files.items():
            member = tarfile.TarInfo(f"{top}/{path}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return gzip.compress(out.getvalue(), mtime=0)

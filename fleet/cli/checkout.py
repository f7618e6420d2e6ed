"""The repository that the user stands in, as a source of a fleet at one of its revisions.

A source that names this repository and follows its main branch means the revision that is looked at: that is what it
will be after the merge. Other revisions of it (a tag, a release branch) are what they are; other repositories are
given by ``--repo``, and nothing goes to the network.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from fleet.argo.documents import FleetDocuments, Problem, read_fleet_documents
from fleet.cli.documents import SUFFIXES, FleetFiles
from fleet.cli.repositories import LocalRepositories, parse_repositories
from fleet.codec import yamldoc
from fleet.codec.yamldoc import Document
from fleet.errors import BadInput, FleetError
from fleet.git.local import LocalRepository
from fleet.git.urls import same_repository
from fleet.model.world import (
    BlobRequest,
    EntryKind,
    SourceRequest,
    Tree,
    TreeEntry,
    TreeRequest,
    Unavailable,
    World,
)


class OwnRepository(Protocol):
    """This repository: its commits, or its working tree beside them."""

    def find_revision(self, revision: str) -> str: ...

    def tree(self, commit: str) -> Tree: ...

    def blobs(self, objects: Iterable[str]) -> dict[str, bytes]: ...


def own_urls(
    repository: LocalRepository, url: str, pairs: Iterable[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Tell what documents call this repository from other repositories, by where ``--repo`` leads; ``url`` is ``--url``."""
    ours = [url or repository.url()]
    if ours[0].startswith("/"):
        ours.append(Path(ours[0]).as_uri())
    theirs = []
    for pair in pairs:
        ((named, folder),) = parse_repositories([pair]).items()
        try:
            is_ours = LocalRepository.find(folder).git_dir == repository.git_dir
        except BadInput as error:
            raise BadInput(f"--repo {pair!r}: {error.message}") from None
        if is_ours:
            ours.append(named)
        else:
            theirs.append(pair)
    return tuple(each for each in ours if each), tuple(theirs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """All repositories as they are when this one's main branch is at a commit."""

    repository: OwnRepository
    urls: tuple[str, ...]
    """What documents call this repository."""
    branch: str
    """Its main branch, which a source may name."""
    others: LocalRepositories
    commit: str

    def is_own(self, url: str) -> bool:
        """Whether a URL names this repository."""
        return any(url == own or same_repository(url, own) for own in self.urls)

    def lacks(self, requests: Iterable[SourceRequest], /) -> str:
        """Say what cannot be answered here, and how it could be; empty when everything can."""
        return self.others.lacks([item for item in requests if not self._is_ours(item)])

    async def resolve(self, url: str, revision: str, /) -> str:
        """Return the commit of a targetRevision."""
        if not self.is_own(url):
            return await self.others.resolve(url, revision)
        if revision in ("", "HEAD", self.branch, f"refs/heads/{self.branch}"):
            return self.commit
        try:
            return await asyncio.to_thread(self.repository.find_revision, revision)
        except BadInput as error:
            hint = f"is it in this checkout? --branch {revision} if it is the main branch"
            raise BadInput(error.message, where=error.where, hint=hint).at(object=url) from None

    async def tree(self, url: str, commit: str, /) -> Tree:
        """List a commit."""
        if self.is_own(url):
            return await asyncio.to_thread(self.repository.tree, commit)
        return await self.others.tree(url, commit)

    async def blobs(self, url: str, object_ids: tuple[str, ...], /) -> dict[str, bytes]:
        """Read files."""
        if self.is_own(url):
            return await asyncio.to_thread(self.repository.blobs, object_ids)
        return await self.others.blobs(url, object_ids)

    async def answer(self, world: World, requests: Iterable[SourceRequest], /) -> World:
        """Add to a world what an evaluation asked for; what cannot be had is Unavailable."""
        asked = list(requests)
        ours = [item for item in asked if self._is_ours(item)]
        world = await self.others.answer(world, [item for item in asked if item not in ours])
        trees = dict(world.trees)
        blobs = dict(world.blobs)
        for item in ours:
            if isinstance(item, TreeRequest):
                trees[item] = await self._tree(item)
        files = [item for item in ours if isinstance(item, BlobRequest)]
        found = await asyncio.to_thread(self.repository.blobs, [item.object for item in files])
        blobs |= {item: found[item.object] for item in files}
        return replace(world, trees=trees, blobs=blobs)

    async def _tree(self, request: TreeRequest) -> Tree | Unavailable:
        try:
            commit = await self.resolve(request.repo_url, request.revision)
            return await self.tree(request.repo_url, commit)
        except FleetError as error:
            return Unavailable(since=datetime.now(UTC), reason=error.reason, message=str(error))

    def _is_ours(self, request: SourceRequest) -> bool:
        return isinstance(request, TreeRequest | BlobRequest) and self.is_own(request.repo_url)

    def at(self, commit: str) -> Side:
        """Return the same at another commit."""
        return replace(self, commit=commit)

    def list_files(self) -> tuple[TreeEntry, ...]:
        """List what is in the repository; directories are left out."""
        entries = self.repository.tree(self.commit).entries
        return tuple(entry for entry in entries if entry.kind is not EntryKind.DIRECTORY)

    def read_fleet(self, folder: str) -> FleetFiles:
        """Read the fleet's documents, the files that the hub would read; none where there is no such folder."""
        wanted = fleet_entries(self.repository.tree(self.commit), folder)
        blobs = self.repository.blobs(wanted.values())
        found: list[Document] = []
        fleet: list[FleetDocuments] = []
        broken: list[Problem] = []
        for path, object_id in sorted(wanted.items()):
            try:
                documents = yamldoc.load_documents(blobs[object_id], source=path, positions=True)
            except BadInput as error:
                problem = Problem(reason="InvalidYAML", message=error.message, where=error.where)
                broken.append(problem)
                continue
            found += documents
            fleet.append(read_fleet_documents(documents))
        return FleetFiles(documents=tuple(found), fleet=tuple(fleet), broken=tuple(broken))


def fleet_entries(tree: Tree, folder: str) -> dict[str, str]:
    """Return path and object of every file below a folder that holds fleet documents; hidden ones are left out."""
    prefix = "" if folder in ("", ".") else folder.strip("/") + "/"
    return {
        entry.path: entry.object
        for entry in tree.entries
        if entry.kind in (EntryKind.FILE, EntryKind.EXECUTABLE)
        and entry.path.startswith(prefix)
        and entry.path.endswith(SUFFIXES)
        and not any(part.startswith(".") for part in entry.path.split("/"))
    }

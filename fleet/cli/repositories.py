"""Repositories for offline commands: ``--repo URL=DIR`` stands a local git repository in for a URL.

Nothing goes to the network: a URL that is not given is an error that says which option is missing.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from fleet.errors import BadInput, FleetError
from fleet.git.mirrors import Mirrors
from fleet.git.settings import GitSettings
from fleet.git.urls import same_repository
from fleet.model.answers import NOT_CONFIGURED, AnswerRequest, describe
from fleet.model.world import BlobRequest, SourceRequest, Tree, TreeRequest, Unavailable, World


def parse_repositories(pairs: Iterable[str]) -> dict[str, Path]:
    """Read ``URL=DIR`` options; raises BadInput."""
    found: dict[str, Path] = {}
    for pair in pairs:
        url, equals, folder = pair.rpartition("=")
        if not equals or not url:
            raise BadInput(f"--repo {pair!r} is not URL=DIR")
        path = Path(folder).resolve()
        if not path.is_dir():
            raise BadInput(f"--repo {pair!r}: {folder} is not a directory")
        found[url] = path
    return found


class LocalRepositories:
    """Git repositories on this machine by the URL they stand for."""

    def __init__(self, folders: Mapping[str, Path], mirrors: Mirrors) -> None:
        self._folders = folders
        self._mirrors = mirrors

    async def resolve(self, url: str, revision: str, /) -> str:
        """Return the commit of a revision of the local repository."""
        local = self._local(url)
        with _named(url):
            return await self._mirrors.resolve(local, revision)

    async def tree(self, url: str, commit: str, /) -> Tree:
        """List a commit."""
        local = self._local(url)
        with _named(url):
            return await self._mirrors.tree(local, commit)

    async def blobs(self, url: str, object_ids: Iterable[str], /) -> dict[str, bytes]:
        """Read files by object id."""
        local = self._local(url)
        with _named(url):
            return await self._mirrors.blobs(local, object_ids)

    async def answer(self, world: World, requests: Iterable[SourceRequest]) -> World:
        """Add to a world what an evaluation asked for; what cannot be had is Unavailable."""
        requests = list(requests)
        trees = dict(world.trees)
        blobs = dict(world.blobs)
        answers = dict(world.answers)
        for request in requests:
            if isinstance(request, TreeRequest):
                trees[request] = await self._tree(request)
            elif not isinstance(request, BlobRequest):
                answers[request] = _only_the_hub(request)
        wanted = [request for request in requests if isinstance(request, BlobRequest)]
        for url in {request.repo_url for request in wanted}:
            group = [request for request in wanted if request.repo_url == url]
            found = await self.blobs(url, [request.object for request in group])
            blobs |= {request: found[request.object] for request in group}
        return replace(world, trees=trees, blobs=blobs, answers=answers)

    async def _tree(self, request: TreeRequest) -> Tree | Unavailable:
        try:
            commit = await self.resolve(request.repo_url, request.revision)
            return await self.tree(request.repo_url, commit)
        except FleetError as error:
            return Unavailable(since=datetime.now(UTC), reason=error.reason, message=str(error))

    def lacks(self, requests: Iterable[SourceRequest]) -> str:
        """Say what cannot be answered here, and how it could be; empty when everything can."""
        asked = list(requests)
        git = {item.repo_url for item in asked if isinstance(item, TreeRequest | BlobRequest)}
        lacking = sorted(url for url in git if self._folder(url) is None)
        if lacking:
            return "it reads a repository: " + " ".join(f"--repo {url}=DIR" for url in lacking)
        if any(not isinstance(item, TreeRequest | BlobRequest) for item in asked):
            return "it asks a service, which only the hub does"
        return ""

    def _folder(self, url: str) -> Path | None:
        for given, folder in self._folders.items():
            if given == url or same_repository(given, url):
                return folder
        return None

    def _local(self, url: str) -> str:
        if folder := self._folder(url):
            return folder.as_uri()
        raise BadInput(f"repository {url} is not given", hint=f"--repo {url}=DIR")


def _only_the_hub(request: AnswerRequest) -> Unavailable:
    message = f"{describe(request)}: only the hub asks other servers; this command works offline"
    return Unavailable(since=datetime.now(UTC), reason=NOT_CONFIGURED, message=message)


@contextmanager
def _named(url: str) -> Iterator[None]:
    """Errors speak of the repository by the name that the user gave it, not of the folder that stands for it."""
    try:
        yield
    except FleetError as error:
        error.where = replace(error.where, object=url)
        raise


@contextmanager
def local_repositories(pairs: Iterable[str]) -> Iterator[LocalRepositories]:
    """Open the repositories of ``--repo`` options, mirrored into a temporary folder."""
    folders = parse_repositories(pairs)
    with tempfile.TemporaryDirectory(prefix="fleet-repos-") as state:
        mirrors = Mirrors(GitSettings(state=Path(state) / "mirrors", allow_file=True))
        try:
            yield LocalRepositories(folders, mirrors)
        finally:
            asyncio.run(mirrors.close())

"""The World: the snapshot that evaluation looks at, put together from git mirrors and the hub's own records.

`snapshot` never goes to the network except for a repository that was never fetched: it resolves every tree and
file that the last evaluation used, as the mirrors know them now. `answer` adds what a pass found missing. What
cannot be had goes in as `Unavailable`: an error is a fact, never an empty answer.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from fleet.argo.assembly import assemble
from fleet.argo.reading import Problem
from fleet.errors import BadInput, FleetError
from fleet.model.answers import NOT_CONFIGURED, AnswerRequest, Rows, describe
from fleet.model.cluster import Cluster
from fleet.model.world import BlobRequest, SourceRequest, Tree, TreeRequest, Unavailable, World
from fleet.runtime.clock import Clock
from hub.answers import Answers
from hub.fleetrepo import FleetRepo, Mirrors


@dataclass(slots=True)
class Worlds:
    """Makes snapshots; remembers since when a source has been unavailable, and the files in use."""

    mirrors: Mirrors
    repos: tuple[FleetRepo, ...]
    clock: Clock
    answers: Answers | None = None
    """Who asks forges and plugins; without one nobody does, and the sets that need it fail."""
    templated_projects: tuple[str, ...] = ()
    """Patterns of projects that templates may choose."""
    _since: dict[SourceRequest, datetime] = field(default_factory=dict)
    _blobs: dict[BlobRequest, bytes] = field(default_factory=dict)

    async def restore(self) -> None:
        """Read the documents that were in force before the last stop."""
        await asyncio.gather(*(repo.restore() for repo in self.repos))

    @property
    def complete(self) -> bool:
        """Whether every configured repository has been read at least once, and nothing in it became unreadable."""
        return all(repo.complete for repo in self.repos)

    async def snapshot(
        self, held_clusters: Iterable[Cluster], used: Iterable[SourceRequest]
    ) -> tuple[World, tuple[Problem, ...]]:
        """Return the world as it is now and what is wrong with the documents in it."""
        await asyncio.gather(*(repo.refresh() for repo in self.repos))
        documents = [found for repo in self.repos for found in repo.documents()]
        world, problems = assemble(documents, held_clusters)
        world = replace(world, templated_projects=self.templated_projects)
        return await self.answer(world, used), problems

    async def answer(self, world: World, requests: Iterable[SourceRequest]) -> World:
        """Add the answers to requests that the world does not hold yet."""
        wanted = [request for request in requests if request not in world.trees]
        asked = [
            request
            for request in wanted
            if not isinstance(request, TreeRequest | BlobRequest) and request not in world.answers
        ]
        trees = [request for request in wanted if isinstance(request, TreeRequest)]
        blobs = [
            request
            for request in wanted
            if isinstance(request, BlobRequest) and request not in world.blobs
        ]
        found_trees = await asyncio.gather(*(self._tree(request) for request in trees))
        found_blobs = await self._read_blobs(blobs)
        answers = await self._ask(asked)
        return replace(
            world,
            trees={**world.trees, **dict(zip(trees, found_trees, strict=True))},
            blobs={**world.blobs, **found_blobs},
            answers={**world.answers, **answers},
        )

    def forget_unused(self, used: Iterable[SourceRequest]) -> None:
        """Keep only the files and answers that the last evaluation looked at."""
        used = set(used)
        wanted = {request for request in used if isinstance(request, BlobRequest)}
        if self.answers is not None:
            self.answers.keep(
                request for request in used if not isinstance(request, TreeRequest | BlobRequest)
            )
        self._blobs = {request: data for request, data in self._blobs.items() if request in wanted}
        self._since = {request: since for request, since in self._since.items() if request in used}

    async def _ask(
        self, requests: list[AnswerRequest]
    ) -> Mapping[AnswerRequest, Rows | Unavailable]:
        if self.answers is not None:
            return await self.answers.look(requests)
        return {
            request: Unavailable(
                since=self._since.setdefault(request, self.clock.now()),
                reason=NOT_CONFIGURED,
                message=f"{describe(request)}: nobody here asks other servers",
            )
            for request in requests
        }

    async def _tree(self, request: TreeRequest) -> Tree | Unavailable:
        try:
            commit = await self.mirrors.resolve(request.repo_url, request.revision)
            tree = await self.mirrors.tree(request.repo_url, commit)
        except FleetError as error:
            return self._unavailable(request, error)
        self._since.pop(request, None)
        return tree

    async def _read_blobs(
        self, requests: list[BlobRequest]
    ) -> dict[BlobRequest, bytes | Unavailable]:
        by_repo: dict[str, list[BlobRequest]] = defaultdict(list)
        for request in requests:
            if request not in self._blobs:
                by_repo[request.repo_url].append(request)
        failed: dict[BlobRequest, Unavailable] = {}
        for repo_url, group in by_repo.items():
            failed |= await self._read_group(repo_url, group)
        return {request: failed.get(request) or self._blobs[request] for request in requests}

    async def _read_group(
        self, repo_url: str, group: list[BlobRequest]
    ) -> dict[BlobRequest, Unavailable]:
        """Read files of one repository; where one of them is refused, one by one, so that it hits nobody else."""
        try:
            found = await self.mirrors.blobs(repo_url, [request.object for request in group])
        except BadInput as error:
            if len(group) == 1:
                return {group[0]: self._unavailable(group[0], error)}
            failed: dict[BlobRequest, Unavailable] = {}
            for request in group:
                failed |= await self._read_group(repo_url, [request])
            return failed
        except FleetError as error:
            return {request: self._unavailable(request, error) for request in group}
        self._blobs |= {request: found[request.object] for request in group}
        return {}

    def _unavailable(self, request: SourceRequest, error: FleetError) -> Unavailable:
        since = self._since.setdefault(request, self.clock.now())
        return Unavailable(since=since, reason=error.reason, message=str(error))

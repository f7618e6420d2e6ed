"""All repositories that the hub reads: one mirror each, shared by everything that names it.

The only network call is `Mirrors.fetch` (and the first use of a repository). Everything else answers from disk or
memory: refs are kept after each fetch and listings by commit, so a hundred Applications on one repository start
no process at all. Polling, webhooks and retries are the caller's.
"""

from __future__ import annotations

import asyncio
import copy
import hashlib
import shutil
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from fleet.errors import BadInput, FleetError, Transient
from fleet.git import environment, revisions, urls
from fleet.git.batches import Batches
from fleet.git.command import Git
from fleet.git.mirror import Damaged, Mirror, stored_url
from fleet.git.settings import GitSettings
from fleet.model.world import Tree

_Answer = TypeVar("_Answer")

_REPAIR_PAUSE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """How old the answers for a repository are, and why."""

    fetched_at: datetime | None = None
    """The last fetch that succeeded, also before a restart; None = never."""
    error: FleetError | None = None
    """Why the last fetch failed; None = it did not."""
    failing_since: datetime | None = None


@dataclass(slots=True)
class _Repository:
    mirror: Mirror
    batches: Batches | None = None
    resolved: dict[str, str] = field(default_factory=dict)
    """Commits by revision, as long as these are the mirror's refs:"""
    resolved_in: dict[str, str] | None = None
    fetching: asyncio.Lock = field(default_factory=asyncio.Lock)
    listing: asyncio.Lock = field(default_factory=asyncio.Lock)
    begun: int = 0
    """Fetches that were begun; the one that `outcome` tells of is `done`."""
    done: int = 0
    repairs: int = 0
    repaired_at: datetime | None = None
    outcome: bool | FleetError = False
    freshness: Freshness = field(default_factory=Freshness)
    last_tree: Tree | None = None


class Mirrors:
    """The mirrors of one state folder, which belongs to one process; used from one event loop."""

    def __init__(
        self, settings: GitSettings, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._settings = settings
        self._now = now
        self._git = Git(settings.limits)
        limits = settings.limits
        self._fetchers = ThreadPoolExecutor(limits.fetches, thread_name_prefix="git-fetch")
        self._readers = ThreadPoolExecutor(limits.reads, thread_name_prefix="git-read")
        self._repositories: dict[str, _Repository] = {}
        self._named: dict[str, _Repository] = {}
        self._trees: OrderedDict[tuple[str, str], Tree] = OrderedDict()
        environment.prepare(settings.state)
        _remove_halves(settings.state)
        self._open_stored()

    async def fetch(self, repo_url: str) -> bool:
        """Read the remote's refs and objects; True if a ref moved.

        One fetch per repository at a time. Callers share the next fetch that *begins* after they asked, for
        one that runs already may have read the refs too early. Raises Transient (unreachable, too slow),
        Denied (URL, credentials, host key, certificate), BadInput (no such repository, refused objects).
        """
        repository = self._repository(repo_url)
        wanted = repository.begun + 1
        async with repository.fetching:
            if repository.done < wanted:
                await self._fetch_now(repository, repository.mirror.fetch)
        return _outcome(repository)

    async def resolve(self, repo_url: str, revision: str) -> str:
        """Give the commit id of a revision; the network is used only if the repository is new here.

        Raises BadInput for an unknown revision, and what `fetch` raises.
        """
        repository = await self._cloned(repo_url)
        refs = repository.mirror.known_refs
        if refs is None:
            refs = await self._repaired(repository, repository.mirror.refs)
        if repository.resolved_in is not refs:
            repository.resolved_in, repository.resolved = refs, {}
        if revision in repository.resolved:
            return repository.resolved[revision]
        try:
            found = revisions.find(revision, refs)
        except BadInput as error:
            raise error.at(object=str(repository.mirror.url)) from None
        if found.checked and revisions.is_full(found.id):
            repository.resolved[revision] = found.id
            return found.id
        if commit := await self._repaired(repository, repository.mirror.peel, found.id):
            return commit
        raise revisions.unknown(revision).at(object=str(repository.mirror.url))

    async def tree(self, repo_url: str, commit: str) -> Tree:
        """List a commit in full; listed once, then kept. Raises BadInput for an unknown commit."""
        repository = await self._cloned(repo_url)
        _check_ids([commit])
        key = (repository.mirror.url.key, commit)
        async with repository.listing:
            if key not in self._trees:
                tree = await self._repaired(
                    repository, repository.mirror.tree, commit, repository.last_tree
                )
                repository.last_tree = tree
                self._keep(key, tree)
            self._trees.move_to_end(key)
            return self._trees[key]

    async def blobs(self, repo_url: str, objects: Iterable[str]) -> dict[str, bytes]:
        """Read files by object id, all in one process; raises BadInput past a size limit.

        Those who ask while a read is under way share the next process.
        """
        wanted = sorted(set(objects))
        if not wanted:
            return {}
        _check_ids(wanted)
        repository = await self._cloned(repo_url)
        if repository.batches is None:

            async def read(names: list[str]) -> dict[str, bytes]:
                return await self._repaired(repository, repository.mirror.blobs, names)

            repository.batches = Batches(read)
        return await repository.batches.read(wanted)

    async def changed_paths(self, repo_url: str, old: str, new: str) -> tuple[str, ...]:
        """Name the paths that differ between two commits, sorted."""
        _check_ids([old, new])
        repository = await self._cloned(repo_url)
        if old == new:
            return ()
        return await self._repaired(repository, repository.mirror.changed_paths, old, new)

    def known(self) -> tuple[str, ...]:
        """The URLs of all mirrors, also those of an earlier run."""
        return tuple(sorted(str(each.mirror.url) for each in self._repositories.values()))

    def age(self, repo_url: str) -> Freshness:
        """Say when the repository was last fetched and whether fetching fails; asks nobody."""
        return self._repository(repo_url).freshness

    async def forget(self, repo_url: str) -> None:
        """Delete a mirror that nothing names any more."""
        repository = self._repository(repo_url)
        key = repository.mirror.url.key
        async with repository.fetching:
            await self._in(self._readers, repository.mirror.discard)
        self._repositories.pop(key, None)
        self._named = {}
        for held in [held for held in self._trees if held[0] == key]:
            del self._trees[held]

    async def close(self) -> None:
        """End running git processes; what they were doing is repaired at the next start."""
        self._git.close()
        for pool in (self._fetchers, self._readers):
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)

    async def _fetch_now(self, repository: _Repository, fetch: Callable[[], bool]) -> None:
        repository.begun += 1
        try:
            repository.outcome = await self._in(self._fetchers, fetch)
        except FleetError as error:
            self._note_failure(repository, error)
        except Damaged:
            url = str(repository.mirror.url)
            self._note_failure(repository, Transient(f"the new mirror of {url!r} is damaged"))
        else:
            repository.freshness = Freshness(fetched_at=self._now())
        repository.done = repository.begun

    def _note_failure(self, repository: _Repository, error: FleetError) -> None:
        before = repository.freshness
        repository.outcome = error
        repository.freshness = Freshness(
            fetched_at=before.fetched_at,
            error=error,
            failing_since=before.failing_since or self._now(),
        )

    async def _cloned(self, repo_url: str) -> _Repository:
        repository = self._repository(repo_url)
        if repository.freshness.fetched_at is None:
            async with repository.fetching:
                if repository.freshness.fetched_at is None:
                    await self._fetch_now(repository, repository.mirror.fetch)
            _outcome(repository)
        return repository

    async def _repaired(
        self, repository: _Repository, read: Callable[..., _Answer], *arguments: object
    ) -> _Answer:
        """Read from the mirror; if its files turn out to be broken, clone it again and read once more."""
        repairs = repository.repairs
        try:
            return await self._in(self._readers, read, *arguments)
        except Damaged:
            pass
        async with repository.fetching:
            if repository.repairs == repairs:  # nobody else has repaired it since we read
                await self._repair(repository)
        _outcome(repository)
        try:
            return await self._in(self._readers, read, *arguments)
        except Damaged as error:
            url = str(repository.mirror.url)
            raise Transient(f"the mirror of {url!r} is damaged and was not repaired") from error

    async def _repair(self, repository: _Repository) -> None:
        """Clone again, but not over and over where that does not help."""
        now = self._now()
        if repository.repaired_at and now - repository.repaired_at < _REPAIR_PAUSE:
            url = str(repository.mirror.url)
            raise Transient(f"the mirror of {url!r} is damaged again after it was repaired")
        repository.repairs += 1
        repository.repaired_at = now
        await self._fetch_now(repository, repository.mirror.renew)

    async def _in(
        self, pool: ThreadPoolExecutor, work: Callable[..., _Answer], *arguments: object
    ) -> _Answer:
        return await asyncio.get_running_loop().run_in_executor(pool, work, *arguments)

    def _repository(self, repo_url: str) -> _Repository:
        if repo_url in self._named:
            return self._named[repo_url]
        settings = self._settings
        url = urls.parse(repo_url, allow_file=settings.allow_file, allow_http=settings.allow_http)
        if url.key not in self._repositories:
            name = hashlib.sha256(url.key.encode()).hexdigest()[:40]
            mirror = Mirror(url, settings.state / f"{name}.git", settings, self._git)
            freshness = Freshness(fetched_at=mirror.fetched_at())
            self._repositories[url.key] = _Repository(mirror, freshness=freshness)
        return self._named.setdefault(repo_url, self._repositories[url.key])

    def _open_stored(self) -> None:
        for path in sorted(self._settings.state.glob("*.git")):
            try:
                self._repository(stored_url(path))
            except FleetError:
                continue  # settings do not admit it any more; it stays on disk, unused

    def _keep(self, key: tuple[str, str], tree: Tree) -> None:
        self._trees[key] = tree
        held = sum(len(each.entries) for each in self._trees.values())
        while held > self._settings.limits.cached_entries and len(self._trees) > 2:
            _, dropped = self._trees.popitem(last=False)
            held -= len(dropped.entries)


def _outcome(repository: _Repository) -> bool:
    """The result of the last fetch, for each of those who waited for it."""
    if isinstance(repository.outcome, FleetError):
        raise copy.copy(repository.outcome)  # callers complete the place of their own copy
    return repository.outcome


def _check_ids(ids: Iterable[str]) -> None:
    for name in ids:
        if not revisions.is_full(name):
            raise BadInput(f"not a full object id: {name[:80]!r}")


def _remove_halves(state: Path) -> None:
    """Remove clones that were not finished and mirrors that were being deleted."""
    for pattern in ("*.new", "*.old"):
        for path in state.glob(pattern):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)

"""Polling: each repository in use is asked for news at its interval, with jitter, or at once after a hint.

One key per repository, one fetch per repository however many Applications use it. A fetch that moved something
wakes evaluation; one that failed changes nothing: what the mirror has stays in force, with the error shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

import structlog
from prometheus_client import Counter

from fleet.errors import FleetError
from fleet.git.mirrors import Mirrors
from fleet.runtime import log as fields
from fleet.runtime.queue import WorkQueue
from fleet.runtime.reconciler import Done, Outcome, RequeueAfter

log = structlog.get_logger(__name__)

_FETCHES = Counter("fleet_hub_fetches_total", "Fetches of repositories by result.", ["result"])
JITTER = 0.2
FIRST_RETRY = 1.0
"""Seconds, doubled with each failure up to the poll interval."""


@dataclass(slots=True, kw_only=True)
class Poller:
    """Fetches repositories."""

    mirrors: Mirrors
    queue: WorkQueue[str]
    interval: timedelta
    moved: Callable[[str], None]
    """Told the repository that has news."""
    rng: Random = field(default_factory=Random)
    errors: dict[str, str] = field(default_factory=dict)
    """What is wrong with a repository right now."""
    _wanted: frozenset[str] = frozenset()
    _failures: dict[str, int] = field(default_factory=dict)

    def want(self, repositories: Iterable[str]) -> None:
        """Set which repositories are in use; new ones are fetched at once."""
        wanted = frozenset(repositories)
        for repo_url in wanted - self._wanted:
            self.queue.add(repo_url)
        for repo_url in self._wanted - wanted:
            self.errors.pop(repo_url, None)
            self._failures.pop(repo_url, None)
        self._wanted = wanted

    @property
    def wanted(self) -> frozenset[str]:
        """The repositories in use."""
        return self._wanted

    def hint(self, repositories: Iterable[str]) -> None:
        """Look at these now: somebody says that they have news."""
        for repo_url in repositories:
            self.queue.add(repo_url)

    async def reconcile(self, repo_url: str) -> Outcome:
        """Fetch one repository."""
        if repo_url not in self._wanted:
            return Done()
        again = self.interval.total_seconds() * (1 + JITTER * (2 * self.rng.random() - 1))
        try:
            moved = await self.mirrors.fetch(repo_url)
        except FleetError as error:
            _FETCHES.labels("failed").inc()
            if self.errors.get(repo_url) != str(error):
                log.warning(
                    "fetch failed", **{fields.REPOSITORY: repo_url, fields.ERROR: str(error)}
                )
            self.errors[repo_url] = str(error)
            self._failures[repo_url] = failures = self._failures.get(repo_url, 0) + 1
            return RequeueAfter(min(again, FIRST_RETRY * 2 ** min(failures, 16)))
        _FETCHES.labels("moved" if moved else "unchanged").inc()
        self._failures.pop(repo_url, None)
        recovered = self.errors.pop(repo_url, None) is not None
        if moved or recovered:
            self.moved(repo_url)
        return RequeueAfter(again)

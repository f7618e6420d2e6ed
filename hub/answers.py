"""What forges and plugins said, asked again in the background: evaluation never waits long for anybody's server.

The first question is waited for a moment, because a quick answer spares an evaluation; from then on an answer that
grew old is used until the next one is there. A failure replaces the answer before it: it fails the sets that need
it, whose rows in force stay. Nothing is durable here; what must survive an outage is the rows in force.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

import structlog
from prometheus_client import Counter

from fleet.codec.equality import same
from fleet.errors import FleetError, Transient
from fleet.model.answers import (
    AnswerRequest,
    BranchesRequest,
    PluginRequest,
    PullRequestsRequest,
    Rows,
    describe,
    seconds_between,
)
from fleet.model.world import Unavailable
from fleet.runtime import log as fields
from fleet.runtime.backoff import Backoff
from fleet.runtime.clock import Clock

log = structlog.get_logger(__name__)

_ASKED = Counter(
    "fleet_hub_answers_total", "Questions to forges and plugins, by result.", ["result"]
)
PATIENCE = 5.0
"""Seconds that an evaluation waits for first answers."""
PARALLEL = 8
_RETRY = Backoff(initial=15, factor=2, maximum=600)


class Forges(Protocol):
    """Who is asked."""

    async def answer(self, request: AnswerRequest) -> Rows: ...


@dataclass(frozen=True, slots=True)
class _Known:
    answer: Rows | Unavailable
    due: float
    failures: int = 0


@dataclass(slots=True, kw_only=True)
class Answers:
    """Asks, and remembers until it is time to ask again."""

    forges: Forges
    clock: Clock
    changed: Callable[[], None]
    """Told that something that was said before is different now, or was not said in time."""
    patience: float = PATIENCE
    _known: dict[AnswerRequest, _Known] = field(default_factory=dict)
    _running: dict[AnswerRequest, asyncio.Task[None]] = field(default_factory=dict)
    _begun: dict[AnswerRequest, datetime] = field(default_factory=dict)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PARALLEL))
    _late: set[AnswerRequest] = field(default_factory=set)
    """First questions that were waited for long enough: nobody waits for them again."""

    async def look(
        self, requests: Iterable[AnswerRequest]
    ) -> Mapping[AnswerRequest, Rows | Unavailable]:
        """Return the answers as they are known; what nobody could say yet is Unavailable."""
        wanted = list(requests)
        for request in wanted:
            self._ask_if_due(request)
        first = {
            request: self._running[request]
            for request in wanted
            if request not in self._known and request in self._running and request not in self._late
        }
        if first:
            await asyncio.wait(first.values(), timeout=self.patience)
            self._late |= {request for request, task in first.items() if not task.done()}
        return {request: self._now(request) for request in wanted}

    def next_due(self) -> float | None:
        """Return in how many seconds an answer grows old; None if there is none."""
        waiting = [
            known.due for request, known in self._known.items() if request not in self._running
        ]
        return max(0.0, min(waiting) - self.clock.monotonic()) if waiting else None

    def news(self, repo_urls: Iterable[str]) -> None:
        """Somebody says that repositories have news: what is known of them, and of every plugin, grows old now."""
        names = {_last_part(url) for url in repo_urls}
        now = self.clock.monotonic()
        told = [
            request
            for request, known in self._known.items()
            if not known.failures and _is_about(request, names)  # a rate limit is still waited for
        ]
        for request in told:
            self._known[request] = replace(self._known[request], due=now)
        if told:
            self.changed()

    def keep(self, used: Iterable[AnswerRequest]) -> None:
        """Forget what no set needs any more."""
        wanted = set(used)
        self._known = {key: item for key, item in self._known.items() if key in wanted}
        self._begun = {key: item for key, item in self._begun.items() if key in wanted}
        for request, task in list(self._running.items()):
            if request not in wanted:
                task.cancel()
        self._late &= wanted

    async def close(self) -> None:
        """Stop asking."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _now(self, request: AnswerRequest) -> Rows | Unavailable:
        known = self._known.get(request)
        if known is not None:
            return known.answer
        message = f"{describe(request)}: no answer yet, the question is under way"
        return self._unavailable(request, "NotReady", message)

    def _ask_if_due(self, request: AnswerRequest) -> None:
        known = self._known.get(request)
        if request in self._running or (known and known.due > self.clock.monotonic()):
            return
        task = asyncio.create_task(self._ask(request), name=f"ask {describe(request)}")
        self._running[request] = task
        task.add_done_callback(lambda _task: self._running.pop(request, None))

    async def _ask(self, request: AnswerRequest) -> None:
        before = self._known.get(request)
        async with self._slots:
            known = await self._answered(request, before)
        self._known[request] = known
        late = request in self._late
        self._late.discard(request)
        if late or (before is not None and not same(before.answer, known.answer)):
            self.changed()

    async def _answered(self, request: AnswerRequest, before: _Known | None) -> _Known:
        every = float(seconds_between(request))
        try:
            rows = await self.forges.answer(request)
        except Exception as error:  # noqa: BLE001 - a bug in reading an answer is that answer's failure
            return self._failed(request, error, before.failures + 1 if before else 1, every)
        _ASKED.labels("answered").inc()
        self._begun.pop(request, None)
        return _Known(rows, self.clock.monotonic() + every)

    def _failed(
        self, request: AnswerRequest, error: Exception, failures: int, every: float
    ) -> _Known:
        _ASKED.labels("failed").inc()
        reason, message = "InternalError", f"a bug, please report it: {type(error).__name__}"
        if isinstance(error, FleetError):
            reason, message = error.reason, str(error)
            log.warning("question failed", **{fields.ERROR: f"{describe(request)}: {message}"})
        else:
            log.error("question failed", asked=describe(request), exc_info=error)
        wait = min(every, _RETRY.ceiling(failures))
        if isinstance(error, Transient) and error.retry_after is not None:
            wait = max(wait, error.retry_after)
        answer = self._unavailable(request, reason, message)
        return _Known(answer, self.clock.monotonic() + wait, failures)

    def _unavailable(self, request: AnswerRequest, reason: str, message: str) -> Unavailable:
        since = self._begun.setdefault(request, self.clock.now())
        return Unavailable(since=since, reason=reason, message=message)


def _last_part(url: str) -> str:
    """A repository's own name, as all its URLs end."""
    return url.rstrip("/").removesuffix(".git").rpartition("/")[2].rpartition(":")[2].lower()


def _is_about(request: AnswerRequest, names: set[str]) -> bool:
    """Tell whether an answer may be another one now; too often does no harm."""
    match request:
        case PluginRequest():
            return True
        case BranchesRequest() | PullRequestsRequest():
            name = _last_part(request.repository)
            return name in names or (name.isdecimal() and bool(names))  # GitLab's numbers
        case _:
            return False

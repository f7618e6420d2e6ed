"""Reconciler: workers that take keys from a queue and run one function until it says done.

The function reads the facts and returns `Done` or `RequeueAfter`; it raises to say what went wrong, and the kind
of error decides what happens next: only the failed key waits, all others go on.

    BadInput, Denied   nothing: the key waits until somebody changes what it is about and adds it again
    NotReady           again after a fixed interval
    Transient, Corrupt again with backoff, not earlier than the other side asked for
    anything else      a bug in the program: logged with its traceback, again with backoff

This is the one place that catches every exception. Cancelling passes through.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Generic, TypeAlias

import structlog
from prometheus_client import Counter, Histogram

from fleet.errors import BadInput, Denied, FleetError, NotReady, Transient
from fleet.runtime import log as fields
from fleet.runtime.backoff import Backoff
from fleet.runtime.clock import Clock
from fleet.runtime.queue import K, QueueClosed, WorkQueue

log = structlog.get_logger(__name__)

_RUNS = Counter(
    "fleet_reconcile_total", "Runs of a reconciler by result.", ["reconciler", "result"]
)
_SECONDS = Histogram(
    "fleet_reconcile_seconds",
    "How long one run of a reconciler takes.",
    ["reconciler"],
    buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60),
)


@dataclass(frozen=True, slots=True)
class Done:
    """The facts agree with what is wanted, as far as this key goes."""


@dataclass(frozen=True, slots=True)
class RequeueAfter:
    """Look again later even if nothing happens."""

    seconds: float


Outcome: TypeAlias = Done | RequeueAfter


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When a failed key is tried again."""

    backoff: Backoff = field(default_factory=Backoff)
    not_ready: timedelta = timedelta(seconds=5)


class Reconciler(Generic[K]):
    """Runs ``reconcile`` for every key of the queue, with a fixed number of workers."""

    def __init__(
        self,
        name: str,
        reconcile: Callable[[K], Awaitable[Outcome]],
        queue: WorkQueue[K],
        *,
        workers: int,
        clock: Clock,
        retry: RetryPolicy | None = None,
        rng: Random | None = None,
    ) -> None:
        self.name = name
        self._reconcile = reconcile
        self._queue = queue
        self._workers = workers
        self._clock = clock
        self._retry = retry or RetryPolicy()
        self._rng = rng or Random()  # noqa: S311  # jitter, not a secret
        self._attempts: dict[K, int] = {}
        self._seconds = _SECONDS.labels(name)
        self._runs: dict[str, Counter] = {}

    async def run(self) -> None:
        """Work until the queue is closed; the runs under way are finished first."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._workers):
                group.create_task(self._work(), name=f"{self.name}-{number}")

    def stop(self) -> None:
        """Take no more keys."""
        self._queue.close()

    async def _work(self) -> None:
        while True:
            try:
                key = await self._queue.get()
            except QueueClosed:
                return
            try:
                await self.run_once(key)
            finally:
                self._queue.done(key)
            # a run that waited for nothing has let nobody else run, and there may be fifty thousand of these
            await asyncio.sleep(0)

    async def run_once(self, key: K) -> Outcome | None:
        """Run one key that a worker took: requeue it as the result says, record, never raise.

        None means that the key waits for somebody to add it.
        """
        started = self._clock.monotonic()
        with structlog.contextvars.bound_contextvars(
            **{fields.RECONCILER: self.name, fields.KEY: str(key)}
        ):
            error: Exception | None = None
            outcome: Outcome | None
            try:
                outcome = await self._reconcile(key)
            except Exception as caught:  # noqa: BLE001  # conventions: the runtime is where errors end
                error = caught
                outcome = self._after_error(key, caught)
            if error is None or outcome is None or isinstance(error, NotReady):
                self._attempts.pop(key, None)
            if isinstance(outcome, RequeueAfter):
                self._queue.add_after(key, outcome.seconds)
            self._record(outcome, error, self._clock.monotonic() - started)
        return outcome

    def _after_error(self, key: K, error: Exception) -> Outcome | None:
        if isinstance(error, (BadInput, Denied)):
            return None
        if isinstance(error, NotReady):
            return RequeueAfter(self._retry.not_ready.total_seconds())
        attempt = self._attempts[key] = self._attempts.get(key, 0) + 1
        delay = self._retry.backoff.delay(attempt, self._rng)
        if isinstance(error, Transient) and error.retry_after is not None:
            delay = max(delay, error.retry_after)
        return RequeueAfter(delay)

    def _record(self, outcome: Outcome | None, error: Exception | None, seconds: float) -> None:
        result = _result(error)
        if result not in self._runs:
            self._runs[result] = _RUNS.labels(self.name, result)
        self._runs[result].inc()
        self._seconds.observe(seconds)
        data: dict[str, object] = {fields.RESULT: result, fields.SECONDS: round(seconds, 4)}
        if isinstance(outcome, RequeueAfter):
            data[fields.NEXT] = round(outcome.seconds, 3)
        if error is None:
            log.debug("reconciled", **data)
        elif isinstance(error, FleetError):
            log.info("not reconciled", **{**data, fields.REASON: error.reason}, error=str(error))
        else:
            log.error("reconciler failed", **data, exc_info=error)


def _result(error: Exception | None) -> str:
    if error is None:
        return "done"
    return error.reason if isinstance(error, FleetError) else "bug"

"""Where the agent keeps what must survive: named records, and its identity.

Records are small texts by name (the position in the sequence of assignments, and inventories). A write is durable
when it returns. `Journal` puts a group commit over a backend: however many targets write at the same moment, the
backend sees one batch; so an inventory is written before each first apply without costing a request each.
Backends: `agents.filerecords` and `agents.kuberecords`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Protocol

import structlog
from prometheus_client import Counter

from agents import failpoints
from fleet.errors import FleetError
from fleet.runtime import log as fields
from fleet.runtime.backoff import Backoff
from fleet.runtime.clock import Clock

log = structlog.get_logger(__name__)

_BATCHES = Counter("fleet_agent_state_writes_total", "Batches written to the agent's state.")

Changes = Mapping[str, str | None]
"""Records to write by name; None removes one."""


class Records(Protocol):
    """A backend."""

    async def load(self) -> dict[str, str]:
        """Read all records."""
        ...

    async def write(self, changes: Changes) -> None:
        """Write a batch; durable when it returns. A batch may be seen in part after a crash."""
        ...

    async def load_identity(self) -> bytes | None:
        """Read the identity; None where there is none."""
        ...

    async def save_identity(self, data: bytes) -> None:
        """Keep the identity; durable when it returns."""
        ...


class Journal:
    """Collects writes while one is under way and writes them together."""

    def __init__(self, records: Records, clock: Clock, *, lazy_seconds: float = 0.2) -> None:
        self._records = records
        self._clock = clock
        self._lazy_seconds = lazy_seconds
        self._pending: dict[str, str | None] = {}
        self._writing: Changes = {}
        self._waiters: list[asyncio.Future[None]] = []
        self._news = asyncio.Event()
        self._urgent = asyncio.Event()
        self._closing = False
        self._idle = asyncio.Event()
        self._idle.set()

    async def write(self, changes: Changes) -> None:
        """Write and wait until it is durable; raises what the backend raised."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._urgent.set()
        self.later(changes)
        await waiter

    def later(self, changes: Changes) -> None:
        """Write soon; a failure is logged and tried again with the next batch."""
        self._pending.update(changes)
        self._idle.clear()
        self._news.set()

    def has_written(self, names: Iterable[str]) -> bool:
        """Whether nothing of these records waits to be written."""
        return not any(name in self._pending or name in self._writing for name in names)

    async def run(self) -> None:
        """Write batches until cancelled."""
        backoff, failures = Backoff(initial=0.5, maximum=20.0), 0
        while True:
            await self._news.wait()
            if not self._urgent.is_set():
                await self._linger()
            failures = 0 if await self._write_batch() else failures + 1
            if failures:
                await self._clock.sleep(backoff.ceiling(failures))

    async def flush(self) -> None:
        """Wait until nothing is left to write."""
        self._urgent.set()
        await self._idle.wait()

    async def _linger(self) -> None:
        timer = asyncio.ensure_future(self._clock.sleep(self._lazy_seconds))
        urgent = asyncio.ensure_future(self._urgent.wait())
        try:
            await asyncio.wait({timer, urgent}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            urgent.cancel()

    async def _write_batch(self) -> bool:
        batch, self._pending = self._pending, {}
        self._writing = batch
        waiters, self._waiters = self._waiters, []
        self._news.clear()
        self._urgent.clear()
        try:
            failpoints.reach("state.before-write")
            await self._records.write(batch)
            failpoints.reach("state.after-write")
        except FleetError as error:
            log.warning("state not written", **{fields.ERROR: str(error)})
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_exception(error)
            self._writing = {}
            # What was written meanwhile is newer.
            self._pending = {**batch, **self._pending}
            self._news.set()
            return False
        self._writing = {}
        _BATCHES.inc()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        if not self._pending:
            self._idle.set()
        return True

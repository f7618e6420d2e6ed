"""Interactive reads on their way: asked of one cluster, fetched by its agent, answered through here, never kept.

A person's handler opens an `Exchange`, the agent of its cluster finds it, and whatever the agent sends is handed over
part by part: the sender waits until the receiver has taken a part, so nothing piles up here. Either side may leave at
any time, and the other one is told. Nothing is durable: who asks again after a restart asks anew.

Only what the listener for agents says about the peer decides which exchanges an agent sees.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum, auto

import msgspec
from prometheus_client import Counter as Metric
from prometheus_client import Gauge

from fleet.errors import BadInput, FleetError, NotReady, Transient
from fleet.model.identity import ClusterName, TargetId
from fleet.runtime.clock import Clock
from fleet.wire import codec
from fleet.wire.requests import (
    MAX_ANSWER,
    MAX_READS,
    PULSE_SECONDS,
    Arguments,
    ReadKind,
    ReadRequest,
    seconds_for,
)

MAX_OPEN = 64
"""Reads of all clusters at a time."""

ANNOUNCE_SECONDS = 1.0
"""A read that is not fetched is announced again after so long: the answer to a poll may have got lost."""

FETCH_SECONDS = 5.0
"""For an agent to fetch a read."""

BEGIN_SECONDS = 60.0
"""For an agent to begin its answer after that."""

SILENCE_SECONDS = 3 * PULSE_SECONDS
"""An answer that is silent for longer has ended."""

GRACE_SECONDS = 5.0
"""For an agent to end by itself an answer that takes too long."""

STALL_SECONDS = 300.0
"""For a person to take the next part: a pager that is not scrolled holds a read no longer."""

_OPEN = Gauge("fleet_hub_reads_open", "Interactive reads under way.")
_READS = Metric("fleet_hub_reads_total", "Interactive reads.", ["kind", "result"])


class Phase(Enum):
    """How far a read has come."""

    WAITING = auto()
    """Not fetched yet."""
    FETCHED = auto()
    ANSWERING = auto()
    ENDED = auto()


class TooLong(BadInput):
    """The answer is larger than one may be."""

    reason = "TooLarge"


class HungUp(FleetError):
    """Nobody takes the answer any more."""

    reason = "Gone"


class Exchange:
    """One read and its answer on the way."""

    def __init__(self, request: ReadRequest, target: TargetId, clock: Clock) -> None:
        self.request = request
        self.target = target
        self.phase = Phase.WAITING
        self.announced: float | None = None
        """When the agent was last told that there is something to fetch."""
        self.error: FleetError | None = None
        """Why the answer is not complete."""
        self._clock = clock
        self._asked = self._moved = clock.monotonic()
        self._part: bytes | None = None
        self._size = 0
        self._is_left = False
        self._news = asyncio.Event()
        self._taken = asyncio.Event()
        self._scope: asyncio.Timeout | None = None

    # -- the agent's side ---------------------------------------------------------------------

    def fetched(self) -> ReadRequest:
        """Hand the request out; the agent is told how much time is left."""
        if self.phase is Phase.WAITING:
            self._enter(Phase.FETCHED)
        left = self.request.seconds - (self._clock.monotonic() - self._asked)
        return ReadRequest(
            id=self.request.id,
            kind=self.request.kind,
            target=self.request.target,
            seconds=max(1.0, left),
            arguments=self.request.arguments,
        )

    @contextmanager
    def answering(self, scope: asyncio.Timeout) -> Iterator[None]:
        """Take an answer while inside; the scope is ended when nobody wants it any more."""
        self._enter(Phase.ANSWERING)
        self._scope = scope
        try:
            yield
            self.finish()
        finally:
            self._scope = None
            self.fail(
                Transient("the agent broke off in the middle of its answer", hint="ask again")
            )

    async def send(self, part: bytes) -> None:
        """Hand a part over, and wait until it is taken; raises HungUp."""
        self._size += len(part)
        if self._size > MAX_ANSWER:
            self.fail(
                TooLong(
                    f"the answer is over {MAX_ANSWER // 2**20} MiB, and was cut",
                    hint="ask for less: --tail, --since, --pod",
                )
            )
        while self._part is not None and not self._is_over:
            self._taken.clear()
            await self._taken.wait()
        if self._is_over:
            raise HungUp("nobody takes the answer any more")
        self._moved = self._clock.monotonic()
        self._part = part
        self._news.set()

    def finish(self) -> None:
        """Say that the answer is complete."""
        if self.phase is not Phase.ENDED:
            self._enter(Phase.ENDED)

    def fail(self, error: FleetError) -> None:
        """End with an error; what has ended already stays as it is."""
        if self.phase is not Phase.ENDED:
            self.error = error
            self._enter(Phase.ENDED)
            self._end_sender()

    # -- the person's side --------------------------------------------------------------------

    async def receive(self, seconds: float) -> bytes | None:
        """Take the next part; nothing where none came in time, None after the end; raises what ended it early."""
        if self._part is None and self.phase is not Phase.ENDED:
            self._news.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._news.wait()
            except TimeoutError:
                return b""
        part, self._part = self._part, None
        self._taken.set()
        if part is not None:
            self._moved = self._clock.monotonic()
            return part
        if self.phase is not Phase.ENDED:
            return b""
        if self.error is not None:
            raise self.error
        return None

    def leave(self) -> None:
        """Stop receiving: the agent's answer is ended."""
        self._is_left = True
        self._part = None
        self._end_sender()

    def overdue(self) -> FleetError | None:
        """Return why the read has to end now, if it has to."""
        now = self._clock.monotonic()
        still = now - self._moved
        cluster = self.target.cluster
        if self.phase is Phase.ENDED:
            return None
        if now - self._asked > self.request.seconds + GRACE_SECONDS:
            return Transient(f"the read took longer than {self.request.seconds:g} s and was ended")
        if self.phase is Phase.WAITING and still > FETCH_SECONDS:
            return NotReady(
                f"the agent of cluster {cluster} did not take the request within {FETCH_SECONDS:g} s",
                hint="an agent that is older than this hub cannot be asked: update it",
            )
        if self.phase is Phase.FETCHED and still > BEGIN_SECONDS:
            return Transient(
                f"the agent of cluster {cluster} took the request and gave no answer within {BEGIN_SECONDS:g} s"
            )
        if self.phase is Phase.ANSWERING and self._part is None and still > SILENCE_SECONDS:
            return Transient(f"the agent of cluster {cluster} fell silent in its answer")
        return None

    @property
    def _is_over(self) -> bool:
        return self._is_left or self.phase is Phase.ENDED

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self._moved = self._clock.monotonic()
        self._news.set()

    def _end_sender(self) -> None:
        self._taken.set()
        if self._scope is not None and not self._scope.expired():
            self._scope.reschedule(asyncio.get_running_loop().time())


class Requests:
    """All reads under way."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: dict[str, Exchange] = {}
        self._wake: Callable[[ClusterName], None] = _nobody
        self._is_closed = False

    def listen(self, wake: Callable[[ClusterName], None]) -> None:
        """Have a function called with the cluster whose agent should be told of a read."""
        self._wake = wake

    # -- people -------------------------------------------------------------------------------

    @contextmanager
    def ask(self, target: TargetId, kind: ReadKind, arguments: Arguments) -> Iterator[Exchange]:
        """Ask something of a target's cluster while inside; raises Transient where too much is asked already."""
        self._admit(target.cluster)
        request = ReadRequest(
            id=secrets.token_urlsafe(24),
            kind=kind.value,
            target=target.app,
            seconds=seconds_for(arguments),
            arguments=msgspec.Raw(codec.encode(arguments)),
        )
        exchange = Exchange(request, target, self._clock)
        self._open[request.id] = exchange
        _OPEN.inc()
        self._wake(target.cluster)
        result = "failed"
        try:
            yield exchange
            result = "done"
        finally:
            exchange.leave()
            del self._open[request.id]
            _OPEN.dec()
            _READS.labels(kind.value, result).inc()

    def remind(self, exchange: Exchange) -> None:
        """Tell the agent again, where it did not fetch what it was told of a while ago."""
        if exchange.phase is not Phase.WAITING or exchange.announced is None:
            return
        if self._clock.monotonic() - exchange.announced >= ANNOUNCE_SECONDS:
            exchange.announced = None
            self._wake(exchange.target.cluster)

    def close(self) -> None:
        """End everything: the hub stops."""
        self._is_closed = True
        for exchange in list(self._open.values()):
            exchange.fail(Transient("the hub is stopping", hint="ask again in a moment"))

    def _admit(self, cluster: ClusterName) -> None:
        busy = Counter(exchange.target.cluster for exchange in self._open.values())
        if self._is_closed:
            raise Transient("the hub is stopping", hint="ask again in a moment")
        if busy[cluster] >= MAX_READS:
            raise Transient(
                f"{busy[cluster]} reads of cluster {cluster} are under way already",
                hint="end one that follows a log, or ask again in a moment",
            )
        if busy.total() >= MAX_OPEN:
            raise Transient(
                f"{busy.total()} reads are under way already", hint="ask again in a moment"
            )

    # -- agents -------------------------------------------------------------------------------

    def has_news(self, cluster: ClusterName) -> bool:
        """Whether a poll of this cluster has to return early."""
        return any(exchange.announced is None for exchange in self._waiting(cluster))

    def announce(self, cluster: ClusterName) -> int:
        """Return how many reads there are to fetch; the agent is being told."""
        waiting = list(self._waiting(cluster))
        for exchange in waiting:
            exchange.announced = self._clock.monotonic()
        return len(waiting)

    def fetch(self, cluster: ClusterName) -> tuple[ReadRequest, ...]:
        """Return what is asked of this cluster and not being answered: the same again, where an answer got lost."""
        return tuple(
            exchange.fetched()
            for exchange in self._open.values()
            if exchange.target.cluster == cluster
            and exchange.phase in (Phase.WAITING, Phase.FETCHED)
        )

    def answered(self, cluster: ClusterName, id_: str) -> Exchange | None:
        """Return the read that an agent has an answer to; None where it has none of that id, or not any more."""
        exchange = self._open.get(id_)
        if exchange is None or exchange.target.cluster != cluster:
            return None
        return exchange if exchange.phase in (Phase.WAITING, Phase.FETCHED) else None

    def forget(self, cluster: ClusterName) -> None:
        """End the reads of a cluster whose identity changed."""
        for exchange in list(self._open.values()):
            if exchange.target.cluster == cluster:
                exchange.fail(Transient(f"the agent of cluster {cluster} was replaced or revoked"))

    def _waiting(self, cluster: ClusterName) -> Iterator[Exchange]:
        for exchange in self._open.values():
            if exchange.target.cluster == cluster and exchange.phase is Phase.WAITING:
                yield exchange


def _nobody(_cluster: ClusterName) -> None:
    """Before the listener for agents is there."""

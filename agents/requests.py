"""What people ask of this cluster through the hub: fetched when the hub says so, answered a few at a time.

Answers are streamed as they come and never held whole: a reader that is not kept up with waits. Nothing of the engine
waits for any of this. What a kind of read does is in `agents.reads`; here is only how it comes and goes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing

import structlog
from prometheus_client import Counter

from agents.transport import Transport
from fleet.codec.redaction import one_line
from fleet.errors import FleetError, Transient
from fleet.runtime import log as fields
from fleet.runtime.clock import Clock
from fleet.runtime.queue import WorkQueue
from fleet.runtime.reconciler import Done, Reconciler
from fleet.wire import codec, errors, routes
from fleet.wire.requests import (
    MAX_READS,
    PULSE_SECONDS,
    End,
    Failure,
    Frame,
    ReadRequest,
    ReadRequests,
    encode_frame,
)

log = structlog.get_logger(__name__)

_READS = Counter("fleet_agent_reads_total", "Interactive reads.", ["result"])

_AT_HAND = 64 * 1024
"""Bytes of an answer that wait for the hub; its source waits with more."""
_GRACE = 5.0
"""For the hub to take the end of an answer whose time is over."""
_MOST = 4 * MAX_READS
"""Reads that wait here; a hub asks for no more than `MAX_READS`."""

Reader = Callable[[ReadRequest], AsyncGenerator[Frame, None]]


class Requests:
    """Answers what is asked of one agent."""

    def __init__(self, transport: Transport, reader: Reader, clock: Clock) -> None:
        self._transport = transport
        self._reader = reader
        self._clock = clock
        self._asked: dict[str, tuple[ReadRequest, float]] = {}
        self._news = asyncio.Event()
        self._queue: WorkQueue[str] = WorkQueue(clock, "reads")
        self._workers = Reconciler(
            "reads", self._reconcile, self._queue, workers=MAX_READS, clock=clock
        )

    def announced(self) -> None:
        """The hub has something to fetch."""
        self._news.set()

    async def run(self) -> None:
        """Fetch and answer, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._workers.run(), name="reads")
            group.create_task(self._fetch_forever(), name="read-requests")

    async def _fetch_forever(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                reply = await self._transport.get(routes.REQUESTS)
                found = codec.decode(reply.body, ReadRequests).requests
            except FleetError as error:
                # The hub announces again what was not fetched.
                log.info("reads not fetched", **{fields.ERROR: str(error)})
                continue
            for request in found:
                if request.id not in self._asked and len(self._asked) < _MOST:
                    self._asked[request.id] = request, self._clock.monotonic()
                    self._queue.add(request.id)

    async def _reconcile(self, id_: str) -> Done:
        asked = self._asked.get(id_)
        if asked is None:
            return Done()
        request, since = asked
        left = request.seconds - (self._clock.monotonic() - since)
        try:
            await self._answer(request, max(1.0, left))
            _READS.labels("done").inc()
        except FleetError as error:
            # Nobody is there any more to be told; a new read may do better.
            _READS.labels("failed").inc()
            log.info(
                "read not answered",
                kind=request.kind,
                **{fields.TARGET: request.target, fields.ERROR: str(error)},
            )
        finally:
            del self._asked[id_]
        return Done()

    async def _answer(self, request: ReadRequest, seconds: float) -> None:
        path = f"{routes.REQUESTS}/{request.id}"
        outbox = Outbox()
        source = asyncio.create_task(self._fill(outbox, request, seconds), name="read-source")
        try:
            await outbox.begun.wait()
            if outbox.refusal is not None:
                await self._refuse(path, outbox.refusal)
            elif not await self._transport.answer(path, outbox.parts(), seconds=seconds + _GRACE):
                log.debug("nobody waits for the answer", **{fields.TARGET: request.target})
        finally:
            source.cancel()
            await asyncio.wait({source})
        if not source.cancelled() and (bug := source.exception()) is not None:
            raise bug

    async def _refuse(self, path: str, error: FleetError) -> None:
        body = errors.error_body(error.reason, _text(error))
        await self._transport.refuse(path, errors.status_of(error), body)

    async def _fill(self, outbox: Outbox, request: ReadRequest, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds), aclosing(self._reader(request)) as frames:
                async for frame in frames:
                    await outbox.put(encode_frame(frame))
            outbox.finish()
        except TimeoutError:
            outbox.fail(Transient(f"the read took longer than {seconds:.0f} s and was ended"))
        except FleetError as error:
            outbox.fail(error)
        finally:
            outbox.fail(Transient("the agent failed at this, and its log says why"))


class Outbox:
    """An answer between its source and the connection to the hub: bounded, and alive while nothing comes."""

    def __init__(self, *, pulse: float = PULSE_SECONDS) -> None:
        self.begun = asyncio.Event()
        """Set when there is something to send, or a refusal."""
        self.refusal: FleetError | None = None
        """Why there is no answer at all."""
        self._pulse = pulse
        self._data = bytearray()
        self._is_complete = False
        self._news = asyncio.Event()
        self._room = asyncio.Event()

    async def put(self, line: bytes) -> None:
        """Add a line, and wait while there is too much already."""
        while len(self._data) >= _AT_HAND:
            self._room.clear()
            await self._room.wait()
        self._add(line)

    def finish(self) -> None:
        """Say that this was all."""
        self._is_complete = True
        self._add(encode_frame(End()))

    def fail(self, error: FleetError) -> None:
        """End with an error; what is complete stays so."""
        if self._is_complete:
            return
        self._is_complete = True
        if self.begun.is_set():
            self._add(encode_frame(Failure(reason=error.reason, message=_text(error))))
        else:
            self.refusal = error
            self.begun.set()

    async def parts(self) -> AsyncIterator[bytes]:
        """Give what there is as it comes; an empty line after a silence."""
        while True:
            if self._data:
                part = bytes(self._data)
                self._data.clear()
                self._room.set()
                yield part
            elif self._is_complete:
                return
            else:
                self._news.clear()
                try:
                    async with asyncio.timeout(self._pulse):
                        await self._news.wait()
                except TimeoutError:
                    yield b"\n"

    def _add(self, line: bytes) -> None:
        self._data += line
        self.begun.set()
        self._news.set()


def _text(error: FleetError) -> str:
    return one_line(str(error), 1000)

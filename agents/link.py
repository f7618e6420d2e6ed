"""The link to the hub, and the only code that talks to it: assignments in, reports out, identity kept fresh.

A head counts only when it is verified, newer than anything seen before, written down as such, and all of its
sections are at hand; then the engine gets it. Artifacts may follow. Nothing here touches the cluster, and nothing in
the cluster waits for the hub: with the hub gone the link keeps dialling, and everything else goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import timedelta
from random import Random

import structlog
from prometheus_client import Counter, Gauge

from agents import position as positions
from agents.assignment import Assignment
from agents.board import Board
from agents.cache import Cache
from agents.contents import Contents
from agents.core import POSITION
from agents.identity import Identity
from agents.records import Journal
from agents.renewal import Renewal
from agents.reporting import Reporting
from agents.transport import Transport
from fleet.codec.canonical import Digest
from fleet.errors import Corrupt, Denied, FleetError, Transient
from fleet.model.assignment import Head, SignedHead
from fleet.model.report import ClusterFacts, ReportAnswer
from fleet.pki.keys import VerifyKeys
from fleet.runtime import log as fields
from fleet.runtime.backoff import Backoff
from fleet.runtime.clock import Clock
from fleet.wire import codec, routes
from fleet.wire.errors import CONFLICT, Unauthenticated
from fleet.wire.heads import Position, head_digest, keys_after, verify_head

log = structlog.get_logger(__name__)

_CONNECTED = Gauge("fleet_agent_hub_connected", "1 while the hub answers.")
_REFUSED = Counter("fleet_agent_heads_refused_total", "Assignments that were refused.", ["reason"])
_REPORTS = Counter("fleet_agent_reports_total", "Reports sent.")

COALESCE = 0.1
_FETCH_AGAIN = Backoff(initial=2.0, maximum=20.0)
_FIRST_WAIT = 0.05
_SHORTEST_POLL = 2.0
_LONGEST_ASKED = 60.0
"""However long a hub asks to be left alone, it is asked again after so many seconds."""
_PATIENCE = 1.0
_TOO_SOON = 1.0
_BREATH = 0.1


class Link:
    """Keeps one agent's side of the link."""

    def __init__(
        self,
        transport: Transport,
        renewal: Renewal,
        *,
        journal: Journal,
        cache: Cache,
        board: Board,
        clock: Clock,
        accept: Callable[[Assignment], None],
        arrived: Callable[[Iterable[str]], None],
        applied: Callable[[], Iterable[str]],
        fence: Callable[[bool], None],
        requested: Callable[[], None],
        poll: timedelta,
        backoff: Backoff,
        coalesce: float = COALESCE,
    ) -> None:
        self.facts = ClusterFacts(uid=renewal.identity.cluster_uid)
        self._renewal = renewal
        self._transport = transport
        self._journal = journal
        self._cache = cache
        self._contents = Contents(transport, cache)
        self._board = board
        self._clock = clock
        self._accept = accept
        self._arrived = arrived
        self._applied = applied
        self._fence = fence
        self._requested = requested
        cache.lost = self.check_artifacts
        self._poll_seconds = min(poll.total_seconds(), routes.MAX_WAIT)
        self._backoff = backoff
        self._coalesce = coalesce
        self._rng = Random()  # noqa: S311  # jitter, not a secret
        self._position: Position | None = None
        self._assignment: Assignment | None = None
        self._etag = ""
        self._reporting = Reporting()
        self._news = asyncio.Event()
        self._incomplete = asyncio.Event()
        board.listen(self._status_changed)

    # -- what is known without the hub --------------------------------------------------------

    def restore(self, position: str | None) -> None:
        """Take up where the last process stopped: the position, and the assignment from the cache."""
        if position is not None:
            self._position = positions.decode(position, self.identity)
        signed = self._cache.load_head()
        if signed is None or self._position is None:
            return
        try:
            head = self._verified(signed)
            digests = [Digest(ref.digest) for ref in head.sections]
            digests += [Digest(head.rules)] if head.rules else []
            self._assignment = Assignment.of(head, self._contents.kept(digests))
        except FleetError as error:
            log.warning("kept assignment not used", **{fields.ERROR: str(error)})
            return
        self._etag = head_digest(signed)
        # The state may be a copy, and old: see first whether another process is at work with it.
        self._fence(True)
        self._accept(self._assignment)
        if self._missing_artifacts():
            self._incomplete.set()

    @property
    def identity(self) -> Identity:
        """Who this agent is."""
        return self._renewal.identity

    @property
    def assignment(self) -> Assignment | None:
        """What is worked on."""
        return self._assignment

    # -- loops --------------------------------------------------------------------------------

    async def run_polls(self) -> None:
        """Ask for assignments for ever; the first answer also says whether this process may work."""
        failures = 0
        wait: float | None = _FIRST_WAIT
        patience = asyncio.create_task(self._go_ahead_soon(), name="patience")
        while True:
            is_second, asked = False, 0.0
            try:
                await self.poll_once(wait)
                failures = 0
                _CONNECTED.set(1)
            except Unauthenticated as error:
                failures += 1
                _CONNECTED.set(0)
                log.warning("the hub does not accept the certificate", error=str(error))
                self._renewal.ask()
            except (Denied, Corrupt) as error:
                failures += 1
                _REFUSED.labels(error.reason).inc()
                log.error("assignment refused", **{fields.ERROR: str(error)})
            except FleetError as error:
                failures += 1
                _CONNECTED.set(0)
                is_second, asked = error.reason == CONFLICT, _asked_wait(error)
                log.info("hub not reached", **{fields.ERROR: str(error)})
            patience.cancel()
            if is_second or not failures or wait == _FIRST_WAIT:
                self._fence(is_second)
            wait = None
            if failures:
                await self._clock.sleep(asked + self._backoff.delay(failures, self._rng))

    async def _go_ahead_soon(self) -> None:
        """A hub that does not answer is not waited for."""
        await self._clock.sleep(_PATIENCE)
        self._fence(False)

    async def run_reports(self) -> None:
        """Report what changes, together with what changes shortly after it."""
        failures = 0
        while True:
            await self._news.wait()
            await self._clock.sleep(self._coalesce)
            self._news.clear()
            asked = 0.0
            try:
                failures = failures + 1 if await self._report() else 0
            except FleetError as error:
                failures += 1
                self._news.set()
                asked = _asked_wait(error)
                log.info("report not sent", **{fields.ERROR: str(error)})
            if failures:
                await self._clock.sleep(asked + self._backoff.delay(failures, self._rng))

    async def run_fetches(self) -> None:
        """Fetch artifacts that could not be had with their assignment, or that turned out to be damaged."""
        failures = 0
        while True:
            await self._incomplete.wait()
            self._incomplete.clear()
            try:
                failures = 0 if await self._fetch_artifacts() else failures
            except FleetError as error:
                log.info("artifacts not fetched", **{fields.ERROR: str(error)})
            if self._missing_artifacts():
                failures += 1
                self._incomplete.set()
                await self._clock.sleep(_FETCH_AGAIN.delay(failures, self._rng))

    def check_artifacts(self) -> None:
        """Somebody missed an artifact: have it fetched."""
        if self._missing_artifacts():
            self._incomplete.set()

    def facts_changed(self, facts: ClusterFacts) -> None:
        """The cluster shows something else than before."""
        if facts != self.facts:
            self.facts = facts
            self._news.set()

    # -- assignments --------------------------------------------------------------------------

    async def poll_once(self, wait: float | None = None) -> None:
        """Ask for the assignment and take over a new one; raises why it is refused."""
        hinted = max(_SHORTEST_POLL, float(self._renewal.hints.poll_seconds))
        seconds = min(self._poll_seconds, hinted) if wait is None else wait
        started = self._clock.monotonic()
        reply = await self._transport.get(routes.ASSIGNMENT, etag=self._etag, wait=seconds)
        if reply.requests:
            self._requested()
        if reply.status != 200:
            if reply.requests:
                # The next poll may wait a little, so that no hub makes us ask without pause.
                await self._clock.sleep(self._rng.uniform(0.0, _BREATH))
                return
            if seconds > _TOO_SOON > self._clock.monotonic() - started:
                # A hub that is stopping lets its polls go at once.
                await self._clock.sleep(self._rng.uniform(0.0, _TOO_SOON))
            return
        signed = codec.decode(reply.body, SignedHead)
        head = self._verified(signed)
        if self._assignment is not None and head == self._assignment.head:
            # Somebody between the hub and here does not heed the ETag.
            await self._clock.sleep(self._rng.uniform(0.0, _TOO_SOON))
            return
        assignment = await self._complete(head)
        artifacts = asyncio.create_task(self._prefetch(assignment), name="prefetch")
        try:
            await self._persist(head, signed)
        except BaseException:
            artifacts.cancel()
            raise
        await artifacts
        self._assignment, self._etag = assignment, reply.etag or head_digest(signed)
        self.check_artifacts()
        self._accept(assignment)
        self._news.set()
        # Artifacts that live objects came from are needed to heal while a newer one waits.
        applied = {Digest(digest) for digest in self._applied()}
        await self._cache.keep_only({*assignment.digests(), *applied})

    def _verified(self, signed: SignedHead) -> Head:
        me = self.identity
        return verify_head(
            signed,
            VerifyKeys.of(me.signing_keys),
            hub=me.hub,
            cluster=me.cluster,
            cluster_uid=me.cluster_uid,
            last=self._position,
        )

    async def _complete(self, head: Head) -> Assignment:
        """Fetch the sections that are not here yet; those of the assignment before need not even be read."""
        before = self._assignment.decoded if self._assignment else {}
        digests = [
            digest
            for ref in head.sections
            if (ref.target, digest := Digest(ref.digest)) not in before
            or not self._cache.has(digest)
        ]
        digests += [Digest(head.rules)] if head.rules else []
        return Assignment.of(head, await self._contents.get(digests), self._assignment)

    async def _persist(self, head: Head, signed: SignedHead) -> None:
        """Write down the position before anything is applied, and what the hub says about its keys."""
        position = (head.epoch, head.generation, head_digest(signed))
        if position != self._position:
            text = positions.encode(position, self.identity)
            await self._journal.write({POSITION: text})
            self._position = position
        keys = keys_after(head, VerifyKeys.of(self.identity.signing_keys)).texts()
        if set(keys) != set(self.identity.signing_keys):
            log.info("signing keys replaced", **{fields.COUNT: len(keys)})
            await self._renewal.trust(keys)
        await self._cache.save_head(signed)

    def _missing_artifacts(self) -> list[Digest]:
        return self._contents.missing(self._assignment)

    async def _prefetch(self, assignment: Assignment) -> None:
        """Get the artifacts of an assignment while its position is being written down."""
        try:
            await self._contents.fetch(self._contents.missing(assignment))
        except FleetError as error:
            log.info("artifacts not fetched", **{fields.ERROR: str(error)})

    async def _fetch_artifacts(self) -> bool:
        """Fetch what is missing; whether anything came."""
        found = await self._contents.fetch(self._missing_artifacts())
        if self._assignment is not None and found:
            self._arrived(
                name
                for name, section in self._assignment.sections.items()
                if section.artifact in found
            )
        return bool(found)

    # -- reports ------------------------------------------------------------------------------

    def _status_changed(self, target: str) -> None:
        self._reporting.changed(target)
        self._news.set()

    async def _report(self) -> bool:
        """Send a report where there is news; whether the hub wants one with everything next."""
        head = self._assignment.head if self._assignment else None
        report = self._reporting.next(self._board.statuses, self.facts, head)
        if report is None:
            return False
        reply = await self._transport.post(routes.REPORT, report)
        answer = codec.decode(reply.body, ReportAnswer)
        self._reporting.accepted(send_all=answer.send_all)
        _REPORTS.inc()
        if answer.send_all:
            self._news.set()
        return answer.send_all


def _asked_wait(error: FleetError) -> float:
    """Seconds that the hub asked to be left alone for."""
    asked = error.retry_after if isinstance(error, Transient) else None
    return min(asked or 0.0, _LONGEST_ASKED)

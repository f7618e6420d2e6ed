"""Keeps the agent's identity: the next certificate in good time, by proof when it is too late for that, and every
change of it stored before it is used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

import msgspec
import structlog
from prometheus_client import Gauge

from agents import enrolment
from agents import identity as identities
from agents.identity import Identity
from agents.records import Records
from agents.transport import Transport
from fleet.errors import Denied, FleetError
from fleet.runtime import log as fields
from fleet.runtime.backoff import Backoff
from fleet.runtime.clock import Clock
from fleet.wire.enrolment import AgentHints

log = structlog.get_logger(__name__)

_EXPIRES = Gauge("fleet_agent_certificate_seconds", "Seconds until the certificate expires.")
_STEP = 30.0
_EARLIEST, _LATEST = 0.1, 0.8
"""Fractions of a certificate's life between which it is renewed, whatever the hub would like."""


class Renewal:
    """The identity, and the task that keeps it good."""

    def __init__(
        self,
        transport: Transport,
        identity: Identity,
        *,
        fresh: Callable[[], Transport],
        records: Records,
        clock: Clock,
        backoff: Backoff,
    ) -> None:
        self.identity = identity
        self.hints = AgentHints()
        """What the hub would like of its agents; said with each certificate."""
        self._transport = transport
        self._fresh = fresh
        self._records = records
        self._clock = clock
        self._backoff = backoff
        self._rng = Random()  # noqa: S311  # jitter, not a secret
        self._now = asyncio.Event()
        self._saving = asyncio.Lock()

    def ask(self) -> None:
        """The hub does not take the certificate: renew at once, by proof."""
        self._now.set()

    async def trust(self, signing_keys: tuple[str, ...]) -> None:
        """Believe these keys from now on."""
        async with self._saving:
            await self._store(msgspec.structs.replace(self.identity, signing_keys=signing_keys))

    async def _save(self, identity: Identity) -> None:
        """Keep what a renewal made of the identity; the keys to believe may have changed since it began."""
        async with self._saving:
            keys = self.identity.signing_keys
            await self._store(msgspec.structs.replace(identity, signing_keys=keys))

    async def _store(self, identity: Identity) -> None:
        """Store a changed identity, then use it."""
        await self._records.save_identity(identities.encode(identity))
        self.identity = identity

    async def run(self) -> None:
        """Renew for ever."""
        failures = 0
        while True:
            await self._until_due()
            by_proof = self._now.is_set()
            self._now.clear()
            try:
                await self._renew(by_proof=by_proof)
                failures = 0
            except FleetError as error:
                failures += 1
                level = log.error if isinstance(error, Denied) else log.warning
                level("certificate not renewed", **{fields.ERROR: str(error)})
                await self._clock.sleep(self._backoff.delay(failures, self._rng))

    async def _until_due(self) -> None:
        fraction = min(max(self.hints.renew_after, _EARLIEST), _LATEST)
        due = self.identity.renew_at(self._rng, fraction=fraction)
        while not self._now.is_set():
            now = self._clock.now()
            if self.identity.not_after is not None:
                _EXPIRES.set((self.identity.not_after - now).total_seconds())
            left = (due - now).total_seconds()
            if left <= 0:
                return
            # In short steps, for wall time may jump.
            timer = asyncio.ensure_future(self._clock.sleep(min(left, _STEP)))
            asked = asyncio.ensure_future(self._now.wait())
            try:
                await asyncio.wait({timer, asked}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                timer.cancel()
                asked.cancel()

    async def _renew(self, *, by_proof: bool) -> None:
        by_proof = by_proof or self.identity.is_expired(self._clock.now())
        # The polls must not lose the certificate that they show while another is asked for without it.
        transport = self._fresh() if by_proof else self._transport
        try:
            renewed, self.hints = await enrolment.renew(
                transport, self.identity, save=self._save, by_proof=by_proof
            )
        finally:
            if by_proof:
                await transport.close()
        await self._transport.use(renewed)
        self._now.clear()

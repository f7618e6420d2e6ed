"""Who may be written again, and when: no fight with another writer, no hammering of what fails.

An object is applied at once for a new digest. Healing it again and again means that somebody else wants it
otherwise: each repetition waits longer than the one before (`fleet.sync.retry.heal_wait`), until it has been left
alone for a while. An object whose apply failed waits likewise before it is tried again, however many events come in.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fleet.errors import FleetError, NotReady, Transient
from fleet.kube.errors import UnknownKind
from fleet.model.identity import ObjectRef
from fleet.runtime.clock import Clock
from fleet.sync.retry import HEAL_COOLDOWN, heal_wait

_FIRST = 1.0
_LONGEST = 300.0
_QUIET = 60.0
_SOON = 0.5
_LONGEST_OUTAGE = 30.0
"""A cluster that answers again is to be as it should within a minute."""
_QUICK = 0.25
_QUICK_TRIES = 20
"""A kind whose CRD was just applied is served within seconds."""


@dataclass(slots=True)
class _Failures:
    digest: str
    count: int
    last: float
    due: float
    error: FleetError


@dataclass(slots=True)
class _Heals:
    digest: str
    count: int
    last: float
    due: float


class Pacer:
    """Remembers repeated work on the same object and digest."""

    def __init__(self, clock: Clock, *, not_ready: float = 2.0) -> None:
        self._clock = clock
        self._not_ready = not_ready
        self._failures: dict[ObjectRef, _Failures] = {}
        self._heals: dict[ObjectRef, _Heals] = {}

    def wait(self, ref: ObjectRef, digest: str) -> float:
        """Seconds until the object may be written again; 0 = now."""
        now = self._clock.monotonic()
        paces = (self._failures.get(ref), self._heals.get(ref))
        left = [pace.due - now for pace in paces if pace is not None and pace.digest == digest]
        return max((0.0, *left))

    def error(self, ref: ObjectRef) -> FleetError | None:
        """Why an object that has to wait could not be written; None where it is only healed too often."""
        failures = self._failures.get(ref)
        return failures.error if failures is not None else None

    def healed(self, ref: ObjectRef, digest: str) -> None:
        """Note that an object was put back."""
        now = self._clock.monotonic()
        known = self._heals.get(ref)
        count = 1
        if known is not None and known.digest == digest:
            is_old = now - known.last > HEAL_COOLDOWN.total_seconds()
            count = 1 if is_old else known.count + 1
        self._heals[ref] = _Heals(digest, count, now, now + heal_wait(count).total_seconds())

    def applied(self, ref: ObjectRef) -> None:
        """Note that an object was written: what failed before is over."""
        self._failures.pop(ref, None)

    def failed(self, ref: ObjectRef, digest: str, error: FleetError) -> None:
        """Note that an object could not be written."""
        now = self._clock.monotonic()
        count = self._count(ref, digest, now) + 1
        wait = self._wait_after(error, count)
        self._failures[ref] = _Failures(digest, count, now, now + wait, error)

    def clear(self, refs: Iterable[ObjectRef]) -> None:
        """Forget: somebody asked for a sync, or the objects are gone."""
        for ref in refs:
            self._failures.pop(ref, None)
            self._heals.pop(ref, None)

    def _count(self, ref: ObjectRef, digest: str, now: float) -> int:
        known = self._failures.get(ref)
        if known is None or known.digest != digest:
            return 0
        is_old = now - known.last > _QUIET + (known.due - known.last) * 2
        return 0 if is_old else known.count

    def _wait_after(self, error: FleetError, count: int) -> float:
        if isinstance(error, UnknownKind) and count <= _QUICK_TRIES:
            return _QUICK
        if isinstance(error, NotReady):
            return self._not_ready * 0.9
        if isinstance(error, Transient):
            asked = min(error.retry_after or 0.0, _LONGEST)
            return max(asked, _doubled(_SOON, count, _LONGEST_OUTAGE))
        return _doubled(_FIRST, count, _LONGEST)


def _doubled(first: float, count: int, longest: float) -> float:
    return min(longest, first * 2.0 ** min(count - 1, 12))

"""Who may be written again, and when: no fight with another writer, no hammering of what fails.

An object is applied at once for a new digest. Healing it again and again means that somebody else wants it
otherwise: each repetition waits twice as long as the one before, until it has been left alone for a while. An object
whose apply failed waits likewise before it is tried again, however many events come in.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fleet.errors import FleetError, NotReady, Transient
from fleet.kube.errors import UnknownKind
from fleet.model.identity import ObjectRef
from fleet.runtime.clock import Clock

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
class _Pace:
    digest: str
    count: int
    last: float
    due: float
    error: FleetError | None = None


class Pacer:
    """Remembers repeated work on the same object and digest."""

    def __init__(self, clock: Clock, *, not_ready: float = 2.0) -> None:
        self._clock = clock
        self._not_ready = not_ready
        self._paces: dict[ObjectRef, _Pace] = {}

    def wait(self, ref: ObjectRef, digest: str) -> float:
        """Seconds until the object may be written again; 0 = now."""
        pace = self._paces.get(ref)
        if pace is None or pace.digest != digest:
            return 0.0
        return max(0.0, pace.due - self._clock.monotonic())

    def error(self, ref: ObjectRef) -> FleetError | None:
        """Why an object that has to wait could not be written; None where it is only healed too often."""
        pace = self._paces.get(ref)
        return pace.error if pace is not None else None

    def healed(self, ref: ObjectRef, digest: str) -> None:
        """Note that an object was put back; the first time costs no waiting next time."""
        self._note(ref, digest, shortest=0.0)

    def failed(self, ref: ObjectRef, digest: str, error: FleetError) -> None:
        """Note that an object could not be written."""
        if isinstance(error, UnknownKind) and self._count(ref, digest) < _QUICK_TRIES:
            self._note(ref, digest, exactly=_QUICK)
        elif isinstance(error, NotReady):
            self._note(ref, digest, exactly=self._not_ready * 0.9)
        elif isinstance(error, Transient):
            self._note(ref, digest, shortest=_SOON, longest=_LONGEST_OUTAGE)
            asked = min(error.retry_after or 0.0, _LONGEST)
            pace = self._paces[ref]
            pace.due = max(pace.due, pace.last + asked)
        else:
            self._note(ref, digest, shortest=_FIRST)
        self._paces[ref].error = error

    def clear(self, refs: Iterable[ObjectRef]) -> None:
        """Forget: somebody asked for a sync, or the objects are gone."""
        for ref in refs:
            self._paces.pop(ref, None)

    def _count(self, ref: ObjectRef, digest: str) -> int:
        pace = self._paces.get(ref)
        return pace.count if pace is not None and pace.digest == digest else 0

    def _note(
        self,
        ref: ObjectRef,
        digest: str,
        *,
        shortest: float = 0.0,
        longest: float = _LONGEST,
        exactly: float | None = None,
    ) -> None:
        """Count one more time; with ``shortest`` 0 the first one costs nothing, and then it starts as usual."""
        now = self._clock.monotonic()
        pace = self._paces.get(ref)
        if (
            pace is None
            or pace.digest != digest
            or now - pace.last > _QUIET + (pace.due - pace.last) * 2
        ):
            pace = self._paces[ref] = _Pace(digest, 0, now, now)
        pace.count += 1
        delay = exactly
        if delay is None:
            repeated = pace.count if shortest else pace.count - 1
            first = shortest or _FIRST
            delay = min(longest, first * 2.0 ** min(repeated - 1, 12)) if repeated > 0 else 0.0
        pace.last, pace.due, pace.error = now, now + delay, None

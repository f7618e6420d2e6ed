"""Doubts: objects that may still appear, because their creation was asked for and no answer came.

A request that nobody waits for any more may lie in a proxy or before a slow webhook and be carried out later, also
after somebody looked and found nothing. So what "is not there" is not forgotten while such a request may be under way:
it stays in the inventory, its kind is watched, and when it appears it is cleared away like everything else on record.
"""

from __future__ import annotations

from collections.abc import Iterable

from fleet.errors import FleetError, Transient
from fleet.kube.errors import RetiredVersion, TooManyRequests
from fleet.model.identity import ObjectRef
from fleet.runtime.clock import Clock

LONGEST = 120.0
"""Seconds after which nothing comes of a request any more: an API server ends each after one minute."""


class Doubts:
    """Until when objects may still appear."""

    def __init__(self, clock: Clock, inherited: Iterable[ObjectRef] = ()) -> None:
        """``inherited``: what an earlier process was about to create when it ended."""
        self._clock = clock
        self._inherited = set(inherited)
        self._until = dict.fromkeys(self._inherited, clock.monotonic() + LONGEST)

    def take_in(self, ref: ObjectRef, error: FleetError) -> None:
        """Note why a request that creates an object failed.

        Without an answer it counts, whatever a later one is answered. An answer is one to what an earlier process asked,
        too: it asked for the same.
        """
        if not is_doubtful(error):
            self.seen(ref)
            return
        now = self._clock.monotonic()
        self._until = {item: until for item, until in self._until.items() if until > now}
        self._inherited &= self._until.keys()
        self._inherited.discard(ref)
        self._until[ref] = now + LONGEST

    def seen(self, ref: ObjectRef) -> None:
        """Note that an object is there: what an earlier process asked for has come to be."""
        if ref in self._inherited:
            self._inherited.discard(ref)
            del self._until[ref]

    def left(self, ref: ObjectRef) -> float:
        """Seconds for which an object that is not there may still appear; 0: it will not."""
        until = self._until.get(ref)
        return 0.0 if until is None else max(0.0, until - self._clock.monotonic())


def is_doubtful(error: FleetError) -> bool:
    """Whether a request that failed like this may have been carried out, or may be yet."""
    return isinstance(error, Transient) and not isinstance(error, TooManyRequests | RetiredVersion)

"""What the next report says: the parts that the hub has not acknowledged, and the digest of the whole. Pure.

A report that was not acknowledged is simply made again from how things are then: whether it arrived or not, the
digest of the whole tells. One that the hub cannot place is answered by "send all", and the next one is complete.
"""

from __future__ import annotations

from collections.abc import Mapping

from fleet.model.assignment import Head
from fleet.model.report import ClusterFacts, Report, TargetStatus
from fleet.wire.reports import digest_of_digests, status_digest


class Reporting:
    """Follows what the hub knows."""

    def __init__(self) -> None:
        self._sequence = 0
        self._digests: dict[str, str] = {}
        self._stale: set[str] = set()
        self._known: dict[str, str] = {}
        self._told: tuple[ClusterFacts, int, int] | None = None
        self._sent: tuple[dict[str, str], tuple[ClusterFacts, int, int]] | None = None
        self._complete = True

    def changed(self, target: str) -> None:
        """A target's status changed, came or went."""
        self._stale.add(target)

    def next(
        self, statuses: Mapping[str, TargetStatus], facts: ClusterFacts, head: Head | None
    ) -> Report | None:
        """Make the report to send now; None where the hub knows everything."""
        self._digest(statuses)
        told = (facts, head.epoch if head else 0, head.generation if head else 0)
        changed = sorted(
            name for name, digest in self._digests.items() if self._known.get(name) != digest
        )
        removed = sorted(self._known.keys() - self._digests.keys())
        if not (self._complete or changed or removed or told != self._told):
            return None
        self._sequence += 1
        self._sent = (dict(self._digests), told)
        names = sorted(self._digests) if self._complete else changed
        return Report(
            sequence=self._sequence,
            epoch=told[1],
            generation=told[2],
            facts=facts,
            changed=tuple(statuses[name] for name in names),
            removed=() if self._complete else tuple(removed),
            complete=self._complete,
            digest=digest_of_digests(self._digests),
        )

    def accepted(self, *, send_all: bool) -> None:
        """The hub answered the last report."""
        assert self._sent is not None, "there was one"
        self._complete = send_all
        if not send_all:
            self._known, self._told = self._sent

    def _digest(self, statuses: Mapping[str, TargetStatus]) -> None:
        for name in self._stale:
            status = statuses.get(name)
            if status is None:
                self._digests.pop(name, None)
            else:
                self._digests[name] = status_digest(status)
        self._stale.clear()

"""Reports: changed parts in, the whole status out.

The hub keeps one `Whole` per cluster and applies each report to it. Where the digest of the result is not the
one the agent computed, something was missed, and the answer is "send all". An agent that is one version ahead may
report fields this side does not know; then its digests can never match, which shows on its first complete report:
from there on the sequence numbers alone tell whether something was missed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fleet.codec.canonical import Digest
from fleet.model.report import Report, TargetStatus
from fleet.wire import codec


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """Everything a cluster has reported."""

    statuses: Mapping[str, TargetStatus] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    """Of each status; kept so that a report costs what it changes."""
    sequence: int = 0
    comparable: bool = True
    """Whether both sides compute the same digests."""

    def digest(self) -> Digest:
        """Name the whole."""
        return _digest_pairs(self.digests)


@dataclass(frozen=True, slots=True)
class SendAll:
    """The report cannot be understood from what is known; the agent has to send everything."""

    why: str


def status_digest(status: TargetStatus) -> str:
    """Name one status: 64 hex digits."""
    return hashlib.sha256(codec.encode(status)).hexdigest()


def whole_digest(statuses: Iterable[TargetStatus]) -> Digest:
    """Name a whole status, in whatever order it is given: what `Report.digest` says."""
    return _digest_pairs({status.target: status_digest(status) for status in statuses})


def digest_of_digests(digests: Mapping[str, str]) -> Digest:
    """Name a whole status whose parts have their `status_digest` already (target to digest)."""
    return _digest_pairs(digests)


def apply_report(known: Whole | None, report: Report) -> Whole | SendAll:
    """Bring what is known up to date, or ask for everything."""
    if report.complete:
        return _replace(report)
    if known is None:
        return SendAll("nothing is known about this cluster yet")
    whole = _merge(known, report)
    if known.comparable:
        if whole.digest() == report.digest:
            return whole
        return SendAll("the digest of the whole status differs")
    if report.sequence in (known.sequence, known.sequence + 1):
        return whole
    return SendAll(f"report {report.sequence} came after {known.sequence}")


def _replace(report: Report) -> Whole:
    statuses = {status.target: status for status in report.changed}
    digests = {name: status_digest(status) for name, status in statuses.items()}
    return Whole(
        statuses=statuses,
        digests=digests,
        sequence=report.sequence,
        comparable=_digest_pairs(digests) == report.digest,
    )


def _merge(known: Whole, report: Report) -> Whole:
    statuses, digests = dict(known.statuses), dict(known.digests)
    for name in report.removed:
        statuses.pop(name, None)
        digests.pop(name, None)
    for status in report.changed:
        statuses[status.target] = status
        digests[status.target] = status_digest(status)
    return Whole(
        statuses=statuses,
        digests=digests,
        sequence=report.sequence,
        comparable=known.comparable,
    )


def _digest_pairs(digests: Mapping[str, str]) -> Digest:
    whole = hashlib.sha256()
    for name in sorted(digests):
        whole.update(f"{name}\0{digests[name]}\n".encode())
    return Digest(f"sha256:{whole.hexdigest()}")

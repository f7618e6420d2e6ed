"""The shrink budget: how much may vanish in one step before a person has to say yes (design decision 8).

A result that removes all (and at least two) of a set, or more than max(3, 20 %), is held. The size it is
counted against is the largest accepted one of the last 24 hours, so that a slow drip adds up; an approval
resets that baseline. Pure arithmetic over names and counts; who keeps the baseline and the approvals is
`hub.judgement`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import datetime, timedelta

WINDOW = timedelta(hours=24)
SHARE = 0.20
MINIMUM = 3


@dataclass(frozen=True, slots=True)
class Size:
    """An accepted size and when it was accepted."""

    at: datetime
    count: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a result may be used; ``removed`` are the names that it would take away, sorted."""

    held: bool
    removed: tuple[str, ...] = ()
    message: str = ""


ACCEPTED = Verdict(held=False)


def baseline(sizes: Iterable[Size], now: datetime) -> int:
    """Largest accepted size of the window; 0 when there is none."""
    return max((size.count for size in sizes if now - size.at <= WINDOW), default=0)


def remember(sizes: Iterable[Size], count: int, now: datetime) -> tuple[Size, ...]:
    """Add an accepted size and forget those that can no longer be the baseline."""
    recent = [size for size in sizes if now - size.at <= WINDOW and size.count > count]
    return (*recent, Size(now, count))


def without(sizes: tuple[Size, ...], count: int) -> tuple[Size, ...]:
    """Take out of the accepted sizes what went without being a removal, so that it is no drip either."""
    return tuple(Size(size.at, max(0, size.count - count)) for size in sizes) if count else sizes


def limit(size: int, *, allowed: int | None = None) -> int:
    """How many of ``size`` may vanish unasked; ``allowed`` is a user's own max-removals."""
    return max(MINIMUM, int(size * SHARE)) if allowed is None else allowed


def judge(
    previous: Set[str],
    new: Set[str],
    *,
    largest: int,
    what: str,
    allowed: int | None = None,
) -> Verdict:
    """Judge a set of names against what it was; ``largest`` is the baseline, ``what`` names it in the message."""
    removed = tuple(sorted(previous - new))
    if not removed:
        return ACCEPTED
    size = max(largest, len(previous))
    gone = max(len(removed), size - len(new))
    everything = not (previous & new) and len(previous) >= 2
    budget = limit(size, allowed=allowed)
    if not everything and gone <= budget:
        return Verdict(held=False, removed=removed)
    share = "all" if everything else f"{len(removed)}"
    earlier = f"with earlier ones {gone} of {size}, " if gone > len(removed) else ""
    return Verdict(
        held=True,
        removed=removed,
        message=f"{what} would remove {share} of {len(previous)} ({earlier}unasked at most {budget}); "
        f"held until it is approved",
    )


def judge_objects(
    previous: Mapping[str, int], new: Mapping[str, int], *, allow_empty: bool, what: str
) -> Verdict:
    """Judge a target's objects, counted by kind: only what a kind loses on balance counts as removed."""
    before = sum(previous.values())
    if allow_empty or before == 0:
        return ACCEPTED
    lost = {
        kind: count - new.get(kind, 0)
        for kind, count in previous.items()
        if count > new.get(kind, 0)
    }
    gone = sum(lost.values())
    if not gone:
        return ACCEPTED
    everything = not any(new.values()) or (gone == before and before >= 2)
    budget = limit(before)
    removed = tuple(f"{kind} x{count}" for kind, count in sorted(lost.items()))
    if not everything and gone <= budget:
        return Verdict(held=False, removed=removed)
    share = "all" if everything else f"{gone}"
    return Verdict(
        held=True,
        removed=removed,
        message=f"{what} would remove {share} of {before} objects ({', '.join(removed)}); "
        f"held until it is approved",
    )

"""What is known of the targets of a rollout when it is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from fleet.model.identity import TargetId


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetFacts:
    """One target as it is now."""

    step: int
    candidate: str = ""
    """The artifact that git wants; empty: not rendered, or that failed."""
    is_current: bool = True
    """Whether that is the last word: nothing is being rendered that may say something else."""
    assigned: str = ""
    is_applied: bool = False
    """Whether the agent would apply it unasked, or has: an artifact of a manual Application may be assigned only."""
    is_good: bool = False
    """Reported as Synced and Healthy at what is assigned."""
    is_held_back: bool = False
    """The agent has it and waits for a dependency on its cluster."""
    is_judged: bool = True
    """Whether the next two were found out; nothing is let go before they are."""
    blocked: str = ""
    """Why it could not move if it were let go: a dependency, a budget, what is not supported."""
    needs: frozenset[TargetId] = frozenset()
    """Its dependencies."""
    lacks: frozenset[TargetId] = frozenset()
    """Those of them that are not satisfied."""
    is_pinned: bool = False
    """A person brought it back to an earlier artifact: it takes no part until that ends."""
    is_online: bool = True
    offline_at: datetime | None = None
    """When its cluster will count as offline, should nothing be heard of it."""
    kinds: Mapping[str, int] = field(default_factory=dict)
    """Objects by kind of what is assigned."""

    @property
    def is_known(self) -> bool:
        """Whether it is certain what git wants."""
        return self.is_current and bool(self.candidate)


Facts = Mapping[TargetId, TargetFacts]
"""Of every target that a step selects."""

"""Facts: the claims of the demo, each with what was read from the clusters; one that is wrong fails the demo."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Fact:
    """A claim and what was found."""

    claim: str
    is_true: bool
    found: str


@dataclass(slots=True)
class Facts:
    """All facts so far."""

    items: list[Fact] = field(default_factory=list)

    def check(self, claim: str, *, is_true: bool, found: str = "") -> bool:
        """Note a claim with what was found."""
        self.items.append(Fact(claim, is_true, found))
        return is_true

    @property
    def are_true(self) -> bool:
        """Whether every claim held, and there was at least one."""
        return bool(self.items) and all(fact.is_true for fact in self.items)

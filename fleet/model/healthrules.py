"""Health rules: how the users of a fleet want objects of some kinds to be rated.

They come from a ConfigMap (`fleet.health.customrules`), go to the agents as they are, and stand above everything that is
built in. Wire types (msgspec).
"""

from __future__ import annotations

from enum import StrEnum
from fnmatch import fnmatchcase

import msgspec


class Language(StrEnum):
    """What a rule is written in."""

    LUA = "lua"
    CEL = "cel"


class HealthRule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule; group and kind may be globs."""

    group: str
    kind: str
    language: Language
    text: str
    source: str
    """The key that it stands under, for messages."""

    @property
    def is_exact(self) -> bool:
        """Whether it is about one kind only."""
        return "*" not in self.group and "*" not in self.kind

    def fits(self, group: str, kind: str) -> bool:
        """Whether it is about a kind."""
        if self.is_exact:
            return (group, kind) == (self.group, self.kind)
        return fnmatchcase(group, self.group) and fnmatchcase(kind, self.kind)


class HealthRules(msgspec.Struct, frozen=True, kw_only=True):
    """All rules of a fleet."""

    rules: tuple[HealthRule, ...] = ()

    def find(self, group: str, kind: str) -> HealthRule | None:
        """Return the most specific rule for a kind: one without globs, then the one with the longest text."""
        found = [rule for rule in self.rules if rule.fits(group, kind)]
        return max(found, key=_specificity, default=None)


def _specificity(rule: HealthRule) -> tuple[bool, int, str]:
    return rule.is_exact, len(rule.group) + len(rule.kind), rule.source

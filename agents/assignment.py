"""The assignment this agent works on: its head, and the sections it names, decoded. Changed only as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

import msgspec

from fleet.codec.canonical import Digest
from fleet.errors import Corrupt
from fleet.model.assignment import ClusterRules, Head, Operation, Section
from fleet.wire.rules import NO_RULES, decode_rules
from fleet.wire.sections import decode_section


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """A verified head with all of its sections."""

    head: Head
    sections: Mapping[str, Section] = field(default_factory=dict)
    """By target, with the rules of the cluster in them."""
    rules: ClusterRules = NO_RULES
    own: Mapping[str, Section] = field(default_factory=dict)
    """As the hub wrote them."""

    @classmethod
    def of(
        cls, head: Head, blobs: Mapping[Digest, bytes], before: Assignment | None = None
    ) -> Assignment:
        """Decode the sections a head names out of their bytes; raises Corrupt where one is missing or wrong.

        Those that ``before`` has already, under the same names, are taken from there.
        """
        known = before.decoded if before is not None else {}
        sections = {}
        for ref in head.sections:
            digest = Digest(ref.digest)
            if (ref.target, digest) in known:
                sections[ref.target] = known[ref.target, digest]
                continue
            if digest not in blobs:
                raise Corrupt(f"section {ref.target} of the assignment is missing")
            sections[ref.target] = decode_section(blobs[digest], digest, target=ref.target)
        rules = _rules(head, blobs, before)
        return cls(head=head, sections=_ruled(sections, rules), rules=rules, own=sections)

    @cached_property
    def decoded(self) -> Mapping[tuple[str, Digest], Section]:
        """Its sections, as the hub wrote them, by target and digest."""
        own = self.own or self.sections
        return {(ref.target, Digest(ref.digest)): own[ref.target] for ref in self.head.sections}

    @cached_property
    def dependents(self) -> Mapping[str, tuple[str, ...]]:
        """Targets by the target that they wait for."""
        found: dict[str, set[str]] = {}
        for name, section in self.sections.items():
            for edge in section.depends_on:
                for target in edge.targets:
                    found.setdefault(target, set()).add(name)
        return {target: tuple(sorted(names)) for target, names in found.items()}

    def digests(self) -> Iterator[Digest]:
        """Everything that has to be at hand to work on it."""
        for ref in self.head.sections:
            yield Digest(ref.digest)
        if self.head.rules:
            yield Digest(self.head.rules)
        yield from self.artifacts()

    def artifacts(self) -> Iterator[Digest]:
        """The artifacts it names."""
        for section in self.sections.values():
            if section.artifact:
                yield Digest(section.artifact)

    def operations_for(self, target: str) -> tuple[Operation, ...]:
        """What is asked of a target, in the head's order."""
        return tuple(item for item in self.head.operations if item.target == target)

    def changed_since(self, before: Assignment | None) -> set[str]:
        """Targets that have to be looked at because this assignment replaces that one."""
        if before is None:
            return set(self.sections)
        names = {
            name
            for name in self.sections.keys() | before.sections.keys()
            if self.sections.get(name) != before.sections.get(name)
        }
        # One that is asked for no more makes way for the next, and for the report of the sync behind it.
        asked = {(item.target, item.id) for item in self.head.operations}
        names |= {
            target
            for target, _ in asked ^ {(item.target, item.id) for item in before.head.operations}
        }
        if self.head.detached != before.head.detached or self.rules != before.rules:
            names |= self.sections.keys()
        return names


def _ruled(sections: Mapping[str, Section], rules: ClusterRules) -> Mapping[str, Section]:
    """Put what is never compared on this cluster behind what each application says itself."""
    if not rules.ignore:
        return sections
    return {
        name: msgspec.structs.replace(section, ignore=(*section.ignore, *rules.ignore))
        for name, section in sections.items()
    }


def _rules(head: Head, blobs: Mapping[Digest, bytes], before: Assignment | None) -> ClusterRules:
    if not head.rules:
        return NO_RULES
    if before is not None and before.head.rules == head.rules:
        return before.rules
    digest = Digest(head.rules)
    if digest not in blobs:
        raise Corrupt("the rules of the assignment are missing")
    return decode_rules(blobs[digest], digest)


def is_overdue(operation: Operation, now: datetime) -> bool:
    """Whether an operation may not be started any more; one whose time cannot be read may."""
    try:
        return bool(operation.not_after) and datetime.fromisoformat(operation.not_after) < now
    except (ValueError, TypeError):
        return False

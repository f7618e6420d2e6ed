"""The rules of a cluster: what all of its sections have in common, fetched once and taken over as a whole."""

from __future__ import annotations

import pytest

from agents.assignment import Assignment
from fleet.codec.canonical import Digest
from fleet.errors import Corrupt
from fleet.model.assignment import (
    ClusterRules,
    Head,
    IgnoreRule,
    ProjectRules,
    Section,
    SectionRef,
)
from fleet.wire.rules import encode_rules
from fleet.wire.sections import encode_section, section_digest

OWN = IgnoreRule(kind="Service", json_pointers=("/spec/ports",))
COMMON = IgnoreRule(group="apps", kind="Deployment", json_pointers=("/spec/replicas",))
SECTION = Section(target="web", project=ProjectRules(name="default"), ignore=(OWN,))


def head(rules: str) -> Head:
    return Head(
        hub="hub",
        cluster="east",
        cluster_uid="uid",
        epoch=1,
        generation=1,
        sections=(SectionRef(target="web", digest=section_digest(SECTION)),),
        rules=rules,
    )


SECTIONS = {section_digest(SECTION): encode_section(SECTION)}


def test_what_is_never_compared_stands_behind_an_applications_own_rules() -> None:
    digest, data = encode_rules(ClusterRules(ignore=(COMMON,)))
    first = Assignment.of(head(digest), {**SECTIONS, Digest(digest): data})
    assert first.sections["web"].ignore == (OWN, COMMON)
    assert Digest(digest) in set(first.digests())
    # the section is not fetched again, and loses nothing of the hub's words by it
    without = Assignment.of(head(""), {}, first)
    assert without.sections["web"].ignore == (OWN,)
    assert without.changed_since(first) == {"web"}
    again = Assignment.of(head(digest), {Digest(digest): data}, without)
    assert again.sections == first.sections
    same = Assignment.of(head(digest), {}, again)
    assert same.changed_since(again) == set()


@pytest.mark.parametrize("blobs", [{}, {"x": b"{}"}], ids=["missing", "other-bytes"])
def test_rules_that_are_missing_or_wrong_are_refused(blobs: dict[str, bytes]) -> None:
    digest, _ = encode_rules(ClusterRules(ignore=(COMMON,)))
    given = {Digest(digest): data for data in blobs.values()}
    with pytest.raises(Corrupt, match=r"rules|digest"):
        Assignment.of(head(digest), {**SECTIONS, **given})

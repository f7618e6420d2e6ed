"""From targetRevision to a commit, by refs."""

from __future__ import annotations

import pytest

from fleet.errors import BadInput
from fleet.git import revisions

A, B, C, D, E, F = (letter * 40 for letter in "abcdef")
REFS = {
    "refs/fleet/head": A,
    "refs/heads/main": A,
    "refs/heads/feature/x": B,
    "refs/heads/both": B,
    "refs/heads/1.2": B,
    "refs/heads/deadbee": B,
    "refs/tags/both": C,
    "refs/tags/1.2": C,
    "refs/tags/v1.2.9": D,
    "refs/tags/v1.2.10": E,
    "refs/tags/v1.3.0-rc1": F,
    "refs/tags/release": F,
}

FOUND = [
    ("", A),
    ("HEAD", A),
    ("main", A),
    ("feature/x", B),
    ("both", B),
    ("refs/tags/both", C),
    ("refs/heads/both", B),
    ("release", F),
    ("v1.2.9", D),
    ("1.2", B),
    ("1.2.*", E),
    ("~1.2.0", E),
    (">=1.2.0-0 <2", F),
    ("*", E),
    ("deadbee", B),
]


@pytest.mark.parametrize(("revision", "commit"), FOUND, ids=[repr(row[0]) for row in FOUND])
def test_a_revision_is_found_in_argos_order(revision: str, commit: str) -> None:
    assert revisions.find(revision, REFS) == revisions.Commit(commit)


@pytest.mark.parametrize("revision", ["1" * 40, "2" * 64, "abc1234", "abcdef0123"])
def test_a_commit_id_is_left_to_the_mirror(revision: str) -> None:
    assert revisions.find(revision, REFS) == revisions.Commit(revision, checked=False)


@pytest.mark.parametrize(
    "revision",
    [
        "gone",
        "mai",
        "heads/main",
        "refs/heads/gone",
        "9.x",
        "9.*",
        "^7 || >8",
        "refs/fleet/other",
        "abc12",
    ],
)
def test_an_unknown_revision_says_so(revision: str) -> None:
    with pytest.raises(BadInput, match="revision unknown"):
        revisions.find(revision, REFS)


@pytest.mark.parametrize("revision", [None, "main", "1.2.x"])
def test_an_empty_repository_has_no_revision(revision: str | None) -> None:
    with pytest.raises(BadInput, match="revision unknown"):
        revisions.find(revision or "", {})


@pytest.mark.parametrize(
    "revision",
    [
        "../../../../etc/passwd",
        "HEAD^{/x}",
        "HEAD~1",
        "main^",
        "@{-1}",
        "@",
        "main@{1}",
        ":/text",
        "main:file",
        "--output=x",
        "-main",
        "a..b",
        "a b",
        "a\nb",
        "a\\b",
        "/main",
        "main/",
        "a//b",
        "x.lock",
        "a/.b",
        "[a]",
        "x" * 251,
    ],
)
def test_what_git_would_interpret_is_refused(revision: str) -> None:
    with pytest.raises(BadInput, match="is not a branch"):
        revisions.find(revision, REFS)


def test_refs_are_read_with_tags_peeled() -> None:
    text = "\n".join(
        (
            f"refs/heads/main {A} commit  ",
            f"refs/tags/light {B} commit  ",
            f"refs/tags/heavy {C} tag {D} commit",
            f"refs/tags/of-tag {C} tag {E} tag",
            f"refs/tags/of-file {C} tag {E} blob",
            f"refs/tags/file {E} blob  ",
        )
    )
    assert revisions.parse_refs(text.encode()) == {
        "refs/heads/main": A,
        "refs/tags/light": B,
        "refs/tags/heavy": D,
        "refs/tags/of-tag": f"{C}^{{commit}}",
    }

"""From what a user wrote as ``targetRevision`` to a commit, by the refs of a mirror. Pure.

The order is Argo CD's: a full commit id is itself; a semver range picks the highest matching tag; then a branch,
then a tag, by short or full name; then an abbreviated commit id. Everything else that git would understand
(``HEAD^``, ``@{-1}``, ``:/text``, a path) is refused: security.md row 35.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from fleet.errors import BadInput
from fleet.model import semver

HEAD_REF = "refs/fleet/head"
"""Where a mirror keeps the commit of the remote's default branch."""

FORMAT = "%(refname) %(objectname) %(objecttype) %(*objectname) %(*objecttype)"
"""What ``for-each-ref`` is asked to print for `parse_refs`."""

_FULL = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHORT = re.compile(r"[0-9a-f]{7,63}")
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)|\.$|/$|^[-/.]|^@$")
_MAX_LENGTH = 250


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit id; ``checked`` is False where the mirror has still to say whether it has the commit."""

    id: str
    checked: bool = True


def parse_refs(output: bytes) -> dict[str, str]:
    """Read ``for-each-ref``: name to commit; a tag of something that is no commit is left out."""
    refs: dict[str, str] = {}
    for line in output.decode("utf-8", "backslashreplace").splitlines():
        words = line.split(" ")
        match words:
            case [name, commit, "commit", *_]:
                refs[name] = commit
            case [name, _, "tag", commit, "commit"]:
                refs[name] = commit
            case [name, tag, "tag", _, "tag"]:
                refs[name] = f"{tag}^{{commit}}"  # a tag of a tag: git has to peel it
            case _:
                pass
    return refs


def is_full(revision: str) -> bool:
    """Say whether the text is a whole commit id."""
    return bool(_FULL.fullmatch(revision))


def find(revision: str, refs: Mapping[str, str]) -> Commit:
    """Find the commit; raises BadInput for bad grammar and for a revision that is not there."""
    if revision in ("", "HEAD"):
        return _known("HEAD", refs.get(HEAD_REF))
    if is_full(revision):
        return Commit(revision, checked=False)
    is_range = semver.is_constraint(revision) and not semver.is_version(revision)
    if is_range and (found := _by_range(revision, refs)):
        return Commit(found)
    if len(revision) > _MAX_LENGTH or _FORBIDDEN.search(revision):
        if is_range:
            raise unknown(revision)
        raise BadInput(
            f"revision {revision[:80]!r} is not a branch, a tag, a commit id or a version range"
        )
    names = (revision, f"refs/heads/{revision}", f"refs/tags/{revision}")
    for name in names if revision.startswith("refs/") else names[1:]:
        if commit := refs.get(name):
            return Commit(commit)
    if _SHORT.fullmatch(revision):
        return Commit(revision, checked=False)
    return _known(revision, None)


def unknown(revision: str) -> BadInput:
    """The error for a revision that a repository does not have."""
    return BadInput(
        f"unable to resolve {revision[:250]!r}: revision unknown",
        hint="check targetRevision; branches, tags, commit ids and version ranges are looked up",
    )


def _known(revision: str, commit: str | None) -> Commit:
    if commit is None:
        raise unknown(revision)
    return Commit(commit)


def _by_range(revision: str, refs: Mapping[str, str]) -> str:
    tags = {
        name.removeprefix("refs/tags/"): commit
        for name, commit in refs.items()
        if name.startswith("refs/tags/")
    }
    best = semver.highest(semver.Constraint.parse(revision), tags)
    return tags[best] if best else ""

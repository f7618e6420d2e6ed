"""A user's own repository, in place: what CI and developers check out, and writing beside what is checked out."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fleet.errors import BadInput
from fleet.git.local import LocalRepository, Written, without_credentials
from fleet.model.world import EntryKind
from fleet.testing.repos import Executable, RepoBuilder, Symlink


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture(autouse=True)
def person(monkeypatch: pytest.MonkeyPatch) -> None:
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.com")


@pytest.fixture(params=["sha1", "sha256"])
def repo(request: pytest.FixtureRequest, tmp_path: Path) -> RepoBuilder:
    made = RepoBuilder(tmp_path / "origin.git", object_format=request.param)
    made.commit({"docs/a.md": "one", "run.sh": Executable("#!"), "link": Symlink("docs")})
    made.commit({"docs/a.md": "two"})
    return made


@pytest.fixture
def checkout(repo: RepoBuilder, tmp_path: Path) -> Path:
    git(tmp_path, "clone", "-q", str(repo.path), "checkout")
    return tmp_path / "checkout"


def test_a_folder_of_a_checkout_is_found_with_its_place(checkout: Path) -> None:
    assert LocalRepository.find(checkout).inside == ""
    assert LocalRepository.find(checkout / "docs").inside == "docs"
    (checkout / ".fleet").mkdir()
    assert LocalRepository.find(checkout / ".fleet").inside == ".fleet"


def test_a_linked_worktree_is_the_same_repository(checkout: Path, tmp_path: Path) -> None:
    git(checkout, "worktree", "add", "-q", "--detach", str(tmp_path / "other"), "HEAD~1")
    found = LocalRepository.find(tmp_path / "other" / "docs")
    assert found.inside == "docs"
    assert found.commit("HEAD") == git(checkout, "rev-parse", "HEAD~1")
    assert found.commit("main") == git(checkout, "rev-parse", "HEAD")


def test_a_folder_outside_of_any_repository_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is not in a git repository"):
        LocalRepository.find(tmp_path)


def test_files_and_kinds_are_read(repo: RepoBuilder) -> None:
    found = LocalRepository.find(repo.path)
    entries = {entry.path: entry for entry in found.tree(found.commit("HEAD")).entries}
    kinds = {path: entry.kind for path, entry in entries.items()}
    assert kinds == {
        "docs": EntryKind.DIRECTORY,
        "docs/a.md": EntryKind.FILE,
        "link": EntryKind.SYMLINK,
        "run.sh": EntryKind.EXECUTABLE,
    }
    ours = entries["docs/a.md"].object
    assert found.blobs([ours, ours]) == {ours: b"two"}
    assert found.blobs([]) == {}
    with pytest.raises(BadInput, match="not in this checkout"):
        found.blobs(["0" * len(ours)])


def test_a_shallow_checkout_says_what_it_lacks(repo: RepoBuilder, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--depth=1", repo.url, "shallow")
    found = LocalRepository.find(tmp_path / "shallow")
    with pytest.raises(BadInput, match="fetch-depth"):
        found.commit("HEAD~1")


def test_what_the_remote_has_counts_before_a_local_branch(
    repo: RepoBuilder, checkout: Path
) -> None:
    git(checkout, "branch", "mine", "HEAD~1")
    git(checkout, "commit", "-q", "--allow-empty", "-m", "not pushed")
    repo.tag("v1.0.0", annotated=True)
    git(checkout, "fetch", "-q", "--tags")
    found = LocalRepository.find(checkout)
    assert found.find_revision("main") == repo.head()
    assert found.find_revision("v1.0.0") == repo.head()
    assert found.find_revision("1.x") == repo.head()
    assert found.find_revision(repo.head()[:9]) == repo.head()
    assert found.find_revision("mine") == git(checkout, "rev-parse", "HEAD~2")
    for revision in ("HEAD~1", "nope", "0" * 40):
        with pytest.raises(BadInput):
            found.find_revision(revision)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://user:secret@git.example.com/a.git", "https://git.example.com/a.git"),
        ("https://token@git.example.com:8443/a", "https://git.example.com:8443/a"),
        ("git@git.example.com:a.git", "git@git.example.com:a.git"),
        ("ssh://git@git.example.com/a.git", "ssh://git@git.example.com/a.git"),
        ("", ""),
    ],
)
def test_credentials_are_no_part_of_a_url(url: str, expected: str) -> None:
    assert without_credentials(url) == expected


def test_configuration_of_the_repository_starts_no_programs(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    for name in ("core.fsmonitor", "core.pager", "core.sshCommand", "diff.external"):
        git(checkout, "config", name, str(trap))
    for name in ("pre-commit", "reference-transaction", "post-index-change"):
        (checkout / ".git/hooks" / name).write_text(trap.read_text())
        (checkout / ".git/hooks" / name).chmod(0o755)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    found = LocalRepository.find(checkout)
    commit = found.write_commit(found.commit("HEAD"), {"new": Written(data=b"x")}, "new")
    found.create_branch("topic", commit)
    assert found.url().endswith("origin.git")
    assert not (tmp_path / "sprung").exists()


def test_a_commit_changes_what_it_is_told_and_nothing_else(repo: RepoBuilder) -> None:
    found = LocalRepository.find(repo.path)
    parent = found.commit("HEAD")
    files = {
        "docs/a.md": None,
        "deep/er/b.txt": Written(data=b"\x00\xff"),
        "run.sh": Written(data=b"#!new", kind=EntryKind.EXECUTABLE),
    }
    commit = found.write_commit(parent, files, "words\n")
    found.create_branch("topic", commit)
    assert repo.head() == parent
    assert repo.head("topic") == commit
    entries = {entry.path: entry.kind for entry in found.tree(commit).entries}
    assert entries == {
        "deep": EntryKind.DIRECTORY,
        "deep/er": EntryKind.DIRECTORY,
        "deep/er/b.txt": EntryKind.FILE,
        "link": EntryKind.SYMLINK,
        "run.sh": EntryKind.EXECUTABLE,
    }
    with pytest.raises(BadInput, match="already exists"):
        found.create_branch("topic", parent)
    with pytest.raises(BadInput, match="is not a name for a branch"):
        found.create_branch("a..b", parent)
    assert repo.head("topic") == commit

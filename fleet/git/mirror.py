"""One repository on disk: a bare mirror that is cloned, fetched, read and, when broken, cloned again.

All methods block and belong into worker threads. A clone is made beside and renamed into place, so a folder
with the right name is always a finished clone. Nothing here ever drops an object: a commit stays readable after
a force-push or a deleted branch, as long as the mirror lives.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from fleet.errors import FleetError, Transient
from fleet.git import environment, failures, listing, revisions
from fleet.git.command import Call, Finished, Git
from fleet.git.settings import GitSettings
from fleet.git.urls import RepositoryUrl
from fleet.model.world import Tree

_REFSPECS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_LOOSE_REFS = 200
"""Refs changed by one fetch from which on they are packed into one file."""
_URL_FILE = "fleet-url"
_FETCHED_FILE = "fleet-fetched"


class Damaged(Exception):
    """Files of the mirror are broken; stays inside this room."""


class Mirror:
    """A mirror at a path; safe for several threads, one fetch at a time."""

    def __init__(self, url: RepositoryUrl, path: Path, settings: GitSettings, git: Git) -> None:
        self.url = url
        self._path = path
        self._settings = settings
        self._git = git
        self._lock = threading.Lock()
        self._refs: dict[str, str] | None = None
        self._peeled: dict[str, str] = {}

    @property
    def is_cloned(self) -> bool:
        """There is a finished clone on disk."""
        return (self._path / _URL_FILE).exists()

    @property
    def known_refs(self) -> dict[str, str] | None:
        """What `refs` returns, where that takes no reading; None otherwise."""
        return self._refs

    def fetched_at(self) -> datetime | None:
        """When the last fetch succeeded, also before a restart."""
        try:
            return datetime.fromtimestamp((self._path / _FETCHED_FILE).stat().st_mtime, UTC)
        except OSError:
            return None

    def fetch(self) -> bool:
        """Bring the mirror up to date, cloning where there is none or a broken one; True if refs moved."""
        with self._lock:
            before = self._refs_or_none()
            after = self._clone() if before is None else self._update()
            (self._path / _FETCHED_FILE).touch()
            if before == after:
                return False
            self._peeled = {}
            self._refs = after
            self._tidy(len(after.items() ^ (before or {}).items()))
            return True

    def refs(self) -> dict[str, str]:
        """Names and commits as of the last fetch; read from disk once."""
        refs = self._refs
        if refs is None:
            with self._lock:
                refs = self._refs_or_none()
        if refs is None:
            raise Damaged(str(self._path))
        return refs

    def peel(self, name: str) -> str:
        """Resolve an id that is short, or not known to be a commit, to a commit; "" if there is none."""
        if name not in self._peeled:
            target = name if name.endswith("^{commit}") else f"{name}^{{commit}}"
            done = self._read(["rev-parse", "--verify", "--quiet", "--end-of-options", target])
            if done.status != 0:
                return ""
            self._peeled[name] = done.output.decode("ascii").strip()
        return self._peeled[name]

    def tree(self, commit: str, previous: Tree | None) -> Tree:
        """List a commit; raises BadInput for one that is not here."""
        root = self._lines(
            ["rev-parse", "--verify", "--end-of-options", f"{commit}^{{tree}}"], commit
        )
        limit = self._settings.limits.listing_bytes
        output = self._lines(["ls-tree", "-r", "-t", "-z", "--full-tree", commit], commit, limit)
        return listing.parse_tree(commit, root.decode("ascii").strip(), output, previous)

    def changed_paths(self, old: str, new: str) -> tuple[str, ...]:
        """Name the paths that differ between two commits."""
        words = ["diff-tree", "-r", "-z", "--name-only", "--no-renames", "--no-commit-id", old, new]
        return listing.parse_paths(
            self._lines(words, f"{old}, {new}", self._settings.limits.listing_bytes)
        )

    def blobs(self, objects: Sequence[str]) -> dict[str, bytes]:
        """Read files by object id; raises BadInput past a size limit."""
        limits = self._settings.limits
        reader = listing.BlobReader(objects, each=limits.blob_bytes, total=limits.blobs_bytes)
        stdin = "".join(f"{name}\n" for name in objects).encode("ascii")
        done = self._read(["cat-file", "--batch", "--buffer"], stdin=stdin, sink=reader)
        if reader.missing:
            raise Damaged(f"missing objects {reader.missing[:3]}")
        if done.status != 0 or not reader.complete:
            raise self._broken(done)
        return reader.blobs

    def renew(self) -> bool:
        """Put a new clone in the place of a broken mirror, which stays until that succeeds."""
        with self._lock:
            self._refs = self._clone()
            self._peeled = {}
            (self._path / _FETCHED_FILE).touch()
            return True

    def discard(self) -> None:
        """Delete the mirror from disk."""
        with self._lock:
            self._refs = None
            self._peeled = {}
            self._swap(None)

    def _clone(self) -> dict[str, str]:
        fresh = self._path.with_suffix(".new")
        shutil.rmtree(fresh, ignore_errors=True)
        try:
            refs = self._first_fetch(fresh)
            (fresh / _URL_FILE).write_text(f"{self.url}\n")
            self._swap(fresh)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        return refs

    def _swap(self, fresh: Path | None) -> None:
        """Put a clone, or nothing, into our place."""
        aside = self._path.with_suffix(".old")
        shutil.rmtree(aside, ignore_errors=True)
        if self._path.exists():
            self._path.rename(aside)
        if fresh:
            fresh.rename(self._path)
        shutil.rmtree(aside, ignore_errors=True)

    def _first_fetch(self, path: Path) -> dict[str, str]:
        self._initialise(path, "sha1")
        try:
            return self._fetch_into(path)
        except FleetError as error:
            if "server sha256" not in error.message:
                raise
        shutil.rmtree(path)
        self._initialise(path, "sha256")
        return self._fetch_into(path)

    def _initialise(self, path: Path, object_format: str) -> None:
        path.mkdir(mode=0o700, parents=True)
        words = [
            "init",
            "--quiet",
            "--bare",
            "--template=",
            f"--object-format={object_format}",
            ".",
        ]
        done = self._run(path, words)
        if done.status != 0:
            raise Transient(f"no mirror could be made for {str(self.url)!r}: {done.errors.strip()}")

    def _update(self) -> dict[str, str]:
        """Fetch; a mirror that turns out to be damaged is replaced by a clone."""
        try:
            return self._fetch_into(self._path)
        except Damaged:
            return self._clone()

    def _fetch_into(self, path: Path) -> dict[str, str]:
        done = self._fetch_from_remote(path, [f"+HEAD:{revisions.HEAD_REF}", *_REFSPECS])
        if done.status != 0 and "couldn't find remote ref HEAD" in done.errors:
            # The default branch is not born, or was deleted: then HEAD has no meaning any more.
            self._run(path, ["update-ref", "-d", revisions.HEAD_REF])
            done = self._fetch_from_remote(path, list(_REFSPECS))
        if done.status == 0 and not done.timed_out:
            refs = self._list_refs(path)
            if refs is None:
                raise Damaged(str(path))
            return refs
        _remove_locks(path)
        own_fault = failures.is_damage(done.errors) or self._list_refs(path) is None
        if path == self._path and own_fault and not done.timed_out:
            raise Damaged(done.errors)
        seconds = self._seconds(path)
        raise failures.translate(
            str(self.url), done.errors, timed_out=done.timed_out, seconds=seconds
        )

    def _fetch_from_remote(self, path: Path, refspecs: list[str]) -> Finished:
        words = ["fetch", "--quiet", "--prune", "--force", "--no-tags", "--no-write-fetch-head"]
        words += ["--no-auto-maintenance", "--no-recurse-submodules", "--refmap="]
        return self._git.run(
            Call(
                arguments=[*words, "--end-of-options", str(self.url), *refspecs],
                repository=path,
                environ=environment.remote(self._settings, self.url),
                seconds=self._seconds(path),
                confined=True,
            )
        )

    def _seconds(self, path: Path) -> float:
        first = path != self._path
        settings = self._settings
        return (settings.clone_timeout if first else settings.timeout).total_seconds()

    def _refs_or_none(self) -> dict[str, str] | None:
        """The refs, or None where there is no usable mirror; cleans up once per process."""
        if self._refs is None and self.is_cloned:
            _remove_locks(self._path)
            self._refs = self._list_refs(self._path)
        return self._refs

    def _list_refs(self, path: Path) -> dict[str, str] | None:
        words = [
            "for-each-ref",
            f"--format={revisions.FORMAT}",
            "refs/heads",
            "refs/tags",
            "refs/fleet",
        ]
        done = self._run(path, words)
        usable = done.status == 0 and not failures.is_damage(done.errors)
        return revisions.parse_refs(done.output) if usable else None

    def _tidy(self, changed: int) -> None:
        """Keep the mirror fast: refs in one file, few packs. Failing here harms nothing."""
        if changed > _LOOSE_REFS:
            self._run(self._path, ["pack-refs", "--all"])
        packs = list((self._path / "objects" / "pack").glob("*.pack"))
        if len(packs) > self._settings.limits.packs:
            self._run(self._path, ["repack", "--quiet", "-d", "--geometric=2"])

    def _lines(self, words: list[str], wanted: str, limit: int = 1024 * 1024) -> bytes:
        done = self._read(words, limit=limit)
        if done.status == 0 and not done.timed_out:
            return done.output
        refs = self._refs or {}
        if not failures.is_damage(done.errors) and not (
            set(wanted.split(", ")) & set(refs.values())
        ):
            raise revisions.unknown(wanted)
        raise self._broken(done)

    def _broken(self, done: Finished) -> Exception:
        if done.timed_out:
            return Transient(f"reading the mirror of {str(self.url)!r} took too long")
        return Damaged(done.errors)

    def _read(
        self,
        words: list[str],
        *,
        stdin: bytes = b"",
        sink: listing.BlobReader | None = None,
        limit: int = 1024 * 1024,
    ) -> Finished:
        return self._git.run(
            Call(
                arguments=words,
                repository=self._path,
                environ=environment.local(self._settings),
                seconds=self._settings.timeout.total_seconds(),
                stdin=stdin,
                sink=sink,
                output_limit=limit,
            )
        )

    def _run(self, path: Path, words: list[str]) -> Finished:
        return self._git.run(
            Call(
                arguments=words,
                repository=path,
                environ=environment.local(self._settings),
                seconds=self._settings.timeout.total_seconds(),
                output_limit=self._settings.limits.listing_bytes,
            )
        )


def stored_url(path: Path) -> str:
    """The URL of the mirror at a path, or "" where there is none."""
    try:
        return (path / _URL_FILE).read_text().strip()
    except OSError:
        return ""


def _remove_locks(path: Path) -> None:
    """Remove what killed git processes leave behind; nobody else writes here while we hold the lock."""
    for folder, _, names in os.walk(path):
        for name in names:
            in_packs = folder.endswith(f"{os.sep}pack")
            if name.endswith(".lock") or (in_packs and name.startswith(("tmp_", ".tmp-"))):
                Path(folder, name).unlink(missing_ok=True)

"""A user's own repository, read and written in place: for commands that run in a checkout or in CI.

The opposite of a mirror: revisions are whatever git understands (``HEAD~1``, ``origin/main``), because whoever runs
the command is who wrote them. Reading uses plumbing alone, so that neither the working tree nor the index matters
(a detached HEAD, a linked worktree and a bare repository are all the same). Writing makes objects and one new
branch; what is checked out is never touched. All methods block.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from fleet.codec.redaction import one_line
from fleet.errors import BadInput, Corrupt, Transient
from fleet.git import environment, listing, revisions
from fleet.git.command import Call, Finished, Git
from fleet.git.settings import GitSettings
from fleet.model.world import EntryKind, Tree

_MODES = {EntryKind.FILE: "100644", EntryKind.EXECUTABLE: "100755", EntryKind.SYMLINK: "120000"}
_REMOTE = "refs/remotes/origin/"
_LISTED = 1024 * 1024
_PEOPLE = tuple(
    f"GIT_{role}_{what}" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL", "DATE")
)
_WRITING = {"safe.directory": "*", "core.hooksPath": "/dev/null", "core.fsmonitor": "false"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One file of a new commit."""

    data: bytes
    kind: EntryKind = EntryKind.FILE


@dataclass(slots=True)
class LocalRepository:
    """A repository on this machine by its git directory."""

    git_dir: Path
    inside: str = ""
    """The folder that was asked for, seen from the top of the working tree."""
    top: Path | None = None
    """The top of the working tree; None for a bare repository."""
    _git: Git = field(init=False, repr=False)
    _settings: GitSettings = field(init=False, repr=False)
    _trees: dict[str, Tree] = field(default_factory=dict, repr=False)
    _refs: dict[str, str] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        # nothing is kept: there is no folder of mirrors, and git needs no home to read what is here
        self._settings = GitSettings(state=Path(os.devnull))
        self._git = Git(self._settings.limits)

    @classmethod
    def find(cls, folder: Path) -> LocalRepository:
        """Open the repository that a folder is in; raises BadInput where there is none."""
        folder = folder.resolve()
        for parent in (folder, *folder.parents):
            if git_dir := _git_dir(parent):
                if git_dir == parent:
                    return cls(git_dir)
                inside = folder.relative_to(parent).as_posix()
                return cls(git_dir, "" if inside == "." else inside, parent)
        raise BadInput(f"{folder} is not in a git repository")

    def commit(self, revision: str) -> str:
        """Return the commit of a revision as the user wrote it; raises BadInput."""
        if "\x00" in revision or "\n" in revision:
            raise BadInput(f"revision {revision!r} is not one line")
        words = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"]
        done = self._read(words)
        if done.status != 0 or not revision:
            raise BadInput(
                f"revision {revision!r} is not in this repository",
                hint="a shallow checkout lacks it: git fetch --unshallow, or fetch-depth: 0 in CI",
            )
        return done.output.decode("ascii").strip()

    def url(self) -> str:
        """Return the URL of the remote ``origin`` without credentials, or ""."""
        done = self._read(["config", "--get", "remote.origin.url"])
        return without_credentials(done.output.decode("utf-8", "replace").strip())

    def find_revision(self, revision: str) -> str:
        """Return the commit of a targetRevision, as the hub would find it; raises BadInput.

        What the remote has counts before branches of the same name that are only here.
        """
        found = revisions.find(revision, self.refs())
        if found.checked:
            return found.id
        return self.commit(found.id)

    def refs(self) -> dict[str, str]:
        """Return branches and tags as the remote has them, with their commits."""
        if self._refs is None:
            words = ["for-each-ref", f"--format={revisions.FORMAT}"]
            done = self._checked([*words, "refs/heads", "refs/tags", _REMOTE])
            found = revisions.parse_refs(done.output)
            remote = {
                f"refs/heads/{name.removeprefix(_REMOTE)}": commit
                for name, commit in found.items()
                if name.startswith(_REMOTE)
            }
            self._refs = {**found, **remote}
        return self._refs

    def tree(self, commit: str) -> Tree:
        """List a commit; raises BadInput."""
        if commit not in self._trees:
            root = self._checked(
                ["rev-parse", "--verify", "--end-of-options", f"{commit}^{{tree}}"]
            )
            words = ["ls-tree", "-r", "-t", "-z", "--full-tree", commit]
            output = self._checked(words, limit=self._settings.limits.listing_bytes).output
            previous = next(iter(self._trees.values()), None)
            name = root.output.decode("ascii").strip()
            self._trees[commit] = listing.parse_tree(commit, name, output, previous)
        return self._trees[commit]

    def working_files(self) -> tuple[str, ...]:
        """Name what a commit of the whole working tree would hold: new files too, ignored ones not."""
        words = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        environ = {**self._environ(), "GIT_WORK_TREE": str(self.top)}
        limit = self._settings.limits.listing_bytes
        done = self._checked(
            ["-c", "core.fsmonitor=false", "-C", str(self.top), *words], environ, limit=limit
        )
        return listing.parse_paths(done.output)

    def blobs(self, objects: Iterable[str]) -> dict[str, bytes]:
        """Read files by object id; raises BadInput past a size limit or for one that is not here."""
        wanted = list(dict.fromkeys(objects))
        if not wanted:
            return {}
        limits = self._settings.limits
        reader = listing.BlobReader(wanted, each=limits.blob_bytes, total=limits.blobs_bytes)
        stdin = "".join(f"{name}\n" for name in wanted).encode("ascii")
        done = self._run(
            ["cat-file", "--batch", "--buffer"], self._environ(), stdin=stdin, sink=reader
        )
        if reader.missing:
            raise BadInput(
                f"{len(reader.missing)} files are not in this checkout",
                hint="it is a partial clone: fetch with all blobs",
            )
        if done.status != 0 or not reader.complete:
            raise Corrupt(f"this repository cannot be read: {one_line(done.errors)}")
        return reader.blobs

    def write_commit(self, parent: str, files: Mapping[str, Written | None], message: str) -> str:
        """Make a commit on top of another one with some files changed (None: removed); returns its id.

        It is on no branch. The author is who git says the user is; raises BadInput where it does not know.
        """
        with tempfile.TemporaryDirectory(prefix="fleet-index-") as folder:
            environ = {**_user_environ(), "GIT_INDEX_FILE": str(Path(folder) / "index")}
            self._checked(["read-tree", "--end-of-options", parent], environ)
            lines = b"".join(
                self._index_line(path, item, nothing=b"0" * len(parent))
                for path, item in sorted(files.items())
            )
            self._checked(["update-index", "-z", "--index-info"], environ, stdin=lines)
            tree = self._checked(["write-tree"], environ).output.decode("ascii").strip()
        done = self._run(
            ["commit-tree", tree, "-p", parent, "-F", "-"], _user_environ(), stdin=message.encode()
        )
        if done.status != 0:
            hint = "set git config user.name and user.email" if "ident" in done.errors else ""
            raise BadInput(f"git makes no commit: {one_line(done.errors)}", hint=hint)
        return done.output.decode("ascii").strip()

    def create_branch(self, name: str, commit: str) -> None:
        """Make a branch that does not exist yet; raises BadInput."""
        ref = f"refs/heads/{name}"
        if self._run(["check-ref-format", ref], self._environ()).status != 0:
            raise BadInput(f"{name!r} is not a name for a branch")
        done = self._run(
            ["update-ref", "-m", "fleet promote", "--end-of-options", ref, commit, ""],
            _user_environ(),
        )
        if done.status != 0:
            exists = "already exists" in done.errors
            raise BadInput(
                f"branch {name!r} already exists"
                if exists
                else f"branch {name!r} cannot be made: {one_line(done.errors)}",
                hint="choose another with --branch" if exists else "",
            )

    def _index_line(self, path: str, item: Written | None, *, nothing: bytes) -> bytes:
        name = path.encode("utf-8", "surrogateescape")
        if item is None:
            return b"0 " + nothing + b"\t" + name + b"\0"
        done = self._checked(
            ["hash-object", "-w", "-t", "blob", "--stdin"], _user_environ(), stdin=item.data
        )
        return (
            f"{_MODES[item.kind]} {done.output.decode('ascii').strip()}\t".encode() + name + b"\0"
        )

    def _environ(self) -> dict[str, str]:
        return environment.local(self._settings)

    def _read(self, words: Sequence[str]) -> Finished:
        return self._run(words, self._environ())

    def _checked(
        self,
        words: Sequence[str],
        environ: Mapping[str, str] | None = None,
        *,
        stdin: bytes = b"",
        limit: int = _LISTED,
    ) -> Finished:
        done = self._run(words, environ or self._environ(), stdin=stdin, limit=limit)
        if done.timed_out:
            raise Transient(f"git {words[0]} took too long")
        if done.status != 0:
            raise BadInput(f"git {words[0]}: {one_line(done.errors)}")
        return done

    def _run(
        self,
        words: Sequence[str],
        environ: Mapping[str, str],
        *,
        stdin: bytes = b"",
        sink: listing.BlobReader | None = None,
        limit: int = _LISTED,
    ) -> Finished:
        return self._git.run(
            Call(
                arguments=words,
                repository=self.git_dir,
                environ=environ,
                seconds=self._settings.timeout.total_seconds(),
                stdin=stdin,
                sink=sink,
                output_limit=limit,
            )
        )


def without_credentials(url: str) -> str:
    """Take user and password out of an ``http(s)://`` URL, as CI systems put them there."""
    if not re.match(r"https?://", url):
        return url
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _git_dir(folder: Path) -> Path | None:
    dot = folder / ".git"
    if dot.is_dir():
        return dot
    if dot.is_file():  # a linked worktree, or a submodule
        kind, _, path = dot.read_text().strip().partition(": ")
        return (folder / path).resolve() if kind == "gitdir" else None
    is_bare = (folder / "HEAD").is_file() and (folder / "objects").is_dir()
    return folder if is_bare and (folder / "refs").is_dir() else None


def _user_environ() -> dict[str, str]:
    """What writing needs: the user's own configuration says who they are. It starts no program: no hooks, no monitor."""
    kept = (*_PEOPLE, "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM")
    numbered = {
        key: text
        for index, (name, value) in enumerate(_WRITING.items())
        for key, text in ((f"GIT_CONFIG_KEY_{index}", name), (f"GIT_CONFIG_VALUE_{index}", value))
    }
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        **numbered,
        "GIT_CONFIG_COUNT": str(len(_WRITING)),
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }

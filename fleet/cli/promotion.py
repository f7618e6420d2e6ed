"""What ``fleet promote`` does: find what one environment runs and another does not yet, and commit it on a new branch.

The commit is made of git objects beside the working tree: what is checked out, staged or edited stays as it is, and
only commits are read. Which values move is decided in `fleet.cli.environments`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fleet.cli import environments
from fleet.cli.documents import SUFFIXES
from fleet.cli.environments import Asked, Move, Moves
from fleet.cli.scalars import dotted, set_scalar
from fleet.codec import yamldoc
from fleet.codec.redaction import redact
from fleet.codec.yamldoc import Document
from fleet.errors import BadInput
from fleet.git.local import LocalRepository, Written
from fleet.model.world import EntryKind, TreeEntry

_CONTENT = (EntryKind.FILE, EntryKind.EXECUTABLE, EntryKind.SYMLINK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command line asks for."""

    folder: Path
    asked: Asked
    base: str = "HEAD"
    branch: str = ""
    whole_files: bool = False
    dry_run: bool = False


@dataclass(slots=True, kw_only=True)
class Promotion:
    """What was found, and where it was written."""

    parent: str
    changes: dict[str, Written | None] = field(default_factory=dict)
    """New content by path; None removes the file."""
    lines: list[str] = field(default_factory=list)
    """One sentence for each change."""
    notes: list[str] = field(default_factory=list)
    branch: str = ""
    commit: str = ""
    diff: str = ""


def promote(request: Request) -> Promotion:
    """Find the change and, unless it is a dry run, commit it; raises BadInput where it cannot tell what is meant."""
    if not request.folder.is_dir():
        raise BadInput(f"{request.folder} is not a directory")
    repository = LocalRepository.find(request.folder)
    asked = request.asked
    if asked.source == asked.target:
        raise BadInput(f"--from and --to are both {asked.source}")
    view = _View(repository, repository.commit(request.base))
    promotion = _promotion(view, request)
    promotion.diff = _diff(_View(repository, promotion.parent), promotion.changes)
    if promotion.changes and not request.dry_run:
        name = request.branch or f"promote/{asked.app}-{asked.source}-to-{asked.target}"
        message = _message(asked, promotion.lines)
        promotion.commit = repository.write_commit(promotion.parent, promotion.changes, message)
        repository.create_branch(name, promotion.commit)
        promotion.branch = name
    return promotion


class _View:
    """The files of one commit."""

    def __init__(self, repository: LocalRepository, commit: str) -> None:
        self.repository = repository
        self.commit = commit
        self.entries: dict[str, TreeEntry] = {
            entry.path: entry for entry in repository.tree(commit).entries if entry.kind in _CONTENT
        }
        self._blobs: dict[str, bytes] = {}

    def read(self, paths: Iterable[str]) -> dict[str, bytes]:
        """Read files, all at once."""
        wanted = {path: self.entries[path].object for path in paths}
        lacking = {name for name in wanted.values() if name not in self._blobs}
        self._blobs |= self.repository.blobs(sorted(lacking))
        return {path: self._blobs[name] for path, name in wanted.items()}

    def documents(self, paths: Iterable[str]) -> dict[str, tuple[Document, ...]]:
        """Read those files that are YAML or JSON; templates that only look so are left out."""
        files = [
            path
            for path in paths
            if path.endswith(SUFFIXES) and self.entries[path].kind is not EntryKind.SYMLINK
        ]
        found = {}
        for path, data in self.read(files).items():
            try:
                found[path] = yamldoc.load_documents(data, source=path, positions=True)
            except BadInput:
                continue
        return found


def _promotion(view: _View, request: Request) -> Promotion:
    asked = request.asked
    pairs = environments.file_pairs(view.entries.keys(), asked)
    if request.whole_files:
        return _copied(view, view, pairs, asked)
    found = _moves(view, pairs, asked)
    if found.moves:
        return _edited(view, found)
    if found.branches:
        return _between_branches(view, found.branches, asked)
    if found.matched == 0:
        if any(target in view.entries for target in pairs.values()):
            return _copied(view, view, pairs, asked)
        return _by_branch_names(view, asked)
    promotion = Promotion(parent=view.commit, notes=found.notes)
    differing = [path for path, target in pairs.items() if _differs(view, path, view, target)]
    if differing:
        promotion.notes.append(
            f"versions are the same, but {_files(len(differing))}: {', '.join(differing[:5])}; "
            "--files copies whole files"
        )
    return promotion


def _files(count: int) -> str:
    return "1 file differs" if count == 1 else f"{count} files differ"


def _moves(view: _View, pairs: Mapping[str, str], asked: Asked) -> Moves:
    found = Moves()
    both = {path: target for path, target in pairs.items() if target in view.entries}
    documents = view.documents({*both, *both.values()})
    for path, target in both.items():
        if path in documents and target in documents:
            environments.file_moves(documents[path], documents[target], target, found)
    visible = [path for path in view.entries if not any(p.startswith(".") for p in path.split("/"))]
    environments.document_moves(view.documents(visible), asked, found)
    return found


def _edited(view: _View, found: Moves) -> Promotion:
    promotion = Promotion(parent=view.commit, notes=found.notes)
    by_file: dict[str, list[Move]] = {}
    for move in found.moves:
        by_file.setdefault(move.file, []).append(move)
    for file, moves in sorted(by_file.items()):
        text = view.read([file])[file].decode()
        for move in moves:
            text = set_scalar(text, file, move.index, move.path, move.new)
            promotion.lines.append(f"{file}: {dotted(move.path)}: {move.old} -> {move.new}")
        kind = view.entries[file].kind
        promotion.changes[file] = Written(data=text.encode(), kind=kind)
    return promotion


def _copied(source: _View, target: _View, pairs: Mapping[str, str], asked: Asked) -> Promotion:
    if not pairs:
        raise _cannot_tell(asked)
    promotion = Promotion(parent=target.commit)
    differing = {a: b for a, b in pairs.items() if _differs(source, a, target, b)}
    for path, data in source.read(differing).items():
        name = differing[path]
        promotion.changes[name] = Written(data=data, kind=source.entries[path].kind)
        promotion.lines.append(
            f"{name}: {'as ' + path if path != name else 'as in ' + asked.source}"
        )
        if path != name and asked.names_source(data.decode("utf-8", "replace")):
            promotion.notes.append(f"{name} now names {asked.source}: look at it before merging")
    return promotion


def _differs(source: _View, path: str, target: _View, name: str) -> bool:
    ours, theirs = source.entries[path], target.entries.get(name)
    return theirs is None or (ours.object, ours.kind) != (theirs.object, theirs.kind)


def _by_branch_names(view: _View, asked: Asked) -> Promotion:
    refs = view.repository.refs()
    if all(f"refs/heads/{name}" in refs for name in (asked.source, asked.target)):
        return _between_branches(view, {(asked.source, asked.target)}, asked)
    raise _cannot_tell(asked)


def _between_branches(view: _View, branches: set[tuple[str, str]], asked: Asked) -> Promotion:
    """Bring the application's files of one branch to the other, deleted ones too."""
    if len(branches) > 1:
        listed = ", ".join(sorted(source for source, _ in branches))
        raise BadInput(f"{asked.app} comes from several branches: {listed}")
    ((source_name, target_name),) = branches
    refs = view.repository.refs()
    for name in (source_name, target_name):
        if f"refs/heads/{name}" not in refs:
            raise BadInput(
                f"{asked.app} comes from branch {name}, which is not in this repository",
                hint="run it in a checkout of the repository that has the branch",
            )
    source = _View(view.repository, refs[f"refs/heads/{source_name}"])
    target = _View(view.repository, refs[f"refs/heads/{target_name}"])
    ours = environments.app_files(source.entries.keys(), asked)
    promotion = _copied(source, target, {path: path for path in ours}, asked)
    for path in sorted(environments.app_files(target.entries.keys(), asked) - ours):
        promotion.changes[path] = None
        promotion.lines.append(f"{path}: removed, as in {source_name}")
    return promotion


def _cannot_tell(asked: Asked) -> BadInput:
    return BadInput(
        f"cannot tell how {asked.app} differs between {asked.source} and {asked.target}: there are no files named by "
        f"both environments, no Applications or list elements that say a revision of each, and no such branches",
        hint="--path FOLDER says where its files are",
    )


def _message(asked: Asked, lines: Iterable[str]) -> str:
    title = f"Promote {asked.app} from {asked.source} to {asked.target}"
    return "\n".join([title, "", *(f"- {line}" for line in lines), ""])


def _diff(view: _View, changes: Mapping[str, Written | None]) -> str:
    known = view.read(path for path in changes if path in view.entries)
    parts = []
    for path, written in sorted(changes.items()):
        before = known.get(path, b"").decode("utf-8", "replace").splitlines()
        after = (written.data if written else b"").decode("utf-8", "replace").splitlines()
        old = f"a/{path}" if path in known else "/dev/null"
        new = f"b/{path}" if written else "/dev/null"
        parts += [*difflib.unified_diff(before, after, old, new, lineterm=""), ""]
    return redact("\n".join(parts).rstrip("\n"))

"""The fleet repository: which documents are in force, file by file, with the last good version of each.

A file that does not parse, or a document in it that cannot be read, is an error with file and line; what the
last good version of that file said stays in force until the file is mended. A file that is gone takes its
documents with it: that is a decision of the user, judged by the shrink budget later. Reading is incremental:
a file whose git object did not change is not read again.

This module reads and remembers; what the documents mean is `fleet.argo`'s business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

import msgspec

from fleet.argo.documents import FleetDocuments, Problem, read_fleet_documents
from fleet.codec import yamldoc
from fleet.errors import BadInput, FleetError, Where
from fleet.model.world import EntryKind, Tree
from fleet.store.port import Change, Kind, Put, Store
from hub.settings import FleetRepository

_UNKNOWN = (
    "another version of the hub could read this file, and what it said is in force: "
    "nothing of the fleet is removed until it is mended or gone (or go back to that version)"
)
SUFFIXES = (".yaml", ".yml", ".json")


class _Named(Protocol):
    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=_Named)


class Mirrors(Protocol):
    """What is needed of git here."""

    async def resolve(self, repo_url: str, revision: str) -> str: ...
    async def tree(self, repo_url: str, commit: str) -> Tree: ...
    async def blobs(self, repo_url: str, objects: Iterable[str]) -> dict[str, bytes]: ...


class _LastGood(msgspec.Struct, frozen=True):
    """Durable: the commit that was used last, and for each file the object that parsed last."""

    commit: str = ""
    files: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class _File:
    """One file as it is: its object, its documents, and what a broken version keeps from before."""

    object: str
    documents: FleetDocuments
    good_object: str
    kept: FleetDocuments | None = None
    is_unknown: bool = False
    """Whether another version of the hub read what this one cannot: nobody knows what is missing from it."""

    def in_force(self) -> FleetDocuments:
        return self.documents if self.kept is None else _with_kept(self.documents, self.kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatus:
    """How one configured repository stands, for people."""

    repository: FleetRepository
    commit: str = ""
    files: int = 0
    error: str = ""


@dataclass(slots=True)
class FleetRepo:
    """One configured (repoURL, revision, path)."""

    settings: FleetRepository
    mirrors: Mirrors
    store: Store
    commit: str = ""
    error: str = ""
    _files: dict[str, _File] = field(default_factory=dict)
    _saved: _LastGood = field(default_factory=_LastGood)

    @property
    def key(self) -> str:
        """Its name in the store."""
        return f"{self.settings.repo_url}#{self.settings.revision}#{self.settings.path}"

    @property
    def loaded(self) -> bool:
        """Whether anything was ever read: until then nothing may be concluded from what is missing."""
        return bool(self.commit)

    @property
    def complete(self) -> bool:
        """Whether all that its files say is known, be it from their last good versions."""
        return self.loaded and not any(file.is_unknown for file in self._files.values())

    def status(self) -> SourceStatus:
        """Tell people how it stands."""
        return SourceStatus(
            repository=self.settings, commit=self.commit, files=len(self._files), error=self.error
        )

    def documents(self) -> list[FleetDocuments]:
        """Return what is in force, by file name."""
        return [self._files[path].in_force() for path in sorted(self._files)]

    async def restore(self) -> None:
        """Read what was in force before the last stop; silently nothing if the mirror lost it."""
        data = await self.store.get(Kind.FLEET_REPOS, self.key)
        if data is None:
            return
        self._saved = msgspec.json.decode(data, type=_LastGood)
        try:
            await self._read(self._saved.commit, self._saved.files)
        except FleetError as error:
            self.error = str(error)

    async def refresh(self) -> bool:
        """Look at the revision as the mirror knows it now; returns whether documents changed."""
        try:
            commit = await self.mirrors.resolve(self.settings.repo_url, self.settings.revision)
            changed = commit != self.commit and await self._read_next(commit)
        except FleetError as error:
            self.error = str(error)
            return False
        self.error = ""
        await self._save()
        return changed

    async def _read_next(self, commit: str) -> bool:
        """Read another commit; the first one after a start that could not restore knows the last good files too."""
        good = {} if self.loaded else self._saved.files
        try:
            return await self._read(commit, good)
        except FleetError:
            if not good:
                raise
            # a branch that was rewritten, in a mirror that was made anew: the old files are nowhere
            return await self._read(commit, {})

    async def _read(self, commit: str, good: Mapping[str, str]) -> bool:
        tree = await self.mirrors.tree(self.settings.repo_url, commit)
        wanted = dict(self._wanted(tree))
        if (
            not wanted
            and self.settings.path not in (".", "")
            and not _has(tree, self.settings.path)
        ):
            raise BadInput(
                f"path {self.settings.path!r} is not in {self.settings.repo_url} at {commit[:12]}"
            )
        fresh = {path: object_ for path, object_ in wanted.items() if self._is_new(path, object_)}
        needed = {*fresh.values(), *(good[path] for path in fresh if path in good)}
        blobs = await self._blobs(needed)
        parsed = await asyncio.to_thread(self._parse_all, fresh, good, blobs)
        changed = bool(parsed) or wanted.keys() != self._files.keys()
        self._files = {path: parsed.get(path) or self._files[path] for path in wanted}
        self.commit = commit
        return changed

    async def _blobs(self, objects: set[str]) -> dict[str, bytes | BadInput]:
        """Read files; one that is refused (too large) is an error on it alone."""
        if not objects:
            return {}
        try:
            return dict(await self.mirrors.blobs(self.settings.repo_url, objects))
        except BadInput as error:
            if len(objects) == 1:
                return dict.fromkeys(objects, error)
        found: dict[str, bytes | BadInput] = {}
        for object_ in sorted(objects):
            found |= await self._blobs({object_})
        return found

    def _wanted(self, tree: Tree) -> Iterable[tuple[str, str]]:
        prefix = "" if self.settings.path in (".", "") else self.settings.path.strip("/") + "/"
        for entry in tree.entries:
            if (
                entry.kind in (EntryKind.FILE, EntryKind.EXECUTABLE)
                and entry.path.startswith(prefix)
                and entry.path.endswith(SUFFIXES)
                and not any(part.startswith(".") for part in entry.path.split("/"))
            ):
                yield entry.path, entry.object

    def _is_new(self, path: str, object_: str) -> bool:
        known = self._files.get(path)
        return known is None or known.object != object_

    def _parse_all(
        self,
        fresh: Mapping[str, str],
        good: Mapping[str, str],
        blobs: Mapping[str, bytes | BadInput],
    ) -> dict[str, _File]:
        return {
            path: self._parse_file(path, object_, good.get(path, ""), blobs)
            for path, object_ in fresh.items()
        }

    def _parse_file(
        self, path: str, object_: str, good: str, blobs: Mapping[str, bytes | BadInput]
    ) -> _File:
        documents = self._parse(path, blobs[object_])
        if not _is_broken(documents):
            return _File(object_, documents, object_)
        before = self._files.get(path)
        if before is not None:
            file = _File(object_, documents, before.good_object, before.in_force())
            return self._told(path, replace(file, is_unknown=before.is_unknown))
        if good and good in blobs:
            kept = self._parse(path, blobs[good])
            return self._told(path, _File(object_, documents, good, kept, _is_broken(kept)))
        return _File(object_, documents, "")

    def _told(self, path: str, file: _File) -> _File:
        """Say what comes of a broken file whose last good version cannot be read either."""
        if not file.is_unknown:
            return file
        where = Where(file=f"{self.settings.repo_url}/{path}")
        problem = Problem(reason="UnreadableFile", message=_UNKNOWN, where=where)
        problems = (*file.documents.problems, problem)
        return replace(file, documents=replace(file.documents, problems=problems))

    def _parse(self, path: str, data: bytes | BadInput) -> FleetDocuments:
        try:
            if isinstance(data, BadInput):
                raise data.at(file=path)
            parsed = yamldoc.load_documents(data, source=path, positions=True)
        except BadInput as error:
            where = replace(error.where, file=f"{self.settings.repo_url}/{path}")
            problem = Problem(reason="InvalidYAML", message=error.message, where=where, fatal=True)
            return FleetDocuments(problems=(problem,))
        return read_fleet_documents(parsed, repo=self.settings.repo_url)

    async def _save(self) -> None:
        files = {path: file.good_object for path, file in self._files.items() if file.good_object}
        saved = _LastGood(self.commit, files)
        if saved == self._saved:
            return
        change: Change = Put(Kind.FLEET_REPOS, self.key, msgspec.json.encode(saved))
        await self.store.commit(change)
        self._saved = saved


def _has(tree: Tree, path: str) -> bool:
    return any(entry.path == path.strip("/") for entry in tree.entries)


def _is_broken(documents: FleetDocuments) -> bool:
    return any(problem.fatal for problem in documents.problems)


def _with_kept(new: FleetDocuments, kept: FleetDocuments) -> FleetDocuments:
    """Add from the last good version what the broken one does not say anew."""

    def merged(ours: tuple[T, ...], theirs: tuple[T, ...]) -> tuple[T, ...]:
        names = {item.name for item in ours}
        return (*ours, *(item for item in theirs if item.name not in names))

    return FleetDocuments(
        clusters=merged(new.clusters, kept.clusters),
        appsets=merged(new.appsets, kept.appsets),
        applications=merged(new.applications, kept.applications),
        projects=merged(new.projects, kept.projects),
        resources=new.resources or kept.resources,
        places=new.places if new.resources else kept.places,
        problems=new.problems,
        ignored=new.ignored,
    )

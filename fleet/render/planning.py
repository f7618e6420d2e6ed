"""Makes the plan of one source: reads listings and the few files that name others, never runs anything.

Snapshots are kept for a while, since many Applications look at one commit. A plan is kept with the facts it rests
on, so that at the next commit most plans are recognised as still right without reading a file.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from fleet.errors import BadInput, Where
from fleet.model.application import Application, DirectoryOptions, Source
from fleet.model.world import EntryKind
from fleet.render import buildenv, helm, kustomize, plain
from fleet.render.archive import read_chart
from fleet.render.chartdependencies import Dependencies
from fleet.render.chartfiles import ArchiveFiles, GitFiles
from fleet.render.detect import source_directory, source_kind
from fleet.render.inputs import Repository, still_true
from fleet.render.plan import Plan, SourceContext, SourceKind
from fleet.render.ports import Charts, SourceTrees
from fleet.render.request import Capabilities, ResolvedSource
from fleet.render.snapshot import Snapshot

_SNAPSHOTS = 8
_ARCHIVES = 4
_PLANS = 4_000
_BLOBS = 4_000
_LARGE = 64 * 1024

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Recent(Generic[_Key, _Value]):
    """The last ``size`` values."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[_Key, _Value] = OrderedDict()

    def get(self, key: _Key) -> _Value | None:
        """Return a value that is still there."""
        if key not in self._values:
            return None
        self._values.move_to_end(key)
        return self._values[key]

    def put(self, key: _Key, value: _Value) -> _Value:
        """Keep a value, dropping the one that was not asked for longest."""
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._size:
            self._values.popitem(last=False)
        return value


@dataclass(frozen=True, slots=True)
class _Remembered:
    plan: Plan
    facts: Mapping[str, Mapping[tuple[str, str], str]]
    """By the repository's prefix in the folder."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, and the snapshots to widen it from by their prefix in the folder."""

    plan: Plan
    snapshots: Mapping[str, Snapshot]


class Planner:
    """Plans sources from repositories and chart repositories."""

    def __init__(
        self, sources: SourceTrees, charts: Charts, *, allow_chart_dependencies: bool
    ) -> None:
        self._sources = sources
        self._charts = charts
        self._dependencies = Dependencies(charts, allowed=allow_chart_dependencies)
        self._snapshots: Recent[tuple[str, str], Snapshot] = Recent(_SNAPSHOTS)
        self._indexing: dict[str, asyncio.Lock] = {}
        """By repository: those who want the same commit wait for one index, nobody for another's."""
        self._archives: Recent[tuple[str, ...], dict[str, bytes]] = Recent(_ARCHIVES)
        self._plans: Recent[str, _Remembered] = Recent(_PLANS)
        self._blobs: Recent[str, bytes] = Recent(_BLOBS)
        self.read_files = 0
        """Files read for planning; a commit elsewhere reads none."""

    async def plan(
        self,
        application: Application,
        resolved: tuple[ResolvedSource, ...],
        index: int,
        capabilities: Capabilities,
        permits: Callable[[str], bool],
    ) -> Planned:
        """Plan one source; raises BadInput, Denied, Unsupported and what the repositories raise."""
        this = resolved[index]
        snapshots = await self._needed(resolved, index)
        environment = buildenv.build_environment(application, this, capabilities)
        key = _memo_key(application, this, capabilities, environment)
        remembered = self._plans.get(key)
        if remembered is not None and _holds(remembered, snapshots):
            return Planned(remembered.plan, snapshots)
        repositories = {
            prefix: Repository(snapshot, self.read, prefix)
            for prefix, snapshot in snapshots.items()
        }
        context = SourceContext(
            source=this.source,
            app_name=application.name,
            namespace=application.destination.namespace,
            environment=environment,
            capabilities=capabilities,
            repository=repositories.get("source"),
            references={
                each.source.ref: repositories[f"ref{number}"]
                for number, each in enumerate(resolved)
                if f"ref{number}" in repositories
            },
            permits=permits,
        )
        plan = await self._make(context, this)
        if _may_be_remembered(plan):
            facts = {prefix: each.facts for prefix, each in repositories.items()}
            self._plans.put(key, _Remembered(plan, facts))
        return Planned(plan, snapshots)

    async def read(self, url: str, objects: tuple[str, ...]) -> Mapping[str, bytes]:
        """Read files, small ones from memory when they were read before."""
        known = {name: self._blobs.get(name) for name in objects}
        found = {name: data for name, data in known.items() if data is not None}
        wanted = tuple(name for name in objects if name not in found)
        if wanted:
            self.read_files += len(wanted)
            fetched = await self._sources.blobs(url, wanted)
            for name, data in fetched.items():
                found[name] = data
                if len(data) <= _LARGE:
                    self._blobs.put(name, data)
        return found

    async def _needed(
        self, resolved: tuple[ResolvedSource, ...], index: int
    ) -> dict[str, Snapshot]:
        """The snapshots of a source: its own, and for a chart those of the others' refs."""
        this = resolved[index]
        needed: dict[str, ResolvedSource] = {}
        if not is_chart(this.source):
            needed["source"] = this
        if this.source.helm is not None:
            needed |= {
                f"ref{number}": each for number, each in enumerate(resolved) if each.source.ref
            }
        return {
            prefix: await self.snapshot(each.source.repo_url, each.revision)
            for prefix, each in needed.items()
        }

    async def snapshot(self, url: str, commit: str) -> Snapshot:
        """Index a commit, once for all who ask."""
        async with self._indexing.setdefault(url, asyncio.Lock()):
            known = self._snapshots.get((url, commit))
            if known is not None:
                return known
            tree = await self._sources.tree(url, commit)
            links = tuple({e.object for e in tree.entries if e.kind is EntryKind.SYMLINK})
            targets = await self._sources.blobs(url, links) if links else {}
            snapshot = await asyncio.to_thread(Snapshot, url, tree, targets)
            return self._snapshots.put((url, commit), snapshot)

    async def _make(self, context: SourceContext, resolved: ResolvedSource) -> Plan:
        source = resolved.source
        if context.repository is None:
            archive = ArchiveFiles(await self._archive(resolved))
            return await helm.plan(context, archive, self._dependencies)
        repository = context.repository
        directory = source_directory(source, repository)
        for link in directory.links:
            repository.add_link(link)
        match source_kind(source, directory.path, repository):
            case SourceKind.HELM:
                files = GitFiles(repository, directory.path)
                return await helm.plan(context, files, self._dependencies)
            case SourceKind.KUSTOMIZE:
                return await kustomize.plan(context, directory.path)
            case SourceKind.DIRECTORY:
                options = source.directory or DirectoryOptions()
                return plain.plan(options, directory.path, repository)

    async def _archive(self, resolved: ResolvedSource) -> dict[str, bytes]:
        repo_url, chart = chart_address(resolved.source)
        key = (repo_url, chart, resolved.revision, resolved.digest)
        known = self._archives.get(key)
        if known is not None:
            return known
        data = await self._charts.chart(repo_url, chart, resolved.revision)
        return self._archives.put(key, await asyncio.to_thread(read_chart, data))


def is_chart(source: Source) -> bool:
    """Whether a source is a chart of a chart repository, not a path in git."""
    return bool(source.chart) or source.repo_url.startswith("oci://")


def chart_address(source: Source) -> tuple[str, str]:
    """Repository and chart name; an OCI address without a chart ends in it."""
    if source.chart:
        return source.repo_url, source.chart
    repository, _, chart = source.repo_url.rstrip("/").rpartition("/")
    if repository in ("oci:", "oci:/"):
        raise BadInput(f"{source.repo_url!r} names no chart", where=Where(field="source.repoURL"))
    return repository, chart


def _holds(remembered: _Remembered, snapshots: Mapping[str, Snapshot]) -> bool:
    return all(
        prefix in snapshots and still_true(facts, snapshots[prefix])
        for prefix, facts in remembered.facts.items()
    )


def _may_be_remembered(plan: Plan) -> bool:
    """Large contents are not kept in memory; fetched charts are looked up anew."""
    return all(len(file.content or b"") <= _LARGE for file in plan.files) and not any(
        file.content is not None and file.path.endswith(".tgz") for file in plan.files
    )


def _memo_key(
    application: Application,
    this: ResolvedSource,
    capabilities: Capabilities,
    environment: Mapping[str, str],
) -> str:
    options = repr(this.source)
    commit = (this.revision, this.digest) if is_chart(this.source) else ()
    # variables may carry the revision; without any, the commit does not matter
    variables = sorted(environment.items()) if "$" in options else ()
    helm_only = (
        (application.name, application.destination.namespace, capabilities)
        if this.source.kustomize is None
        else ()
    )
    return repr((options, commit, variables, helm_only))

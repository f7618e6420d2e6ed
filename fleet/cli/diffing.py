"""What ``fleet diff`` does: a fleet at two revisions of the user's repository, evaluated, rendered and compared.

Only what may differ is rendered (`fleet.cli.inputs`), and of two renders with equal inputs the second is found, not made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from fleet import children, guard
from fleet.argo.children import RETURNING, key_of, split
from fleet.argo.reading import Problem
from fleet.cli import foresight
from fleet.cli.checkout import Side
from fleet.cli.fieldlines import LineFinder
from fleet.cli.foresight import InForce
from fleet.cli.inputs import Inputs, Sources
from fleet.cli.objectdiffs import by_reference, compare
from fleet.cli.repositories import local_repositories, parse_repositories
from fleet.cli.validation import check_fleet
from fleet.codec.jsontypes import JsonObject
from fleet.codec.redaction import redact
from fleet.errors import BadInput, FleetError
from fleet.git.local import LocalRepository
from fleet.jq.trimming import trim_once
from fleet.model.application import Application, Deletion, Source
from fleet.model.identity import TargetId
from fleet.render import artifact
from fleet.render.local import NoCharts
from fleet.render.planning import is_chart
from fleet.render.ports import MemoryArtifacts, MemoryClosures
from fleet.render.renderer import Renderer
from fleet.render.request import Capabilities, Rendering, ResolvedSource
from fleet.render.settings import RenderSettings
from fleet.sync.diff import unified
from fleet.wire import api
from fleet.wire.difference import (
    ApplicationChange,
    FleetDiff,
    HeldChange,
    ObjectChange,
    RevisionRow,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command line asks for."""

    folder: Path
    base: str
    head: str
    path: str | None = None
    repositories: tuple[str, ...] = ()
    url: str = ""
    branch: str = "main"
    manifests: bool = True


@dataclass(slots=True, kw_only=True)
class _Findings:
    """What is found on the way."""

    applications: list[ApplicationChange] = field(default_factory=list)
    held: list[HeldChange] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Rendered:
    rendering: Rendering
    objects: tuple[JsonObject, ...]


class _NotHere(Exception):
    """A source is not on this machine; says which."""


def compare_revisions(request: Request) -> FleetDiff:
    """Compare two revisions; raises BadInput for what cannot be compared at all."""
    repository = LocalRepository.find(request.folder)
    base, head = repository.commit(request.base), repository.commit(request.head)
    ours, theirs = _split(request, repository)
    folder = repository.inside if request.path is None else request.path
    with local_repositories(theirs) as others:
        side = Side(
            repository=repository, urls=ours, branch=request.branch, others=others, commit=head
        )
        findings = asyncio.run(_compare(side.at(base), side, folder, manifests=request.manifests))
    return FleetDiff(
        base=RevisionRow(revision=request.base, commit=base),
        head=RevisionRow(revision=request.head, commit=head),
        applications=tuple(findings.applications),
        held=tuple(findings.held),
        problems=tuple(_row(item) for item in findings.problems),
        unchecked=tuple(dict.fromkeys(redact(item) for item in findings.unchecked)),
    )


def _split(
    request: Request, repository: LocalRepository
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Tell what documents call this repository from other repositories, by where ``--repo`` leads."""
    ours = [request.url or repository.url()]
    if ours[0].startswith("/"):
        ours.append(Path(ours[0]).as_uri())
    theirs = []
    for pair in request.repositories:
        ((url, folder),) = parse_repositories([pair]).items()
        if LocalRepository.find(folder).git_dir == repository.git_dir:
            ours.append(url)
        else:
            theirs.append(pair)
    return tuple(url for url in ours if url), tuple(theirs)


async def _compare(base: Side, head: Side, folder: str, *, manifests: bool) -> _Findings:
    old_files = await asyncio.to_thread(base.read_fleet, folder)
    new_files = await asyncio.to_thread(head.read_fleet, folder)
    if not old_files.documents and not new_files.documents and not new_files.broken:
        raise BadInput(f"no documents below {folder or '.'} at either revision", hint="--path")
    findings = _Findings()
    old = await check_fleet(old_files, base)
    new = await check_fleet(new_files, head)
    if any(item.fatal for item in old.problems):
        findings.unchecked.append("what broken documents of the first revision would have made")
    finder = LineFinder(new_files.documents)
    findings.problems += sorted({finder.exactly(item) for item in new.problems}, key=_place)
    findings.unchecked += [*old.unchecked, *new.unchecked]
    before = foresight.at_base(old)
    trims = foresight.trims(new, before)
    trimmed = {name: await trim_once(item) for name, item in trims.items()}
    after = foresight.at_head(new, before, trimmed)
    findings.held += foresight.held(before, after)
    comparison = _Comparison(base, head, before, after, findings, manifests=manifests)
    await comparison.run()
    return findings


class _Comparison:
    """Compares targets; one renderer for both sides, which shares everything that is equal."""

    def __init__(
        self,
        base: Side,
        head: Side,
        before: InForce,
        after: InForce,
        findings: _Findings,
        *,
        manifests: bool,
    ) -> None:
        self._base, self._head = base, head
        self._before, self._after = before, after
        self._findings = findings
        self._manifests = manifests
        self._inputs = Inputs(base, head)
        self._artifacts = MemoryArtifacts()
        self._renderer = Renderer(
            sources=head,
            charts=NoCharts(),
            artifacts=self._artifacts,
            closures=MemoryClosures(),
            settings=RenderSettings(),
        )
        self._starting = asyncio.Lock()
        self._is_started = False

    async def run(self) -> None:
        """Compare all targets of both sides."""
        ids = sorted(self._before.targets.keys() | self._after.targets.keys())
        try:
            found = await asyncio.gather(*(self._target(id_) for id_ in ids))
        finally:
            await self._renderer.close()
        self._findings.applications += [item for item in found if item is not None]
        self._findings.held.sort(key=lambda item: item.subject)
        self._findings.unchecked.sort()

    async def _target(self, id_: TargetId) -> ApplicationChange | None:
        old = _application(self._before, id_)
        new = _application(self._after, id_)
        document = unified(_shown(old), _shown(new))
        old_sources = await self._sources(old, self._base)
        new_sources = await self._sources(new, self._head)
        objects: tuple[ObjectChange, ...] = ()
        unchecked = "not asked for"
        unmoved = new if old is not None and not document else None
        if unmoved is not None and await self._inputs.same(unmoved, old_sources, new_sources):
            return None
        stays = "" if new is not None or old is None else self._why_it_stays(id_, old)
        if stays:
            unchecked = ""
        elif self._manifests:
            objects, unchecked = await self._objects(id_, (old, old_sources), (new, new_sources))
        if unmoved is not None and not objects:
            if unchecked and self._manifests:
                self._findings.unchecked.append(f"manifests of {id_}: {unchecked}")
            return None
        either = new or old
        assert either is not None
        return ApplicationChange(
            cluster=id_.cluster,
            name=id_.app,
            set=either.appset,
            change="added" if old is None else "removed" if new is None else "changed",
            document=document,
            objects=objects,
            unchecked=redact(unchecked),
            stays=stays,
        )

    def _why_it_stays(self, id_: TargetId, application: Application) -> str:
        if id_.cluster not in {cluster.name for cluster in self._after.check.world.clusters}:
            return "its cluster leaves the fleet; everything on it stays"
        if application.deletion is Deletion.ORPHAN:
            return "it has no resources finalizer; its objects stay"
        return ""

    async def _sources(self, application: Application | None, side: Side) -> Sources:
        """Find the commits of all sources; what has none is told apart by what was asked for."""
        return tuple([await _resolved(source, side) for source in _sources(application)])

    async def _objects(
        self,
        id_: TargetId,
        old: tuple[Application | None, Sources],
        new: tuple[Application | None, Sources],
    ) -> tuple[tuple[ObjectChange, ...], str]:
        """Return what differs in the manifests, or why that is not known."""
        await self._start()
        try:
            after = await self._render(*new)
        except _NotHere as lacking:
            return (), str(lacking)
        except FleetError as error:
            self._findings.problems.append(_failed(error, id_, new[0]))
            return (), f"they cannot be rendered: {error.message}"
        try:
            before = await self._render(*old)
        except _NotHere as lacking:
            return (), str(lacking)
        except FleetError as error:
            return (), f"they could not be rendered at the first revision: {error.message}"
        if before and after:
            self._judge(id_, before, after, new[0])
            if before.rendering.artifact == after.rendering.artifact:
                return (), ""
        return compare(
            by_reference(before.objects if before else ()),
            by_reference(after.objects if after else ()),
        ), ""

    async def _render(
        self,
        application: Application | None,
        sources: Sources,
    ) -> _Rendered | None:
        if application is None:
            return None
        resolved = []
        for source in sources:
            if isinstance(source, str):
                raise _NotHere(source)
            resolved.append(source)
        rendering = await self._renderer.render(application, tuple(resolved), Capabilities())
        return _Rendered(rendering, artifact.decode(await self._artifacts.get(rendering.artifact)))

    async def _start(self) -> None:
        async with self._starting:
            if not self._is_started:
                await self._renderer.start()
                self._is_started = True

    def _judge(
        self, id_: TargetId, before: _Rendered, after: _Rendered, application: Application | None
    ) -> None:
        automated = application.sync_policy.automated if application else None
        kinds = (before.rendering.kinds, after.rendering.kinds)
        if self._is_management(id_):
            kinds = (_without_children(kinds[0]), _without_children(kinds[1]))
            self._judge_children(id_, before, after, application)
        verdict = guard.judge_objects(
            *kinds,
            allow_empty=bool(automated and automated.allow_empty),
            what=f"application {id_.app!r} on {id_.cluster}",
        )
        self._hold(f"app/{id_}", verdict)

    def _judge_children(
        self, id_: TargetId, before: _Rendered, after: _Rendered, application: Application | None
    ) -> None:
        """Documents of the fleet are judged like the rows of a set, where their parent prunes (app of apps)."""
        automated = application.sync_policy.automated if application else None
        if automated is None or not automated.prune:
            return
        old, new = _children(before.objects), _children(after.objects)
        verdict = children.judge(
            id_.app,
            old,
            new,
            largest=len(old),
            application=application,
            is_empty=not after.objects,
        )
        self._hold(f"children/{id_.app}", verdict)

    def _is_management(self, id_: TargetId) -> bool:
        clusters = self._after.check.world.clusters
        return any(cluster.management and cluster.name == id_.cluster for cluster in clusters)

    def _hold(self, subject: str, verdict: guard.Verdict) -> None:
        if verdict.held:
            self._findings.held.append(
                HeldChange(subject=subject, message=verdict.message, removed=verdict.removed)
            )


def _children(objects: Iterable[JsonObject]) -> set[str]:
    """Name the documents of the fleet among manifests."""
    return {
        key_of(value["kind"], str(value["metadata"].get("name"))) for value in split(objects)[0]
    }


def _without_children(kinds: Mapping[str, int]) -> dict[str, int]:
    return {kind: count for kind, count in kinds.items() if kind not in RETURNING}


async def _resolved(source: Source, side: Side) -> ResolvedSource | str:
    if is_chart(source):
        return f"chart {source.chart} of {source.repo_url} is not on this machine"
    if not side.has(source.repo_url):
        return f"repository {source.repo_url} is not given: --repo {source.repo_url}=DIR"
    try:
        commit = await side.resolve(source.repo_url, source.target_revision)
    except FleetError as error:
        return str(error)  # a tag that was not fetched is no mistake of a document
    return ResolvedSource(source=source, revision=commit)


def _sources(application: Application | None) -> Iterable[Source]:
    return application.sources if application else ()


def _application(side: InForce, id_: TargetId) -> Application | None:
    target = side.targets.get(id_)
    return target.application if target else None


def _shown(application: Application | None) -> JsonObject | None:
    """What people wrote of an Application."""
    if application is None:
        return None
    document = application.document
    return {key: document[key] for key in ("metadata", "spec") if key in document}


def _failed(error: FleetError, id_: TargetId, application: Application | None) -> Problem:
    where = error.where
    if not where.file and application is not None:
        where = replace(where, file=application.where.file, line=application.where.line)
    return Problem(
        reason=error.reason,
        message=f"{id_} cannot be rendered: {error.message}",
        where=replace(where, object=f"Application/{id_.app}"),
        fatal=True,
    )


def _place(problem: Problem) -> tuple[str, int, str]:
    return problem.where.file, problem.where.line, problem.message


def _row(problem: Problem) -> api.ProblemRow:
    where = problem.where
    return api.ProblemRow(
        reason=problem.reason,
        message=redact(problem.message),
        object=where.object,
        file=where.file,
        line=where.line,
        field=where.field,
        fatal=problem.fatal,
    )

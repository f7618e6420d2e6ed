"""Renderer: an Application at exact revisions becomes an artifact, at most once for each closure.

plan (what would be read) -> closure (its name) -> the stored artifact, or a child that renders it. One render
runs at a time for each closure; what fails stays failed until its closure changes.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import TypeVar

from prometheus_client import Counter, Histogram

from fleet.codec.canonical import digest_value
from fleet.errors import BadInput, FleetError, Unsupported, Where
from fleet.model.application import Application, Source
from fleet.model.identity import Digest
from fleet.render import widening
from fleet.render.artifact import Built
from fleet.render.building import Builder, MissedFiles
from fleet.render.parsing import Parser
from fleet.render.plan import FORMAT, Plan, closure_key
from fleet.render.planning import Planned, Planner, Recent, chart_address, is_chart
from fleet.render.ports import ArtifactSink, Charts, ClosureStore, SourceTrees, StoredClosure
from fleet.render.request import Capabilities, Rendering, ResolvedSource
from fleet.render.sandbox import Isolation, Limits, Sandbox, detect
from fleet.render.settings import RenderSettings
from fleet.render.tools import Tools

HITS = Counter("fleet_render_closure_hits", "Sources whose closure was rendered before")
RENDERS = Counter("fleet_render_renders", "Sources that were rendered", ["kind"])
FAILURES = Counter("fleet_render_failures", "Sources that could not be rendered", ["reason"])
UNCHANGED = Counter(
    "fleet_render_unchanged_outputs", "Closures that changed and gave the same artifact"
)
NONDETERMINISTIC = Counter(
    "fleet_render_nondeterministic", "Closures that gave another artifact when rendered again"
)
SECONDS = Histogram(
    "fleet_render_seconds",
    "Time of one render, waiting for its turn left out",
    ["kind"],
    buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100),
)

_WIDENINGS = 5
_FAILURES = 1_000
_CLOSURES = 20_000

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class _Part:
    """One rendered source."""

    key: Digest
    closure: StoredClosure
    from_cache: bool


class Renderer:
    """Renders Applications; built once, started before use."""

    def __init__(
        self,
        *,
        sources: SourceTrees,
        charts: Charts,
        artifacts: ArtifactSink,
        closures: ClosureStore,
        settings: RenderSettings,
        isolation: Isolation | None = None,
    ) -> None:
        if settings.allow_remote_bases:
            raise Unsupported(
                "remote kustomize bases are not supported", hint="use a second source"
            )
        self._sources = sources
        self._charts = charts
        self._artifacts = artifacts
        self._closures = closures
        self._settings = settings
        self._isolation = isolation
        self._planner = Planner(
            sources, charts, allow_chart_dependencies=settings.allow_chart_dependencies
        )
        self._turns = asyncio.Semaphore(settings.concurrency)
        self._running: dict[Digest, asyncio.Task[StoredClosure]] = {}
        self._known: Recent[Digest, StoredClosure] = Recent(_CLOSURES)
        self._failed: Recent[Digest, FleetError] = Recent(_FAILURES)
        self._last: Recent[tuple[str, int], tuple[Digest, Digest]] = Recent(_CLOSURES)

    async def start(self) -> None:
        """Find an isolation for children; raises NotReady when there is none and one is required."""
        isolation = self._isolation or await detect(require=self._settings.require_sandbox)
        self._isolation = isolation
        settings = self._settings
        limits = Limits(
            timeout=settings.timeout, memory=settings.memory, output=settings.max_output
        )
        sandbox = Sandbox(isolation, limits)
        self._sandbox = sandbox
        self._tools = Tools(settings, sandbox)
        self._parser = Parser(settings, sandbox)
        self._builder = Builder(
            settings,
            sandbox=sandbox,
            tools=self._tools,
            parser=self._parser,
            read=self._planner.read,
        )

    async def close(self) -> None:
        """End what is running."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def isolation(self) -> Isolation | None:
        """How children are kept from the network; None before `start`."""
        return self._isolation

    async def resolve(self, application: Application) -> tuple[ResolvedSource, ...]:
        """Find the exact revision of every source; raises FleetError with the Application's name."""
        return await _named(application, self._resolve(application))

    async def render(
        self,
        application: Application,
        resolved: tuple[ResolvedSource, ...],
        capabilities: Capabilities,
        *,
        refresh: bool = False,
        permits: Callable[[str], bool] = lambda url: True,
    ) -> Rendering:
        """Render all sources into one artifact.

        ``refresh`` renders again what is known; ``permits`` says whether the project allows a chart repository
        that a chart names. Raises BadInput, Denied, NotReady, Transient with Application, file and line.
        """
        work = self._render(application, resolved, capabilities, refresh=refresh, permits=permits)
        return await _named(application, work)

    async def _resolve(self, application: Application) -> tuple[ResolvedSource, ...]:
        _check_sources(application)
        return tuple([await self._resolve_one(source) for source in application.sources])

    async def _resolve_one(self, source: Source) -> ResolvedSource:
        if not is_chart(source):
            revision = await self._sources.resolve(source.repo_url, source.target_revision)
            return ResolvedSource(source=source, revision=revision)
        found = await self._charts.resolve(*chart_address(source), source.target_revision)
        return ResolvedSource(source=source, revision=found.version, digest=found.digest)

    async def _render(
        self,
        application: Application,
        resolved: tuple[ResolvedSource, ...],
        capabilities: Capabilities,
        *,
        refresh: bool,
        permits: Callable[[str], bool],
    ) -> Rendering:
        _check_sources(application)
        rendering = [n for n, each in enumerate(resolved) if _renders(each.source)]
        parts: list[_Part] = []
        for index in rendering:
            planned = await self._planner.plan(application, resolved, index, capabilities, permits)
            part = await self._part(planned, refresh=refresh)
            self._note_change(application.name, index, part)
            parts.append(part)
        whole = parts[0] if len(parts) == 1 else await self._combined(parts)
        first = resolved[rendering[0] if rendering else 0]
        return _rendering(whole, first.revision)

    async def _part(self, planned: Planned, *, refresh: bool) -> _Part:
        """Render one source, or find it rendered."""
        plan = planned.plan
        tool = (await self._tools.get(plan.argv[0])).version if plan.argv else ""
        key = closure_key(plan, tool)
        known = await self._lookup(key)
        while known is not None and known.more and known.artifact is None:
            plan = widening.widened(planned, plan, known.more, self._planner.read)
            key = closure_key(plan, tool)
            known = await self._lookup(key)
        if known is not None and known.artifact is not None and not refresh:
            HITS.inc()
            return _Part(key, known, from_cache=True)
        failed = self._failed.get(key)
        if failed is not None and not refresh:
            raise copy.copy(failed)
        return await self._fresh(key, tool, planned, plan)

    async def _fresh(self, key: Digest, tool: str, planned: Planned, plan: Plan) -> _Part:
        """Render; when the tool misses files, give those that the repository has, in the end all of them."""
        for attempt in range(_WIDENINGS + 2):
            try:
                return _Part(key, await self._once(key, plan), from_cache=False)
            except MissedFiles as missed:
                more = widening.present(planned, missed.paths) if attempt < _WIDENINGS else ()
                wider = widening.widened(planned, plan, more, self._planner.read)
                if wider.files == plan.files:
                    more = widening.WHOLE
                    wider = widening.widened(planned, plan, more, self._planner.read)
                if wider.files == plan.files:
                    self._failed.put(key, missed.failure)
                    FAILURES.labels(reason=missed.failure.reason).inc()
                    raise copy.copy(missed.failure) from None
                await self._store(key, StoredClosure(more=more))
                plan, key = wider, closure_key(wider, tool)
        raise AssertionError("the whole repository cannot be widened")

    async def _once(self, key: Digest, plan: Plan) -> StoredClosure:
        """Share one render between all who want the same closure now."""
        task = self._running.get(key)
        if task is None:
            task = asyncio.create_task(self._run(key, plan), name=f"render {key[7:19]}")
            self._running[key] = task
            task.add_done_callback(lambda done: self._forget(key, done))
        try:
            return await asyncio.shield(task)
        except (FleetError, MissedFiles) as error:
            raise copy.copy(error) from error.__cause__

    def _forget(self, key: Digest, task: asyncio.Task[StoredClosure]) -> None:
        del self._running[key]
        if not task.cancelled():
            task.exception()  # every waiter may have been cancelled; then nobody else looks

    async def _run(self, key: Digest, plan: Plan) -> StoredClosure:
        try:
            early = await self._builder.early(plan)
            async with self._turns:
                RENDERS.labels(kind=plan.kind).inc()
                with SECONDS.labels(kind=plan.kind).time():
                    built = await self._builder.build(plan, early)
        except FleetError as error:
            FAILURES.labels(reason=error.reason).inc()
            if isinstance(error, BadInput):
                self._failed.put(key, error)
            raise
        return await self._keep(key, built, plan)

    async def _keep(self, key: Digest, built: Built, plan: Plan) -> StoredClosure:
        """Store an artifact, then its closure; of two results for one closure the first stays."""
        digest = await self._artifacts.put(built.data)
        closure = StoredClosure(
            artifact=digest,
            objects=built.objects,
            kinds=built.kinds,
            warnings=(*plan.warnings, *built.warnings),
        )
        first = await self._closures.get(key)
        if first is not None and first.artifact not in (None, digest):
            NONDETERMINISTIC.inc()
            closure = replace(first, nondeterministic=True)
        elif first is not None and first.artifact is not None:
            closure = first
        return await self._store(key, closure)

    async def _lookup(self, key: Digest) -> StoredClosure | None:
        known = self._known.get(key)
        if known is not None:
            return known
        stored = await self._closures.get(key)
        if stored is None or (stored.artifact and not await self._artifacts.has(stored.artifact)):
            return None
        return self._known.put(key, stored)

    async def _store(self, key: Digest, closure: StoredClosure) -> StoredClosure:
        await self._closures.put(key, closure)
        return self._known.put(key, closure)

    async def _combined(self, parts: list[_Part]) -> _Part:
        key = digest_value({"format": FORMAT, "combine": [part.key for part in parts]})
        known = await self._lookup(key)
        if known is not None and all(part.from_cache for part in parts):
            return _Part(key, known, from_cache=True)
        datas = [await self._artifacts.get(_artifact(part)) for part in parts]
        built = await self._parser.combine(tuple(datas))
        closure = StoredClosure(
            artifact=await self._artifacts.put(built.data),
            objects=built.objects,
            kinds=built.kinds,
            warnings=tuple(
                [w for part in parts for w in part.closure.warnings] + list(built.warnings)
            ),
            nondeterministic=any(part.closure.nondeterministic for part in parts),
        )
        return _Part(key, await self._store(key, closure), from_cache=False)

    def _note_change(self, name: str, index: int, part: _Part) -> None:
        """Count closures that changed for nothing."""
        artifact = _artifact(part)
        before = self._last.get((name, index))
        if before is not None and before[0] != part.key and before[1] == artifact:
            UNCHANGED.inc()
        self._last.put((name, index), (part.key, artifact))


async def _named(application: Application, work: Coroutine[object, object, _Result]) -> _Result:
    try:
        return await work
    except FleetError as error:
        raise error.at(object=f"Application {application.name}") from error.__cause__


def _check_sources(application: Application) -> None:
    if not application.sources:
        raise BadInput("has no source", where=Where(field="spec.source"))
    for source in application.sources:
        where = Where(field="spec.source.ref" if source.ref else "spec.source")
        if source.ref and is_chart(source):
            raise BadInput("a source with a ref cannot be a chart", where=where)
        if not _renders(source) and not source.ref:
            raise BadInput("needs a path or a chart", where=where)


def _renders(source: Source) -> bool:
    """Whether a source gives manifests; one that only has a ``ref`` lends its files to others."""
    return bool(source.path) or is_chart(source)


def _artifact(part: _Part) -> Digest:
    assert part.closure.artifact is not None
    return part.closure.artifact


def _rendering(part: _Part, revision: str) -> Rendering:
    closure = part.closure
    return Rendering(
        artifact=_artifact(part),
        objects=closure.objects,
        kinds=closure.kinds,
        warnings=closure.warnings,
        revision=revision,
        closure=part.key,
        from_cache=part.from_cache,
        nondeterministic=closure.nondeterministic,
    )

"""Renderings: per target, from the Application to a candidate artifact.

One key per target, so that a chart that hangs or fails delays nobody else. A target whose sources resolve to what
they were, with the same Application and capabilities, costs a comparison; beyond that `fleet.render` decides
whether anything has to run at all. The result is a fact for `hub.dispatch`, a failure included: the target then
stays at what it has, with the message.

What is rendered for the management cluster may hold documents of the fleet itself (app of apps): they are split off
as an offer, which `hub.children` decides about, and the rest is an artifact of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import structlog

from fleet.argo.children import RETURNING, Offer
from fleet.argo.permissions import permits_source
from fleet.argo.reading import Problem
from fleet.codec.canonical import digest_value
from fleet.errors import BadInput, Denied, FleetError
from fleet.model.application import Application
from fleet.model.identity import TargetId
from fleet.model.report import ClusterFacts
from fleet.moves import Candidate
from fleet.render import artifact
from fleet.render.renderer import Renderer
from fleet.render.request import Capabilities, Rendering, ResolvedSource
from fleet.runtime.reconciler import Done, Outcome
from fleet.store.port import ArtifactStore
from fleet.targets import find_project
from hub.bundles import opened
from hub.state import State

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Input:
    """What a rendering was made of."""

    application: Application
    resolved: tuple[ResolvedSource, ...]
    capabilities: Capabilities
    management: bool
    repositories: frozenset[str] = field(default=frozenset(), compare=False)
    """Of the charts that what was rendered depends on: its project permitted them."""

    def is_same(self, other: _Input) -> bool:
        """Compare by value; to Python 1 and true are equal, but not to a chart."""
        return self == other and (
            self.application is other.application
            or digest_value(self.application.document) == digest_value(other.application.document)
        )


@dataclass(slots=True, kw_only=True)
class Renderings:
    """Keeps `State.candidates` up to date."""

    renderer: Renderer
    artifacts: ArtifactStore
    state: State
    rendered: Callable[[TargetId], None]
    """Told when a target's candidate changed."""
    offered: Callable[[TargetId], None] = lambda _id: None
    """Told when what a target brings to the fleet changed."""
    settled: Callable[[TargetId], None] = lambda _id: None
    """Told when a target was looked at, whatever came of it."""
    _inputs: dict[TargetId, _Input] = field(default_factory=dict)
    _anew: set[TargetId] = field(default_factory=set)
    """Targets that are to be rendered although their closure is known."""
    _warnings: dict[TargetId, tuple[str, ...]] = field(default_factory=dict)
    _problems: dict[TargetId, Problem] = field(default_factory=dict)

    async def reconcile(self, id_: TargetId) -> Outcome:
        """Render one target if anything about it changed."""
        try:
            return await self._reconcile(id_)
        finally:
            self.settled(id_)

    async def _reconcile(self, id_: TargetId) -> Outcome:
        target = self.state.desired.targets.get(id_)
        if target is None:
            self.forget(id_)
            return Done()
        try:
            await self._render(id_, target.application)
        except (BadInput, Denied) as error:
            self._failed(id_, error)
            raise
        except FleetError as error:
            self._note(id_, error)
            # the outside failed: what was rendered before stays the candidate
            if id_ not in self.state.candidates or self.state.candidates[id_].error:
                self._failed(id_, error)
            raise
        if self._problems.pop(id_, None) is not None:
            self.offered(id_)  # also what it brought before is known for certain only now
        return Done()

    @property
    def problems(self) -> Mapping[TargetId, Problem]:
        """What the last try of each target failed with."""
        return self._problems

    def warnings(self, id_: TargetId) -> tuple[str, ...]:
        """What rendering wants the owner to know."""
        return self._warnings.get(id_, ())

    def refresh(self, id_: TargetId) -> None:
        """Forget what a target was rendered from, so that the next run looks at everything again."""
        self._inputs.pop(id_, None)
        self._anew.add(id_)

    def forget(self, id_: TargetId) -> None:
        """Drop a target that left."""
        self._inputs.pop(id_, None)
        self._anew.discard(id_)
        self._warnings.pop(id_, None)
        self._problems.pop(id_, None)
        self.state.candidates.pop(id_, None)
        self.state.offers.pop(id_, None)
        self.state.revisions.pop(id_, None)

    async def _render(self, id_: TargetId, application: Application) -> None:
        resolved = await self.renderer.resolve(application)
        cluster = self.state.desired.clusters.get(id_.cluster)
        management = cluster is not None and cluster.management
        made_of = _Input(application, resolved, self._capabilities(id_), management)
        known = self._inputs.get(id_)
        permits = partial(self._permits, application.project)
        if known is not None and known.is_same(made_of) and all(map(permits, known.repositories)):
            return
        asked: set[str] = set()

        def asks(repo_url: str) -> bool:
            asked.add(repo_url)
            return permits(repo_url)

        rendering = await self.renderer.render(
            application,
            resolved,
            made_of.capabilities,
            refresh=id_ in self._anew,
            permits=asks,
        )
        self._anew.discard(id_)
        offer = None
        if management:
            rendering, offer = await self._split(id_, application, rendering)
        self._inputs[id_] = replace(made_of, repositories=frozenset(asked))
        self._rendered(id_, rendering)
        self._offer(id_, offer)

    def _permits(self, project: str, repo_url: str) -> bool:
        """Whether a project lets a chart's own dependencies come from a repository."""
        found = find_project(self.state.desired.projects, project)
        return found is not None and permits_source(found, repo_url)

    def _capabilities(self, id_: TargetId) -> Capabilities:
        seen = self.state.seen.get(id_.cluster)
        facts = seen.facts if seen and seen.facts else ClusterFacts(uid="")
        return Capabilities(kube_version=facts.kube_version, api_versions=facts.api_versions)

    async def _split(
        self, id_: TargetId, application: Application, rendering: Rendering
    ) -> tuple[Rendering, Offer]:
        """Take the documents of the fleet out of a rendering."""
        if not RETURNING & rendering.kinds.keys():
            return rendering, Offer(artifact=rendering.artifact, others=rendering.objects)
        offer, others = await opened(
            self.artifacts,
            rendering.artifact,
            parent=id_,
            namespace=application.destination.namespace,
        )
        rest = replace(
            rendering,
            artifact=await self.artifacts.put(artifact.encode(others)),
            objects=len(others),
            kinds={kind: n for kind, n in rendering.kinds.items() if kind not in RETURNING},
        )
        return rest, offer

    def _rendered(self, id_: TargetId, rendering: Rendering) -> None:
        self.state.revisions[id_] = rendering.revision
        self._warnings[id_] = tuple(
            f"{warning.reason}: {warning.message}" for warning in rendering.warnings
        )
        self._take(id_, Candidate(digest=rendering.artifact, kinds=rendering.kinds))

    def _offer(self, id_: TargetId, offer: Offer | None) -> None:
        before = self.state.offers.pop(id_, None)
        if offer is None:
            return
        self.state.offers[id_] = offer
        if before is None or (before.digest, before.others) != (offer.digest, offer.others):
            self.offered(id_)

    def _failed(self, id_: TargetId, error: FleetError) -> None:
        self._inputs.pop(id_, None)
        self._note(id_, error)
        self._take(id_, Candidate(error=f"{error.reason}: {error}"))

    def _note(self, id_: TargetId, error: FleetError) -> None:
        hint = f" ({error.hint})" if error.hint else ""
        self._problems[id_] = Problem(
            reason=error.reason, message=error.message + hint, where=error.where
        )

    def _take(self, id_: TargetId, candidate: Candidate) -> None:
        if self.state.candidates.get(id_) != candidate:
            self.state.candidates[id_] = candidate
            self.rendered(id_)

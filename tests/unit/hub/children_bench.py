"""A hub's evaluation and rendering joined as in the daemon, over documents and manifests in memory: app of apps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Mapping, Set
from dataclasses import dataclass, field
from typing import TypeVar, cast

from fleet.codec import yamldoc
from fleet.codec.canonical import Digest, digest_value
from fleet.codec.jsontypes import JsonObject
from fleet.errors import FleetError
from fleet.jq.paths import JqPaths
from fleet.model.application import Application
from fleet.model.identity import AppName, TargetId
from fleet.model.report import Health, Ready, Sync, TargetStatus
from fleet.render import artifact
from fleet.render.renderer import Renderer
from fleet.render.request import Rendering, ResolvedSource
from fleet.runtime.queue import WorkQueue
from fleet.testing.clock import FakeClock
from fleet.testing.mirrors import MemoryMirrors
from fleet.testing.store import MemoryArtifactStore, MemoryStore
from hub.accepted import Accepted
from hub.children import Children
from hub.childsyncs import ChildSyncs
from hub.evaluate import Evaluator
from hub.fleetrepo import FleetRepo
from hub.history import History
from hub.joints import Joints, Queues
from hub.operations import Operations
from hub.parents import Parents
from hub.poller import Poller
from hub.records import Records
from hub.renderings import Renderings
from hub.rollbacks import Rollbacks
from hub.settings import FleetRepository
from hub.state import State
from hub.world import Worlds

CONFIG = "https://git.example.com/config.git"
APPS = "https://git.example.com/apps.git"
FINALIZER = "resources-finalizer.argocd.argoproj.io"
AUTOMATED: JsonObject = {"prune": True, "selfHeal": True}
K = TypeVar("K", bound=Hashable)


def cluster(name: str, *, management: bool = False) -> JsonObject:
    spec: JsonObject = {"management": True} if management else {}
    return {"apiVersion": "gitopsfleet.io/v1alpha1", "kind": "Cluster",
            "metadata": {"name": name}, "spec": spec}  # fmt: skip


def app(
    name: str,
    on: str = "hub",
    *,
    automated: JsonObject | None = AUTOMATED,
    finalizer: bool = True,
    project: str = "default",
    namespace: str = "argocd",
    wave: int | None = None,
    annotations: Mapping[str, str] | None = None,
) -> JsonObject:
    """An Application; ``on`` is its cluster."""
    notes: JsonObject = dict(annotations or {})
    if wave is not None:
        notes["argocd.argoproj.io/sync-wave"] = str(wave)
    metadata: JsonObject = {"name": name, "namespace": "argocd"}
    if notes:
        metadata["annotations"] = notes
    if finalizer:
        metadata["finalizers"] = [FINALIZER]
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": metadata,
        "spec": {
            "project": project,
            "source": {"repoURL": APPS, "path": name},
            "destination": {"name": on, "namespace": namespace},
            "syncPolicy": {"automated": automated} if automated is not None else {},
        },
    }


def project(name: str, **spec: object) -> JsonObject:
    wide: JsonObject = {"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}]}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
            "metadata": {"name": name, "namespace": "argocd"}, "spec": {**wide, **spec}}  # fmt: skip


def appset(name: str, *elements: str, on: str = "edge") -> JsonObject:
    """A set with one Application for each element."""
    template = app("{{.name}}", on)
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {"name": name, "namespace": "argocd"},
        "spec": {
            "goTemplate": True,
            "generators": [{"list": {"elements": [{"name": item} for item in elements]}}],
            "template": {key: template[key] for key in ("metadata", "spec")},
        },
    }


def configmap(name: str) -> JsonObject:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {}}


class _NoPoller:
    def want(self, _repositories: object) -> None:
        """Nobody is polled here."""


@dataclass
class _Manifests:
    """A renderer whose output the test says, by Application."""

    artifacts: MemoryArtifactStore
    of: dict[str, list[JsonObject] | FleetError] = field(default_factory=dict)
    down: FleetError | None = None

    async def resolve(self, application: Application) -> tuple[ResolvedSource, ...]:
        if self.down:
            raise self.down
        found = self.of.get(application.name, [])
        revision = digest_value(str(found))
        return tuple(ResolvedSource(source=s, revision=revision) for s in application.sources)

    async def render(self, application: Application, *_more: object, **_named: object) -> Rendering:
        found = self.of.get(application.name, [])
        if isinstance(found, FleetError):
            raise found
        kinds: dict[str, int] = {}
        for value in found:
            group, slash, _ = value["apiVersion"].partition("/")
            kind = f"{group if slash else ''}/{value['kind']}"
            kinds[kind] = kinds.get(kind, 0) + 1
        digest = await self.artifacts.put(artifact.encode(found))
        return Rendering(
            artifact=digest, objects=len(found), kinds=kinds, warnings=(), revision="commit",
            closure=digest, from_cache=False,
        )  # fmt: skip


@dataclass
class Hub:
    """What the daemon does between a commit and a dispatch; ``restart`` keeps only what is durable."""

    mirrors: MemoryMirrors = field(default_factory=MemoryMirrors)
    store: MemoryStore = field(default_factory=MemoryStore)
    clock: FakeClock = field(default_factory=FakeClock)
    artifacts: MemoryArtifactStore = field(default_factory=MemoryArtifactStore)
    bound: set[str] = field(default_factory=set)
    """Clusters with an agent."""
    is_obeyed: bool = True
    evaluations: int = 0
    seen: list[list[str]] = field(default_factory=list)
    """What had a target after each evaluation."""

    def __post_init__(self) -> None:
        self.manifests = _Manifests(self.artifacts)
        self.documents: dict[str, list[JsonObject]] = {
            "clusters.yaml": [cluster("hub", management=True), cluster("edge")]
        }
        self.start()

    def start(self) -> None:
        self.state = State()
        self.queues = Queues.make(self.clock)
        self.records = Records(self.store)
        self.state.approvals = self.records.approvals
        repo = FleetRepo(FleetRepository(repo_url=CONFIG), self.mirrors, self.store)
        self.worlds = Worlds(self.mirrors, (repo,), self.clock)
        self.accepted = Accepted(self.store)
        self.syncs = ChildSyncs(store=self.store, evaluate=self.queues.evaluate)
        self.joints = Joints(
            state=self.state, queues=self.queues, records=self.records,
            poller=cast("Poller", _NoPoller()), fleet_repositories=frozenset(), agents=tuple,
            look_at_rollouts=lambda: None, look_at_rollouts_of=lambda _ids: None, handed_out=lambda _moved: None, remembered=tuple,
            has_failed=lambda id_: id_ in self.renderings.problems,
            failing=lambda: self.renderings.problems, touched=lambda _place: True, clock=self.clock,
        )  # fmt: skip
        parents = Parents(
            accepted=self.accepted, state=self.state, syncs=self.syncs,
            is_bound=lambda name: name in self.bound, is_rendering=self.joints.is_rendering,
            has_failed=self.joints.has_failed,
        )  # fmt: skip
        self.evaluator = Evaluator(
            worlds=self.worlds, accepted=self.accepted, state=self.state, clock=self.clock,
            jq=JqPaths(self.clock), children=Children(parents=parents),
            held_clusters=self.records.declared, joined_clusters=tuple,
            approval_used=self.records.used, evaluated=self._evaluated,
        )  # fmt: skip
        self.history = History(store=self.store, state=self.state, clock=self.clock)
        self.rollbacks = Rollbacks(
            store=self.store, artifacts=self.artifacts, state=self.state, history=self.history,
            operations=Operations(store=self.store, clock=self.clock, changed=lambda _name: None),
            clock=self.clock, changed=self.joints.pinned, is_bound=lambda name: name in self.bound,
        )  # fmt: skip
        self.renderings = Renderings(
            renderer=cast("Renderer", self.manifests), artifacts=self.artifacts, state=self.state,
            rendered=self.joints.rendered, offered=self.joints.offered, settled=self.joints.settled,
        )  # fmt: skip

    async def restart(self) -> None:
        """Stop the hub and start it again."""
        self.start()
        await self.records.restore()
        await self.accepted.restore()
        await self.syncs.restore()
        await self.worlds.restore()
        await self.history.restore()
        await self.rollbacks.restore()
        await self.settle()

    async def commit(
        self, *documents: JsonObject, **manifests: list[JsonObject] | FleetError
    ) -> list[str]:
        """Write the fleet's documents, all of them, and what Applications render; returns the targets then."""
        if documents:
            self.documents["apps.yaml"] = list(documents)
        self.manifests.of |= {name.replace("_", "-"): found for name, found in manifests.items()}
        files = {
            path: "---\n".join(yamldoc.dump(each) for each in found)
            for path, found in self.documents.items()
        }
        self.mirrors.commit(CONFIG, files)
        return await self.settle()

    async def settle(self) -> list[str]:
        """Let everything happen that follows, and nothing be left that goes on for ever."""
        self.queues.evaluate()
        return await self.work()

    async def work(self) -> list[str]:
        """Let everything happen that is due or will be, and nothing else."""
        for _ in range(60):
            await self.clock.advance(0.2)
            await self._work(self.queues.history, self._remember)
            if not len(self.queues.fleet) and not len(self.queues.targets):
                return self.apps()
            await self._work(self.queues.fleet, self._evaluate)
            await self._work(self.queues.targets, self._render)
            self._obey()
        raise AssertionError("it never settles")

    def _evaluated(self, urls: Set[str]) -> None:
        self.seen.append(self.apps())
        self.joints.evaluated(urls)

    async def _evaluate(self, key: str) -> None:
        self.evaluations += 1
        await self.evaluator.reconcile(key)

    async def _remember(self, id_: TargetId) -> None:
        await self.history.reconcile(id_)
        await self.rollbacks.settle(id_)

    async def _render(self, id_: TargetId) -> None:
        try:
            await self.renderings.reconcile(id_)
        except FleetError:
            return

    def _obey(self) -> None:
        """Clusters with an agent are assigned what is wanted at once."""
        pins = self.state.pins
        wanted = {
            id_: pins[id_].digest if id_ in pins else candidate.digest
            for id_, candidate in self.state.candidates.items()
            if id_.cluster in self.bound and (id_ in pins or not candidate.error)
        }
        moved = [id_ for id_, digest in wanted.items() if self.state.assigned.get(id_) != digest]
        for id_ in moved if self.is_obeyed else ():
            self.state.assigned[id_] = wanted[id_]
            self.joints.assigned(frozenset((id_,)))

    async def _work(self, queue: WorkQueue[K], reconcile: Callable[[K], object]) -> None:
        while True:
            waiting = asyncio.create_task(queue.get())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            if not waiting.done():
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)
                return
            key = waiting.result()
            await reconcile(key)  # type: ignore[misc]  # both are coroutines
            queue.done(key)

    def report(self, target: str, health: Health = Health.HEALTHY) -> None:
        """An agent says how a target stands at what is assigned."""
        id_ = TargetId.parse(target)
        assigned = self.state.assigned[id_]
        self.state.statuses.setdefault(id_.cluster, {})[id_.app] = TargetStatus(
            target=id_.app, sync=Sync.SYNCED, health=health, assigned=assigned, applied=assigned,
            ready=Ready(ready=health is Health.HEALTHY, message=str(health)),
        )  # fmt: skip
        self.joints.status_changed(id_.cluster, frozenset((id_,)))

    def apps(self) -> list[str]:
        """Names of the Applications that have a target."""
        return sorted(id_.app for id_ in self.state.desired.targets)

    def parents(self, name: str) -> tuple[str, ...]:
        """Who is above an Application."""
        return self.state.desired.applications[AppName(name)].parents

    def problems(self) -> list[str]:
        """What is wrong, as text."""
        return [f"{p.where.object}: {p.message}" for p in self.state.desired.problems]

    async def rest(self, target: str) -> list[str]:
        """Names of the objects that the agent of a target gets."""
        digest = self.state.candidates[TargetId.parse(target)].digest
        objects = artifact.decode(await self.artifacts.get(Digest(digest)))
        return [value["metadata"]["name"] for value in objects]

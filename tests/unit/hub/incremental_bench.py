"""A hub from a commit to its assignments, over a fleet that a test changes at random, and the same one made from nothing.

Renderings are stand-ins that depend on what the real ones do: folders, files of other repositories, chart versions,
what a cluster can. Git is fetched as by the real mirrors: what nobody fetched is not known.
"""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random
from typing import TypeVar, cast

from fleet.codec import yamldoc
from fleet.codec.canonical import Digest, digest_value
from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput, FleetError, Transient, Where
from fleet.git.mirrors import Mirrors
from fleet.jq.paths import JqPaths
from fleet.model.application import Application
from fleet.model.assignment import Head
from fleet.model.identity import ClusterName
from fleet.model.target import Target
from fleet.model.world import Tree
from fleet.pki.keys import SigningKey
from fleet.render.planning import is_chart
from fleet.render.renderer import Renderer
from fleet.render.request import Capabilities, Rendering, ResolvedSource
from fleet.runtime.queue import WorkQueue
from fleet.testing.clock import FakeClock
from fleet.testing.mirrors import MemoryMirrors
from fleet.testing.store import MemoryArtifactStore, MemoryStore
from hub.accepted import Accepted
from hub.assignments import AssignmentRecords
from hub.children import Children
from hub.childsyncs import ChildSyncs
from hub.dispatch import Dispatcher
from hub.evaluate import Evaluator
from hub.fleetrepo import FleetRepo
from hub.joints import RENDERING, Joints, Queues
from hub.operations import Operations
from hub.parents import Parents
from hub.poller import Poller
from hub.records import Records
from hub.renderings import Renderings
from hub.settings import FleetRepository
from hub.state import State
from hub.world import Worlds

K = TypeVar("K", bound=Hashable)

CONFIG = "https://git.example.com/config.git"
RETRY = 20.0
"""Seconds after which what failed outside is tried again."""


@dataclass
class Remotes(MemoryMirrors):
    """Mirrors behind which somebody pushes: only a fetch, or the first use, brings that here."""

    pushed: dict[str, dict[str, str]] = field(default_factory=dict)
    fetched: dict[str, dict[str, str]] = field(default_factory=dict)

    cut: set[str] = field(default_factory=set)
    """Repositories that cannot be fetched; what is here of them is."""

    async def fetch(self, repo_url: str) -> bool:
        if repo_url in self.cut:
            raise Transient(f"{repo_url} does not answer")
        if repo_url not in self.pushed:
            raise BadInput(f"there is no repository {repo_url}")
        files = self.pushed[repo_url]
        moved = self.fetched.get(repo_url) != files
        if moved:
            self.fetched[repo_url] = dict(files)
            self.commit(repo_url, files)
        return moved

    async def resolve(self, repo_url: str, revision: str) -> str:
        if repo_url not in self.fetched:
            await self.fetch(repo_url)
        return await super().resolve(repo_url, revision)


@dataclass
class Outside:
    """What there is besides the hub, and stays when it stops."""

    mirrors: Remotes = field(default_factory=Remotes)
    store: MemoryStore = field(default_factory=MemoryStore)
    clock: FakeClock = field(default_factory=FakeClock)
    key: SigningKey = field(default_factory=SigningKey.generate)
    charts: dict[str, str] = field(default_factory=dict)
    """Newest version by name."""
    down: set[str] = field(default_factory=set)
    """Repositories whose files nobody can read for a renderer."""
    agents: dict[ClusterName, str] = field(default_factory=dict)
    """UID of each cluster with an agent."""


@dataclass
class Folders:
    """Stands for `fleet.render.renderer.Renderer`: an artifact is named by all that a real one depends on."""

    outside: Outside

    async def resolve(self, application: Application) -> tuple[ResolvedSource, ...]:
        found = []
        for source in application.sources:
            if source.repo_url in self.outside.down:
                raise Transient(f"{source.repo_url} does not answer")
            if is_chart(source):
                revision = self.outside.charts[source.chart or source.repo_url]
            else:
                revision = await self.outside.mirrors.resolve(
                    source.repo_url, source.target_revision
                )
            found.append(ResolvedSource(source=source, revision=revision))
        return tuple(found)

    async def render(
        self,
        application: Application,
        resolved: tuple[ResolvedSource, ...],
        capabilities: Capabilities,
        *,
        permits: Callable[[str], bool],
        **_named: object,
    ) -> Rendering:
        parts: list[str] = []
        count = 1
        for item in resolved:
            if is_chart(item.source):
                parts.append(item.revision)
                continue
            tree = await self.outside.mirrors.tree(item.source.repo_url, item.revision)
            objects = _below(tree, item.source.path)
            if not objects:
                raise BadInput(f"{item.source.path} does not exist")
            texts = await self.outside.mirrors.blobs(item.source.repo_url, objects)
            for text in texts.values():
                if text == b"bad":
                    raise BadInput("a file cannot be read")
                if text == b"chart" and not permits("https://charts.example.com"):
                    raise BadInput("the project does not permit the chart")
                count += 20 if text == b"large" else 0
            parts += objects
        name = digest_value(
            [application.name, parts, capabilities.kube_version, str(application.labels)]
        )
        return Rendering(
            artifact=Digest(name), objects=count, kinds={"/ConfigMap": count}, warnings=(),
            revision=resolved[0].revision, closure=Digest(name), from_cache=False,
        )  # fmt: skip


def _below(tree: Tree, path: str) -> list[str]:
    return [
        entry.object
        for entry in tree.entries
        if entry.kind.value == "file" and (not path or entry.path.startswith(f"{path}/"))
    ]


class Hub:
    """The parts between git and the agents, joined as in the daemon; one worker for all queues, which a test drives."""

    def __init__(self, outside: Outside) -> None:
        self.outside = outside
        self.clock, self.store = outside.clock, outside.store
        self.state = State()
        self.queues = Queues.make(self.clock)
        self.records = Records(self.store)
        self.state.approvals = self.records.approvals
        self.poller = Poller(
            mirrors=cast("Mirrors", outside.mirrors),
            queue=self.queues.repositories,
            interval=timedelta(hours=1),
            moved=lambda repo_url: self.joints.moved(repo_url),  # noqa: PLW0108  # made below
            rng=Random(1),
        )
        self.joints = Joints(
            state=self.state, queues=self.queues, records=self.records, poller=self.poller,
            fleet_repositories=frozenset({CONFIG}), agents=lambda: list(outside.agents),
            handed_out=lambda _moved: None, remembered=tuple, look_at_rollouts=lambda: None,
            look_at_rollouts_of=lambda _ids: None,
            has_failed=lambda id_: id_ in self.renderings.problems,
            failing=lambda: self.renderings.problems,
            touched=lambda place: self.evaluator.touched(place),  # noqa: PLW0108  # made below
            clock=self.clock,
        )  # fmt: skip
        self.accepted = Accepted(self.store)
        repo = FleetRepo(FleetRepository(repo_url=CONFIG), outside.mirrors, self.store)
        self.worlds = Worlds(outside.mirrors, (repo,), self.clock)
        syncs = ChildSyncs(store=self.store, evaluate=self.queues.evaluate)
        self.evaluator = Evaluator(
            worlds=self.worlds, accepted=self.accepted, state=self.state, clock=self.clock,
            jq=JqPaths(self.clock),
            children=Children(
                parents=Parents(
                    accepted=self.accepted, state=self.state, syncs=syncs,
                    is_rendering=self.joints.is_rendering, has_failed=self.joints.has_failed,
                )
            ),
            held_clusters=self.records.declared, joined_clusters=lambda: list(outside.agents),
            approval_used=self.records.used, evaluated=self.joints.evaluated,
        )  # fmt: skip
        self.renderings = Renderings(
            renderer=cast("Renderer", Folders(outside)), artifacts=MemoryArtifactStore(),
            state=self.state, rendered=self.joints.rendered, offered=self.joints.offered,
            settled=self.joints.settled,
        )  # fmt: skip
        self.assignments = AssignmentRecords(
            store=self.store, artifacts=MemoryArtifactStore(), state=self.state
        )
        self.dispatcher = Dispatcher(
            assignments=self.assignments, state=self.state,
            operations=Operations(store=self.store, clock=self.clock, changed=self.queues.clusters.add),
            hub_id="hub", epoch=1, keys=lambda: [outside.key],
            cluster_uid=lambda name: outside.agents.get(name, ""),
            removing=self.records.is_removing, assigned=self.joints.assigned,
            turned=self.joints.turned, approval_used=self.records.used,
            gate=lambda _target: None, keeps=lambda _id: False,
        )  # fmt: skip

    async def restore(self) -> None:
        """Read what is durable."""
        await self.records.restore()
        await self.assignments.restore()
        await self.accepted.restore()
        await self.worlds.restore()
        await self.evaluator.rules.restore()
        self.poller.want([CONFIG])
        self.queues.evaluate()

    async def again(self) -> Hub:
        """Return a hub that was started anew beside this one, when it has come to rest."""
        outside = copy.copy(self.outside)
        outside.store = copy.copy(self.store)
        other = Hub(outside)
        other.state.statuses = {name: dict(known) for name, known in self.state.statuses.items()}
        other.state.seen = copy.deepcopy(self.state.seen)
        other.state.pins = dict(self.state.pins)
        await other.restore()
        await other.rest()
        return other

    async def step(self, rng: Random | None = None) -> bool:
        """Do one thing that is due, any one if a test says so; whether there was one."""
        steps: list[Callable[[], Awaitable[bool]]] = [
            lambda: self._one(self.queues.repositories, self.poller.reconcile),
            lambda: self._one(self.queues.fleet, self.evaluator.reconcile),
            lambda: self._one(self.queues.targets, self.renderings.reconcile),
            lambda: self._one(self.queues.clusters, self.dispatcher.reconcile),
        ]
        if rng is not None:
            rng.shuffle(steps)
        for step in steps:
            if await step():
                return True
        return False

    async def rest(self) -> None:
        """Do all that is due, or is soon, until nothing is."""
        for _ in range(30):
            did = False
            while await self.step():
                did = True
            await self.clock.advance(RENDERING)
            if not did:
                return
        raise AssertionError("it never comes to rest")

    async def _one(self, queue: WorkQueue[K], reconcile: Callable[[K], Awaitable[object]]) -> bool:
        key = await take(queue)
        if key is None:
            return False
        try:
            await reconcile(key)
        except Transient:
            queue.add_after(key, RETRY)
        except FleetError:
            pass
        finally:
            queue.done(key)
        return True

    def said(self) -> dict[str, object]:
        """What this hub has come to, as values that another one can be compared by."""
        state, desired = self.state, self.state.desired
        return {
            "applications": {
                name: _bare(item) for name, item in sorted(desired.applications.items())
            },
            "targets": {id_: _placed(target) for id_, target in sorted(desired.targets.items())},
            "clusters": desired.clusters,
            "detached": desired.detached,
            "sets": desired.sets,
            "problems": [(item.reason, item.message) for item in desired.problems],
            "refused": dict(sorted(desired.refused.items())),
            "on_cluster": {
                name: {app: _placed(target) for app, target in sorted(found.items())}
                for name, found in sorted(state.placement.on_cluster.items())
            },
            "places": dict(sorted(state.placement.places.items())),
            "users": dict(sorted(state.placement.users.items())),
            "candidates": dict(sorted(state.candidates.items())),
            "decisions": {
                id_: state.decisions.get(id_)
                for id_ in sorted(desired.targets)
                if id_.cluster in self.outside.agents
            },
            "assigned": dict(sorted(state.assigned.items())),
            "holds": dict(sorted(state.holds.items())),
            "approvals": dict(state.approvals),
            "heads": {name: self.head(name) for name in sorted(self.outside.agents)},
            "wanted": self.poller.wanted,
        }

    def head(self, name: ClusterName) -> Head | None:
        record = self.assignments.get(name)
        return record.head if record else None


def _bare(application: Application) -> Application:
    """An Application without where it is written: a row that was read from the store has lost a part of that."""
    return replace(application, where=Where(), row="")


def _placed(target: Target) -> Target:
    return replace(target, application=_bare(target.application))


async def take(queue: WorkQueue[K]) -> K | None:
    """Take a key that is due."""
    for key in list(queue._due):
        if queue.is_due(key):
            return await queue.get()
    return None


def write(documents: Mapping[str, JsonObject]) -> dict[str, str]:
    """Files of the fleet's repository, one for each document."""
    return {f"{name}.yaml": yamldoc.dump(document) for name, document in documents.items()}

"""A hub's evaluation over repositories in memory, for tests of what comes into force."""

from __future__ import annotations

from dataclasses import dataclass, field

from fleet.jq.paths import JqPaths
from fleet.model.identity import ClusterName
from fleet.testing.clock import FakeClock
from fleet.testing.mirrors import MemoryMirrors
from fleet.testing.store import MemoryStore
from hub.accepted import Accepted
from hub.children import Children
from hub.childsyncs import ChildSyncs
from hub.evaluate import Evaluator
from hub.fleetrepo import FleetRepo
from hub.parents import Parents
from hub.records import Records
from hub.settings import FleetRepository
from hub.state import State
from hub.world import Worlds

CONFIG = "https://git.example.com/config.git"
APPS = "https://git.example.com/apps.git"

CLUSTER = """
apiVersion: gitopsfleet.io/v1alpha1
kind: Cluster
metadata: {{name: {0}, labels: {{env: {0}}}}}
spec: {{}}
---
"""
SET = """
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {name: apps, namespace: argocd}
spec:
  goTemplate: true
  generators:
  - git:
      repoURL: https://git.example.com/apps.git
      revision: main
      directories: [{path: "*"}]
  template:
    metadata: {name: '{{.path.basename}}'}
    spec:
      project: default
      source: {repoURL: "https://git.example.com/apps.git", path: '{{.path.path}}', targetRevision: main}
      destination: {name: staging, namespace: demo}
"""
APP = """
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {{name: {0}, namespace: argocd}}
spec:
  project: default
  source: {{repoURL: "https://git.example.com/apps.git", path: {0}}}
  destination: {{name: {1}, namespace: demo}}
"""


def directories(count: int) -> dict[str, str]:
    return {f"a{number:02}/cm.yaml": "x" for number in range(count)}


@dataclass
class Fleet:
    """A hub's evaluation over repositories in memory."""

    mirrors: MemoryMirrors = field(default_factory=MemoryMirrors)
    store: MemoryStore = field(default_factory=MemoryStore)
    clock: FakeClock = field(default_factory=FakeClock)
    joined: set[str] = field(default_factory=set)
    configs: tuple[str, ...] = (CONFIG,)

    def __post_init__(self) -> None:
        self.jq = JqPaths(self.clock)
        self.start()

    def start(self) -> None:
        """Begin anew with what is durable, as after a restart."""
        self.state = State()
        self.records = Records(self.store)
        self.state.approvals = self.records.approvals
        self.worlds = Worlds(
            self.mirrors,
            tuple(
                FleetRepo(FleetRepository(repo_url=url), self.mirrors, self.store)
                for url in self.configs
            ),
            self.clock,
        )
        self.accepted = Accepted(self.store)
        self.evaluator = Evaluator(
            worlds=self.worlds,
            accepted=self.accepted,
            state=self.state,
            clock=self.clock,
            jq=self.jq,
            children=Children(
                parents=Parents(
                    accepted=self.accepted,
                    state=self.state,
                    syncs=ChildSyncs(store=self.store, evaluate=lambda: None),
                )
            ),
            held_clusters=self.records.declared,
            joined_clusters=lambda: [ClusterName(name) for name in sorted(self.joined)],
            approval_used=self.records.used,
            evaluated=lambda _repositories: None,
        )

    async def restart(self) -> None:
        self.start()
        await self.records.restore()
        await self.evaluator.accepted.restore()
        await self.worlds.restore()

    async def evaluate(self) -> list[str]:
        await self.evaluator.reconcile("fleet")
        return self.targets()

    def targets(self) -> list[str]:
        return sorted(str(id_) for id_ in self.state.desired.targets)

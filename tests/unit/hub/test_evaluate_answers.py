"""Sets that ask forges and plugins, in the hub: last good rows, the shrink budget, answers that change."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from fleet.errors import Transient
from fleet.jq.paths import JqPaths
from fleet.model.answers import AnswerRequest, Rows
from fleet.testing.clock import FakeClock
from fleet.testing.mirrors import MemoryMirrors
from fleet.testing.store import MemoryStore
from hub.accepted import Accepted
from hub.answers import Answers
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
DOCUMENTS = """
apiVersion: gitopsfleet.io/v1alpha1
kind: Cluster
metadata: {name: staging}
spec: {}
---
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {name: apps, namespace: argocd}
spec:
  goTemplate: true
  generators:
  - plugin: {configMapRef: {name: rows}, requeueAfterSeconds: 60}
  template:
    metadata: {name: '{{.name}}'}
    spec:
      project: default
      source: {repoURL: "https://git.example.com/apps.git", path: apps}
      destination: {name: staging, namespace: demo}
"""


@dataclass
class Fleet:
    """A hub's evaluation with somebody who answers."""

    says: Rows | Exception = ({"name": "a"}, {"name": "b"}, {"name": "c"})
    asked: int = 0
    told: int = 0
    """How often somebody was told that an answer is another one."""
    store: MemoryStore = field(default_factory=MemoryStore)
    clock: FakeClock = field(default_factory=FakeClock)
    mirrors: MemoryMirrors = field(default_factory=MemoryMirrors)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.answers = Answers(forges=self, clock=self.clock, changed=self.tell, patience=0.5)
        repo = FleetRepo(FleetRepository(repo_url=CONFIG), self.mirrors, self.store)
        self.worlds = Worlds(self.mirrors, (repo,), self.clock, self.answers)
        records = Records(self.store)
        self.state = State()
        accepted = Accepted(self.store)
        self.evaluator = Evaluator(
            worlds=self.worlds,
            accepted=accepted,
            state=self.state,
            clock=self.clock,
            jq=JqPaths(self.clock),
            children=Children(
                parents=Parents(
                    accepted=accepted,
                    state=self.state,
                    syncs=ChildSyncs(store=self.store, evaluate=lambda: None),
                )
            ),
            held_clusters=records.declared,
            joined_clusters=list,
            approval_used=records.used,
            evaluated=lambda _repositories: None,
        )

    def tell(self) -> None:
        self.told += 1

    async def answer(self, _request: AnswerRequest) -> Rows:
        self.asked += 1
        if isinstance(self.says, Exception):
            raise self.says
        return self.says

    async def evaluate(self) -> list[str]:
        await self.evaluator.reconcile("fleet")
        await self.clock.settle()
        return sorted(id_.app for id_ in self.state.desired.targets)

    async def later(self) -> list[str]:
        """Evaluate when the answer has grown old, and again with the new one."""
        await self.clock.advance(61)
        await self.evaluate()
        return await self.evaluate()


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    made = Fleet()
    made.mirrors.commit(CONFIG, {"fleet.yaml": DOCUMENTS})
    yield made
    await made.answers.close()


async def test_answers_become_targets_and_are_asked_once(fleet: Fleet) -> None:
    assert await fleet.evaluate() == ["a", "b", "c"]
    assert await fleet.evaluate() == ["a", "b", "c"]
    assert fleet.asked == 1


async def test_a_changed_answer_counts(fleet: Fleet) -> None:
    await fleet.evaluate()
    fleet.says = ({"name": "a"}, {"name": "b"}, {"name": "c"}, {"name": "d"})
    assert await fleet.later() == ["a", "b", "c", "d"]


async def test_one_and_true_are_different_answers(fleet: Fleet) -> None:
    labelled = DOCUMENTS.replace(
        "{name: '{{.name}}'}", "{name: '{{.name}}', labels: {flag: '{{.flag}}'}}"
    )
    fleet.mirrors.commit(CONFIG, {"fleet.yaml": labelled})
    fleet.says = ({"name": "a", "flag": 1},)
    await fleet.evaluate()
    fleet.says = ({"name": "a", "flag": True},)
    await fleet.later()
    (target,) = fleet.state.desired.targets.values()
    assert target.application.labels["flag"] == "true"
    assert fleet.told == 1


async def test_a_failure_keeps_the_rows_also_through_a_restart(fleet: Fleet) -> None:
    await fleet.evaluate()
    fleet.says = Transient("page 2 fails")
    assert await fleet.later() == ["a", "b", "c"]
    status = fleet.state.desired.sets["apps"]
    assert status.last_good
    assert "page 2 fails" in status.errors[0]
    fleet.start()
    await fleet.evaluator.accepted.restore()
    await fleet.worlds.restore()
    assert await fleet.evaluate() == ["a", "b", "c"]
    fleet.says = ({"name": "a"}, {"name": "b"}, {"name": "x"})
    assert await fleet.later() == ["a", "b", "x"]


async def test_an_empty_answer_is_held(fleet: Fleet) -> None:
    await fleet.evaluate()
    fleet.says = ()
    assert await fleet.later() == ["a", "b", "c"]
    assert fleet.state.desired.sets["apps"].held


async def test_a_set_without_anybody_to_ask_fails(fleet: Fleet) -> None:
    fleet.worlds.answers = None
    assert await fleet.evaluate() == []
    assert "nobody here asks other servers" in fleet.state.desired.sets["apps"].errors[0]

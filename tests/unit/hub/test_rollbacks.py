"""History and rollbacks: what was deployed is kept by artifact, and a target can be brought back to it."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from fleet.argo.children import Child, Offer
from fleet.errors import BadInput, NotReady
from fleet.model.application import Application, Automated, Destination, Source, SyncPolicy
from fleet.model.identity import AppName, ClusterName, TargetId
from fleet.model.report import OperationResult, Sync, TargetStatus
from fleet.model.target import Target
from fleet.moves import Candidate
from fleet.testing.clock import FakeClock
from fleet.testing.store import MemoryArtifactStore, MemoryStore
from hub.history import History
from hub.operations import Operations
from hub.rollbacks import Rollbacks, Wish
from hub.state import Desired, State

WEB = TargetId(ClusterName("east"), AppName("web"))


class Bench:
    """A hub's memory of one target."""

    def __init__(self, *, automated: bool = False, limit: int = 10) -> None:
        self.store, self.artifacts = MemoryStore(), MemoryArtifactStore()
        self.state, self.clock = State(), FakeClock()
        policy = SyncPolicy(automated=Automated() if automated else None)
        application = Application(
            name=WEB.app,
            namespace="argocd",
            project="default",
            sources=(Source(repo_url="https://git.example/x", path="web", target_revision="main"),),
            destination=Destination(name="east"),
            sync_policy=policy,
            history_limit=limit,
        )
        target = Target(id=WEB, application=application)
        self.state.replace_desired(Desired(targets={WEB: target}, evaluated=True))
        self.dispatched: list[TargetId] = []
        self.history = History(store=self.store, state=self.state, clock=self.clock)
        self.operations = Operations(
            store=self.store, clock=self.clock, changed=lambda _cluster: None
        )
        self.rollbacks = Rollbacks(
            store=self.store,
            artifacts=self.artifacts,
            state=self.state,
            history=self.history,
            operations=self.operations,
            clock=self.clock,
            dispatch=self.dispatched.append,
        )

    async def deploy(self, text: str, *, operation: str = "") -> str:
        """Render, hand out, and have it reported as applied."""
        digest = await self.artifacts.put(text.encode())
        self.state.candidates[WEB] = Candidate(digest=digest, kinds={"ConfigMap": 1})
        self.state.revisions[WEB] = f"commit-of-{text}"
        self.state.assigned[WEB] = digest
        self.state.kinds[WEB] = {"ConfigMap": 1}
        self.history.assigned([WEB])
        await self.clock.advance(5)
        await self.report(digest, operation=operation)
        return digest

    async def report(self, digest: str, *, operation: str = "") -> None:
        done = OperationResult(id=operation, phase="Succeeded") if operation else None
        status = TargetStatus(
            target=WEB.app, sync=Sync.SYNCED, assigned=digest, applied=digest, operation=done
        )
        self.state.statuses[WEB.cluster] = {WEB.app: status}
        await self.history.reconcile(WEB)


async def test_every_artifact_that_was_applied_is_an_entry_once() -> None:
    bench = Bench()
    first = await bench.deploy("one")
    await bench.report(first)
    second = await bench.deploy("two", operation="abc")
    kept = bench.history.of(WEB)
    assert [(item.id, item.digest, item.revision, item.initiated_by) for item in kept] == [
        (1, first, "commit-of-one", "automated sync"),
        (2, second, "commit-of-two", "sync abc"),
    ]
    assert kept[0].sources == ("https://git.example/x web main",)
    assert kept[0].started_at is not None
    assert (kept[0].deployed_at - kept[0].started_at).total_seconds() == 5
    assert bench.history.named() == {first, second}


async def test_history_survives_a_restart_and_a_missed_report() -> None:
    bench = Bench()
    first = await bench.deploy("one")
    digest = await bench.artifacts.put(b"two")
    bench.state.statuses[WEB.cluster] = {
        WEB.app: TargetStatus(target=WEB.app, assigned=digest, applied=digest)
    }
    again = History(store=bench.store, state=bench.state, clock=bench.clock)
    await again.restore()
    assert [item.digest for item in again.of(WEB)] == [first]
    await again.reconcile(WEB)
    assert [item.digest for item in again.of(WEB)] == [first, digest]


async def test_only_as_many_are_kept_as_the_application_says() -> None:
    bench = Bench(limit=2)
    await bench.deploy("one")
    kept = [await bench.deploy("two"), await bench.deploy("three")]
    assert [item.digest for item in bench.history.of(WEB)] == kept
    assert [item.id for item in bench.history.of(WEB)] == [2, 3], "ids go on"


async def test_a_target_that_is_gone_has_no_history() -> None:
    bench = Bench()
    await bench.deploy("one")
    bench.state.replace_desired(Desired(evaluated=True))
    await bench.history.reconcile(WEB)
    assert bench.history.of(WEB), "it is still there: its cluster reports it"
    bench.state.statuses.clear()
    await bench.history.reconcile(WEB)
    assert not bench.history.of(WEB)
    assert bench.history.named() == frozenset()


async def test_a_rollback_pins_the_one_before_and_asks_for_a_sync() -> None:
    bench = Bench()
    first = await bench.deploy("one")
    await bench.deploy("two")
    operation, chosen = await bench.rollbacks.roll_back(WEB, Wish(prune=True, reason="it broke"))
    assert chosen.digest == first
    assert bench.state.pins[WEB].digest == first
    assert "it broke" in bench.state.pins[WEB].words
    assert bench.dispatched == [WEB]
    assert bench.operations.open_for(WEB.cluster) == (operation,)
    assert operation.arguments["prune"] is True
    bench.state.assigned[WEB] = first
    await bench.report(first)
    assert bench.history.of(WEB)[-1].initiated_by == "rollback to 1"
    assert bench.history.of(WEB)[-1].revision == "commit-of-one"


async def test_automated_sync_refuses_a_rollback_that_is_not_pinned() -> None:
    bench = Bench(automated=True)
    first = await bench.deploy("one")
    await bench.deploy("two")
    with pytest.raises(BadInput, match=r"synced automatically.*--pin"):
        await bench.rollbacks.roll_back(WEB, Wish())
    assert WEB not in bench.state.pins
    await bench.rollbacks.roll_back(WEB, Wish(pin=True))
    assert bench.state.pins[WEB].digest == first


async def test_an_app_of_apps_is_not_rolled_back_by_half() -> None:
    bench = Bench()
    await bench.deploy("one")
    await bench.deploy("two")
    bench.state.offers[WEB] = Offer()
    await bench.rollbacks.roll_back(WEB, Wish())
    await bench.rollbacks.release(WEB)
    bench.state.offers[WEB] = Offer(children={"Application/api": cast("Child", None)})
    with pytest.raises(BadInput, match="brings child applications"):
        await bench.rollbacks.roll_back(WEB, Wish())
    assert WEB not in bench.state.pins


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        (Wish(to=7), "no deployment 7.*there are: 1, 2"),
        (Wish(to=2), "is at deployment 2 already"),
    ],
    ids=["unknown", "current"],
)
async def test_a_deployment_that_cannot_be_gone_to_is_refused(wish: Wish, message: str) -> None:
    bench = Bench()
    await bench.deploy("one")
    await bench.deploy("two")
    with pytest.raises(BadInput, match=message):
        await bench.rollbacks.roll_back(WEB, wish)


async def test_nothing_before_is_said() -> None:
    bench = Bench()
    await bench.deploy("one")
    with pytest.raises(BadInput, match="no earlier deployment"):
        await bench.rollbacks.roll_back(WEB, Wish())


async def test_an_artifact_that_is_lost_is_said_before_anything_changes() -> None:
    bench = Bench()
    first = await bench.deploy("one")
    await bench.deploy("two")
    await bench.artifacts.delete(bench.history.of(WEB)[0].digest)  # type: ignore[arg-type]  # a digest
    with pytest.raises(NotReady, match="not kept any more"):
        await bench.rollbacks.roll_back(WEB, Wish())
    assert first not in {pin.digest for pin in bench.state.pins.values()}


async def test_a_pin_survives_a_restart_and_ends_with_a_release() -> None:
    bench = Bench()
    await bench.deploy("one")
    await bench.deploy("two")
    await bench.rollbacks.roll_back(WEB, Wish())
    kept = dict(bench.state.pins)
    bench.state.pins = {}
    await bench.rollbacks.restore()
    assert bench.state.pins == kept
    assert await bench.rollbacks.release(WEB)
    assert not await bench.rollbacks.release(WEB)
    await bench.rollbacks.restore()
    assert bench.state.pins == {}


async def test_a_pin_goes_when_git_says_the_same_or_wants_the_target_no_more() -> None:
    bench = Bench()
    first = await bench.deploy("one")
    await bench.deploy("two")
    await bench.rollbacks.roll_back(WEB, Wish())
    await bench.rollbacks.settle(WEB)
    assert WEB in bench.state.pins
    bench.state.candidates[WEB] = replace(bench.state.candidates[WEB], digest=first)
    await bench.rollbacks.settle(WEB)
    assert WEB not in bench.state.pins
    bench.state.candidates[WEB] = replace(bench.state.candidates[WEB], digest="sha256:other")
    bench.state.assigned[WEB] = "sha256:other"
    await bench.rollbacks.roll_back(WEB, Wish(to=1))
    bench.state.desired = Desired(evaluated=True)
    await bench.rollbacks.settle(WEB)
    assert WEB not in bench.state.pins

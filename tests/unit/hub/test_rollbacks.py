"""History and rollbacks: what was deployed is kept by artifact, and a target can be brought back to it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest

from fleet.errors import BadInput, NotReady
from fleet.model.application import Application, Automated, Destination, Source, SyncPolicy
from fleet.model.identity import AppName, ClusterName, TargetId
from fleet.model.report import OperationResult, Sync, TargetStatus
from fleet.model.target import Target
from fleet.moves import Candidate
from fleet.store.port import Change, Kind
from fleet.testing.clock import FakeClock
from fleet.testing.store import MemoryArtifactStore, MemoryStore
from hub.appops import PATIENCE, AppOperations
from hub.history import History
from hub.operations import Operations
from hub.peoplehttp import NotFound
from hub.rollbacks import Rollbacks, Wish
from hub.state import Desired, State

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import web

    from hub.parents import Parents

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
            changed=self.dispatched.append,
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
    assert operation is not None
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
    del bench.state.assigned[WEB]
    await bench.rollbacks.settle(WEB)
    assert WEB not in bench.state.pins


@pytest.mark.parametrize(
    ("desired", "is_assigned"),
    [
        pytest.param(Desired(evaluated=True, certain=False), False, id="not-all-is-read"),
        pytest.param(Desired(evaluated=True), True, id="its-cluster-or-project-is-amiss"),
    ],
)
async def test_a_pin_stays_while_the_target_is_only_out_of_sight(
    desired: Desired, is_assigned: bool
) -> None:
    bench = Bench()
    first = await bench.deploy("one")
    await bench.deploy("two")
    await bench.rollbacks.roll_back(WEB, Wish())
    bench.state.assigned = {WEB: first} if is_assigned else {}
    bench.state.replace_desired(desired)
    await bench.rollbacks.settle(WEB)
    assert WEB in bench.state.pins


async def test_a_pin_keeps_its_artifact_whatever_becomes_of_the_history() -> None:
    bench = Bench()
    first = await bench.deploy("one")
    await bench.deploy("two")
    await bench.rollbacks.roll_back(WEB, Wish())
    assert bench.rollbacks.named() == {first}
    await bench.rollbacks.release(WEB)
    assert bench.rollbacks.named() == set()


async def test_a_pin_that_ends_takes_none_away_that_comes_at_the_same_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    first, second = await bench.deploy("one"), await bench.deploy("two")
    await bench.deploy("three")
    await bench.rollbacks.roll_back(WEB, Wish(to=1))
    bench.state.assigned[WEB] = first
    bench.state.candidates[WEB] = Candidate(digest=first)  # git says the same: the pin goes
    commit = bench.store.commit

    async def slowly(*changes: Change) -> None:
        await commit(*changes)
        for _ in range(5):
            await asyncio.sleep(0)

    monkeypatch.setattr(bench.store, "commit", slowly)
    asked = asyncio.create_task(bench.rollbacks.roll_back(WEB, Wish(to=2)))
    await asyncio.sleep(0)
    await bench.rollbacks.settle(WEB)
    await asked
    assert bench.state.pins[WEB].digest == second
    await bench.rollbacks.restore()
    assert bench.state.pins[WEB].digest == second


async def test_a_target_that_left_meanwhile_is_no_mistake_of_the_hub() -> None:
    bench = Bench()
    await bench.deploy("one")
    bench.state.replace_desired(Desired(evaluated=True))
    with pytest.raises(NotReady, match="east/web"):
        await bench.rollbacks.roll_back(WEB, Wish())


@pytest.mark.parametrize("to", [0, 2], ids=["the-one-before", "by-id"])
async def test_a_rollback_that_has_not_arrived_can_be_asked_for_again(to: int) -> None:
    """Its operation may be lost: the hub stopped before it was written, or the cluster was away for too long."""
    bench = Bench()
    await bench.deploy("one")
    second = await bench.deploy("two")
    await bench.deploy("three")
    await bench.rollbacks.roll_back(WEB, Wish(to=to))
    bench.state.assigned[WEB] = second
    await bench.clock.advance(2 * 3600)
    operation, chosen = await bench.rollbacks.roll_back(WEB, Wish(to=to))
    assert chosen.digest == second
    assert bench.operations.open_for(WEB.cluster) == (operation,)


class Request:
    """A call without a body, as far as the handlers look at it."""

    content_type = "application/json"
    can_read_body = False
    content_length = 0

    def __init__(self, bench: Bench, *, leaves: bool = False) -> None:
        self._bench, self._leaves = bench, leaves
        self.match_info = {"name": "web"}

    async def read(self) -> bytes:
        """While the body comes, the world goes on."""
        if self._leaves:
            self._bench.state.replace_desired(Desired(evaluated=True))
        return b""


def operations_of(
    bench: Bench, *, is_rendering: Callable[[TargetId], bool] = lambda _id: False
) -> AppOperations:
    def refuse(_target: Target) -> None:
        raise BadInput("it has no step")

    async def never(*_arguments: object) -> str:
        raise AssertionError("not asked for here")

    return AppOperations(
        state=bench.state,
        operations=bench.operations,
        rollbacks=bench.rollbacks,
        history=bench.history,
        may_go=refuse,
        let_go=cast("Callable[[Target], Awaitable[None]]", never),
        children=cast("Parents", None),
        dismiss=never,
        is_rendering=is_rendering,
        clock=bench.clock,
    )


async def test_a_sync_that_is_refused_leaves_the_pin() -> None:
    bench = Bench()
    await bench.deploy("one")
    await bench.deploy("two")
    await bench.rollbacks.roll_back(WEB, Wish())
    with pytest.raises(BadInput, match="no step"):
        await operations_of(bench).sync(cast("web.Request", Request(bench)))
    assert WEB in bench.state.pins


@pytest.mark.parametrize("ends", [True, False], ids=["rendered", "hangs"])
async def test_a_sync_is_for_what_is_being_rendered(ends: bool) -> None:
    """What came before it, or nothing at all, would be taken for done."""
    bench = Bench()
    rendering = {WEB}
    operations = operations_of(bench, is_rendering=lambda id_: id_ in rendering)
    sync = asyncio.create_task(operations.sync(cast("web.Request", Request(bench))))
    await bench.clock.advance(PATIENCE / 2)
    assert not sync.done()
    if ends:
        rendering.clear()
    await bench.clock.advance(0.1 if ends else PATIENCE / 2 + 0.1)
    assert sync.done()
    with pytest.raises(BadInput, match="no step"):
        await sync


@pytest.mark.parametrize("call", [AppOperations.sync, AppOperations.roll_back])
async def test_a_target_that_leaves_while_a_call_is_read_is_not_found(
    call: Callable[[AppOperations, web.Request], Awaitable[web.Response]],
) -> None:
    bench = Bench()
    with pytest.raises(NotFound):
        await call(operations_of(bench), cast("web.Request", Request(bench, leaves=True)))


async def test_what_may_not_be_on_its_cluster_is_not_rolled_back() -> None:
    bench = Bench()
    await bench.deploy("one")
    await bench.deploy("two")
    target = replace(bench.state.desired.targets[WEB], held="project shop does not permit it")
    bench.state.replace_desired(Desired(targets={WEB: target}, evaluated=True))
    with pytest.raises(BadInput, match="project shop does not permit it"):
        await bench.rollbacks.roll_back(WEB, Wish())
    assert WEB not in bench.state.pins


async def test_a_cluster_that_is_removed_leaves_nothing_to_another_of_its_name() -> None:
    bench = Bench()
    await bench.deploy("one")
    await bench.deploy("two")
    await bench.rollbacks.roll_back(WEB, Wish())
    for part in (bench.operations, bench.rollbacks, bench.history):
        await part.forget(ClusterName("west"))
    assert WEB in bench.state.pins
    for part in (bench.operations, bench.rollbacks, bench.history):
        await part.forget(WEB.cluster)
    assert bench.state.pins == {}
    assert bench.history.of(WEB) == ()
    assert bench.operations.open_for(WEB.cluster) == ()
    assert not any(
        [await bench.store.load(kind) for kind in (Kind.PINS, Kind.HISTORY, Kind.OPERATIONS)]
    )

"""Operations: what is asked of a target counts until its agent reports it as finished, or it expired."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from fleet.model.identity import AppName, ClusterName, TargetId
from fleet.model.report import OperationResult, TargetStatus
from fleet.testing.clock import FakeClock
from fleet.testing.store import MemoryStore
from hub.dispatch import Dispatcher
from hub.operations import LIFETIME, Operations
from hub.rollup import Rollup
from hub.state import State
from hub.views import Views

EAST, WEST = ClusterName("east"), ClusterName("west")
WEB = TargetId(EAST, AppName("web"))
UNUSED: Any = None


def make(store: MemoryStore, clock: FakeClock) -> Operations:
    return Operations(store=store, clock=clock, changed=lambda _cluster: None)


def reported(id_: str, phase: str) -> dict[str, TargetStatus]:
    done = OperationResult(id=id_, phase=phase)
    return {"web": TargetStatus(target="web", operation=done)}


async def test_an_operation_is_asked_until_it_is_reported_as_finished_also_over_a_restart() -> None:
    store, clock = MemoryStore(), FakeClock()
    operations = make(store, clock)
    first = await operations.ask(WEB, "sync", {})
    second = await operations.ask(WEB, "refresh", {})
    operations = make(store, clock)
    await operations.restore()
    assert operations.is_asked(WEB)
    assert not operations.is_asked(TargetId(WEST, AppName("web")))
    await operations.settle(EAST, reported(first.id, "Running"))
    await operations.settle(WEST, reported(first.id, "Succeeded"))
    await operations.settle(EAST, reported(second.id, "Failed"))
    assert operations.is_asked(WEB)
    await operations.settle(EAST, reported(first.id, "Succeeded"))
    assert not operations.is_asked(WEB)
    assert operations.open_for(EAST) == ()


async def test_an_operation_that_nobody_took_up_ends_by_the_clock_and_is_cleared_away() -> None:
    store, clock = MemoryStore(), FakeClock()
    operations = make(store, clock)
    old = await operations.ask(WEB, "sync", {})
    await clock.advance(LIFETIME.total_seconds() + 1)
    assert not operations.is_asked(WEB)
    new = await operations.ask(WEB, "sync", {})
    assert new.id != old.id
    assert operations.open_for(EAST) == (new,)
    again = make(store, clock)
    await again.restore()
    assert again.open_for(EAST) == (new,)


@pytest.mark.parametrize(
    ("phase", "shown"),
    [("", "Pending"), ("Succeeded", "Pending"), ("Running", "Running"), ("Terminating", "Terminating")],
)  # fmt: skip
async def test_what_nobody_took_up_yet_is_shown_as_pending(phase: str, shown: str) -> None:
    store, clock, state = MemoryStore(), FakeClock(), State()
    operations = make(store, clock)
    rollup = Rollup(
        store=store, state=state, operations=operations, clock=clock, lease=timedelta(minutes=1),
        status_changed=lambda _cluster, _changed: None, released=lambda _needed: None,
        facts_changed=lambda _cluster: None, came_back=lambda _cluster: None,
    )  # fmt: skip
    dispatcher = cast("Dispatcher", SimpleNamespace(operations=operations))
    views = Views(
        state=state, rollup=rollup, dispatcher=dispatcher, records=UNUSED, renderings=UNUSED,
        worlds=UNUSED, poller=UNUSED, rollouts=UNUSED,
    )  # fmt: skip
    state.statuses[EAST] = reported("earlier", phase) if phase else {}
    assert views.app(WEB).operation == phase
    await operations.ask(WEB, "sync", {})
    assert views.app(WEB).operation == shown

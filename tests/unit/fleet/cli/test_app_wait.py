"""Waiting for applications: nothing is good before it is, whatever the hub says in which order."""

from __future__ import annotations

from typing import cast

import msgspec
import pytest

from fleet.cli import apps
from fleet.cli.connection import Connection, NotFound
from fleet.cli.exits import Exit
from fleet.wire import api


def row(name: str = "web", **changes: str) -> api.AppRow:
    found = api.AppRow(
        name=name, cluster="east", set="", project="default", sync="Synced", health="Healthy",
        revision="", digest="", waiting_for=(), message="", age_seconds=0,
    )  # fmt: skip
    return msgspec.structs.replace(found, **changes)


def state(phase: str, id_: str = "op") -> api.OperationRow:
    return api.OperationRow(
        id=id_, kind="sync", phase=phase, message="", started_at="", finished_at="", retries=0,
        resources=(),
    )  # fmt: skip


Facts = tuple[tuple[api.AppRow, ...], api.OperationRow | None]


class Hub:
    """A hub that has moved on by every call."""

    def __init__(self, *facts: Facts) -> None:
        self._facts = list(facts)
        self.asked: list[str] = []

    def get(self, path: str, _kind: type) -> object:
        self.asked.append(path)
        rows, operation = self._facts[0]
        if len(self._facts) > 1:
            self._facts.pop(0)
        if path == "apps":
            return api.AppList(items=rows)
        if path == "holds":
            return api.HoldList(items=())
        found = msgspec.structs.replace(_DETAIL, operation_state=operation)
        return msgspec.structs.replace(found, app=rows[0])


_DETAIL = api.AppDetail(
    app=row(), namespace="", server="", sources=(), automated=False, prune=False, self_heal=False,
    deletion="", applied="", phase="", objects=0, problems=(), warnings=(), operation="",
    operation_state=None, pinned="",
)  # fmt: skip


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time passes only by waiting."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr("fleet.cli.apps.time.sleep", sleep)
    monkeypatch.setattr("fleet.cli.apps.time.monotonic", lambda: now[0])


GOOD = row()
BAD = row(health="Progressing")


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param([((GOOD,), state("Succeeded"))], Exit.OK, id="through-and-good"),
        pytest.param([((GOOD,), None)], Exit.FAILED, id="not-reported-yet"),
        pytest.param([((GOOD,), state("Succeeded", "another"))], Exit.FAILED, id="of-another"),
        pytest.param([((GOOD,), state("Running"))], Exit.FAILED, id="tried-again"),
        pytest.param([((BAD,), state("Succeeded"))], Exit.FAILED, id="not-healthy-yet"),
        pytest.param([((GOOD,), state("Failed"))], Exit.FAILED, id="failed"),
        # what was good before the sync says nothing of what came of it
        pytest.param(
            [((GOOD,), state("Running")), ((BAD,), state("Succeeded"))], Exit.FAILED, id="good-before"
        ),
        pytest.param(
            [((BAD,), None), ((BAD,), state("Running")), ((GOOD,), state("Succeeded"))],
            Exit.OK,
            id="in-time",
        ),
    ],
)  # fmt: skip
def test_a_sync_is_waited_for(facts: list[Facts], expected: Exit) -> None:
    hub = cast("Connection", Hub(*facts))
    assert apps.wait_for(hub, ["web"], timeout=3, operation="op") is expected


def test_an_application_may_be_named_with_its_cluster() -> None:
    hub = cast("Connection", Hub(((GOOD, row("db", health="Degraded")), state("Succeeded"))))
    assert apps.wait_for(hub, ["east~web"], timeout=3, operation="op") is Exit.OK
    with pytest.raises(NotFound, match="west~web"):
        apps.wait_for(hub, ["west~web"], timeout=3)


@pytest.mark.parametrize("phase", ["Pending", "Running", "Terminating"])
def test_an_operation_that_nobody_took_up_yet_is_under_way(phase: str) -> None:
    hub = cast("Connection", Hub(((row(operation=phase),), None)))
    assert apps.wait_for(hub, ["web"], timeout=3, idle=True) is Exit.FAILED


@pytest.mark.parametrize(
    ("names", "rows", "expected"),
    [
        pytest.param(["web"], (row("db"),), Exit.OK, id="gone"),
        pytest.param(["web"], (GOOD,), Exit.FAILED, id="there"),
        pytest.param(["east~web"], (GOOD,), Exit.FAILED, id="with-its-cluster"),
        pytest.param([], (GOOD,), Exit.FAILED, id="all-there"),
        pytest.param([], (), Exit.OK, id="all-gone"),
    ],
)
def test_what_is_to_go_is_waited_for(
    names: list[str], rows: tuple[api.AppRow, ...], expected: Exit
) -> None:
    hub = cast("Connection", Hub((rows, None)))
    assert apps._wait_gone(hub, names, timeout=3) is expected

"""Operations: which one a target is under, and what every run makes of its record."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agents import conclusions, operations
from agents.conclusions import Findings
from agents.operations import Mode, Want
from fleet.errors import BadInput, Corrupt, NotReady, Transient
from fleet.model.assignment import Operation, RetryPolicy
from fleet.model.identity import ObjectRef
from fleet.sync.hooks import Hook, HookTask
from fleet.sync.order import key_of
from fleet.sync.phases import HookState, Stage, SyncPhase
from fleet.sync.record import HookRun, OperationRecord, automated_id

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
PAST, FUTURE = (NOW - timedelta(hours=1)).isoformat(), (NOW + timedelta(hours=1)).isoformat()
ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64
JOB = ObjectRef("batch", "Job", "shop", "migrate")
MANUAL = Want(artifact=ONE, applied="", automated=False)
AUTO = Want(artifact=ONE, applied="", automated=True)


def asked(name: str, kind: str = "sync", not_after: str = FUTURE, **arguments: Any) -> Operation:
    return Operation(id=name, target="app", kind=kind, not_after=not_after, arguments=arguments)


def record(
    name: str, stage: Stage = Stage.RUNNING, artifact: str = ONE, **more: object
) -> OperationRecord:
    return OperationRecord(id=name, stage=stage, artifact=artifact, **more)  # type: ignore[arg-type]


def run(state: HookState = HookState.RUNNING, phase: SyncPhase = SyncPhase.PRE_SYNC) -> HookRun:
    return HookRun(phase=phase, ref=JOB, state=state)


RUNNING, DONE = record("a"), record("a", Stage.SUCCEEDED)


@pytest.mark.parametrize(
    ("wanted", "before", "works_on", "after"),
    [
        ([], None, None, None),
        ([], RUNNING, None, ("a", Stage.FAILED)),
        ([asked("a")], None, "a", ("a", Stage.RUNNING)),
        ([asked("a")], RUNNING, "a", ("a", Stage.RUNNING)),
        ([asked("a", not_after=PAST)], RUNNING, "a", ("a", Stage.RUNNING)),
        ([asked("a")], DONE, None, ("a", Stage.SUCCEEDED)),
        ([asked("a"), asked("b")], DONE, None, ("a", Stage.SUCCEEDED)),
        ([asked("b")], DONE, "b", ("b", Stage.RUNNING)),
        ([asked("b")], RUNNING, "b", ("b", Stage.RUNNING)),
        ([asked("b")], replace(RUNNING, hooks=(run(),)), None, ("a", Stage.RUNNING)),
        ([asked("a", not_after=PAST)], None, None, None),
        ([asked("a", not_after="soon")], None, "a", ("a", Stage.RUNNING)),
        ([asked("a", kind="dance")], None, None, None),
        ([asked("t", kind="terminate")], None, None, None),
        ([asked("a"), asked("t", kind="terminate")], RUNNING, "a", ("a", Stage.TERMINATING)),
        ([asked("a"), asked("t", kind="terminate")], None, None, None),
        ([asked("t", kind="terminate")], DONE, None, ("a", Stage.SUCCEEDED)),
    ],
    ids=["nothing", "not asked any more", "new", "under way", "under way and late", "reported", "the next waits", "next",
         "instead of another", "not while a hook runs", "late", "time unreadable", "unknown", "terminate nothing",
         "terminated", "terminate goes first", "terminate what is over"],
)  # fmt: skip
def test_what_is_asked_for(
    wanted: list[Operation],
    before: OperationRecord | None,
    works_on: str | None,
    after: tuple[str, Stage] | None,
) -> None:
    chosen = operations.choose(wanted, before, None, MANUAL, NOW)
    assert (chosen.operation.id if chosen.operation else None) == works_on
    kept = (chosen.record.id, chosen.record.stage) if chosen.record else None
    assert kept == after


def test_what_is_asked_for_waits_for_an_artifact() -> None:
    nothing = replace(MANUAL, artifact="")
    chosen = operations.choose([asked("a")], None, None, nothing, NOW)
    assert (chosen.operation, chosen.record, chosen.answer) == (None, None, None)
    late = operations.choose([asked("a", not_after=PAST)], None, None, nothing, NOW)
    assert late.answer is not None
    assert late.answer.stage is Stage.EXPIRED
    begun = operations.choose([asked("a")], RUNNING, None, nothing, NOW)
    assert begun.record == RUNNING
    assert operations.mode_of(begun, nothing) is Mode.PLAIN


@pytest.mark.parametrize(
    ("wanted", "stage"),
    [
        (asked("x", not_after=PAST), Stage.EXPIRED),
        (asked("x", kind="refresh", not_after=PAST), Stage.EXPIRED),
        (asked("x", kind="refresh"), Stage.RUNNING),
        (asked("x", kind="dance"), Stage.FAILED),
        (asked("x", kind="terminate"), Stage.SUCCEEDED),
    ],
    ids=["late sync", "late refresh", "refresh", "unknown", "terminate"],
)
def test_what_is_no_sync_is_answered_beside_it(wanted: Operation, stage: Stage) -> None:
    """The record of the last sync stays: it says what was tried already."""
    failed = record(automated_id(ONE), Stage.FAILED, is_final=True)
    chosen = operations.choose([wanted], failed, None, AUTO, NOW)
    assert chosen.record == failed
    assert chosen.answer is not None
    assert (chosen.answer.id, chosen.answer.stage) == ("x", stage)
    again = operations.choose([wanted], chosen.record, chosen.answer, AUTO, NOW)
    assert again.answer == chosen.answer


@pytest.mark.parametrize(
    ("before", "want", "name"),
    [
        (None, AUTO, automated_id(ONE)),
        (None, replace(AUTO, automated=False), None),
        (None, replace(AUTO, may_start=False), None),
        (None, replace(AUTO, gated=True), None),
        (None, replace(AUTO, applied=ONE), None),
        (None, replace(AUTO, artifact=""), None),
        (record(automated_id(ONE)), AUTO, automated_id(ONE)),
        (record(automated_id(ONE), Stage.FAILED), AUTO, automated_id(ONE)),
        (record("asked", Stage.FAILED), AUTO, "asked"),
        (record("asked", Stage.SUCCEEDED, is_partial=True), AUTO, automated_id(ONE)),
        (record(automated_id(TWO), artifact=TWO), AUTO, automated_id(ONE)),
        (record(automated_id(TWO), artifact=TWO, hooks=(run(),)), AUTO, automated_id(TWO)),
        (record(automated_id(TWO), Stage.FAILED, TWO), replace(AUTO, applied=ONE), automated_id(TWO)),
        (record(automated_id(TWO), Stage.FAILED, TWO, is_touched=True), replace(AUTO, applied=ONE), automated_id(ONE)),
    ],
    ids=["new artifact", "manual", "window closed", "gated", "applied before the upgrade", "nothing rendered",
         "under way", "failed", "failed when asked for", "only in part", "superseded", "not while a hook runs",
         "back, nothing was touched", "back, something was touched"],
)  # fmt: skip
def test_what_starts_by_itself(
    before: OperationRecord | None, want: Want, name: str | None
) -> None:
    chosen = operations.choose([], before, None, want, NOW)
    assert (chosen.record.id if chosen.record else None) == name
    if name == automated_id(ONE) and before is None:
        assert chosen.record is not None
        assert (chosen.record.artifact, chosen.record.attempt) == (ONE, SECONDS)


@pytest.mark.parametrize(
    ("before", "want", "mode"),
    [
        (None, AUTO, Mode.PLAIN),
        (record("a"), AUTO, Mode.WORK),
        (record("a"), replace(AUTO, gated=True), Mode.PLAIN),
        (record("a", hooks=(run(HookState.FAILED),)), AUTO, Mode.HOLD),
        (record("a", Stage.FAILING), AUTO, Mode.FAIL),
        (record("a", Stage.TERMINATING), AUTO, Mode.STOP),
        (record("a", Stage.SUCCEEDED), AUTO, Mode.PLAIN),
        (record("a", Stage.FAILED, is_final=True), AUTO, Mode.BLOCKED),
        (record("a", Stage.RETRYING, is_final=True), AUTO, Mode.BLOCKED),
        (record("a", Stage.FAILED), AUTO, Mode.WORK),
        (record("a", Stage.FAILED), MANUAL, Mode.PLAIN),
        (record("a", Stage.FAILED, TWO, is_final=True), AUTO, Mode.PLAIN),
        (record("a", Stage.SUCCEEDED, is_partial=True), AUTO, Mode.PLAIN),
        (record("a", Stage.SUCCEEDED, is_partial=True, is_blocked=True), AUTO, Mode.BLOCKED),
        (record("a", Stage.FAILED, is_partial=True, is_blocked=True), AUTO, Mode.BLOCKED),
    ],
    ids=["none", "running", "gated", "a hook failed", "failing", "terminating", "over", "failed for good",
         "failed, will be tried again", "failed on what may pass", "failed and manual", "about another artifact", "in part",
         "in part, after the whole failed", "in part and failed, after the whole failed"],
)  # fmt: skip
def test_what_may_be_done(before: OperationRecord | None, want: Want, mode: Mode) -> None:
    assert operations.mode_of(operations.Choice(record=before), want) is mode


def test_a_sync_of_some_objects_does_not_forget_that_the_whole_failed() -> None:
    failed = record(automated_id(ONE), Stage.FAILED, is_final=True)
    part = asked("part", resources=["/ConfigMap:shop/a"])
    chosen = operations.choose([part], failed, None, AUTO, NOW)
    assert chosen.record is not None
    assert (chosen.record.id, chosen.record.is_blocked) == ("part", True)
    done = replace(chosen.record, stage=Stage.SUCCEEDED)
    assert operations.choose([], done, None, AUTO, NOW).record == done
    whole = operations.choose([asked("whole")], done, None, AUTO, NOW)
    assert whole.record is not None
    assert not whole.record.is_blocked


FAIL_HOOK = HookTask(
    phase=SyncPhase.SYNC_FAIL,
    ref=JOB,
    key=key_of(JOB, 0, SyncPhase.SYNC_FAIL),
    run="r",
    hook=Hook(
        ref=JOB,
        api_version="batch/v1",
        body={},
        wave=0,
        phases=(SyncPhase.SYNC_FAIL,),
        policies=frozenset(),
    ),
)
NEVER, TWICE = RetryPolicy(limit=0), RetryPolicy(limit=2, wait=5)
WAITING = Findings(is_waiting=True)


@pytest.mark.parametrize(
    ("before", "found", "policy", "stage"),
    [
        (record("a"), Findings(), NEVER, Stage.SUCCEEDED),
        (record("a"), WAITING, NEVER, Stage.RUNNING),
        (record("a"), Findings(was_worked=False), NEVER, Stage.RUNNING),
        (record("a"), Findings(error=BadInput("no")), NEVER, Stage.FAILED),
        (record("a"), Findings(error=BadInput("no")), TWICE, Stage.RETRYING),
        (record("a", retries=2), Findings(error=BadInput("no")), TWICE, Stage.FAILED),
        (record("a"), Findings(error=BadInput("no"), fail_hooks=(FAIL_HOOK,)), NEVER, Stage.FAILING),
        (record("a"), Findings(error=Transient("503")), NEVER, Stage.RUNNING),
        (record("a"), Findings(error=NotReady("later")), NEVER, Stage.RUNNING),
        (record("a"), Findings(error=Corrupt("damaged")), NEVER, Stage.RUNNING),
        (record("a"), Findings(broken="web is Degraded", is_waiting=True), NEVER, Stage.FAILED),
        (record("a", hooks=(run(HookState.FAILED),)), Findings(), NEVER, Stage.FAILED),
        (record("a", hooks=(run(HookState.FAILED), run())), Findings(), NEVER, Stage.RUNNING),
        (record("a", hooks=(run(HookState.FAILED, SyncPhase.SYNC_FAIL),)), Findings(), NEVER, Stage.SUCCEEDED),
        (record("a", Stage.FAILING), Findings(fail_hooks=None), NEVER, Stage.FAILING),
        (record("a", Stage.TERMINATING), Findings(), TWICE, Stage.FAILED),
        (record("a", Stage.TERMINATING, hooks=(run(),)), Findings(), TWICE, Stage.TERMINATING),
        (record("a", Stage.FAILED), Findings(error=BadInput("no")), NEVER, Stage.FAILED),
        (record("a", Stage.FAILED), Findings(error=Transient("503")), NEVER, Stage.FAILED),
        (record("a", Stage.FAILED), WAITING, NEVER, Stage.RUNNING),
        (record("a", Stage.FAILED), Findings(), NEVER, Stage.SUCCEEDED),
        (record("a", Stage.FAILED, is_final=True), Findings(), NEVER, Stage.FAILED),
        (record("a", Stage.FAILED), Findings(was_worked=False), NEVER, Stage.FAILED),
        (record("a", Stage.SUCCEEDED), Findings(error=BadInput("no")), NEVER, Stage.SUCCEEDED),
    ],
    ids=["done", "waiting", "not worked on", "refused", "refused, tried again", "retries used up", "hooks for failures",
         "outage", "not there yet", "damaged artifact", "degraded", "hook failed", "hook failed, another runs",
         "a hook for failures failed", "failing, artifact unknown", "terminated", "terminating", "still refused",
         "failed, outage", "failed, on its way again", "failed, done at last", "failed for good", "failed, not worked on",
         "over stays over"],
)  # fmt: skip
def test_what_a_run_makes_of_it(
    before: OperationRecord, found: Findings, policy: RetryPolicy, stage: Stage
) -> None:
    assert conclusions.concluded(before, found, policy, NOW).stage is stage


def test_the_next_try_has_hooks_of_its_own() -> None:
    before = record("a", attempt=5, hooks=(run(HookState.SUCCEEDED),))
    waiting = conclusions.concluded(before, Findings(error=BadInput("no")), TWICE, NOW)
    assert (waiting.stage, waiting.due) == (Stage.RETRYING, SECONDS + 6)
    assert conclusions.due(waiting, NOW) is None
    later = NOW + timedelta(seconds=7)
    again = conclusions.due(waiting, later)
    assert again is not None
    assert (again.stage, again.retries, again.hooks) == (Stage.RUNNING, 1, ())
    assert again.attempt == int(later.timestamp())


@pytest.mark.parametrize(
    ("arguments", "runs"),
    [
        ({}, True),
        ({"strategy": "hook"}, True),
        ({"strategy": "apply"}, False),
        ({"resources": ["/ConfigMap:shop/a"]}, False),
        ({"dryRun": True}, False),
    ],
    ids=str,
)
def test_which_syncs_run_hooks(arguments: dict[str, Any], runs: bool) -> None:
    assert operations.runs_hooks(asked("a", **arguments)) is runs

"""Hooks: what an object asks for, what one try of an operation makes of it, and the two tables of states."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput, Corrupt, FleetError
from fleet.health.result import HealthResult
from fleet.model.identity import ObjectRef
from fleet.model.report import Health
from fleet.sync import farewell, hooks
from fleet.sync.hooks import FINALIZER, RUN, Attempt, DeletePolicy, Hook
from fleet.sync.phases import (
    HookEvent,
    HookState,
    Stage,
    StageEvent,
    SyncPhase,
    after_event,
    event_of,
    next_stage,
)

JOB = ObjectRef("batch", "Job", "shop", "migrate")
DIGEST = "sha256:" + "abcdef0123456789" * 4
PRE, SYNC, POST, FAIL, BEFORE_END, AFTER_END = SyncPhase


def body(**annotations: str) -> JsonObject:
    names = {
        "hook": "argocd.argoproj.io/hook",
        "helm": "helm.sh/hook",
        "policy": "argocd.argoproj.io/hook-delete-policy",
        "helm_policy": "helm.sh/hook-delete-policy",
    }
    notes = {names[key]: value for key, value in annotations.items()}
    return {"kind": "Job", "metadata": {"name": "migrate", "annotations": notes}}


@pytest.mark.parametrize(
    ("annotations", "phases"),
    [
        ({}, None),
        ({"hook": "PreSync"}, (PRE,)),
        ({"hook": "PostSync, PreSync"}, (PRE, POST)),
        ({"hook": "Sync"}, (SYNC,)),
        ({"hook": "SyncFail"}, (FAIL,)),
        ({"hook": "PreDelete,PostDelete"}, (BEFORE_END, AFTER_END)),
        ({"hook": "Skip"}, ()),
        ({"hook": "Skip,PostSync"}, (POST,)),
        ({"hook": "presync"}, ()),
        ({"helm": "pre-install"}, (PRE,)),
        ({"helm": "pre-install,pre-upgrade"}, (PRE,)),
        ({"helm": "pre-install, post-upgrade"}, (PRE, POST)),
        ({"helm": "pre-delete"}, (BEFORE_END,)),
        ({"helm": "post-delete"}, (AFTER_END,)),
        ({"helm": "crd-install"}, None),
        ({"helm": "test"}, ()),
        ({"helm": "pre-rollback"}, ()),
        ({"helm": "test,pre-install"}, (PRE,)),
        ({"hook": "PostSync", "helm": "pre-install"}, (POST,)),
        ({"hook": "Skip", "helm": "pre-install"}, ()),
    ],
    ids=str,
)
def test_phases(annotations: dict[str, str], phases: tuple[SyncPhase, ...] | None) -> None:
    assert hooks.phases_of(body(**annotations)) == phases


@pytest.mark.parametrize(
    ("annotations", "policies"),
    [
        ({}, {DeletePolicy.BEFORE_CREATION}),
        ({"policy": "HookSucceeded"}, {DeletePolicy.SUCCEEDED}),
        ({"policy": "HookSucceeded, HookFailed"}, {DeletePolicy.SUCCEEDED, DeletePolicy.FAILED}),
        ({"helm_policy": "before-hook-creation,hook-succeeded"}, {DeletePolicy.BEFORE_CREATION, DeletePolicy.SUCCEEDED}),
        ({"policy": "HookFailed", "helm_policy": "hook-succeeded"}, {DeletePolicy.FAILED, DeletePolicy.SUCCEEDED}),
        ({"policy": "Never"}, {DeletePolicy.BEFORE_CREATION}),
    ],
    ids=["none", "one", "two", "helm's", "both", "unknown"],
)  # fmt: skip
def test_delete_policies(annotations: dict[str, str], policies: set[DeletePolicy]) -> None:
    assert hooks.policies_of(body(**annotations)) == policies


def hook(*phases: SyncPhase, generated: bool = False, name: str = "migrate", wave: int = 0) -> Hook:
    ref = ObjectRef("batch", "Job", "shop", name)
    return Hook(
        ref=ref,
        api_version="batch/v1",
        body={"kind": "Job", "metadata": {"generateName": name}, "status": {"x": 1}},
        wave=wave,
        phases=phases,
        policies=frozenset((DeletePolicy.SUCCEEDED,)),
        generated=generated,
    )


ATTEMPT = Attempt(operation="op", artifact=DIGEST, started=1700000000, number=2)


def test_a_task_for_each_phase_in_order() -> None:
    found = hooks.tasks(
        [hook(POST, name="b"), hook(PRE, POST, name="a"), hook(PRE, name="z", wave=-1)], ATTEMPT
    )
    assert [(task.phase, task.ref.name) for task in found] == [
        (PRE, "z"), (PRE, "a"), (POST, "a"), (POST, "b"),
    ]  # fmt: skip
    assert len({task.run for task in found}) == 2


def test_a_generated_name_says_artifact_phase_and_start() -> None:
    (task,) = hooks.tasks([hook(PRE, generated=True, name="migrate-")], ATTEMPT)
    assert task.ref.name == "migrate-abcdef0-presync-1700000000"
    (long,) = hooks.tasks([hook(PRE, generated=True, name="n" * 80)], ATTEMPT)
    assert len(long.ref.name) == 63
    like = [hook(PRE, generated=True, name="n" * 250 + end) for end in ("a", "b")]
    assert len({task.ref for task in hooks.tasks(like, ATTEMPT)}) == 2


def test_a_hook_s_object_carries_its_marks() -> None:
    (task,) = hooks.tasks([hook(PRE, generated=True, name="migrate-")], ATTEMPT)
    made = hooks.body_of(task, "app")
    metadata = made["metadata"]
    assert metadata["name"] == task.ref.name
    assert "generateName" not in metadata
    assert "status" not in made
    assert metadata["finalizers"] == [FINALIZER]
    assert metadata["annotations"][RUN] == task.run
    assert metadata["labels"] == {"gitopsfleet.io/owned": "true"}


def test_tries_of_one_operation_are_told_apart() -> None:
    (one,) = hooks.tasks([hook(PRE)], ATTEMPT)
    (two,) = hooks.tasks(
        [hook(PRE)], Attempt(operation="op", artifact=DIGEST, started=1700000000, number=3)
    )
    assert one.run != two.run


# Farewell


def test_hooks_for_the_end_come_back_from_their_text() -> None:
    given_ = [hook(PRE, AFTER_END), hook(BEFORE_END, name="backup"), hook(POST, name="other")]
    found = farewell.decode(farewell.encode(given_))
    assert [(item.ref.name, item.phases) for item in found] == [
        ("migrate", (AFTER_END,)), ("backup", (BEFORE_END,)),
    ]  # fmt: skip
    assert found[0].body == given_[0].body
    assert farewell.encode([hook(PRE)]) == ""
    assert farewell.decode("") == ()


def test_what_cannot_be_kept_is_refused() -> None:
    big = Hook(
        ref=JOB, api_version="v1", body={"data": {"x": "y" * farewell.LIMIT}}, wave=0,
        phases=(BEFORE_END,), policies=frozenset(),
    )  # fmt: skip
    with pytest.raises(BadInput, match="128 KiB"):
        farewell.encode([big])
    with pytest.raises(Corrupt):
        farewell.decode("[{]")


# The tables


@pytest.mark.parametrize(
    ("health", "event"),
    [
        (None, HookEvent.DONE),
        (Health.HEALTHY, HookEvent.DONE),
        (Health.PROGRESSING, HookEvent.BUSY),
        (Health.SUSPENDED, HookEvent.BUSY),
        (Health.DEGRADED, HookEvent.BAD),
        (Health.UNKNOWN, HookEvent.BAD),
    ],
    ids=str,
)
def test_health_decides(health: Health | None, event: HookEvent) -> None:
    assert event_of(HealthResult(health) if health else None) is event


@pytest.mark.parametrize("state", [HookState.SUCCEEDED, HookState.FAILED])
@pytest.mark.parametrize("event", list(HookEvent))
def test_a_hook_that_is_through_stays_so(state: HookState, event: HookEvent) -> None:
    with pytest.raises(FleetError, match="cannot be"):
        after_event(state, event)


@given(st.lists(st.sampled_from(HookEvent)))
def test_a_hook_runs_once_whatever_happens(events: list[HookEvent]) -> None:
    """However events come, nothing leads back to the start, and only a created one can succeed."""
    state, created = HookState.STARTING, False
    for event in events:
        try:
            after = after_event(state, event)
        except FleetError:
            continue
        created = created or event is HookEvent.CREATED
        assert after is not HookState.STARTING
        assert created or after is HookState.FAILED
        state = after


@given(st.lists(st.sampled_from(StageEvent)))
def test_an_operation_ends_once_unless_what_it_failed_on_passes(events: list[StageEvent]) -> None:
    stage = Stage.RUNNING
    for event in events:
        try:
            after = next_stage(stage, event)
        except FleetError:
            continue
        if stage in (Stage.SUCCEEDED, Stage.EXPIRED):
            raise AssertionError(f"{stage} led to {after}")
        if stage is Stage.FAILED:
            assert event is StageEvent.PASSED
        stage = after

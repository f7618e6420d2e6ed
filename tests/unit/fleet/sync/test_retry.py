"""Retries and self-heal backoff, as numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import BadInput, Denied, FleetError, NotReady, Transient
from fleet.kube.errors import AdmissionRefused, Conflict, Forbidden, Invalid, TooManyRequests
from fleet.model.assignment import Operation, ProjectRules, RetryPolicy, Section
from fleet.sync.retry import heal_wait, is_attempt, next_try, policy_for, wait_before

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def section(retry: RetryPolicy | None = None) -> Section:
    return Section(target="web", project=ProjectRules(name="p"), retry=retry)


def sync(**arguments: str | bool | int | list[str]) -> Operation:
    return Operation(id="1", target="web", kind="sync", arguments=arguments)


POLICIES = {
    "automated, no policy": (None, None, 5),
    "automated, own policy": (RetryPolicy(limit=2), None, 2),
    "manual, no policy": (None, sync(), 0),
    "manual, the application's": (RetryPolicy(limit=2), sync(), 2),
    "manual, its own limit": (RetryPolicy(limit=2), sync(retryLimit=7), 7),
    "manual, its own limit of none": (RetryPolicy(limit=2), sync(retryLimit=0), 0),
    "started by the hub": (None, sync(automated=True), 5),
}


@pytest.mark.parametrize(("policy", "operation", "limit"), POLICIES.values(), ids=POLICIES.keys())
def test_whose_policy_counts(
    policy: RetryPolicy | None, operation: Operation | None, limit: int
) -> None:
    assert policy_for(section(policy), operation).limit == limit


WAITS = {
    "usual": (RetryPolicy(), [5, 10, 20, 40, 80, 160, 180, 180]),
    "factor 3": (RetryPolicy(wait=1, factor=3, max_wait=30), [1, 3, 9, 27, 30]),
    "factor 1": (RetryPolicy(wait=7, factor=1), [7, 7, 7]),
    "longest first": (RetryPolicy(wait=60, max_wait=10), [10, 10]),
}


@pytest.mark.parametrize(("policy", "seconds"), WAITS.values(), ids=WAITS.keys())
def test_waits_grow_to_the_longest(policy: RetryPolicy, seconds: list[float]) -> None:
    found = [wait_before(policy, count).total_seconds() for count in range(len(seconds))]
    assert found == seconds


def test_it_gives_up_after_the_limit() -> None:
    tries = [next_try(RetryPolicy(limit=2), retries, NOW) for retries in range(4)]
    assert tries == [NOW + timedelta(seconds=5), NOW + timedelta(seconds=10), None, None]
    assert next_try(RetryPolicy(limit=0), 0, NOW) is None


@given(
    retries=st.integers(0, 10**9),
    factor=st.integers(-(2**31), 2**31),
    wait=st.floats(0, 1e13),
    longest=st.floats(0, 1e13),
)
def test_a_negative_limit_never_gives_up(
    retries: int, factor: int, wait: float, longest: float
) -> None:
    policy = RetryPolicy(limit=-1, factor=factor, wait=wait, max_wait=longest)
    due = next_try(policy, retries, NOW)
    assert due is not None
    assert NOW <= due <= NOW + timedelta(seconds=min(longest, 10**9))


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (Invalid("field is immutable"), True),
        (AdmissionRefused("no"), True),
        (Forbidden("no"), True),
        (Denied("the project does not permit it"), True),
        (BadInput("no name"), True),
        (Conflict("another writer"), True),
        (FleetError("hook failed"), True),
        (Transient("connection refused"), False),
        (TooManyRequests("busy"), False),
        (NotReady("no such kind yet"), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, FleetError) else None,
)
def test_an_answer_of_no_is_an_attempt_and_silence_is_none(error: FleetError, counts: bool) -> None:
    assert is_attempt(error) is counts


def test_healing_waits_two_seconds_then_three_times_as_long() -> None:
    assert [heal_wait(count).total_seconds() for count in range(8)] == [
        0, 2, 6, 18, 54, 162, 300, 300,
    ]  # fmt: skip
    assert heal_wait(10**9) == timedelta(seconds=300)

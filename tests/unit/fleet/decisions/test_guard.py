"""The shrink budget."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet import guard

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def names(count: int) -> set[str]:
    return {f"n{number:03}" for number in range(count)}


@pytest.mark.parametrize(
    ("before", "after", "largest", "held"),
    [
        pytest.param(10, 7, 10, False, id="three-of-ten"),
        pytest.param(10, 6, 10, True, id="four-of-ten"),
        pytest.param(100, 80, 100, False, id="a-fifth"),
        pytest.param(100, 79, 100, True, id="more-than-a-fifth"),
        pytest.param(1, 0, 1, False, id="the-only-one"),
        pytest.param(2, 0, 2, True, id="all-of-two"),
        pytest.param(3, 0, 3, True, id="all-of-three"),
        pytest.param(82, 79, 100, True, id="a-drip-adds-up"),
        pytest.param(5, 9, 5, False, id="growth"),
        pytest.param(0, 0, 100, False, id="nothing-to-lose"),
    ],
)
def test_a_set_of_names(before: int, after: int, largest: int, *, held: bool) -> None:
    verdict = guard.judge(names(before), names(after), largest=largest, what="set 's'")
    assert verdict.held is held
    assert len(verdict.removed) == max(0, before - after)


def test_replacing_all_names_is_removing_all() -> None:
    verdict = guard.judge({"a", "b"}, {"c", "d"}, largest=2, what="set 's'")
    assert verdict.held
    assert verdict.removed == ("a", "b")
    assert "set 's' would remove all of 2" in verdict.message


def test_removals_of_the_day_are_told_apart() -> None:
    verdict = guard.judge(names(82), names(79), largest=100, what="s")
    assert verdict.message.startswith(
        "s would remove 3 of 82 (with earlier ones 21 of 100, unasked at most 20)"
    )


def test_a_users_own_limit_counts() -> None:
    assert not guard.judge(names(10), names(1), largest=10, what="s", allowed=9).held
    assert guard.judge(names(10), names(9), largest=10, what="s", allowed=0).held


@pytest.mark.parametrize(
    ("before", "after", "held"),
    [
        pytest.param({"/ConfigMap": 10}, {"/ConfigMap": 7}, False, id="three"),
        pytest.param({"/ConfigMap": 10}, {"/ConfigMap": 6}, True, id="four"),
        pytest.param(
            {"/A": 5, "/B": 5}, {"/A": 9, "/B": 1}, True, id="gains-do-not-count-for-others"
        ),
        pytest.param({"/A": 2}, {}, True, id="empty"),
        pytest.param({"/A": 1}, {}, True, id="empty-of-one"),
        pytest.param({}, {}, False, id="was-empty"),
        pytest.param({"/A": 1}, {"/B": 1}, False, id="the-only-one-replaced"),
        pytest.param({"/A": 2}, {"/B": 2}, True, id="everything-replaced"),
    ],
)
def test_objects_of_a_target(before: dict[str, int], after: dict[str, int], *, held: bool) -> None:
    assert guard.judge_objects(before, after, allow_empty=False, what="app").held is held


def test_allow_empty_allows() -> None:
    assert not guard.judge_objects({"/A": 20}, {}, allow_empty=True, what="app").held


def test_the_baseline_is_the_largest_of_a_day() -> None:
    sizes = (guard.Size(NOW - timedelta(hours=25), 90), guard.Size(NOW - timedelta(hours=2), 50))
    assert guard.baseline(sizes, NOW) == 50
    assert guard.baseline((), NOW) == 0


@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 500)), max_size=40))
def test_forgetting_small_sizes_never_changes_the_baseline(steps: list[tuple[int, int]]) -> None:
    now = NOW
    kept: tuple[guard.Size, ...] = ()
    everything: list[guard.Size] = []
    for minutes, count in steps:
        now += timedelta(minutes=minutes)
        kept = guard.remember(kept, count, now)
        everything.append(guard.Size(now, count))
        assert guard.baseline(kept, now) == guard.baseline(everything, now)

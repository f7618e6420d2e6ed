"""Backoff: the ceiling grows to the maximum, and jitter uses all of it."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import BadInput
from fleet.runtime.backoff import Backoff


def test_ceiling_grows_by_the_factor_up_to_the_maximum() -> None:
    backoff = Backoff(initial=1, factor=3, maximum=20)
    assert [backoff.ceiling(attempt) for attempt in (1, 2, 3, 4, 5, 10_000)] == [
        1,
        3,
        9,
        20,
        20,
        20,
    ]


@given(st.integers(0, 10_000), st.integers())
def test_delay_is_between_nothing_and_the_ceiling(attempt: int, seed: int) -> None:
    backoff = Backoff(initial=0.5, factor=2, maximum=60)
    assert 0 <= backoff.delay(attempt, Random(seed)) <= backoff.ceiling(attempt)


def test_jitter_is_full() -> None:
    rng = Random(7)
    delays = [Backoff(initial=10, maximum=10).delay(1, rng) for _ in range(200)]
    assert min(delays) < 1
    assert max(delays) > 9


@pytest.mark.parametrize(
    "values", [{"initial": 0}, {"initial": 5, "maximum": 1}, {"factor": 0.5}], ids=str
)
def test_senseless_values_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(BadInput, match="backoff needs"):
        Backoff(**values)

"""Values made of sequences: whatever the sequence was before, they are right, and only what is new is made."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from fleet.generators.made import Made

ITEMS = [[number] for number in range(5)]
"""Objects that are found by identity: they cannot even be hashed."""
SEQUENCES = st.lists(st.lists(st.sampled_from(range(5)), max_size=7), max_size=6)


@given(SEQUENCES)
def test_values_belong_to_their_objects(steps: list[list[int]]) -> None:
    made: Made[list[int], int | None] = Made()
    for step in steps:
        of = [ITEMS[number] for number in step]
        before, calls = {id(item) for item in made.of}, Counter[int]()

        def make(item: list[int], calls: Counter[int] = calls) -> int | None:
            calls[id(item)] += 1
            return item[0] or None

        made = made.followed_by(of, make)
        assert list(made.values) == [number or None for number in step]
        assert len(made.of) == len(of)
        new = Counter(id(item) for item in of if id(item) not in before)
        assert not new - calls
        if len(set(step)) == len(step):
            assert calls == new


def test_nothing_is_copied_where_nothing_is_new() -> None:
    nothing: Made[list[int], int] = Made()
    made = nothing.followed_by(ITEMS, lambda item: item[0])
    assert made.followed_by(list(ITEMS), lambda item: item[0]) is made

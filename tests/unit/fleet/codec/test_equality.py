"""Equality in value and type."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.codec.equality import Exactly, same

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from((0.0, 1.0, "", "1")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=8,
)


@dataclass(frozen=True)
class Noun:
    document: dict[str, Any]
    remark: str = field(default="", compare=False)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(1, True, id="one-true"),
        pytest.param(1, 1.0, id="whole-float"),
        pytest.param({"a": [0]}, {"a": [False]}, id="nested"),
        pytest.param({"a": 1}, {"b": 1}, id="keys"),
        pytest.param({"a": 1}, {"a": 1, "b": 1}, id="more-keys"),
        pytest.param([1], [1, 2], id="longer"),
        pytest.param([], {}, id="kind"),
        pytest.param(None, Noun({}), id="none"),
        pytest.param(Noun({"a": 1}), Noun({"a": True}), id="dataclass"),
    ],
)
def test_not_the_same(one: object, other: object) -> None:
    assert not same(one, other)
    assert not same(other, one)
    assert Exactly(one) != Exactly(other)


def test_what_does_not_count_in_a_dataclass_does_not_here() -> None:
    assert same(Noun({"a": 1}, remark="x"), Noun({"a": 1}, remark="y"))


def test_depth_is_no_matter() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert not same([deep], deep)


@given(JSON, JSON)
def test_the_same_is_what_json_writes_alike(one: Any, other: Any) -> None:
    assert same(one, deepcopy(one))
    written = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert same(one, other) is written
    assert (Exactly(one) == Exactly(other)) is written

"""Parameter sets: merging, flattening, printing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.generators.params import (
    GeneratorError,
    combine_fast,
    combine_go,
    flatten,
    go_text,
    sanitize,
)
from fleet.templating.values import StringList, StringMap

JSON: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from("abcd"), JSON, max_size=4)
FLAT = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("xy"), max_size=4)


@given(OBJECTS, OBJECTS)
def test_in_go_mode_the_first_set_wins_and_nothing_is_lost(
    first: JsonObject, second: JsonObject
) -> None:
    before = (repr(first), repr(second))
    merged = combine_go(first, second)
    assert merged.keys() == first.keys() | second.keys()
    for key, value in first.items():
        if not (isinstance(value, dict) and isinstance(second.get(key), dict)):
            assert merged[key] == value
    for key in second.keys() - first.keys():
        assert merged[key] == second[key]
    assert (repr(first), repr(second)) == before


@given(OBJECTS)
def test_merging_with_nothing_or_oneself_changes_nothing(params: JsonObject) -> None:
    assert combine_go(params, {}) == combine_go({}, params) == combine_go(params, params) == params


@given(FLAT, FLAT)
def test_in_fast_mode_sets_agree_or_fail(first: JsonObject, second: JsonObject) -> None:
    conflicts = sorted(key for key in first.keys() & second.keys() if first[key] != second[key])
    if not conflicts:
        assert combine_fast(first, second) == {**first, **second}
        return
    with pytest.raises(
        GeneratorError, match=f"found duplicate key {conflicts[0]} with different value"
    ):
        combine_fast(first, second)


def test_in_fast_mode_everything_is_printed() -> None:
    assert combine_fast({"n": 1000000, "l": [1, "a"]}, {"m": {"b": None, "a": True}}) == {
        "n": "1e+06",
        "l": "[1 a]",
        "m": "map[a:true b:<nil>]",
    }


def test_flatten() -> None:
    params = {
        "name": "a",
        "cfg": {"env": "prod", "empty": {}, "n": 1.5},
        "list": [1, {"k": "v"}, [], [True]],
        "segments": StringList(["a", "b"]),
        "labels": StringMap({"x/y": "z"}),
        "nothing": None,
    }
    assert flatten(params) == {
        "name": "a",
        "cfg.env": "prod",
        "cfg.n": "1.5",
        "list.0": "1",
        "list.1.k": "v",
        "list.3.0": "true",
        "segments": "[a b]",
        "labels.x/y": "z",
        "nothing": "<nil>",
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [("x", "x"), (1, "1"), (1e6, "1e+06"), (0.25, "0.25"), (True, "true"), (None, "<nil>")],
)
def test_values_print_as_in_go(value: JsonValue, expected: str) -> None:
    assert go_text(value) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Prod_EU/West 1", "prod-eu-west-1"),
        ("-x@y.z-", "x-y.z"),
        (".", ""),
        ("é" * 3, ""),
        ("a" * 300, "a" * 253),
    ],
)
def test_sanitize(name: str, expected: str) -> None:
    assert sanitize(name) == expected

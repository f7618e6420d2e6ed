"""Sets of fields: what is owned, how it is written, what differs, merging and taking away."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.embedded import fieldsets
from fleet.embedded.schema import ANY, Compiler

ITEM = {"type": "object", "properties": {"id": {"type": "string"}, "v": {"type": "integer"}}}
NODE = Compiler().node(
    {
        "type": "object",
        "properties": {
            "items": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"], "items": ITEM},
            "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "atomic": {"type": "array", "items": {"type": "string"}},
            "whole": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "string"}},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "inner": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}},
        },
    }
)  # fmt: skip
_words = st.text("abc", min_size=1, max_size=2)
objects: st.SearchStrategy[JsonObject] = st.fixed_dictionaries(
    {},
    optional={
        "items": st.lists(
            st.fixed_dictionaries({"id": _words}, optional={"v": st.integers(0, 3)}),
            unique_by=lambda item: item["id"], max_size=4,
        ),
        "tags": st.lists(_words, unique=True, max_size=4),
        "atomic": st.lists(_words, max_size=3),
        "whole": st.dictionaries(_words, _words, max_size=3),
        "labels": st.dictionaries(_words, _words, max_size=3),
        "inner": st.fixed_dictionaries({}, optional={"a": _words, "b": _words}),
    },
)  # fmt: skip


def _value(obj: JsonValue, path: fieldsets.Path) -> JsonValue:
    return fieldsets.value_at(obj, path, NODE)


def test_leaves_keys_and_items_are_members() -> None:
    body = {"items": [{"id": "x", "v": 1}], "tags": ["t"], "atomic": ["a"], "whole": {"k": "v"}, "labels": {"l": "m"}, "inner": {}}  # fmt: skip
    assert fieldsets.to_fields_v1(fieldsets.owned(body, NODE)) == {
        "f:items": {'k:{"id":"x"}': {".": {}, "f:id": {}, "f:v": {}}},
        "f:tags": {'v:"t"': {}},
        "f:atomic": {},
        "f:whole": {},
        "f:labels": {"f:l": {}},
        "f:inner": {},
    }


@given(objects)
def test_written_sets_are_read_back(body: JsonObject) -> None:
    owned = fieldsets.owned(body, NODE)
    assert fieldsets.from_fields_v1(fieldsets.to_fields_v1(owned)) == owned


@given(objects, objects)
def test_merging_takes_all_of_the_body_and_twice_is_once(
    live: JsonObject, body: JsonObject
) -> None:
    once = fieldsets.merged(live, body, NODE)
    assert fieldsets.merged(once, body, NODE) == once
    assert fieldsets.owned(body, NODE) <= fieldsets.owned(once, NODE) | {
        path for path in fieldsets.owned(body, NODE) if _value(body, path) in ({}, [])
    }
    for path in fieldsets.owned(body, NODE):
        value = _value(body, path)
        if not isinstance(value, dict | list):
            assert _value(once, path) == value


@given(objects, objects)
def test_a_difference_is_empty_only_between_equals(before: JsonObject, after: JsonObject) -> None:
    found = fieldsets.compare(before, after, NODE)
    back = fieldsets.compare(after, before, NODE)
    assert (found.added, found.removed, found.modified) == (
        back.removed, back.added, back.modified,
    )  # fmt: skip
    if before == after:
        assert not found.added | found.removed | found.modified


@given(objects)
def test_taking_all_members_away_leaves_nothing_owned(body: JsonObject) -> None:
    owned = fieldsets.with_parents(fieldsets.owned(body, NODE), NODE)
    left = fieldsets.without(body, owned, NODE)
    assert fieldsets.owned(left, NODE) <= {
        path for path in fieldsets.owned(body, NODE) if _value(body, path) in ({}, [])
    }


def test_items_of_others_stay_where_they_stood() -> None:
    live = {"items": [{"id": "x"}, {"id": "a", "v": 1}, {"id": "y"}, {"id": "b"}]}
    body = {"items": [{"id": "b"}, {"id": "a", "v": 2}, {"id": "n"}]}
    merged = fieldsets.merged(live, body, NODE)
    assert [item["id"] for item in merged["items"]] == ["x", "y", "b", "a", "n"]


def test_what_nobody_described_is_merged_by_key_and_lists_replaced() -> None:
    merged = fieldsets.merged({"a": {"x": 1}, "l": [1, 2]}, {"a": {"y": 2}, "l": [3]}, ANY)
    assert merged == {"a": {"x": 1, "y": 2}, "l": [3]}


def test_paths_are_shown_as_the_api_server_does() -> None:
    path = ("f:spec", "f:ports", 'k:{"port":80,"protocol":"TCP"}', "f:name")
    assert fieldsets.shown(path) == '.spec.ports[port=80,protocol="TCP"].name'
    assert fieldsets.shown(("f:tags", 'v:"x"')) == '.tags[="x"]'

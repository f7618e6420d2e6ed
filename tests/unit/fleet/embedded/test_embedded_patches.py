"""JSON patch by the examples of RFC 6902, merge patch by those of RFC 7386, strategic merge by its directives."""

from __future__ import annotations

import pytest

from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.embedded.errors import Refusal
from fleet.embedded.patches import json_patch, merge_patch, strategic_patch
from fleet.embedded.tables import tables

GOOD: list[tuple[str, JsonValue, list[JsonObject], JsonValue]] = [
    ("add-member", {"a": 1}, [{"op": "add", "path": "/b", "value": 2}], {"a": 1, "b": 2}),
    ("add-item", {"a": [1, 3]}, [{"op": "add", "path": "/a/1", "value": 2}], {"a": [1, 2, 3]}),
    ("append", {"a": [1]}, [{"op": "add", "path": "/a/-", "value": [2]}], {"a": [1, [2]]}),
    ("remove-item", {"a": [1, 2]}, [{"op": "remove", "path": "/a/0"}], {"a": [2]}),
    ("replace", {"a": 1}, [{"op": "replace", "path": "/a", "value": 2}], {"a": 2}),
    ("move", {"a": {"b": 1}, "c": {}}, [{"op": "move", "from": "/a/b", "path": "/c/d"}], {"a": {}, "c": {"d": 1}}),
    ("move-item", {"a": [1, 2, 3]}, [{"op": "move", "from": "/a/0", "path": "/a/2"}], {"a": [2, 3, 1]}),
    ("copy", {"a": [1]}, [{"op": "copy", "from": "/a", "path": "/b"}], {"a": [1], "b": [1]}),
    ("test", {"a": [1, {"b": None}]}, [{"op": "test", "path": "/a/1", "value": {"b": None}}], {"a": [1, {"b": None}]}),
    ("escapes", {"a/b": 1, "m~n": 2}, [{"op": "remove", "path": "/a~1b"}, {"op": "test", "path": "/m~0n", "value": 2}], {"m~n": 2}),
    ("root", {"a": 1}, [{"op": "replace", "path": "", "value": {"b": 2}}], {"b": 2}),
    ("inside-item", {"a": [{"b": 1}]}, [{"op": "add", "path": "/a/0/c", "value": 2}], {"a": [{"b": 1, "c": 2}]}),
]  # fmt: skip
BAD: list[tuple[str, JsonValue, JsonValue, int]] = [
    ("test-fails", {"a": 1}, [{"op": "test", "path": "/a", "value": 2}], 422),
    ("no-parent", {"a": 1}, [{"op": "add", "path": "/x/y", "value": 2}], 422),
    ("remove-absent", {"a": 1}, [{"op": "remove", "path": "/b"}], 422),
    ("replace-absent", {"a": 1}, [{"op": "replace", "path": "/b", "value": 1}], 422),
    ("out-of-bounds", {"a": [1]}, [{"op": "add", "path": "/a/2", "value": 1}], 422),
    ("into-scalar", {"a": 1}, [{"op": "add", "path": "/a/b", "value": 1}], 422),
    ("unknown-operation", {}, [{"op": "spin", "path": "/a"}], 400),
    ("no-slash", {}, [{"op": "add", "path": "a", "value": 1}], 400),
    ("no-list", {}, {"op": "add"}, 400),
]


@pytest.mark.parametrize(
    ("target", "steps", "result"), [row[1:] for row in GOOD], ids=[row[0] for row in GOOD]
)
def test_json_patch(target: JsonValue, steps: list[JsonObject], result: JsonValue) -> None:
    before = repr(target)
    assert json_patch(target, steps) == result
    assert repr(target) == before


@pytest.mark.parametrize(
    ("target", "steps", "code"), [row[1:] for row in BAD], ids=[row[0] for row in BAD]
)
def test_json_patch_refuses(target: JsonValue, steps: JsonValue, code: int) -> None:
    with pytest.raises(Refusal) as caught:
        json_patch(target, steps)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch(target: JsonValue, patch: JsonValue, result: JsonValue) -> None:
    assert merge_patch(target, patch) == result


@pytest.mark.parametrize(
    ("patch", "names"),
    [
        ([{"name": "b", "image": "x"}], ["a", "b"]),
        ([{"name": "c"}], ["a", "b", "c"]),
        ([{"name": "a", "$patch": "delete"}], ["b"]),
        ([{"$patch": "replace"}, {"name": "z"}], ["z"]),
    ],
    ids=["merge", "add", "delete", "replace"],
)
def test_strategic_merge_of_containers(patch: list[JsonObject], names: list[str]) -> None:
    schema = tables().by_gvk[("", "v1", "Pod")]
    target = {"spec": {"containers": [{"name": "a", "image": "i"}, {"name": "b"}]}}
    merged = strategic_patch(target, {"spec": {"containers": patch}}, schema)
    assert [container["name"] for container in merged["spec"]["containers"]] == names


def test_strategic_directives() -> None:
    schema = tables().by_gvk[("", "v1", "Pod")]
    target = {"spec": {"containers": [{"name": "a"}, {"name": "b"}]}, "metadata": {"finalizers": ["x", "y"]}}  # fmt: skip
    patch: JsonObject = {
        "spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]},
        "metadata": {"$deleteFromPrimitiveList/finalizers": ["x"]},
    }
    merged = strategic_patch(target, patch, schema)
    assert [c["name"] for c in merged["spec"]["containers"]] == ["b", "a"]
    assert merged["metadata"]["finalizers"] == ["y"]
    kept = strategic_patch({"a": {"x": 1, "y": 2}}, {"a": {"$retainKeys": ["x"], "x": 3}}, schema)
    assert kept == {"a": {"x": 3}}

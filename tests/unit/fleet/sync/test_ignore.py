"""Ignore rules: whom they concern, what they take out, and what stays as it lives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.codec import yamldoc
from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.model.assignment import IgnoreRule
from fleet.model.identity import ObjectRef
from fleet.sync import fieldset
from fleet.sync.ignore import Ignored, ignored_of, keep_live, strip, tidied

WEB = ObjectRef("apps", "Deployment", "shop", "web")


def rule(
    group: str = "apps", kind: str = "Deployment", name: str = "", namespace: str = ""
) -> IgnoreRule:
    return IgnoreRule(group=group, kind=kind, name=name, namespace=namespace, json_pointers=("/a",))


@pytest.mark.parametrize(
    ("of", "concerns"),
    [
        (rule(), True),
        (rule(group="*", kind="*"), True),
        (rule(group="*", kind="Deploy*"), True),
        (rule(kind="{Deployment,StatefulSet}"), True),
        (rule(group=""), False),
        (rule(group="app"), False),
        (rule(kind="deployment"), False),
        (rule(name="web"), True),
        (rule(name="we*"), False),
        (rule(namespace="shop"), True),
        (rule(namespace="*"), False),
        (rule(name="web", namespace="other"), False),
    ],
    ids=[
        "exact", "any", "glob of kinds", "alternatives", "core group", "another group", "another case",
        "name", "name is no glob", "namespace", "namespace is no glob", "another namespace",
    ],
)  # fmt: skip
def test_rules_reach_their_objects(of: IgnoreRule, concerns: bool) -> None:
    assert bool(ignored_of([of], WEB)) is concerns


def test_rules_add_up() -> None:
    rules = [
        IgnoreRule(group="apps", kind="*", json_pointers=("/b", "/a"), managers=("hpa",)),
        IgnoreRule(
            group="*", kind="Deployment", json_pointers=("/a",), jq_expressions=(".b", ".a")
        ),
    ]
    found = ignored_of(rules, WEB)
    assert found == Ignored(pointers=("/a", "/b"), expressions=(".b", ".a"), managers=("hpa",))
    assert not found.is_static
    assert Ignored(pointers=("/a",)).is_static


@pytest.mark.parametrize(
    ("pointers", "expected"),
    [
        (("/a",), {"b": {"c/d": [1, 2, 3]}}),
        (("/b/c~1d/1",), {"a": 1, "b": {"c/d": [1, 3]}}),
        (("/b/c~1d/0", "/b/c~1d/1"), {"a": 1, "b": {"c/d": [3]}}),
        (("/x/y", "/a/b", "/b/c~1d/9", "/b/c~1d/-", "", "a"), {"a": 1, "b": {"c/d": [1, 2, 3]}}),
    ],
    ids=["member", "escaped and index", "two of a list", "nothing there"],
)
def test_pointers(pointers: tuple[str, ...], expected: JsonValue) -> None:
    given: JsonObject = {"a": 1, "b": {"c/d": [1, 2, 3]}}
    assert strip(given, Ignored(pointers=pointers)) == expected
    assert given == {"a": 1, "b": {"c/d": [1, 2, 3]}}


def test_emptied_containers_do_not_count() -> None:
    before = {"metadata": {"annotations": {"a": "b"}}, "spec": {"emptyDir": {}, "list": [1]}}
    after = {"metadata": {"annotations": {}}, "spec": {"emptyDir": {}, "list": []}}
    assert tidied(before, after) == {"spec": {"emptyDir": {}}}


LIVE = """
metadata: {name: web, annotations: {note: live, other: o}}
spec:
  replicas: 7
  paused: true
  containers:
  - {name: side, image: proxy}
  - {name: app, image: "app:live", env: [{name: B, value: live}]}
  args: [a, b, injected]
  nodeSelector: {zone: live}
"""
DESIRED = """
metadata: {name: web, annotations: {note: git}}
spec:
  replicas: 1
  containers:
  - {name: app, image: "app:git", env: [{name: A, value: git}]}
  args: [a, b]
"""


@pytest.mark.parametrize(
    ("pointers", "desired", "ours", "path", "expected"),
    [
        (["/spec/replicas"], DESIRED, {}, "spec/replicas", 7),
        (["/spec/gone"], "{spec: {gone: 1, a: 2}}", {}, "spec", {"a": 2}),
        (["/spec/paused"], DESIRED, {}, "spec/paused", None),
        (["/spec/paused"], DESIRED, {"f:spec": {"f:paused": {}}}, "spec/paused", True),
        (["/metadata/annotations/note"], DESIRED, {}, "metadata/annotations", {"note": "live"}),
        (["/metadata/annotations/other"], DESIRED, {}, "metadata/annotations", {"note": "git"}),
        (["/spec/args/2"], DESIRED, {}, "spec/args", ["a", "b", "injected"]),
        (["/spec/nodeSelector"], DESIRED, {}, "spec/nodeSelector", None),
        (
            ["/spec/containers/0/image", "/spec/containers/1/image"],
            DESIRED,
            {},
            "spec/containers",
            [{"name": "app", "image": "app:live", "env": [{"name": "A", "value": "git"}]}],
        ),
    ],
    ids=[
        "a value", "not there", "neither asked nor ours", "not asked but ours", "of a map", "another's",
        "of a list", "another's map", "of named items",
    ],
)  # fmt: skip
def test_keep_live(
    pointers: list[str], desired: str, ours: JsonObject, path: str, expected: JsonValue
) -> None:
    wanted, live = yamldoc.load_one(desired), yamldoc.load_one(LIVE)
    ignored = Ignored(pointers=tuple(pointers))
    found: JsonValue = keep_live(wanted, strip(wanted, ignored), live, strip(live, ignored), ours)
    for key in path.split("/"):
        found = found.get(key)
    assert found == expected


def test_keep_live_of_managers_takes_no_fields_from_them() -> None:
    """What an injector adds beside ours is not asked for; what it changed of ours stays as it made it."""
    wanted, live = yamldoc.load_one(DESIRED), yamldoc.load_one(LIVE)
    tree = {
        "f:metadata": {"f:annotations": {"f:other": {}}},
        "f:spec": {
            "f:containers": {
                'k:{"name":"side"}': {".": {}, "f:name": {}, "f:image": {}},
                'k:{"name":"app"}': {"f:image": {}, "f:env": {'k:{"name":"B"}': {"f:value": {}}}},
            }
        },
    }
    live["metadata"]["managedFields"] = [{"manager": "injector", "fieldsV1": tree}]
    owned = fieldset.owned_by(live, ("injector",))
    ignored = Ignored(managers=("injector",))
    found = keep_live(wanted, strip(wanted, ignored, owned), live, strip(live, ignored, owned), {})
    assert found["spec"]["containers"] == [
        {"name": "app", "image": "app:live", "env": [{"name": "A", "value": "git"}]}
    ]
    assert found["metadata"]["annotations"] == {"note": "git"}


_keys = st.sampled_from(["a", "b", "c"])
_values = st.recursive(
    st.integers(0, 3) | st.sampled_from(["x", "y"]),
    lambda inner: st.dictionaries(_keys, inner, max_size=3),
    max_leaves=8,
)
_bodies = st.dictionaries(_keys, _values, max_size=3)
_pointers = st.lists(_keys, min_size=1, max_size=3).map(lambda keys: "/" + "/".join(keys))
_rules = st.lists(_pointers, max_size=3).map(lambda found: Ignored(pointers=tuple(found)))
_trees: st.SearchStrategy[JsonObject] = st.recursive(
    st.just({}),
    lambda inner: st.dictionaries(_keys.map(lambda key: f"f:{key}"), inner, max_size=3),
    max_leaves=5,
)


@given(_bodies, _rules, _trees)
def test_strip_twice_is_strip_once(body: JsonObject, ignored: Ignored, owned: JsonObject) -> None:
    once = strip(body, ignored, owned)
    assert strip(once, ignored, owned) == once


@given(_bodies, _bodies, _rules, _trees)
def test_what_is_kept_does_not_differ_and_the_rest_stays_as_asked(
    desired: JsonObject, live: JsonObject, ignored: Ignored, owned: JsonObject
) -> None:
    stripped, rest = strip(desired, ignored, owned), strip(live, ignored, owned)
    kept = keep_live(desired, stripped, live, rest, {})
    assert tidied(kept, strip(kept, ignored, owned)) == tidied(desired, stripped)


@given(_bodies, _rules)
def test_an_object_as_desired_is_kept_as_it_is(body: JsonObject, ignored: Ignored) -> None:
    rest = strip(body, ignored)
    assert keep_live(body, rest, body, rest, {}) == body


@given(_bodies, _trees)
def test_only_and_without_share_no_leaf(body: JsonObject, owned: JsonObject) -> None:
    mine, others = fieldset.only(body, owned), fieldset.without(body, owned)
    assert not _leaves(mine) & _leaves(others)
    assert _leaves(mine) | _leaves(others) <= _leaves(body)


def _leaves(value: JsonValue, path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    if isinstance(value, dict):
        return {leaf for key, item in value.items() for leaf in _leaves(item, (*path, key))}
    return {path}

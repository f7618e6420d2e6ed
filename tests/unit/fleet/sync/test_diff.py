"""Differences for people: paths, text, and Secrets that stay secret in all of it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.codec import yamldoc
from fleet.codec.jsontypes import JsonObject
from fleet.sync.diff import changed_paths, unified
from fleet.sync.masking import masked, masked_pair

CANARY = "Y2FuYXJ5LXZhbHVl"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("{a: 1}", "{a: 1}", ()),
        ("{a: 1, b: {c: 1}}", "{a: 2, b: {d: 1}}", ("a", "b.c", "b.d")),
        (
            "{spec: {containers: [{name: app, image: a}, {name: b}]}}",
            "{spec: {containers: [{name: app, image: b}, {name: c}]}}",
            (
                "spec.containers[name=app].image",
                "spec.containers[name=b]",
                "spec.containers[name=c]",
            ),
        ),
        ("{l: [{name: a}, {name: b}]}", "{l: [{name: b}, {name: a}]}", ("l",)),
        ("{l: [1, 2]}", "{l: [1, 3]}", ("l[1]",)),
        ("{l: [1, 2]}", "{l: [1]}", ("l",)),
        ("{l: [1]}", "{l: {a: 1}}", ("l",)),
        (
            "{metadata: {labels: {a/b: x, c.d: y, e-f_g: z}}}",
            "{metadata: {labels: {}}}",
            ('metadata.labels["a/b"]', 'metadata.labels["c.d"]', "metadata.labels.e-f_g"),
        ),
        (
            "{ports: [{port: 1, protocol: UDP, name: a}]}",
            "{ports: [{port: 1, protocol: UDP}]}",
            ("ports[port=1,protocol=UDP].name",),
        ),
    ],
    ids=[
        "equal", "fields", "named items", "order", "positions", "length", "type", "odd keys", "two keys",
    ],
)  # fmt: skip
def test_changed_paths(old: str, new: str, expected: tuple[str, ...]) -> None:
    assert changed_paths(yamldoc.load_one(old), yamldoc.load_one(new)) == expected


def test_paths_are_at_most_a_hundred() -> None:
    old: JsonObject = {"data": {f"k{number}": "a" for number in range(500)}}
    assert len(changed_paths(old, {"data": {}})) == 100


def test_unified_text() -> None:
    old, new = ({"spec": {"replicas": count, "paused": True}} for count in (1, 2))
    assert unified(old, new) == (
        "@@ -1,3 +1,3 @@\n spec:\n   paused: true\n-  replicas: 1\n+  replicas: 2\n"
    )
    assert unified(None, old).splitlines()[1:] == ["+spec:", "+  paused: true", "+  replicas: 1"]
    assert unified(old, old) == ""


def secret(**data: str) -> JsonObject:
    applied = json.dumps({"data": data})
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "keys",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": applied, "a": "b"},
        },
        "data": data,
    }


def test_values_of_secrets_show_only_whether_they_differ() -> None:
    old = secret(same=CANARY, other=CANARY, gone=CANARY)
    new = secret(same=CANARY, other=f"{CANARY}2", new=CANARY)
    before, after = masked_pair(old, new)
    assert before is not None
    assert after is not None
    assert before["data"] == {"same": "***", "other": "*** (old value)", "gone": "***"}
    assert after["data"] == {"same": "***", "other": "*** (new value)", "new": "***"}
    assert before["metadata"]["annotations"]["a"] == "b"
    assert CANARY not in json.dumps([before, after, masked(old), unified(old, new)])
    assert CANARY not in json.dumps([unified(None, new), unified(old, None)])
    assert CANARY not in json.dumps(changed_paths(old, new))


@given(st.dictionaries(st.text(max_size=3), st.integers(10**9, 10**10).map(str), max_size=4))
def test_masking_twice_is_masking_once_and_leaks_nothing(data: dict[str, str]) -> None:
    body = {**secret(**data), "stringData": data}
    once = masked(body)
    assert masked(once) == once
    assert not [value for value in data.values() if value in json.dumps(once)]


def test_others_are_not_masked_and_odd_secrets_are() -> None:
    plain: JsonObject = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"}}
    custom: JsonObject = {"apiVersion": "example.com/v1", "kind": "Secret", "data": {"a": "b"}}
    assert masked(plain) == plain
    assert masked(custom) == custom
    odd: JsonObject = {"apiVersion": "v1", "kind": "Secret", "data": CANARY, "metadata": None}
    assert CANARY not in json.dumps(masked(odd))

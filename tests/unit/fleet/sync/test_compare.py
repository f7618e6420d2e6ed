"""Structural comparison and JSON pointers."""

import pytest

from fleet.codec import yamldoc
from fleet.codec.jsontypes import JsonValue
from fleet.sync.compare import keep_live, matches, strip


@pytest.mark.parametrize(
    ("desired", "live", "expected"),
    [
        ("{spec: {a: 1}}", "{spec: {a: 1, default: 2}, status: {x: 1}}", True),
        ("{spec: {a: 1}}", "{spec: {a: 2}}", False),
        ("{spec: {a: 1}}", "{spec: {}}", False),
        ("{spec: {a: 1}}", "{}", False),
        ("{spec: {a: null, b: {}, c: [], d: '', e: 0, f: false}}", "{}", True),
        ("{spec: {f: true}}", "{}", False),
        ("{spec: {f: false}}", "{spec: {f: true}}", False),
        ("{spec: {a: 1}}", "{spec: {a: true}}", False),
        ("{status: {a: 1}}", "{}", True),
        (
            "{metadata: {creationTimestamp: null, labels: {a: b}}}",
            "{metadata: {labels: {a: b, c: d}, uid: u}}",
            True,
        ),
        ("{metadata: {finalizers: [a]}}", "{metadata: {finalizers: [b, a]}}", True),
        (
            "{s: {cs: [{name: a, image: x}]}}",
            "{s: {cs: [{name: side}, {name: a, image: x, y: z}]}}",
            True,
        ),
        ("{s: {cs: [{name: a, image: x}]}}", "{s: {cs: [{name: a, image: z}]}}", False),
        ("{s: {cs: [{name: a}, {name: b}]}}", "{s: {cs: [{name: b}]}}", False),
        ("{s: {args: [a, b]}}", "{s: {args: [b, a]}}", False),
        ("{s: {args: [a]}}", "{s: {args: [a, b]}}", False),
        ("{s: {resources: {limits: {cpu: 0.5}}}}", "{s: {resources: {limits: {cpu: 500m}}}}", True),
        (
            "{s: {resources: {limits: {cpu: 1000m}}}}",
            "{s: {resources: {limits: {cpu: '1'}}}}",
            True,
        ),
        (
            "{s: {resources: {limits: {memory: 1Gi}}}}",
            "{s: {resources: {limits: {memory: 1024Mi}}}}",
            True,
        ),
        (
            "{s: {resources: {limits: {memory: 1Gi}}}}",
            "{s: {resources: {limits: {memory: 1G}}}}",
            False,
        ),
        ("{data: {cpu: '1.0'}}", "{data: {cpu: '1'}}", False),
        ("{metadata: {labels: {cpu: '1.0'}}}", "{metadata: {labels: {cpu: '1'}}}", False),
        ("{kind: Secret, stringData: {a: b}}", "{kind: Secret, data: {a: Yg==}}", True),
        ("{kind: Secret, stringData: {a: b}}", "{kind: Secret, data: {a: Yw==}}", False),
        ("{spec: {a: 1.0}}", "{spec: {a: 1}}", True),
        (
            "{s: {ports: [{containerPort: 80}]}}",
            "{s: {ports: [{containerPort: 80, protocol: TCP}]}}",
            True,
        ),
        (
            "{s: {ports: [{containerPort: 80}]}}",
            "{s: {ports: [{containerPort: 80, protocol: UDP}]}}",
            False,
        ),
    ],
)
def test_matches(desired: str, live: str, expected: bool) -> None:
    assert matches(yamldoc.load_one(desired), yamldoc.load_one(live)) is expected


def test_ignored_fields_do_not_count() -> None:
    desired = yamldoc.load_one("{spec: {replicas: 1, template: {cs: [{image: a}]}}}")
    live = yamldoc.load_one("{spec: {replicas: 5, template: {cs: [{image: b}]}}}")
    pointers = ("/spec/replicas", "/spec/template/cs/0/image")
    assert not matches(desired, live, pointers[:1])
    assert matches(desired, live, pointers)


@pytest.mark.parametrize(
    ("pointers", "expected"),
    [
        (("/a",), {"b": {"c/d": [1, 2, 3]}}),
        (("/b/c~1d/1",), {"a": 1, "b": {"c/d": [1, 3]}}),
        (("/b/c~1d/0", "/b/c~1d/1"), {"a": 1, "b": {"c/d": [3]}}),
        (("/x/y", "/a/b", "/b/c~1d/9", "", "a"), {"a": 1, "b": {"c/d": [1, 2, 3]}}),
    ],
    ids=["member", "escaped and index", "two of a list", "nothing there"],
)
def test_strip(pointers: tuple[str, ...], expected: JsonValue) -> None:
    given = {"a": 1, "b": {"c/d": [1, 2, 3]}}
    assert strip(given, pointers) == expected
    assert given == {"a": 1, "b": {"c/d": [1, 2, 3]}}


def test_keep_live_takes_ignored_values_from_the_cluster() -> None:
    desired = {"spec": {"replicas": 1, "other": 2}}
    assert keep_live(desired, {"spec": {"replicas": 7}}, ["/spec/replicas"]) == {
        "spec": {"replicas": 7, "other": 2}
    }
    assert keep_live(desired, {"spec": {}}, ["/spec/replicas"]) == {"spec": {"other": 2}}
    assert keep_live({}, {"a": {"b": 1}}, ["/a/b"]) == {"a": {"b": 1}}

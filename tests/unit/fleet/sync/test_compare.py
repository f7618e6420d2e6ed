"""Comparison with a live object: structural, and with a dry run's result."""

import pytest

from fleet.codec import yamldoc
from fleet.codec.jsontypes import JsonObject
from fleet.sync.compare import counted, matches, merged


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
            "{s: {resources: {limits: {memory: 1024Ki}}}}",
            "{s: {resources: {limits: {memory: 1Mi}}}}",
            True,
        ),
        (
            "{s: {resources: {limits: {memory: 1Gi}}}}",
            "{s: {resources: {limits: {memory: 1G}}}}",
            False,
        ),
        ("{data: {cpu: '1.0'}}", "{data: {cpu: '1'}}", False),
        (
            "{s: {cs: [{name: a, env: [{name: VERSION, value: '1.10'}]}]}}",
            "{s: {cs: [{name: a, env: [{name: VERSION, value: '1.1'}]}]}}",
            False,
        ),
        ("{s: {default: '1.10'}}", "{s: {default: '1.1'}}", False),
        ("{s: {default: {version: '1.10'}}}", "{s: {default: {version: '1.1'}}}", False),
        (
            "{s: {limits: [{default: {cpu: 1000m}}]}}",
            "{s: {limits: [{default: {cpu: '1'}}]}}",
            True,
        ),
        ("{s: {target: {value: 1000m}}}", "{s: {target: {value: '1'}}}", True),
        ("{spec: {replicas: null}}", "{spec: {replicas: 1}}", True),
        ("{metadata: {labels: {cpu: '1.0'}}}", "{metadata: {labels: {cpu: '1'}}}", False),
        (
            "{apiVersion: v1, kind: Secret, stringData: {a: b}}",
            "{apiVersion: v1, kind: Secret, data: {a: Yg==}}",
            True,
        ),
        (
            "{apiVersion: v1, kind: Secret, stringData: {a: b}}",
            "{apiVersion: v1, kind: Secret, data: {a: Yw==}}",
            False,
        ),
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


OURS = {
    "f:metadata": {"f:labels": {"f:team": {}, "f:gone": {}}},
    "f:spec": {
        "f:replicas": {},
        "f:gone": {},
        "f:containers": {
            'k:{"name":"a"}': {".": {}, "f:name": {}, "f:image": {}, "f:gone": {}},
            'k:{"name":"c"}': {".": {}, "f:name": {}},
        },
    },
}
LIVE = """
metadata: {name: x, uid: u, labels: {team: a, gone: g, other: o}}
spec:
  replicas: 3
  gone: 1
  limits: {cpu: "1"}
  containers: [{name: a, image: i, gone: 1, default: d}, {name: b}, {name: c}]
status: {ready: 1}
"""


@pytest.mark.parametrize(
    ("desired", "expected"),
    [
        (
            """{metadata: {name: x, labels: {team: b}},
            spec: {replicas: 1, limits: {cpu: 1000m}, containers: [{name: a, image: j}]}}""",
            """{metadata: {name: x, uid: u, labels: {team: b, other: o}},
            spec: {replicas: 1, limits: {cpu: "1"}, containers: [{name: a, image: j, default: d}, {name: b}]},
            status: {ready: 1}}""",
        ),
        (
            """{metadata: {name: x, labels: null},
            spec: {replicas: 4, limits: null, empty: null, gone: 1, containers: [{name: a, gone: 1, empty: null}]}}""",
            """{metadata: {name: x, uid: u, labels: {other: o}},
            spec: {replicas: 4, gone: 1, limits: {cpu: "1"}, containers: [{name: a, gone: 1, default: d}, {name: b}]},
            status: {ready: 1}}""",
        ),
        (
            """{metadata: {name: x, labels: {team: a, gone: g}},
            spec: {replicas: 3, gone: 1, containers: [{name: a, image: i, gone: 1}, {name: c}, {name: d}]}}""",
            """{metadata: {name: x, uid: u, labels: {team: a, gone: g, other: o}},
            spec: {replicas: 3, gone: 1, limits: {cpu: "1"},
              containers: [{name: a, image: i, gone: 1, default: d}, {name: b}, {name: c}, {name: d}]},
            status: {ready: 1}}""",
        ),
    ],
    ids=["changed and released", "null", "added"],
)
def test_merged_foretells_an_apply(desired: str, expected: str) -> None:
    found = merged(yamldoc.load_one(desired), yamldoc.load_one(LIVE), OURS)
    assert found == yamldoc.load_one(expected)


def test_merged_keeps_what_means_the_same() -> None:
    live = yamldoc.load_one(LIVE)
    same = yamldoc.load_one("{metadata: {name: x}, spec: {limits: {cpu: 1000m}}}")
    assert merged(same, live, {}) == live


@pytest.mark.parametrize(
    ("after", "before", "owned", "expected"),
    [
        ("{metadata: {resourceVersion: '2'}}", "{metadata: {resourceVersion: '1'}}", None, True),
        ("{status: {a: 1}}", "{}", None, True),
        ("{spec: {a: 1, hook: 2}}", "{spec: {a: 1}}", None, False),
        ("{spec: {a: 1, hook: 2}}", "{spec: {a: 1}}", {"f:spec": {"f:a": {}}}, True),
        ("{spec: {a: 2}}", "{spec: {a: 1}}", {"f:spec": {"f:a": {}}}, False),
        ("{spec: {}}", "{spec: {a: 1}}", {"f:spec": {"f:a": {}}}, False),
    ],
    ids=["server's metadata", "status", "all fields", "others' fields", "ours", "ours went"],
)
def test_a_dry_run_agrees(
    after: str, before: str, owned: JsonObject | None, expected: bool
) -> None:
    sides = [counted(yamldoc.load_one(side), owned) for side in (after, before)]
    assert (sides[0] == sides[1]) is expected

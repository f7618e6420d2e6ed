"""What drift detection rests on, asked of a real API server: who owns which field, and when that changes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fleet.codec.jsontypes import JsonObject
from fleet.sync.compare import matches
from fleet.sync.drift import MANAGER, owned_fields
from fleet.testing.controlplane import ControlPlane
from fleet.testing.controlplane.access import APPLY_PATCH, MERGE_PATCH

pytestmark = pytest.mark.controlplane

DESIRED: JsonObject = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "labels": {"team": "a"}, "annotations": {"note": "x"}},
    "spec": {
        "replicas": 0,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}, "creationTimestamp": None},
            "spec": {
                "containers": [
                    {
                        "name": "main",
                        "image": "example/none:1",
                        "env": [{"name": "EMPTY", "value": ""}, {"name": "A", "value": "b"}],
                        "ports": [{"containerPort": 80}],
                        "resources": {
                            "limits": {"cpu": "0.5", "memory": "1024Mi"},
                            "requests": {"cpu": 0.1},
                        },
                    }
                ]
            },
        },
    },
}


class Object:
    """The Deployment of one test."""

    def __init__(self, cluster: ControlPlane, namespace: str) -> None:
        self.cluster = cluster
        self.path = f"/apis/apps/v1/namespaces/{namespace}/deployments/web"

    def apply(self, body: JsonObject, manager: str = MANAGER, sub: str = "") -> JsonObject:
        path = f"{self.path}{sub}?fieldManager={manager}&force=true"
        return self.send("PATCH", path, body, APPLY_PATCH)

    def merge(self, patch: JsonObject, sub: str = "") -> JsonObject:
        return self.send("PATCH", f"{self.path}{sub}?fieldManager=kubectl-edit", patch, MERGE_PATCH)

    def send(self, method: str, path: str, body: JsonObject, content_type: str) -> JsonObject:
        answer = self.cluster.request(method, path, body, content_type=content_type)
        assert answer.is_success(), answer.body
        return answer.body


@pytest.fixture
def web(cluster: ControlPlane, namespace: str) -> Object:
    return Object(cluster, namespace)


def fields(body: JsonObject) -> str:
    return owned_fields(body["metadata"])


def _scaled(web: Object) -> JsonObject:
    web.merge({"spec": {"replicas": 3}}, "/scale")
    return web.cluster.request("GET", web.path).body


HEAD = {"apiVersion": "apps/v1", "kind": "Deployment"}
OTHERS: dict[str, Callable[[Object], JsonObject]] = {
    "status": lambda web: web.merge(
        {"status": {"observedGeneration": 1, "replicas": 0}}, "/status"
    ),
    "another annotation": lambda web: web.merge({"metadata": {"annotations": {"mine": "y"}}}),
    "another manager's field": lambda web: web.apply(
        {**HEAD, "metadata": {"name": "web"}, "spec": {"minReadySeconds": 5}}, "other"
    ),
    "the same value by another manager": lambda web: web.apply(
        {**HEAD, "metadata": {"name": "web", "labels": {"team": "a"}}}, "other"
    ),
    "our own apply again": lambda web: web.apply(DESIRED),
}
DRIFT: dict[str, Callable[[Object], JsonObject]] = {
    "a value of ours": lambda web: web.merge({"spec": {"replicas": 1}}),
    "a label of ours": lambda web: web.merge({"metadata": {"labels": {"team": "b"}}}),
    "a label of ours removed": lambda web: web.merge({"metadata": {"labels": {"team": None}}}),
    "the scale subresource": _scaled,
    "a container's image": lambda web: web.apply(
        {
            **HEAD,
            "metadata": {"name": "web"},
            "spec": {
                "selector": {"matchLabels": {"app": "web"}},
                "template": {"spec": {"containers": [{"name": "main", "image": "example/evil:1"}]}},
            },
        },
        "other",
    ),
}


@pytest.mark.parametrize("change", OTHERS.values(), ids=OTHERS.keys())
def test_what_others_may_do_is_no_drift(
    web: Object, change: Callable[[Object], JsonObject]
) -> None:
    applied = fields(web.apply(DESIRED))
    assert applied
    after = change(web)
    assert fields(after) == applied
    assert matches(DESIRED, after)


@pytest.mark.parametrize("change", DRIFT.values(), ids=DRIFT.keys())
def test_a_change_of_ours_is_drift_and_heals(
    web: Object, change: Callable[[Object], JsonObject]
) -> None:
    applied = fields(web.apply(DESIRED))
    after = change(web)
    assert fields(after) != applied
    assert not matches(DESIRED, after)
    healed = web.apply(DESIRED)
    assert fields(healed) == applied
    assert matches(DESIRED, healed)


def test_applying_the_same_again_writes_nothing(cluster: ControlPlane, namespace: str) -> None:
    # No controller writes to a ConfigMap, so its version moves only if the apply moves it.
    config = Object(cluster, namespace)
    config.path = f"/api/v1/namespaces/{namespace}/configmaps/settings"
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings"},
        "data": {"a": "b"},
    }
    first, second = config.apply(body), config.apply(body)
    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]

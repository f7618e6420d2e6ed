"""Workloads come up by themselves, and the project's own health rules say so: first Progressing, then Healthy."""

from __future__ import annotations

import pytest

from fleet.codec.jsontypes import JsonObject
from fleet.embedded.conform import Write
from fleet.embedded.readiness import progress, ready
from fleet.embedded.server import EmbeddedServer, Options
from fleet.health.assess import assess
from fleet.model.report import Health

NOW = "2026-01-01T00:00:00Z"
_LABELS = {"app": "x"}
_TEMPLATE: JsonObject = {
    "metadata": {"labels": _LABELS},
    "spec": {"containers": [{"name": "main", "image": "x:1"}]},
}
_CONTROLLER: JsonObject = {"selector": {"matchLabels": _LABELS}, "template": _TEMPLATE}
_ONCE: JsonObject = {**_TEMPLATE, "spec": {**_TEMPLATE["spec"], "restartPolicy": "Never"}}
_CLAIM: JsonObject = {
    "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
}  # fmt: skip
_RULE: JsonObject = {"host": "x", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "s", "port": {"number": 80}}}}]}}  # fmt: skip

KINDS: list[tuple[str, str, str, JsonObject]] = [
    ("apps", "v1", "deployments", {**_CONTROLLER, "replicas": 2}),
    ("apps", "v1", "replicasets", _CONTROLLER),
    ("apps", "v1", "statefulsets", {**_CONTROLLER, "serviceName": "x"}),
    ("apps", "v1", "daemonsets", _CONTROLLER),
    ("batch", "v1", "jobs", {"template": _ONCE}),
    ("", "v1", "persistentvolumeclaims", _CLAIM),
    ("", "v1", "services", {"type": "LoadBalancer", "ports": [{"port": 80}]}),
    ("", "v1", "pods", _TEMPLATE["spec"]),
    ("networking.k8s.io", "v1", "ingresses", {"rules": [_RULE]}),
    ("autoscaling", "v2", "horizontalpodautoscalers", {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "x"}}),
    ("policy", "v1", "poddisruptionbudgets", {"minAvailable": 1, "selector": {"matchLabels": _LABELS}}),
]  # fmt: skip


@pytest.fixture(scope="module")
def server() -> EmbeddedServer:
    return EmbeddedServer(Options(tls=False))


@pytest.mark.parametrize(
    ("group", "version", "plural", "spec"), KINDS, ids=[kind[2] for kind in KINDS]
)
def test_progressing_then_healthy(
    server: EmbeddedServer, group: str, version: str, plural: str, spec: JsonObject
) -> None:
    kind = server.kinds.at(group, version, plural)
    assert kind is not None
    made = server.api.create(kind, "default", {"metadata": {"name": "x"}, "spec": spec}, Write())
    seen = {**made, **(progress(kind.store_key, made, NOW) or {})}
    before = assess(seen)
    assert before is not None
    assert before.status is Health.PROGRESSING
    done = {**seen, **(ready(kind.store_key, seen, NOW) or {})}
    after = assess(done)
    assert after is not None
    assert after.status is Health.HEALTHY
    assert {**done, **(ready(kind.store_key, done, NOW) or {})} == done


def test_other_kinds_have_no_status() -> None:
    assert ready(("", "configmaps"), {"metadata": {"name": "x"}}, NOW) is None

"""Asks API servers by plain requests: the means of the contract that the embedded one and a real one share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.errors import BadInput, NotReady
from fleet.testing.controlplane import Access, Response

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True)
class ApiServer:
    """One API server and a namespace in it."""

    access: Access
    namespace: str

    def ask(
        self, method: str, path: str, body: JsonValue = None, content_type: str = "application/json"
    ) -> Response:
        """Send a request."""
        return self.access.request(method, path, body, content_type=content_type)

    def do(
        self, method: str, path: str, body: JsonValue = None, content_type: str = "application/json"
    ) -> JsonObject:
        """Send a request that must succeed."""
        answer = self.ask(method, path, body, content_type)
        if not answer.is_success():
            raise BadInput(f"{method} {path}: {answer.status} {answer.body}")
        return answer.body

    def maps(self, name: str = "") -> str:
        """The path of the namespace's ConfigMaps, or of one."""
        base = f"/api/v1/namespaces/{self.namespace}/configmaps"
        return f"{base}/{name}" if name else base

    def deployments(self, name: str = "") -> str:
        """The path of the namespace's Deployments, or of one."""
        base = f"/apis/apps/v1/namespaces/{self.namespace}/deployments"
        return f"{base}/{name}" if name else base

    def apply(self, path: str, body: JsonObject, manager: str = "tester") -> Response:
        """Apply on the server's side."""
        return self.ask("PATCH", f"{path}?fieldManager={manager}", body, APPLY)


def eventually(check: Callable[[], bool], within: float = 20) -> None:
    """Ask until it holds; raises NotReady."""
    deadline = time.monotonic() + within
    while not check():
        if time.monotonic() > deadline:
            raise NotReady("it did not come to hold")
        time.sleep(0.05)


def config_map(name: str = "a", **data: str) -> JsonObject:
    """A ConfigMap with data."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": {"app": "x"}},
        "data": data,
    }


def deployment(name: str = "web", **spec: JsonValue) -> JsonObject:
    """A Deployment without Pods."""
    labels = {"app": name}
    pod = {"containers": [{"name": "main", "image": "nginx:1"}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
            **spec,
        },
    }

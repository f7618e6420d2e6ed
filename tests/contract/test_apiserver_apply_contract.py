"""Server-side apply against a real API server, step by step: the same writes by several managers, at random, end alike in both."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.codec.jsontypes import JsonObject
from fleet.testing.apiservers import APPLY, MERGE, ApiServer, eventually
from fleet.testing.controlplane import Access, ControlPlane, Response

_GROUP = "differential.example.com"
_ITEM: JsonObject = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "string"},
        "note": {"type": "string"},
        "inner": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
_SPEC: JsonObject = {
    "type": "object",
    "properties": {
        "items": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"], "items": _ITEM},
        "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "plain": {"type": "array", "items": {"type": "string"}},
        "whole": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "string"}},
        "open": {"type": "object", "additionalProperties": {"type": "string"}},
        "deep": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "object", "properties": {"c": {"type": "string"}}}}},
    },
}  # fmt: skip
_CRD: JsonObject = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"mixes.{_GROUP}"},
    "spec": {
        "group": _GROUP,
        "scope": "Namespaced",
        "names": {"kind": "Mix", "plural": "mixes"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": _SPEC}}}}],
    },
}  # fmt: skip

_words = st.sampled_from(["x", "y"])
_maps = st.dictionaries(st.sampled_from(["k", "l"]), _words, max_size=2)
_items: st.SearchStrategy[JsonObject] = st.fixed_dictionaries(
    {"id": st.sampled_from(["a", "b", "c"])}, optional={"note": _words, "inner": _maps}
)
_specs: st.SearchStrategy[JsonObject] = st.fixed_dictionaries(
    {},
    optional={
        "items": st.lists(_items, unique_by=lambda item: item["id"], max_size=3),
        "tags": st.lists(st.sampled_from(["p", "q", "r"]), unique=True, max_size=3),
        "plain": st.lists(_words, max_size=2),
        "whole": _maps,
        "open": _maps,
        "deep": st.fixed_dictionaries(
            {}, optional={"a": _words, "b": st.fixed_dictionaries({}, optional={"c": _words})}
        ),
    },
)


@dataclass(frozen=True)
class Step:
    """One write."""

    manager: str
    way: str
    spec: JsonObject


_steps = st.lists(
    st.builds(Step, st.sampled_from(["one", "two"]), st.sampled_from(["apply", "force", "patch"]), _specs),
    min_size=1, max_size=5,
)  # fmt: skip


@pytest.fixture(scope="module")
def both(embedded_access: Access, cluster: ControlPlane) -> Iterator[tuple[ApiServer, ApiServer]]:
    servers = (ApiServer(embedded_access, "default"), ApiServer(cluster.access, "default"))
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    for server in servers:
        server.do("POST", definitions, _CRD)
    for server in servers:
        eventually(lambda server=server: server.ask("GET", _path("x")).status == 404 and bool(server.ask("GET", _path("")).is_success()))  # type: ignore[misc]  # fmt: skip
    yield servers
    for server in servers:
        server.do("DELETE", f"{definitions}/mixes.{_GROUP}")


def _path(name: str) -> str:
    return f"/apis/{_GROUP}/v1/namespaces/default/mixes/{name}".rstrip("/")


def _write(server: ApiServer, name: str, step: Step) -> Response:
    body: JsonObject = {
        "apiVersion": f"{_GROUP}/v1", "kind": "Mix", "metadata": {"name": name}, "spec": step.spec,
    }  # fmt: skip
    query = f"?fieldManager={step.manager}"
    if step.way == "patch":
        return server.ask("PATCH", _path(name) + query, {"spec": step.spec}, MERGE)
    force = "&force=true" if step.way == "force" else ""
    return server.ask("PATCH", _path(name) + query + force, body, APPLY)


def _outcome(answer: Response) -> JsonObject:
    """What both must agree on."""
    if not answer.is_success():
        causes = (answer.body.get("details") or {}).get("causes") or ()
        return {"status": answer.status, "fields": sorted(cause["field"] for cause in causes)}
    managed = {
        f"{entry['manager']} {entry['operation']}": entry["fieldsV1"]
        for entry in answer.body["metadata"].get("managedFields") or ()
    }
    return {
        "status": answer.status,
        "spec": answer.body.get("spec"),
        "generation": answer.body["metadata"]["generation"],
        "managed": managed,
    }


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=_steps)
def test_random_writes_end_alike(both: tuple[ApiServer, ApiServer], steps: list[Step]) -> None:
    embedded, real = both
    name = f"mix-{uuid.uuid4().hex[:10]}"
    for step in steps:
        expected = _outcome(_write(real, name, step))
        assert _outcome(_write(embedded, name, step)) == expected
    for server in both:
        server.ask("DELETE", _path(name))

"""Custom resources, alike in the embedded API server and in a real one: definitions, pruning, validation, apply, status."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.testing.apiservers import (
    MERGE,
    ApiServer,
    eventually,
)

GROUP = "contract.example.com"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def crd(group: str) -> JsonObject:
    item = {
        "type": "object",
        "required": ["id"],
        "properties": {
            "id": {"type": "string"},
            "note": {"type": "string"},
            "on": {"type": "boolean", "default": True},
        },
    }
    spec = {
        "type": "object",
        "properties": {
            "items": {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["id"],
                "items": item,
            },
            "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "mode": {"type": "string", "enum": ["fast", "slow"], "default": "fast"},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            "port": {"x-kubernetes-int-or-string": True},
        },
    }
    schema = {
        "openAPIV3Schema": {
            "type": "object",
            "properties": {
                "spec": spec,
                "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            },
        }
    }
    version = {"served": True, "schema": schema, "subresources": {"status": {}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": "Thing", "plural": "things"},
            "versions": [{"name": "v1", "storage": True, **version}, {"name": "v1beta1", "storage": False, **version}],
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"metadata": {"name": "others.GROUP"}}, "metadata.name", 'Invalid value: "others.GROUP": must be spec.names.plural+"."+spec.group'),
        ({"spec": {"versions": [{"name": "v1", "served": True, "storage": True}]}}, "spec.versions[0].schema.openAPIV3Schema", "Required value"),
    ],
    ids=["name", "schema"],
)  # fmt: skip
def test_definitions_are_validated(
    server: ApiServer, change: JsonObject, field: str, message: str
) -> None:
    group = f"{server.namespace}.example.com"
    body = crd(group)
    for key, value in change.items():
        body[key] = {**body[key], **value}
    body["metadata"]["name"] = body["metadata"]["name"].replace("GROUP", group)
    answer = server.ask("POST", DEFINITIONS, body)
    assert answer.status == 422
    causes = [(c["field"], c["message"]) for c in answer.body["details"]["causes"]]
    assert (field, message.replace("GROUP", group)) in causes


@pytest.fixture(scope="module")
def defined() -> Iterator[dict[str, ApiServer]]:
    """The API servers that know the kind; a real one takes two seconds to serve it."""
    found: dict[str, ApiServer] = {}
    yield found
    for server in found.values():
        server.do("DELETE", f"{DEFINITIONS}/things.{GROUP}")


@pytest.fixture
def things(server: ApiServer, defined: dict[str, ApiServer]) -> str:
    """The path of a custom resource's collection."""
    path = f"/apis/{GROUP}/v1/namespaces/{server.namespace}/things"
    if server.access.name not in defined:
        server.do("POST", DEFINITIONS, crd(GROUP))
        defined[server.access.name] = server
        eventually(lambda: server.ask("GET", path).status == 200)
    return path


def thing(version: str = "v1", **spec: JsonValue) -> JsonObject:
    return {"apiVersion": f"{GROUP}/{version}", "kind": "Thing", "metadata": {"name": "t"}, "spec": spec}  # fmt: skip


def test_custom_resources_are_pruned_and_completed(server: ApiServer, things: str) -> None:
    body = thing(items=[{"id": "a", "lost": 1}], lost=2, free={"kept": 3}, port="http")
    live = server.do("POST", things, body)
    assert live["spec"] == {
        "items": [{"id": "a", "on": True}], "mode": "fast", "free": {"kept": 3}, "port": "http",
    }  # fmt: skip
    assert live["metadata"]["generation"] == 1
    older = server.do("GET", f"{things.replace('/v1/', '/v1beta1/')}/t")
    assert older["apiVersion"].endswith("/v1beta1")
    assert older["metadata"]["uid"] == live["metadata"]["uid"]


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        ({"mode": "odd"}, "spec.mode", 'Unsupported value: "odd": supported values: "fast", "slow"'),
        ({"items": [{"note": "x"}]}, "spec.items[0].id", "Required value"),
        ({"tags": [1]}, "spec.tags[0]", 'Invalid value: "integer": spec.tags[0] in body must be of type string: "integer"'),
        ({"items": [{"id": "a"}, {"id": "a"}]}, "spec.items[1]", 'Duplicate value: {"id":"a"}'),
        ({"tags": ["a", "a"]}, "spec.tags[1]", 'Duplicate value: "a"'),
    ],
    ids=["enum", "required", "type", "duplicate-key", "duplicate-in-set"],
)  # fmt: skip
def test_custom_resources_are_validated(
    server: ApiServer, things: str, spec: JsonObject, field: str, message: str
) -> None:
    answer = server.ask("POST", things, thing(**spec))
    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    causes = [(c["field"], c["message"]) for c in answer.body["details"]["causes"]]
    assert (field, message) in causes


def test_apply_of_custom_resources_merges_by_key(server: ApiServer, things: str) -> None:
    path = f"{things}/t"
    server.apply(path, thing(items=[{"id": "a", "note": "1"}], tags=["x"]), "one")
    live = server.apply(path, thing(items=[{"id": "b"}], tags=["y"]), "two").body
    assert [item["id"] for item in live["spec"]["items"]] == ["a", "b"]
    assert live["spec"]["tags"] == ["x", "y"]
    entry = next(e for e in live["metadata"]["managedFields"] if e["manager"] == "two")
    assert entry["fieldsV1"] == {
        "f:spec": {
            "f:items": {'k:{"id":"b"}': {".": {}, "f:id": {}}},
            "f:tags": {'v:"y"': {}},
        }
    }
    live = server.apply(path, thing(items=[]), "one").body
    assert [item["id"] for item in live["spec"]["items"]] == ["b"]
    assert live["spec"]["tags"] == ["y"]


def test_custom_status_is_apart(server: ApiServer, things: str) -> None:
    made = server.do("POST", things, {**thing(), "status": {"a": 1}})
    assert "status" not in made
    live = server.do("PATCH", f"{things}/t/status", {"status": {"a": 2}, "spec": {"mode": "slow"}}, MERGE)  # fmt: skip
    assert (live["status"], live["spec"]["mode"]) == ({"a": 2}, "fast")
    assert live["metadata"]["generation"] == 1
    unversioned = server.ask("PUT", f"{things}/t", thing())
    assert (unversioned.status, unversioned.body["reason"]) == (422, "Invalid")

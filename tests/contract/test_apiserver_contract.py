"""What an API server answers, alike from the embedded one and from a real kube-apiserver 1.35; where they differ the real one is right."""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fleet.codec import canonical
from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.errors import NotReady
from fleet.testing.controlplane import Access, ControlPlane, Response
from fleet.testing.embedded import EmbeddedThread

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True)
class Server:
    """One API server and a namespace in it."""

    access: Access
    namespace: str

    def ask(
        self, method: str, path: str, body: JsonValue = None, content_type: str = "application/json"
    ) -> Response:
        return self.access.request(method, path, body, content_type=content_type)

    def do(
        self, method: str, path: str, body: JsonValue = None, content_type: str = "application/json"
    ) -> JsonObject:
        answer = self.ask(method, path, body, content_type)
        assert answer.is_success(), answer.body
        return answer.body

    def maps(self, name: str = "") -> str:
        base = f"/api/v1/namespaces/{self.namespace}/configmaps"
        return f"{base}/{name}" if name else base

    def deployments(self, name: str = "") -> str:
        base = f"/apis/apps/v1/namespaces/{self.namespace}/deployments"
        return f"{base}/{name}" if name else base

    def apply(self, path: str, body: JsonObject, manager: str = "tester") -> Response:
        return self.ask("PATCH", f"{path}?fieldManager={manager}", body, APPLY)


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Access]:
    with EmbeddedThread() as running:
        config = canonical.decode(running.kubeconfig.read_bytes())
        cluster = config["clusters"][0]["cluster"]
        ca_file: Path = tmp_path_factory.mktemp("embedded") / "ca.pem"
        ca_file.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
        yield Access(
            name="embedded",
            server=cluster["server"],
            ca_file=ca_file,
            token=config["users"][0]["user"]["token"],
        )


@pytest.fixture(params=["embedded", pytest.param("real", marks=pytest.mark.controlplane)])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    if request.param == "embedded":
        access: Access = request.getfixturevalue("embedded")
    else:
        plane: ControlPlane = request.getfixturevalue("cluster")
        access = plane.access
    name = f"api-{uuid.uuid4().hex[:8]}"
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    server = Server(access, name)
    server.do("POST", "/api/v1/namespaces", namespace)
    yield server
    server.do("DELETE", f"/api/v1/namespaces/{name}")


def eventually(check: Callable[[], bool], within: float = 20) -> None:
    deadline = time.monotonic() + within
    while not check():
        if time.monotonic() > deadline:
            raise NotReady("it did not come to hold")
        time.sleep(0.05)


def config_map(name: str = "a", **data: str) -> JsonObject:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": {"app": "x"}},
        "data": data,
    }


def deployment(name: str = "web", **spec: JsonValue) -> JsonObject:
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


REFUSALS: list[tuple[str, str, str, JsonValue, str, int, str, str]] = [
    ("absent", "GET", "/configmaps/absent", None, "", 404, "NotFound", 'configmaps "absent" not found'),
    ("no-kind", "GET", "/nonsense", None, "", 404, "NotFound", "the server could not find the requested resource"),
    ("no-name", "POST", "/configmaps", {"data": {}}, "", 422, "Invalid", 'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required'),
    ("bad-name", "POST", "/configmaps", {"metadata": {"name": "A_B"}}, "", 422, "Invalid", 'ConfigMap "A_B" is invalid: metadata.name: Invalid value: "A_B": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, \'-\' or \'.\', and must start and end with an alphanumeric character (e.g. \'example.com\', regex used for validation is \'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\')'),
    ("other-namespace", "POST", "/configmaps", {"metadata": {"name": "a", "namespace": "other"}}, "", 400, "BadRequest", "the namespace of the provided object does not match the namespace sent on the request"),
    ("apply-without-manager", "PATCH", "/configmaps/a", {"apiVersion": "v1", "kind": "ConfigMap"}, APPLY, 422, "Invalid", 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'),
    ("apply-unknown", "PATCH", "/configmaps/a?fieldManager=m", {"apiVersion": "v1", "kind": "ConfigMap", "oops": 1}, APPLY, 500, "", "failed to create typed patch object (/; /v1, Kind=ConfigMap): .oops: field not declared in schema"),
    ("apply-mistyped", "PATCH", "/configmaps/a?fieldManager=m", {"apiVersion": "v1", "kind": "ConfigMap", "data": {"x": 1}}, APPLY, 500, "", "failed to create typed patch object (/; /v1, Kind=ConfigMap): .data.x: expected string, got &value.valueUnstructured{Value:1}"),
    ("patch-absent", "PATCH", "/configmaps/absent", {"data": {}}, MERGE, 404, "NotFound", 'configmaps "absent" not found'),
    ("unknown-strict", "POST", "/configmaps?fieldValidation=Strict", {"metadata": {"name": "a"}, "oops": 1}, "", 400, "BadRequest", 'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "oops"'),
    ("no-containers", "POST", "/pods", {"metadata": {"name": "p"}, "spec": {}}, "", 422, "Invalid", 'Pod "p" is invalid: spec.containers: Required value'),
    ("post-to-object", "POST", "/configmaps/a", {"metadata": {"name": "a"}}, "", 405, "MethodNotAllowed", "the server does not allow this method on the requested resource"),
    ("delete-absent", "DELETE", "/configmaps/absent", None, "", 404, "NotFound", 'configmaps "absent" not found'),
    ("kind-of-other", "POST", "/configmaps", {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}, "", 400, "BadRequest", 'Secret in version "v1" cannot be handled as a ConfigMap: converting (v1.Secret) to (core.ConfigMap): unknown conversion'),
    ("no-namespace", "POST", "OTHER/configmaps", {"metadata": {"name": "a"}}, "", 404, "NotFound", 'namespaces "no-such-namespace" not found'),
    ("duplicate-keys", "PATCH", "/services/s?fieldManager=m", {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}, {"port": 80}]}}, APPLY, 500, "", 'failed to create typed patch object (/s; /v1, Kind=Service): .spec.ports: duplicate entries for key [port=80,protocol="TCP"]'),
    ("too-long", "POST", "/configmaps", {"metadata": {"name": "a"}, "data": {"x": "y" * 1_100_000}}, "", 422, "Invalid", 'ConfigMap "a" is invalid: []: Too long: may not be more than 1048576 bytes'),
    ("too-large", "POST", "/configmaps", {"metadata": {"name": "a"}, "data": {"x": "y" * 3_200_000}}, "", 413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728"),
    ("lasting", "DELETE", "DEFAULT", None, "", 403, "Forbidden", 'namespaces "default" is forbidden: this namespace may not be deleted'),
    ("selector", "GET", "/configmaps?labelSelector=a==b==c", None, "", 400, "BadRequest", "found '==', expected: ',' or 'end of string'"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "body", "content_type", "code", "reason", "message"),
    [row[1:] for row in REFUSALS],
    ids=[row[0] for row in REFUSALS],
)
def test_refusals(
    server: Server,
    method: str,
    path: str,
    body: JsonValue,
    content_type: str,
    code: int,
    reason: str,
    message: str,
) -> None:
    base = f"/api/v1/namespaces/{server.namespace}{path}"
    if path.startswith("OTHER"):
        base = f"/api/v1/namespaces/no-such-namespace{path.removeprefix('OTHER')}"
    if path == "DEFAULT":
        base = "/api/v1/namespaces/default"
    if isinstance(body, dict) and method == "POST":
        kind = "Pod" if "pods" in path else "ConfigMap"
        body = {"apiVersion": "v1", "kind": kind, **body}
    answer = server.ask(method, base, body, content_type or "application/json")
    assert (answer.status, answer.body.get("reason", "")) == (code, reason), answer.body
    assert answer.body["message"].replace(server.namespace, "NS") == message
    assert answer.body["kind"] == "Status"


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"metadata": {"name": "others.GROUP"}}, "metadata.name", 'Invalid value: "others.GROUP": must be spec.names.plural+"."+spec.group'),
        ({"spec": {"versions": [{"name": "v1", "served": True, "storage": True}]}}, "spec.versions[0].schema.openAPIV3Schema", "Required value"),
    ],
    ids=["name", "schema"],
)  # fmt: skip
def test_definitions_are_validated(
    server: Server, change: JsonObject, field: str, message: str
) -> None:
    group = f"{server.namespace}.example.com"
    body = crd(group)
    for key, value in change.items():
        body[key] = {**body[key], **value}
    body["metadata"]["name"] = body["metadata"]["name"].replace("GROUP", group)
    answer = server.ask("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", body)
    assert answer.status == 422
    causes = [(c["field"], c["message"]) for c in answer.body["details"]["causes"]]
    assert (field, message.replace("GROUP", group)) in causes


def test_put_checks_the_version(server: Server) -> None:
    first = server.do("POST", server.maps(), config_map(x="1"))
    changed = {**first, "data": {"x": "2"}}
    second = server.do("PUT", server.maps("a"), changed)
    assert second["metadata"]["resourceVersion"] != first["metadata"]["resourceVersion"]
    stale = server.ask("PUT", server.maps("a"), {**first, "data": {"x": "3"}})
    assert (stale.status, stale.body["reason"]) == (409, "Conflict")
    assert stale.body["message"] == (
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the '
        "latest version and try again"
    )
    blind = server.do("PUT", server.maps("a"), config_map(x="4"))
    assert blind["data"] == {"x": "4"}
    assert blind["metadata"]["uid"] == first["metadata"]["uid"]
    same = server.do("PUT", server.maps("a"), config_map(x="4"))
    assert same["metadata"]["resourceVersion"] == blind["metadata"]["resourceVersion"]


def test_names_are_generated(server: Server) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "job-"}}
    names = {server.do("POST", server.maps(), body)["metadata"]["name"] for _ in range(3)}
    assert len(names) == 3
    assert all(name.startswith("job-") and len(name) == 9 for name in names)


def test_dry_run_of_every_verb_changes_nothing(server: Server) -> None:
    live = server.do("POST", server.maps(), config_map(x="1"))
    assert server.do("POST", f"{server.maps()}?dryRun=All", config_map("b"))["metadata"]["uid"]
    assert server.do("PUT", f"{server.maps('a')}?dryRun=All", config_map(x="2"))["data"] == {
        "x": "2"
    }
    patch = {"data": {"x": "3"}}
    assert server.do("PATCH", f"{server.maps('a')}?dryRun=All", patch, MERGE)["data"] == {"x": "3"}
    server.do("DELETE", f"{server.maps('a')}?dryRun=All")
    assert server.do("GET", server.maps("a")) == live
    assert server.ask("GET", server.maps("b")).status == 404


def test_strategic_merge_follows_the_schema(server: Server) -> None:
    server.do("POST", server.deployments(), deployment())
    containers = [
        {"name": "side", "image": "s:1"},
        {"name": "main", "env": [{"name": "A", "value": "1"}]},
    ]
    patch = {"spec": {"template": {"spec": {"containers": containers}}}}
    live = server.do("PATCH", server.deployments("web"), patch, STRATEGIC)
    found = {c["name"]: c for c in live["spec"]["template"]["spec"]["containers"]}
    assert found["main"]["image"] == "nginx:1"
    assert found["main"]["env"] == [{"name": "A", "value": "1"}]
    remove = {
        "spec": {"template": {"spec": {"containers": [{"name": "side", "$patch": "delete"}]}}}
    }
    live = server.do("PATCH", server.deployments("web"), remove, STRATEGIC)
    assert [c["name"] for c in live["spec"]["template"]["spec"]["containers"]] == ["main"]


def test_json_patch_tests_before_it_writes(server: Server) -> None:
    server.do("POST", server.maps(), config_map(x="1"))
    steps = [
        {"op": "test", "path": "/data/x", "value": "other"},
        {"op": "replace", "path": "/data/x", "value": "2"},
    ]
    refused = server.ask("PATCH", server.maps("a"), steps, JSON_PATCH)
    assert (refused.status, refused.body["reason"]) == (422, "Invalid")
    steps[0]["value"] = "1"
    assert server.do("PATCH", server.maps("a"), steps, JSON_PATCH)["data"] == {"x": "2"}
    moved = [{"op": "move", "from": "/data/x", "path": "/data/a~1b"}]
    assert server.ask("PATCH", server.maps("a"), moved, JSON_PATCH).status == 422


def test_lists_continue_at_one_moment(server: Server) -> None:
    for number in range(5):
        server.do("POST", server.maps(), config_map(f"m{number}"))
    query = "labelSelector=app%3Dx&limit=2"
    first = server.do("GET", f"{server.maps()}?{query}")
    server.do("DELETE", server.maps("m3"))
    token = first["metadata"]["continue"]
    second = server.do("GET", f"{server.maps()}?{query}&continue={token}")
    names = [item["metadata"]["name"] for page in (first, second) for item in page["items"]]
    assert names == ["m0", "m1", "m2", "m3"]
    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]
    assert first["kind"] == "ConfigMapList"


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("app in (x,y)", ["a", "b"]),
        ("app notin (y)", ["a", "c"]),
        ("app", ["a", "b"]),
        ("!app", ["c"]),
        ("app!=x", ["b", "c"]),
        ("app==y,tier", ["b"]),
    ],
)
def test_label_selectors(server: Server, selector: str, names: list[str]) -> None:
    for name, labels in (("a", {"app": "x"}), ("b", {"app": "y", "tier": "1"}), ("c", {})):
        body = config_map(name) | {"metadata": {"name": name, "labels": labels}}
        server.do("POST", server.maps(), body)
    found = server.do(
        "GET",
        f"{server.maps()}?labelSelector={selector.replace(' ', '%20').replace('=', '%3D').replace('!', '%21')}",
    )
    listed = [item["metadata"]["name"] for item in found["items"]]
    assert [name for name in listed if name != "kube-root-ca.crt"] == names


def test_status_is_written_by_its_own_path_and_manager(server: Server) -> None:
    server.do("POST", server.deployments(), deployment())
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"replicas": 9},
        "status": {"observedGeneration": 77},
    }
    path = f"{server.deployments('web')}/status?fieldManager=ctl&force=true"
    live = server.do("PATCH", path, body, APPLY)
    assert live["status"]["observedGeneration"] == 77
    assert live["spec"]["replicas"] == 0
    entry = next(e for e in live["metadata"]["managedFields"] if e["manager"] == "ctl")
    assert (entry["operation"], entry["subresource"]) == ("Apply", "status")
    assert entry["fieldsV1"] == {"f:status": {"f:observedGeneration": {}}}


def test_scale_is_seen_apart(server: Server) -> None:
    server.do("POST", server.deployments(), deployment())
    scale = server.do("GET", f"{server.deployments('web')}/scale")
    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert scale["status"]["selector"] == "app=web"
    server.do("PATCH", f"{server.deployments('web')}/scale", {"spec": {"replicas": 4}}, MERGE)
    live = server.do("GET", server.deployments("web"))
    assert (live["spec"]["replicas"], live["metadata"]["generation"]) == (4, 2)


def test_apply_gives_up_only_what_nobody_else_owns(server: Server) -> None:
    path = server.maps("a")
    assert server.apply(path, config_map(x="1", y="2"), "one").status == 201
    assert server.apply(path, config_map(y="2"), "two").status == 200
    live = server.apply(path, config_map(), "one").body
    assert live["data"] == {"y": "2"}
    managers = {
        e["manager"]: e["fieldsV1"].get("f:data") for e in live["metadata"]["managedFields"]
    }
    assert managers == {"one": None, "two": {"f:y": {}}} or managers == {
        "one": {},
        "two": {"f:y": {}},
    }


def test_apply_takes_what_an_update_wrote_only_by_force(server: Server) -> None:
    server.do("POST", f"{server.maps()}?fieldManager=old", config_map(x="1"))
    refused = server.apply(server.maps("a"), config_map(x="2"))
    assert refused.status == 409
    (cause,) = refused.body["details"]["causes"]
    assert (cause["reason"], cause["field"]) == ("FieldManagerConflict", ".data.x")
    assert cause["message"].startswith('conflict with "old" using v1')
    same = server.apply(server.maps("a"), config_map(x="1"))
    assert same.status == 200
    owners = {e["manager"]: e["operation"] for e in same.body["metadata"]["managedFields"]}
    assert owners == {"tester": "Apply", "old": "Update"}


def test_sets_and_maps_of_keyed_lists(server: Server) -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s"},
        "spec": {
            "selector": {"a": "b"},
            "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
        },
    }
    path = f"/api/v1/namespaces/{server.namespace}/services/s"
    server.apply(path, service)
    more = {**service, "spec": {"ports": [{"name": "admin", "port": 81}]}}
    live = server.apply(path, more, "other").body
    assert [p["port"] for p in live["spec"]["ports"]] == [80, 81]
    entry = next(e for e in live["metadata"]["managedFields"] if e["manager"] == "other")
    assert entry["fieldsV1"]["f:spec"]["f:ports"] == {
        'k:{"port":81,"protocol":"TCP"}': {".": {}, "f:name": {}, "f:port": {}}
    }
    gone = {**service, "spec": {"selector": {"a": "b"}}}
    live = server.apply(path, gone).body
    assert [p["port"] for p in live["spec"]["ports"]] == [81]


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


@pytest.fixture
def things(server: Server) -> Iterator[str]:
    """The path of a custom resource's collection."""
    group = f"{server.namespace}.example.com"
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    server.do("POST", definitions, crd(group))
    path = f"/apis/{group}/v1/namespaces/{server.namespace}/things"
    eventually(lambda: server.ask("GET", path).status == 200)
    yield path
    server.do("DELETE", f"{definitions}/things.{group}")


def thing(server: Server, version: str = "v1", **spec: JsonValue) -> JsonObject:
    group = f"{server.namespace}.example.com"
    return {"apiVersion": f"{group}/{version}", "kind": "Thing", "metadata": {"name": "t"}, "spec": spec}  # fmt: skip


def test_custom_resources_are_pruned_and_completed(server: Server, things: str) -> None:
    body = thing(server, items=[{"id": "a", "lost": 1}], lost=2, free={"kept": 3}, port="http")
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
    server: Server, things: str, spec: JsonObject, field: str, message: str
) -> None:
    answer = server.ask("POST", things, thing(server, **spec))
    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    causes = [(c["field"], c["message"]) for c in answer.body["details"]["causes"]]
    assert (field, message) in causes


def test_apply_of_custom_resources_merges_by_key(server: Server, things: str) -> None:
    path = f"{things}/t"
    server.apply(path, thing(server, items=[{"id": "a", "note": "1"}], tags=["x"]), "one")
    live = server.apply(path, thing(server, items=[{"id": "b"}], tags=["y"]), "two").body
    assert [item["id"] for item in live["spec"]["items"]] == ["a", "b"]
    assert live["spec"]["tags"] == ["x", "y"]
    entry = next(e for e in live["metadata"]["managedFields"] if e["manager"] == "two")
    assert entry["fieldsV1"] == {
        "f:spec": {
            "f:items": {'k:{"id":"b"}': {".": {}, "f:id": {}}},
            "f:tags": {'v:"y"': {}},
        }
    }
    live = server.apply(path, thing(server, items=[]), "one").body
    assert [item["id"] for item in live["spec"]["items"]] == ["b"]
    assert live["spec"]["tags"] == ["y"]


def test_custom_status_is_apart(server: Server, things: str) -> None:
    made = server.do("POST", things, {**thing(server), "status": {"a": 1}})
    assert "status" not in made
    live = server.do("PATCH", f"{things}/t/status", {"status": {"a": 2}, "spec": {"mode": "slow"}}, MERGE)  # fmt: skip
    assert (live["status"], live["spec"]["mode"]) == ({"a": 2}, "fast")
    assert live["metadata"]["generation"] == 1
    unversioned = server.ask("PUT", f"{things}/t", thing(server))
    assert (unversioned.status, unversioned.body["reason"]) == (422, "Invalid")


def test_dependents_wait_or_go_with_their_owner(server: Server) -> None:
    owner = server.do("POST", server.maps(), config_map("owner"))
    reference = {
        "apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"],
        "blockOwnerDeletion": True,
    }  # fmt: skip
    child = config_map("child")
    child["metadata"] |= {"ownerReferences": [reference], "finalizers": ["example.com/hold"]}
    server.do("POST", server.maps(), child)
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Foreground"}
    eventually(lambda: "foregroundDeletion" in (server.do("DELETE", server.maps("owner"), options)["metadata"].get("finalizers") or ()))  # fmt: skip
    eventually(lambda: bool(server.do("GET", server.maps("child"))["metadata"].get("deletionTimestamp")))  # fmt: skip
    assert server.ask("GET", server.maps("owner")).status == 200
    server.do("PATCH", server.maps("child"), {"metadata": {"finalizers": None}}, MERGE)
    eventually(lambda: server.ask("GET", server.maps("owner")).status == 404)
    assert server.ask("GET", server.maps("child")).status == 404


def test_delete_answers_with_a_status_or_the_waiting_object(server: Server) -> None:
    made = server.do("POST", server.maps(), config_map())
    gone = server.do("DELETE", server.maps("a"))
    assert (gone["kind"], gone["status"]) == ("Status", "Success")
    assert gone["details"] == {"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]}
    held = config_map()
    held["metadata"]["finalizers"] = ["example.com/hold"]
    server.do("POST", server.maps(), held)
    waiting = server.do("DELETE", server.maps("a"))
    assert waiting["kind"] == "ConfigMap"
    again = server.do("DELETE", server.maps("a"))
    assert again["metadata"]["deletionTimestamp"] == waiting["metadata"]["deletionTimestamp"]
    new = server.ask("PATCH", server.maps("a"), {"metadata": {"finalizers": ["example.com/more"]}}, MERGE)  # fmt: skip
    assert new.status == 422
    server.do("PATCH", server.maps("a"), {"metadata": {"finalizers": None}}, MERGE)
    assert server.ask("GET", server.maps("a")).status == 404


def test_collections_are_deleted_by_selector(server: Server) -> None:
    for name, app in (("a", "x"), ("b", "y")):
        body = config_map(name) | {"metadata": {"name": name, "labels": {"app": app}}}
        server.do("POST", server.maps(), body)
    server.do("DELETE", f"{server.maps()}?labelSelector=app%3Dx")
    assert server.ask("GET", server.maps("a")).status == 404
    assert server.ask("GET", server.maps("b")).status == 200


def test_namespaces_carry_their_name_and_finalizer(server: Server) -> None:
    live = server.do("GET", f"/api/v1/namespaces/{server.namespace}")
    assert live["metadata"]["labels"] == {"kubernetes.io/metadata.name": server.namespace}
    assert live["spec"] == {"finalizers": ["kubernetes"]}
    assert live["status"] == {"phase": "Active"}
    eventually(lambda: server.ask("GET", f"/api/v1/namespaces/{server.namespace}/serviceaccounts/default").status == 200)  # fmt: skip


def test_reviews_are_answered(server: Server) -> None:
    spec = {"resourceAttributes": {"verb": "get", "resource": "pods"}}
    body = {
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec,
    }  # fmt: skip
    answer = server.do("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)
    assert answer["status"]["allowed"] is True


def test_nobody_is_let_in_without_credentials(server: Server) -> None:
    stranger = Access(
        name="stranger", server=server.access.server, ca_file=server.access.ca_file, token="wrong"
    )
    answer = stranger.request("GET", server.maps())
    assert (answer.status, answer.body["reason"]) == (401, "Unauthorized")

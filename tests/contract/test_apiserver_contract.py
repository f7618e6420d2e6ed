"""What an API server answers, alike from the embedded one and from a real kube-apiserver 1.35; where they differ the real one is right."""

from __future__ import annotations

import pytest

from fleet.codec.jsontypes import JsonValue
from fleet.testing.apiservers import (
    APPLY,
    JSON_PATCH,
    MERGE,
    STRATEGIC,
    ApiServer,
    config_map,
    deployment,
)
from fleet.testing.controlplane import Access

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
    ("field-selector", "GET", "/configmaps?fieldSelector=data.x%3D1", None, "", 400, "BadRequest", '"data.x" is not a known field selector: only "metadata.name", "metadata.namespace"'),
    ("selector", "GET", "/configmaps?labelSelector=a==b==c", None, "", 400, "BadRequest", "found '==', expected: ',' or 'end of string'"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "body", "content_type", "code", "reason", "message"),
    [row[1:] for row in REFUSALS],
    ids=[row[0] for row in REFUSALS],
)
def test_refusals(
    server: ApiServer,
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


def test_put_checks_the_version(server: ApiServer) -> None:
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


def test_names_are_generated(server: ApiServer) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "job-"}}
    names = {server.do("POST", server.maps(), body)["metadata"]["name"] for _ in range(3)}
    assert len(names) == 3
    assert all(name.startswith("job-") and len(name) == 9 for name in names)


def test_dry_run_of_every_verb_changes_nothing(server: ApiServer) -> None:
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


def test_strategic_merge_follows_the_schema(server: ApiServer) -> None:
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


def test_json_patch_tests_before_it_writes(server: ApiServer) -> None:
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


def test_lists_continue_at_one_moment(server: ApiServer) -> None:
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
def test_label_selectors(server: ApiServer, selector: str, names: list[str]) -> None:
    for name, labels in (("a", {"app": "x"}), ("b", {"app": "y", "tier": "1"}), ("c", {})):
        body = config_map(name) | {"metadata": {"name": name, "labels": labels}}
        server.do("POST", server.maps(), body)
    found = server.do(
        "GET",
        f"{server.maps()}?labelSelector={selector.replace(' ', '%20').replace('=', '%3D').replace('!', '%21')}",
    )
    listed = [item["metadata"]["name"] for item in found["items"]]
    assert [name for name in listed if name != "kube-root-ca.crt"] == names


def test_status_is_written_by_its_own_path_and_manager(server: ApiServer) -> None:
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


def test_scale_is_seen_apart(server: ApiServer) -> None:
    server.do("POST", server.deployments(), deployment())
    scale = server.do("GET", f"{server.deployments('web')}/scale")
    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert scale["status"]["selector"] == "app=web"
    server.do("PATCH", f"{server.deployments('web')}/scale", {"spec": {"replicas": 4}}, MERGE)
    live = server.do("GET", server.deployments("web"))
    assert (live["spec"]["replicas"], live["metadata"]["generation"]) == (4, 2)


def test_apply_gives_up_only_what_nobody_else_owns(server: ApiServer) -> None:
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


def test_apply_takes_what_an_update_wrote_only_by_force(server: ApiServer) -> None:
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


def test_sets_and_maps_of_keyed_lists(server: ApiServer) -> None:
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


def test_reviews_are_answered(server: ApiServer) -> None:
    spec = {"resourceAttributes": {"verb": "get", "resource": "pods"}}
    body = {
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec,
    }  # fmt: skip
    answer = server.do("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)
    assert answer["status"]["allowed"] is True


def test_nobody_is_let_in_without_credentials(server: ApiServer) -> None:
    stranger = Access(
        name="stranger", server=server.access.server, ca_file=server.access.ca_file, token="wrong"
    )
    answer = stranger.request("GET", server.maps())
    assert (answer.status, answer.body["reason"]) == (401, "Unauthorized")

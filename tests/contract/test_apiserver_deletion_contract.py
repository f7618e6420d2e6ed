"""How objects end, alike in the embedded API server and in a real one: owners, finalizers, collections, namespaces."""

from __future__ import annotations

from fleet.testing.apiservers import (
    MERGE,
    ApiServer,
    config_map,
    eventually,
)


def test_dependents_wait_or_go_with_their_owner(server: ApiServer) -> None:
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


def test_delete_answers_with_a_status_or_the_waiting_object(server: ApiServer) -> None:
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


def test_collections_are_deleted_by_selector(server: ApiServer) -> None:
    for name, app in (("a", "x"), ("b", "y")):
        body = config_map(name) | {"metadata": {"name": name, "labels": {"app": app}}}
        server.do("POST", server.maps(), body)
    server.do("DELETE", f"{server.maps()}?labelSelector=app%3Dx")
    assert server.ask("GET", server.maps("a")).status == 404
    assert server.ask("GET", server.maps("b")).status == 200


def test_namespaces_carry_their_name_and_finalizer(server: ApiServer) -> None:
    live = server.do("GET", f"/api/v1/namespaces/{server.namespace}")
    assert live["metadata"]["labels"] == {"kubernetes.io/metadata.name": server.namespace}
    assert live["spec"] == {"finalizers": ["kubernetes"]}
    assert live["status"] == {"phase": "Active"}
    eventually(lambda: server.ask("GET", f"/api/v1/namespaces/{server.namespace}/serviceaccounts/default").status == 200)  # fmt: skip

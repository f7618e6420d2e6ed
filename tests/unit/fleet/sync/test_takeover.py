"""Taking over what earlier tools own of the same manifests."""

from __future__ import annotations

import pytest

from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.sync.takeover import in_served_version, minus, taken_over

OURS: JsonObject = {"f:data": {"f:one": {}}}


def entry(manager: str, operation: str, fields: JsonObject, subresource: str = "") -> JsonObject:
    found: JsonObject = {"manager": manager, "operation": operation, "fieldsV1": fields}
    return {**found, "subresource": subresource} if subresource else found


def after(*others: JsonObject) -> list[JsonValue] | None:
    entries = [entry("gitops-fleet", "Apply", OURS), *others]
    return taken_over({"metadata": {"managedFields": entries}})


LEGACY = [
    ("kubectl-client-side-apply", "Update"),
    ("argocd-controller", "Update"),
    ("argocd-controller", "Apply"),
    ("argocd-application-controller", "Update"),
    ("gitops-fleet", "Update"),
]


@pytest.mark.parametrize(("manager", "operation"), LEGACY)
def test_what_manifests_declared_becomes_ours(manager: str, operation: str) -> None:
    assert after(entry(manager, operation, {"f:data": {"f:two": {}}})) == [
        entry("gitops-fleet", "Apply", {"f:data": {"f:one": {}, "f:two": {}}})
    ]


OTHERS = {
    "an autoscaler": entry("kube-controller-manager", "Update", {"f:spec": {"f:replicas": {}}}),
    "a person": entry("kubectl-edit", "Update", {"f:data": {"f:one": {}}}),
    "another server-side apply": entry("helm-controller", "Apply", {"f:data": {"f:one": {}}}),
    "a status": entry("argocd-controller", "Update", {"f:status": {}}, "status"),
    "what somebody created and we do not have": entry(
        "kubectl-create", "Update", {"f:data": {".": {}, "f:three": {}}}
    ),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS.keys())
def test_what_others_own_stays_theirs(other: JsonObject) -> None:
    assert after(other) is None


def test_what_somebody_created_is_ours_alone_where_we_have_it() -> None:
    created = entry("kubectl-create", "Update", {"f:data": {".": {}, "f:one": {}, "f:three": {}}})
    assert after(created) == [
        entry("gitops-fleet", "Apply", OURS),
        entry("kubectl-create", "Update", {"f:data": {".": {}, "f:three": {}}}),
    ]
    assert after(entry("kubectl-create", "Update", {"f:data": {".": {}, "f:one": {}}})) == [
        entry("gitops-fleet", "Apply", OURS)
    ]


def test_an_object_that_we_never_applied_is_left_alone() -> None:
    legacy = entry("kubectl-client-side-apply", "Update", OURS)
    assert taken_over({"metadata": {"managedFields": [legacy]}}) is None
    assert taken_over({"metadata": {}}) is None


def test_it_is_done_once() -> None:
    entries = after(entry("argocd-controller", "Update", {"f:data": {"f:two": {}}}))
    assert taken_over({"metadata": {"managedFields": entries}}) is None


@pytest.mark.parametrize(
    ("tree", "other", "left"),
    [
        ({"f:a": {}}, {"f:a": {}}, {}),
        ({"f:a": {}, "f:b": {}}, {"f:a": {}}, {"f:b": {}}),
        ({"f:a": {"f:x": {}, "f:y": {}}}, {"f:a": {"f:x": {}}}, {"f:a": {"f:y": {}}}),
        ({"f:a": {".": {}, "f:x": {}}}, {"f:a": {"f:x": {}}}, {}),
        ({"f:a": {"f:x": {}}}, {"f:a": {}}, {}),
        ({"f:a": {}}, {"f:a": {"f:x": {}}}, {"f:a": {}}),
    ],
)
def test_minus(tree: JsonObject, other: JsonObject, left: JsonObject) -> None:
    assert minus(tree, other) == left


def test_records_in_a_retired_version_come_into_one_that_is_served() -> None:
    kept = {"manager": "hpa", "operation": "Update", "apiVersion": "x/v2", "fieldsV1": {"f:a": {}}}
    old = {"manager": "gitops-fleet", "operation": "Apply", "apiVersion": "x/v1", "fieldsV1": {}}
    live: JsonObject = {"metadata": {"managedFields": [kept, old]}}
    assert in_served_version(live, {"x/v2", "x/v3"}, "x/v3") == [
        kept,
        {**old, "apiVersion": "x/v3"},
    ]
    assert in_served_version(live, {"x/v1", "x/v2"}, "x/v2") is None
    assert in_served_version({"metadata": {}}, {"x/v2"}, "x/v2") is None

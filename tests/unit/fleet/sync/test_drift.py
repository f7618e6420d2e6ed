"""Drift from ownership alone: what counts as a change of ours, and what does not."""

from fleet.codec.jsontypes import JsonObject
from fleet.sync.drift import live_object, owned_fields


def entry(manager: str, fields: JsonObject, **more: str) -> JsonObject:
    return {"manager": manager, "operation": "Apply", "fieldsV1": fields, "time": "2026", **more}


OURS = entry("gitops-fleet", {"f:spec": {"f:replicas": {}, "f:paused": {}}})


def test_the_hash_is_stable_and_ignores_time_and_others() -> None:
    hash_ = owned_fields({"managedFields": [OURS]})
    others = [
        entry("kubelet", {"f:status": {}}, subresource="status"),
        entry("hpa", {"f:spec": {"f:other": {}}}),
        {**OURS, "time": "2027"},
    ]
    assert hash_
    assert owned_fields({"managedFields": others}) == hash_


def test_a_field_taken_over_changes_the_hash() -> None:
    less = entry("gitops-fleet", {"f:spec": {"f:paused": {}}})
    assert owned_fields({"managedFields": [less]}) != owned_fields({"managedFields": [OURS]})


def test_no_apply_of_ours_is_empty() -> None:
    updated = {**OURS, "operation": "Update"}
    status = {**OURS, "subresource": "status"}
    assert owned_fields({"managedFields": [updated, status]}) == ""
    assert owned_fields({}) == ""
    assert owned_fields({"managedFields": None}) == ""


def test_live_object_from_metadata() -> None:
    found = live_object(
        {
            "metadata": {
                "uid": "u",
                "deletionTimestamp": "2026",
                "annotations": {"gitopsfleet.io/tracking-id": "a:/X:n/b"},
                "managedFields": [OURS],
            }
        }
    )
    assert (found.uid, found.deleting, found.tracking) == ("u", True, "a:/X:n/b")
    assert found.fields == owned_fields({"managedFields": [OURS]})


def test_what_its_author_calls_extraneous() -> None:
    def live(options: str) -> bool:
        annotations = {"argocd.argoproj.io/compare-options": options}
        return live_object({"metadata": {"annotations": annotations}}).extraneous

    assert live("IgnoreExtraneous")
    assert live("ServerSideDiff=true, IgnoreExtraneous")
    assert not live("ServerSideDiff=true")
    assert not live("")

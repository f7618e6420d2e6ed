"""Status objects of an API server become typed errors, and no value of an object is ever repeated."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.errors import BadInput, Denied, FleetError, NotReady, Transient
from fleet.kube.errors import (
    AdmissionRefused,
    AlreadyExists,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NoNamespace,
    NotFound,
    NotServed,
    RetiredVersion,
    Terminating,
    TooLarge,
    TooManyRequests,
    from_status,
)

WHERE = "/ConfigMap:shop/a"


def status(message: str = "", reason: str = "", **details: Any) -> dict[str, Any]:
    return {"kind": "Status", "message": message, "reason": reason, "details": details}


@pytest.mark.parametrize(
    ("code", "body", "kind", "base", "words"),
    [
        (404, {}, NotServed, NotFound, "does not serve"),
        (404, status('configmaps "a" not found', "NotFound", kind="configmaps", name="a"), NotFound, FleetError, "not found"),
        (404, status('namespaces "shop" not found', "NotFound", kind="namespaces", name="shop"), NoNamespace, NotReady,
         'namespace "shop" does not exist'),
        (409, status('configmaps "a" already exists', "AlreadyExists"), AlreadyExists, Conflict, "already exists"),
        (409, status("Operation cannot be fulfilled: the object has been modified", "Conflict"), Conflict, FleetError, "modified"),
        (410, status("too old resource version", "Expired"), Gone, Transient, "too old"),
        (401, status("Unauthorized", "Unauthorized"), Forbidden, Denied, "credentials"),
        (403, status('configmaps is forbidden: User "x" cannot list', "Forbidden"), Forbidden, Denied, "cannot list"),
        (403, status("unable to create new content in namespace shop because it is being terminated", "Forbidden",
                     causes=[{"reason": "NamespaceTerminating"}]), Terminating, NotReady, "being deleted"),
        (413, status("request is too large", "RequestEntityTooLarge"), TooLarge, BadInput, "too large"),
        (500, status("etcdserver: request is too large"), TooLarge, BadInput, "too large"),
        (429, status("too many requests", "TooManyRequests"), TooManyRequests, Transient, "busy"),
        (503, status("apiserver not ready", "ServiceUnavailable"), Transient, Transient, "503"),
        (500, {}, Transient, Transient, "500"),
        (500, status("request to convert CR to an invalid group/version: a/v1"), RetiredVersion, Transient, "retired"),
        (403, status('admission webhook "x.example.com" denied the request: no latest tags'), AdmissionRefused, Denied,
         'webhook "x.example.com": no latest tags'),
        (400, status('admission webhook "x.example.com" denied the request: bad'), AdmissionRefused, Denied, "webhook"),
        (422, status("deployments.apps \"a\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no", "Invalid"),
         AdmissionRefused, Denied, "policy 'p'"),
        (400, status("failed to create typed patch object (shop/a; /v1, Kind=ConfigMap): .data.x: expected string, got 1"),
         Invalid, BadInput, ".data.x"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else None,
)  # fmt: skip
def test_kinds_of_refusal(
    code: int, body: dict[str, Any], kind: type[FleetError], base: type[FleetError], words: str
) -> None:
    error = from_status(code, body, where=WHERE)
    assert type(error) is kind
    assert isinstance(error, base)
    assert words in str(error)
    assert WHERE in str(error)


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ('Invalid value: "hunter2": must be a number', "Invalid value: must be a number"),
        ('Invalid value: {"matchLabels":{"a":"hunter2"}}: field is immutable', "Invalid value: field is immutable"),
        ("Invalid value: -1: must be positive", "Invalid value: must be positive"),
        ('Unsupported value: "hunter2": supported values: "A", "B"', 'Unsupported value: supported values: "A", "B"'),
        ('Duplicate value: "hunter2"', "Duplicate value"),
        ("Required value: name is required", "Required value: name is required"),
        ("Invalid value: v1.Spec{A:hunter2}: field is immutable", "Invalid value: field is immutable"),
        ("Invalid value: v1.Spec{A:hunter2}: hunter2 again", "Invalid value"),
    ],
)  # fmt: skip
def test_quoted_values_are_left_out(message: str, shown: str) -> None:
    cause = {"reason": "FieldValueInvalid", "field": "spec.x", "message": message}
    error = from_status(422, status("all of it: hunter2", "Invalid", causes=[cause]), where=WHERE)
    assert isinstance(error, Invalid)
    assert error.message == f"spec.x: {shown}"
    assert "hunter2" not in str(error)


@pytest.mark.parametrize("code", [400, 403, 409, 422, 500, 503])
def test_nothing_is_said_about_a_secret(code: int) -> None:
    cause = {
        "reason": "FieldValueInvalid",
        "field": "data.p",
        "message": "Invalid value: hunter2: x",
    }
    for body in (
        status('admission webhook "w" denied the request: hunter2'),
        status("hunter2 is wrong", "Invalid", causes=[cause]),
        status("hunter2 is wrong", "Invalid"),
    ):
        error = from_status(code, body, where="/Secret:shop/s", secret=True)
        assert "hunter2" not in str(error)


def test_conflicting_fields_are_named() -> None:
    cause = {
        "reason": "FieldManagerConflict",
        "message": 'conflict with "hpa" using autoscaling/v2',
        "field": ".spec.replicas",
    }
    error = from_status(409, status("Apply failed", "Conflict", causes=[cause]), where=WHERE)
    assert isinstance(error, Conflict)
    assert [field.field for field in error.fields] == [".spec.replicas"]


def test_the_wait_that_was_asked_for_is_kept() -> None:
    error = from_status(429, status(), where=WHERE, retry_after=7.0)
    assert isinstance(error, TooManyRequests)
    assert error.retry_after == 7.0


def test_immutable_is_recognised() -> None:
    cause = {"field": "spec.selector", "message": "Invalid value: {}: field is immutable"}
    error = from_status(422, status("", "Invalid", causes=[cause]), where=WHERE)
    assert isinstance(error, Invalid)
    assert error.immutable

"""Which names the API takes for objects."""

from __future__ import annotations

import re

from fleet.codec.jsontypes import JsonObject
from fleet.embedded.errors import Cause
from fleet.embedded.kinds import Kind

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an "
    "alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)


def check_name(kind: Kind, name: str) -> list[Cause]:
    """What is wrong with a new object's name."""
    if kind.group == "rbac.authorization.k8s.io":
        wrong = "/" in name or "%" in name or name in (".", "..")
        return [_cause(name, "may not contain '/' or '%'")] if wrong else []
    if kind.kind in ("Namespace", "Service") and not kind.group:
        wrong = not _LABEL.fullmatch(name) or len(name) > 63
        return [_cause(name, _LABEL_RULE)] if wrong else []
    wrong = not _SUBDOMAIN.fullmatch(name) or len(name) > 253
    return [_cause(name, _SUBDOMAIN_RULE)] if wrong else []


def new_finalizers(obj: JsonObject, live: JsonObject) -> list[Cause]:
    """What is wrong with finalizers that come when the end has been asked for."""
    if not live["metadata"].get("deletionTimestamp"):
        return []
    known = live["metadata"].get("finalizers") or ()
    new = [name for name in obj["metadata"].get("finalizers") or () if name not in known]
    if not new:
        return []
    listed = ", ".join(f'"{name}"' for name in new)
    message = (
        "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers "
        f"[]string{{{listed}}}"
    )
    return [Cause(reason="FieldValueForbidden", field="metadata.finalizers", message=message)]


def _cause(name: str, rule: str) -> Cause:
    return Cause(
        reason="FieldValueInvalid",
        field="metadata.name",
        message=f'Invalid value: "{name}": {rule}',
    )

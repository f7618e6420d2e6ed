"""What the API refuses, as a Status object that clients know how to read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fleet.codec.jsontypes import JsonObject
from fleet.errors import FleetError


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One field that is wrong, with the word for what is wrong with it."""

    reason: str
    field: str
    message: str

    def as_json(self) -> JsonObject:
        """As it stands in ``details.causes``."""
        return {"reason": self.reason, "message": self.message, "field": self.field}


class Refusal(FleetError):
    """A request that is not carried out."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: JsonObject | None = None,
        causes: Iterable[Cause] = (),
        retry_after: int = 0,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.retry_after = retry_after
        self.causes = tuple(causes)
        self.details = dict(details or {})
        if self.causes:
            self.details["causes"] = [cause.as_json() for cause in self.causes]

    def status(self) -> JsonObject:
        """The Status object."""
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            **({"details": self.details} if self.details else {}),
            "code": self.code,
        }


def _details(name: str, group: str, kind: str) -> JsonObject:
    found = {"name": name, "group": group, "kind": kind}
    return {key: value for key, value in found.items() if value}


def _qualified(group: str, plural: str) -> str:
    return f"{plural}.{group}" if group else plural


def not_found(group: str, plural: str, name: str) -> Refusal:
    """No such object."""
    return Refusal(
        404,
        "NotFound",
        f'{_qualified(group, plural)} "{name}" not found',
        details=_details(name, group, plural),
    )


def no_such_path() -> Refusal:
    """Nothing is served there."""
    return Refusal(404, "NotFound", "the server could not find the requested resource")


def already_exists(group: str, plural: str, name: str) -> Refusal:
    """The name is taken."""
    return Refusal(
        409,
        "AlreadyExists",
        f'{_qualified(group, plural)} "{name}" already exists',
        details=_details(name, group, plural),
    )


def conflict(group: str, plural: str, name: str, why: str) -> Refusal:
    """The object is not as the client believes."""
    return Refusal(
        409,
        "Conflict",
        f'Operation cannot be fulfilled on {_qualified(group, plural)} "{name}": {why}',
        details=_details(name, group, plural),
    )


def stale(group: str, plural: str, name: str) -> Refusal:
    """Somebody else wrote the object meanwhile."""
    return conflict(
        group,
        plural,
        name,
        "the object has been modified; please apply your changes to the latest version and try again",
    )


def apply_conflict(causes: list[Cause]) -> Refusal:
    """Fields that other managers own with other values."""
    count = len(causes)
    by_manager: dict[str, list[str]] = {}
    for cause in causes:
        by_manager.setdefault(cause.message.removeprefix("conflict with "), []).append(cause.field)
    if len(by_manager) == 1:
        manager, fields = next(iter(by_manager.items()))
        listed = fields[0] if count == 1 else "\n- ".join(["", *fields])
        separator = ": " if count == 1 else ":"
        text = f"conflict with {manager}{separator}{listed}"
    else:
        text = "conflicts with " + "\n".join(
            "\n- ".join([f"{manager}:", *fields]) for manager, fields in by_manager.items()
        )
    plural = "conflict" if count == 1 else "conflicts"
    return Refusal(409, "Conflict", f"Apply failed with {count} {plural}: {text}", causes=causes)


def invalid(group: str, kind: str, name: str, causes: list[Cause]) -> Refusal:
    """The object breaks rules of its kind."""
    listed = [f"{cause.field}: {cause.message}" for cause in causes]
    text = listed[0] if len(listed) == 1 else f"[{', '.join(listed)}]"
    qualified = f"{kind}.{group}" if group else kind
    return Refusal(
        422,
        "Invalid",
        f'{qualified} "{name}" is invalid: {text}',
        details=_details(name, group, kind),
        causes=causes,
    )


def bad_request(message: str) -> Refusal:
    """The request itself cannot be understood."""
    return Refusal(400, "BadRequest", message)


def internal(message: str) -> Refusal:
    """What the API server answers where its own typed conversion fails."""
    return Refusal(500, "", message)


def gone(message: str) -> Refusal:
    """A resource version or a continue token that is no longer known."""
    return Refusal(410, "Expired", message)


def terminating(group: str, plural: str, name: str, namespace: str) -> Refusal:
    """Nothing new fits into a namespace that is going."""
    cause = Cause(
        reason="NamespaceTerminating",
        field="metadata.namespace",
        message=f"namespace {namespace} is being terminated",
    )
    return Refusal(
        403,
        "Forbidden",
        f'{_qualified(group, plural)} "{name}" is forbidden: unable to create new content in namespace '
        f"{namespace} because it is being terminated",
        details=_details(name, group, plural),
        causes=[cause],
    )


def method_not_allowed() -> Refusal:
    """The resource has no such verb."""
    return Refusal(
        405, "MethodNotAllowed", "the server does not allow this method on the requested resource"
    )


def unsupported_media_type(accepted: str) -> Refusal:
    """A body in a form that is not read here."""
    return Refusal(
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: "
        f"{accepted}",
    )

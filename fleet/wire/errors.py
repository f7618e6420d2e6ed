"""Errors over HTTP: ``{"error": {"reason": ..., "message": ...}}`` with the status that fits, and back.

The hub turns a FleetError into status and body, the agent turns them into a FleetError of the same meaning, so
both sides decide about retries by the same tree.
"""

from __future__ import annotations

import msgspec

from fleet.codec.redaction import one_line
from fleet.errors import BadInput, Corrupt, Denied, FleetError, NotReady, Transient
from fleet.wire import codec


class ErrorDetail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    reason: str
    """CamelCase, for programs."""
    message: str
    """For people."""


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    error: ErrorDetail


UNAUTHENTICATED = "Unauthenticated"
"""Reason of a 401: this certificate is not, or no longer, good; renew, or join again."""

NOT_FOUND = "NotFound"
"""Reason of a 404: does not exist, or is not for you; the two are never told apart."""

CONFLICT = "Conflict"
"""Reason of a 409: somebody else is at it; try again later."""

_STATUS: tuple[tuple[type[FleetError], int], ...] = (
    (BadInput, 400),
    (Denied, 403),
    (NotReady, 404),
    (Transient, 503),
    (Corrupt, 500),
)


class Unauthenticated(Denied):
    """The certificate or token is not good."""

    reason = UNAUTHENTICATED


def error_body(reason: str, message: str) -> bytes:
    """Write the body of an error."""
    return codec.encode(ErrorBody(error=ErrorDetail(reason=reason, message=message)))


def status_of(error: FleetError) -> int:
    """Return the HTTP status that says the same as the error."""
    if isinstance(error, Unauthenticated):
        return 401
    if error.reason == CONFLICT:
        return 409
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def body_of(error: FleetError) -> bytes:
    """Write an error as a body."""
    return error_body(error.reason, one_line(error.message, 1000))


def error_from(status: int, body: bytes, *, retry_after: float | None = None) -> FleetError:
    """Read an answer that is not a success; a body that is not ours only costs the message."""
    try:
        detail = codec.decode(body, ErrorBody, limit=64 * 1024).error
    except BadInput:
        detail = ErrorDetail(reason="", message=f"the hub answered with status {status}")
    message = one_line(detail.message, 1000)
    error = _error_for(status, message, retry_after)
    if detail.reason:
        error.reason = detail.reason
    return error


def _error_for(status: int, message: str, retry_after: float | None) -> FleetError:
    match status:
        case 401:
            return Unauthenticated(message)
        case 403:
            return Denied(message)
        case 404:
            return NotReady(message)
        case 408 | 409 | 429:
            return Transient(message, retry_after=retry_after)
        case _ if 400 <= status < 500:
            return BadInput(message)
        case _:
            return Transient(message, retry_after=retry_after)

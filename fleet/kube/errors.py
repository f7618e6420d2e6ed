"""What an API server can refuse, as types; and the translation of its Status objects.

Everything derives from the tree in `fleet.errors`, so that a caller that does not care for the difference still
knows whether to wait for a new revision, to ask again, or to back off. Texts never repeat values of the object:
an API server quotes them (a Secret's too), so only the field paths and the kind of fault are taken over, and the
explanation behind the quoted value where the object is no Secret.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from fleet.codec.jsontypes import JsonObject
from fleet.codec.redaction import one_line
from fleet.errors import BadInput, Denied, FleetError, NotReady, Transient, Where


class NotFound(FleetError):
    """The object is not there."""

    reason = "NotFound"


class NotServed(NotFound):
    """The server does not even know the path: it serves the kind in another version now, or not at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldCause:
    """A field that the API server complained about, and what it said (without the value)."""

    field: str
    message: str


class Conflict(FleetError):
    """Another writer owns fields, the object changed in between, or a precondition does not hold."""

    reason = "Conflict"

    def __init__(
        self, message: str, *, where: Where | None = None, fields: tuple[FieldCause, ...] = ()
    ) -> None:
        super().__init__(message, where=where)
        self.fields = fields
        """Fields owned by other managers; empty for other conflicts."""


class AlreadyExists(Conflict):
    """An object of that name is there already."""

    reason = "AlreadyExists"


class Gone(Transient):
    """The resource version or continue token is too old: list again."""

    reason = "Expired"


class Invalid(BadInput):
    """The API server's validation refused the object."""

    reason = "Invalid"

    def __init__(
        self, message: str, *, where: Where | None = None, fields: tuple[FieldCause, ...] = ()
    ) -> None:
        super().__init__(message, where=where)
        self.fields = fields

    @property
    def immutable(self) -> bool:
        """Whether a field cannot be changed on the live object, so that only a replacement could help."""
        return any("immutable" in cause.message for cause in self.fields)


class TooLarge(BadInput):
    """The object is larger than the API server or its store takes."""

    reason = "TooLarge"


class Forbidden(Denied):
    """The agent's own rights do not cover the request."""

    reason = "Forbidden"


class AdmissionRefused(Denied):
    """An admission webhook or policy refused the object."""

    reason = "AdmissionRefused"


class UnknownKind(NotReady):
    """The cluster serves no such kind (yet)."""

    reason = "UnknownKind"


class NoNamespace(NotReady):
    """The namespace that the object belongs to does not exist (yet)."""

    reason = "NamespaceMissing"


class Terminating(NotReady):
    """The namespace is on its way out; nothing new fits in."""

    reason = "NamespaceTerminating"


class TooManyRequests(Transient):
    """The API server asked us to slow down; the request was not carried out."""

    reason = "TooManyRequests"


class Starting(TooManyRequests):
    """The server has only just begun to serve this kind; it is not busy, and ready in a moment."""

    reason = "Starting"


class RetiredVersion(Transient):
    """Who owns the object's fields is on record in a version that is not served any more, so the server cannot apply."""

    reason = "RetiredVersion"


class OutcomeUnknown(Transient):
    """The request was sent and no answer came: it may have been carried out. Read before you repeat it."""

    reason = "OutcomeUnknown"


_PATH = re.compile(r"(?:^|: )(\.[\w.\[\]\"=,/-]+): ")
_WEBHOOK = re.compile(r'admission webhook "([^"]+)" denied the request')
_POLICY = re.compile(r"ValidatingAdmissionPolicy '([^']+)'")
_STARTING = "storage is (re)initializing"
_RETIRED = "request to convert CR to an invalid group/version"
_LIMITS = ("request is too large", "too large", "limit is 3145728", "larger than max")


def from_status(
    code: int,
    body: JsonObject,
    *,
    where: str,
    secret: bool = False,
    retry_after: float | None = None,
) -> FleetError:
    """Make the typed error of an answer; ``where`` names the object, ``secret`` keeps all text out."""
    place = Where(object=where)
    text = str(body.get("message") or "")
    reason = str(body.get("reason") or "")
    causes = _causes(body, secret=secret)
    shown = _shown(text, causes, secret=secret, code=code, reason=reason)
    if source := _admission(text):
        said = text.partition(" denied the request: ")[2] or text.partition(" denied request: ")[2]
        detail = f": {one_line(said)}" if said and not secret else ""
        return AdmissionRefused(f"refused by admission {source}{detail}", where=place)
    if _is_terminating(body, text):
        return Terminating("its namespace is being deleted", where=place)
    if code == 413 or any(phrase in text for phrase in _LIMITS):
        return TooLarge("the object is too large for the cluster's store", where=place)
    match code:
        case 404:
            return _missing(body, place)
        case 409 if reason == "AlreadyExists":
            return AlreadyExists("already exists", where=place)
        case 409:
            return Conflict(shown, where=place, fields=causes)
        case 410:
            return Gone("the resource version is too old", where=place)
        case 400 | 405 | 406 | 415 | 422:
            return Invalid(shown, where=place, fields=causes)
        case 401:
            return Forbidden("the API server does not accept the agent's credentials", where=place)
        case 403:
            return Forbidden(shown, where=place)
        case 429:
            return _busy(text, place, retry_after)
    if _RETIRED in text:
        return RetiredVersion("its fields are on record in a retired version", where=place)
    if "typed patch object" in text or "create manager for existing fields" in text:
        return Invalid(shown, where=place, fields=causes)
    return Transient(
        f"the API server answered {code}: {shown}", where=place, retry_after=retry_after
    )


def _missing(body: JsonObject, place: Where) -> FleetError:
    details = body.get("details") or {}
    if not details.get("name"):
        # A path that is served is answered with the name of what is not there.
        return NotServed("the cluster does not serve its kind in this version", where=place)
    if details.get("kind") == "namespaces" and "Namespace:" not in place.object:
        return NoNamespace(
            f'namespace "{one_line(str(details.get("name") or ""))}" does not exist',
            where=place,
            hint="create it, or set syncOptions CreateNamespace=true",
        )
    return NotFound("not found", where=place)


def _busy(text: str, place: Where, retry_after: float | None) -> TooManyRequests:
    if _STARTING in text:
        return Starting("the kind is only just being served", where=place)
    return TooManyRequests("the API server is busy", where=place, retry_after=retry_after)


def _shown(
    text: str, causes: tuple[FieldCause, ...], *, secret: bool, code: int, reason: str
) -> str:
    if causes:
        return "; ".join(
            f"{cause.field}: {cause.message}" if cause.field else cause.message for cause in causes
        )
    if path := _PATH.search(text):
        return f"{path[1]}: not what the schema wants"
    if secret or not text:
        return f"refused ({code} {reason})".replace(" )", ")")
    return one_line(text)


def _causes(body: JsonObject, *, secret: bool) -> tuple[FieldCause, ...]:
    details = body.get("details") or {}
    found: Iterable[JsonObject] = details.get("causes") or ()
    return tuple(
        FieldCause(
            field=str(cause.get("field") or ""),
            message=str(cause.get("reason") or "refused")
            if secret
            else _without_value(str(cause.get("message") or cause.get("reason") or "refused")),
        )
        for cause in found
    )


def _without_value(message: str) -> str:
    """Take the quoted value out of ``Invalid value: <value>: <detail>``; only the kind where that fails."""
    kind, separator, rest = message.partition(" value: ")
    if not separator or kind not in (
        "Invalid",
        "Unsupported",
        "Duplicate",
        "Not found",
        "Required",
    ):
        return one_line(message)
    if kind == "Required":
        return one_line(message)
    try:
        _, end = json.JSONDecoder().raw_decode(rest)
    except ValueError:
        bare = re.match(r"[\w./-]{1,64}(?=: |$)", rest)
        if bare is None:
            detail = rest.rpartition(": ")[2] if rest.endswith("field is immutable") else ""
            return f"{kind} value: {detail}" if detail else f"{kind} value"
        end = bare.end()
    detail = rest[end:].removeprefix(": ")
    return one_line(f"{kind} value: {detail}" if detail else f"{kind} value")


def _admission(text: str) -> str:
    if found := _WEBHOOK.search(text):
        return f'webhook "{found[1]}"'
    if found := _POLICY.search(text):
        return f"policy '{found[1]}'"
    return ""


def _is_terminating(body: JsonObject, text: str) -> bool:
    causes: Iterable[JsonObject] = (body.get("details") or {}).get("causes") or ()
    if any(cause.get("reason") == "NamespaceTerminating" for cause in causes):
        return True
    return "because it is being terminated" in text

"""One HTTP request as the server sees it: the resource it is about, the verb, its options and its body."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from fleet.codec import canonical, yamldoc
from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.embedded import errors, protobuf
from fleet.embedded.conform import Write
from fleet.embedded.errors import Refusal
from fleet.embedded.forms import Form, form_of
from fleet.embedded.kinds import Kind
from fleet.embedded.lists import Query
from fleet.embedded.selectors import parse_fields, parse_labels
from fleet.embedded.targets import Target
from fleet.errors import BadInput

_TRUE = {"1", "true", "True", "t", "T"}
_FIELDS = {"metadata.name", "metadata.namespace"}
_MORE_FIELDS: dict[tuple[str, str], set[str]] = {
    ("", "pods"): {
        "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
        "status.phase", "status.podIP", "status.nominatedNodeName",
    },
    ("", "events"): {
        "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
        "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason",
        "reportingComponent", "source", "type",
    },
    ("", "secrets"): {"type"},
    ("", "namespaces"): {"status.phase"},
    ("", "nodes"): {"spec.unschedulable"},
    ("", "services"): {"spec.clusterIP", "spec.type"},
    ("apps", "replicasets"): {"status.replicas"},
    ("batch", "jobs"): {"status.successful"},
    ("certificates.k8s.io", "certificatesigningrequests"): {"spec.signerName"},
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request about a resource that is served."""

    http: web.BaseRequest
    target: Target
    kind: Kind
    verb: str
    user: str = "admin"

    @property
    def form(self) -> Form:
        """The form of answer that is wanted."""
        return form_of(self.http.headers.get("Accept", ""), self.option("includeObject"))

    @property
    def content_type(self) -> str:
        """The media type of the body."""
        return self.http.headers.get("Content-Type", "").partition(";")[0].strip()

    def option(self, name: str) -> str:
        """A parameter of the query; empty where it is not given."""
        return self.http.query.get(name, "")

    def flag(self, name: str) -> bool:
        """A parameter that is yes or no."""
        return self.option(name) in _TRUE

    def number(self, name: str) -> int:
        """A parameter that is a count."""
        text = self.option(name)
        if text and not text.isdigit():
            raise errors.bad_request(f"{name}: not a number")
        return int(text or 0)

    def query(self) -> Query:
        """What a list or watch selects."""
        fields = parse_fields(self.option("fieldSelector"))
        for term in fields:
            if term.key not in _FIELDS and term.key not in self._own_fields():
                raise self._unknown_field(term.key)
        if self.target.name:
            fields = (*fields, *parse_fields(f"metadata.name={self.target.name}"))
        return Query(
            namespace=self.target.namespace,
            labels=parse_labels(self.option("labelSelector")),
            fields=fields,
        )

    def _unknown_field(self, name: str) -> Refusal:
        if self.kind.is_custom or self._own_fields():
            return errors.bad_request(f"field label not supported: {name}")
        return errors.bad_request(
            f'"{name}" is not a known field selector: only "metadata.name", "metadata.namespace"'
        )

    def _own_fields(self) -> set[str]:
        return _MORE_FIELDS.get(self.kind.store_key, set()) | set(self.kind.selectable)

    def write(self) -> Write:
        """How a write is meant."""
        dry_run = self.http.query.getall("dryRun", [])
        if any(value != "All" for value in dry_run):
            raise errors.bad_request("dryRun: the only value is All")
        agent = self.http.headers.get("User-Agent", "").partition("/")[0]
        return Write(
            manager=self.option("fieldManager") or agent or "unknown",
            dry_run=bool(dry_run),
            validation=self.option("fieldValidation") or "Warn",
            force=self.flag("force"),
            subresource=self.target.subresource,
        )

    async def body(self, messages: JsonObject) -> JsonValue:
        """The decoded body; None where there is none."""
        raw = await self.http.read()
        return decoded(raw, self.content_type, messages) if raw else None


def decoded(raw: bytes, content_type: str, messages: JsonObject) -> JsonValue:
    """A body by its media type."""
    if content_type == protobuf.MEDIA_TYPE:
        return protobuf.decode(raw, messages)
    try:
        if content_type.endswith("yaml") and raw.lstrip()[:1] != b"{":
            return yamldoc.load_one(raw)
        return canonical.decode(raw)
    except BadInput as error:
        raise errors.bad_request(f"the body cannot be read: {error.message}") from error


def as_object(body: JsonValue) -> JsonObject:
    """The body as an object; refused where it is none."""
    if not isinstance(body, dict):
        raise errors.bad_request("the body is no object")
    return body

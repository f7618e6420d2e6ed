"""Manifest: one object as it shall be in one cluster, with everything the planner needs beside the body.

The names written on objects (`OWNED_LABEL`, `TRACKING_ID`) are the marks of ownership: watches select by the
label, the annotation says which application an object belongs to.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput
from fleet.model.identity import ObjectRef
from fleet.sync.ignore import NOTHING, Ignored

OWNED_LABEL = "gitopsfleet.io/owned"
OWNED_VALUE = "true"
OWNED_SELECTOR = f"{OWNED_LABEL}={OWNED_VALUE}"
TRACKING_ID = "gitopsfleet.io/tracking-id"
CRD = ("apiextensions.k8s.io", "CustomResourceDefinition")
NAMESPACE = ("", "Namespace")


class Scope(StrEnum):
    """Where objects of a kind live."""

    NAMESPACED = "Namespaced"
    CLUSTER = "Cluster"


class Protection(StrEnum):
    """What keeps an object from being deleted."""

    NONE = ""
    """Nothing is said about it."""
    FREE = "free"
    """It is said that nothing does."""
    CONFIRM = "confirm"
    """A person has to confirm it."""
    KEEP = "keep"
    """Nothing deletes it."""

    def holds(self, *, confirmed: bool) -> bool:
        """Whether the object stays."""
        return self is Protection.KEEP or (self is Protection.CONFIRM and not confirmed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A desired object, complete: namespace filled, marks of ownership in place."""

    ref: ObjectRef
    api_version: str
    body: JsonObject
    wave: int
    """The effective one: a namespace or CRD comes no later than the first object that needs it."""
    key: tuple[int, int, int, str, str, str, str]
    """The one sort key: phase, wave, kind order, name, group, kind, namespace (`fleet.sync.order`)."""
    digest: str = ""
    """Of the body without what pointers ignore: what the inventory records after an apply."""
    keep: bool = False
    """Never pruned and never deleted (a namespace made by CreateNamespace)."""
    pruning: Protection = Protection.NONE
    """What it says itself about leaving the artifact (Prune=false, Prune=confirm)."""
    deletion: Protection = Protection.NONE
    """What protects it when its application goes (Delete=false, Delete=confirm)."""
    prune_last: bool = False
    """When it leaves, it is pruned after everything else of the sync (PruneLast=true)."""
    tracked: bool = True
    """False: only made sure to exist, never compared (a namespace made by CreateNamespace)."""
    manager: str = ""
    """Another field manager than ours, which applies without force (`fleet.sync.namespaces`)."""
    ignore: Ignored = NOTHING
    """What of it does not count as a difference."""

    @property
    def group_kind(self) -> tuple[str, str]:
        """Group and kind."""
        return self.ref.group, self.ref.kind


def tracking_id(app: str, ref: ObjectRef) -> str:
    """Write the value of the tracking annotation: ``app:group/kind:namespace/name``."""
    return f"{app}:{ref}"


def parse_tracking_id(text: str) -> tuple[str, ObjectRef] | None:
    """Read a tracking annotation; None for anything else that somebody wrote there."""
    app, colon, rest = text.partition(":")
    if not (app and colon):
        return None
    try:
        return app, ObjectRef.parse(rest)
    except BadInput:
        return None


def group_of(api_version: str) -> str:
    """Return the group of an apiVersion; the core group is the empty text."""
    group, slash, _ = api_version.rpartition("/")
    return group if slash else ""


def metadata_of(body: JsonObject) -> JsonObject:
    """Return the metadata of an object, or an empty map."""
    metadata = body.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def annotation(body: JsonObject, name: str) -> str:
    """Return an annotation's text, or an empty one."""
    return _text_in(metadata_of(body).get("annotations"), name)


def label(body: JsonObject, name: str) -> str:
    """Return a label's text, or an empty one."""
    return _text_in(metadata_of(body).get("labels"), name)


def _text_in(texts: object, name: str) -> str:
    value = texts.get(name) if isinstance(texts, dict) else None
    return value if isinstance(value, str) else ""


def live_ref(body: JsonObject) -> ObjectRef:
    """Name an object that came from an API server; raises BadInput where that is impossible."""
    metadata = metadata_of(body)
    kind, name = body.get("kind"), metadata.get("name")
    if not (isinstance(kind, str) and kind and isinstance(name, str) and name):
        raise BadInput("an object has no kind or no metadata.name")
    return ObjectRef(
        group_of(str(body.get("apiVersion") or "")),
        kind,
        str(metadata.get("namespace") or ""),
        name,
    )

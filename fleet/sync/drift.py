"""Drift: has somebody changed what we applied?

The API server keeps, per manager, the set of fields it applied. Whoever changes one of ours takes it over, and it
leaves our set. So the set's hash, recorded after our last apply, answers from metadata alone: status updates and
other managers' own fields never look like drift, and nothing of the object itself has to be kept in memory.
"""

from __future__ import annotations

from dataclasses import dataclass

from fleet.codec.canonical import canonical_bytes, digest_bytes
from fleet.codec.jsontypes import JsonObject
from fleet.sync.manifest import TRACKING_ID, Protection, annotation, metadata_of
from fleet.sync.protection import of_deletion, of_pruning

MANAGER = "gitops-fleet"
_COMPARE_OPTIONS = "argocd.argoproj.io/compare-options"
_EXTRANEOUS = "IgnoreExtraneous"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveObject:
    """What a watch with metadata alone tells about an object."""

    uid: str = ""
    fields: str = ""
    """`owned_fields` of it."""
    tracking: str = ""
    """Its tracking annotation as it is."""
    deleting: bool = False
    pruning: Protection = Protection.NONE
    """What its annotations say about leaving the artifact: somebody may have protected it by hand."""
    deletion: Protection = Protection.NONE
    """What they say about its application's leaving."""
    extraneous: bool = False
    """Its author wants it not to count where no artifact names it any more."""
    matches: bool | None = None
    """Result of a full comparison, where one was asked for (`fleet.sync.plan.to_compare`)."""


def live_object(metadata_or_object: JsonObject) -> LiveObject:
    """Reduce an object (whole, or its metadata as a PartialObjectMetadata) to what the planner needs."""
    metadata = metadata_of(metadata_or_object)
    return LiveObject(
        uid=str(metadata.get("uid") or ""),
        fields=owned_fields(metadata),
        tracking=annotation(metadata_or_object, TRACKING_ID),
        deleting=bool(metadata.get("deletionTimestamp")),
        pruning=of_pruning(metadata_or_object),
        deletion=of_deletion(metadata_or_object),
        extraneous=_EXTRANEOUS in _words(annotation(metadata_or_object, _COMPARE_OPTIONS)),
    )


def owned_fields(live_metadata: JsonObject, manager: str = MANAGER) -> str:
    """Hash the fields that our server-side apply owns; empty when there are none."""
    entries = live_metadata.get("managedFields")
    owned = [
        entry.get("fieldsV1") or {}
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict)
        and entry.get("manager") == manager
        and entry.get("operation") == "Apply"
        and not entry.get("subresource")
    ]
    if not owned:
        return ""
    parts = sorted(canonical_bytes(fields) for fields in owned)
    return digest_bytes(b"\n".join(parts)).removeprefix("sha256:")[:16]


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",")) if text else ()

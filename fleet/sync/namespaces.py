"""The destination namespace of an application with ``CreateNamespace=true``, and ``managedNamespaceMetadata`` on it.

Several applications may share a namespace, so none of them owns it: it is never pruned and never compared, and each
application's labels and annotations are applied under a field manager of its own, without force. So two that agree
share a label, one that changes or drops its own touches nobody else's, and a label that somebody else gave another
value stays as it is and is reported. What was applied last is on record, by digest (an empty one where there is nothing
but the name): other metadata than that is a difference of the application. Source: argo.md 2.2.
"""

from __future__ import annotations

from collections.abc import Iterable

from fleet.codec.canonical import canonical_bytes, digest_bytes
from fleet.codec.jsontypes import JsonObject
from fleet.model.assignment import Section
from fleet.model.identity import ObjectRef
from fleet.sync import order
from fleet.sync.drift import MANAGER
from fleet.sync.manifest import NAMESPACE, Manifest

CREATE_NAMESPACE = "CreateNamespace"
_LONGEST_MANAGER = 128


def is_created(options: Iterable[str]) -> bool:
    """Tell whether syncOptions ask to create the destination namespace; the last word counts."""
    wanted = [
        o.partition("=")[2].strip() for o in options if o.partition("=")[0] == CREATE_NAMESPACE
    ]
    return bool(wanted) and wanted[-1] == "true"


def namespace_of(section: Section) -> Manifest:
    """Return the destination namespace as an application wants it."""
    ref = ObjectRef(*NAMESPACE, "", section.namespace)
    metadata: JsonObject = {"name": section.namespace}
    if section.namespace_labels:
        metadata["labels"] = dict(section.namespace_labels)
    if section.namespace_annotations:
        metadata["annotations"] = dict(section.namespace_annotations)
    body: JsonObject = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    return Manifest(
        ref=ref,
        api_version="v1",
        body=body,
        wave=0,
        key=order.key_of(ref, 0),
        digest=_digest(body) if len(metadata) > 1 else "",
        keep=True,
        tracked=False,
        manager=manager_of(section.target),
    )


def manager_of(target: str) -> str:
    """Name the field manager of an application's part of a namespace."""
    name = f"{MANAGER}-namespace-{target}"
    if len(name) <= _LONGEST_MANAGER:
        return name
    return f"{MANAGER}-namespace-{digest_bytes(target.encode()).removeprefix('sha256:')[:32]}"


def _digest(body: JsonObject) -> str:
    return digest_bytes(canonical_bytes(body)).removeprefix("sha256:")[:16]

"""Protection: which objects stay when they leave the artifact, or when their application goes, unless a person confirms.

``Prune=false`` and ``Prune=confirm`` are about leaving the artifact, ``Delete=false`` and ``Delete=confirm`` about the
application's leaving; an object's own annotation counts more than the Application's syncOptions. Helm's
``helm.sh/resource-policy: keep`` is about both. Confirmed is what the Application's annotation
``argocd.argoproj.io/deletion-approved`` approves, with a time that is not before the operation began; for an
application that leaves it is enough that it was there. Source: argo.md 2.3.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from fleet.codec.jsontypes import JsonObject
from fleet.sync.manifest import Protection as Protection  # noqa: PLC0414  # the name belongs here too
from fleet.sync.manifest import annotation
from fleet.sync.options import RESOURCE_POLICY, SYNC_OPTIONS

_PRUNE, _DELETE = "Prune", "Delete"
_VALUES = {
    "false": Protection.KEEP,
    "confirm": Protection.CONFIRM,
    "true": Protection.FREE,
}


def of_pruning(body: JsonObject) -> Protection:
    """Return what an object says itself about leaving the artifact."""
    return _of_object(body, _PRUNE)


def of_deletion(body: JsonObject) -> Protection:
    """Return what an object says itself about its application's leaving."""
    return _of_object(body, _DELETE)


def pruning_in(options: Iterable[str]) -> Protection:
    """Return what an application's syncOptions say about objects that leave its artifact."""
    return _named(_PRUNE, options)


def deletion_in(options: Iterable[str]) -> Protection:
    """Return what an application's syncOptions say about its leaving."""
    return _named(_DELETE, options)


def resolved(own: Protection, general: Protection) -> Protection:
    """Return what counts: the object's own word, else its application's."""
    return general if own is Protection.NONE else own


def is_confirmed(approved: str, since: datetime) -> bool:
    """Tell whether an approval (RFC 3339) is of an operation that began at a moment, and not of one before."""
    try:
        moment = datetime.fromisoformat(approved)
    except ValueError:
        return False
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment >= since.replace(microsecond=0)


def _of_object(body: JsonObject, name: str) -> Protection:
    if annotation(body, RESOURCE_POLICY) == "keep":
        return Protection.KEEP
    return _named(name, annotation(body, SYNC_OPTIONS).split(","))


def _named(name: str, options: Iterable[str]) -> Protection:
    found = ""
    for option in options:
        key, _, value = (part.strip() for part in option.partition("="))
        if key == name:
            found = value
    return _VALUES.get(found, Protection.NONE)

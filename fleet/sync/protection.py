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
from enum import StrEnum

from fleet.codec.jsontypes import JsonObject
from fleet.sync.manifest import annotation
from fleet.sync.options import RESOURCE_POLICY, SYNC_OPTIONS


class Protection(StrEnum):
    """What keeps an object from being deleted."""

    NONE = ""
    CONFIRM = "confirm"
    """A person has to confirm it."""
    KEEP = "keep"
    """Nothing deletes it."""

    def holds(self, *, confirmed: bool) -> bool:
        """Whether the object stays."""
        return self is Protection.KEEP or (self is Protection.CONFIRM and not confirmed)


_VALUES = {"false": Protection.KEEP, "confirm": Protection.CONFIRM}


def of_pruning(body: JsonObject, options: Iterable[str]) -> Protection:
    """Return what protects an object when it leaves the artifact; ``options`` are its application's."""
    return _of("Prune", body, options)


def of_deletion(body: JsonObject, options: Iterable[str]) -> Protection:
    """Return what protects an object when its application goes; ``options`` are its application's."""
    return _of("Delete", body, options)


def is_confirmed(approved: str, since: datetime) -> bool:
    """Tell whether an approval (RFC 3339) is of an operation that began at a moment, and not of one before."""
    try:
        moment = datetime.fromisoformat(approved)
    except ValueError:
        return False
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment >= since.replace(microsecond=0)


def _of(name: str, body: JsonObject, options: Iterable[str]) -> Protection:
    if annotation(body, RESOURCE_POLICY) == "keep":
        return Protection.KEEP
    found = ""
    for option in (*options, *annotation(body, SYNC_OPTIONS).split(",")):
        key, _, value = (part.strip() for part in option.partition("="))
        if key == name:
            found = value
    return _VALUES.get(found, Protection.NONE)

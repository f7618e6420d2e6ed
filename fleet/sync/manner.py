"""Manner: how objects are written and deleted, as sync options ask for it.

An Application's options are the base, what an operation was asked for comes on top, and an object's own annotation
``argocd.argoproj.io/sync-options`` has the last word about that object. Source: argo.md 2.3.

Every write is a server-side apply, or ends with one, so that the record of ownership tells drift and what git no longer
has. ``ServerSideApply=true`` therefore asks for what is done anyway, and ``=false`` changes nothing. So do
``ApplyOutOfSyncOnly`` (only what differs is ever written) and ``SkipDryRunOnMissingResource`` (a kind that does not exist
yet holds back nothing but its own objects).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from fleet.codec.jsontypes import JsonObject
from fleet.model.assignment import Operation, Section
from fleet.sync.manifest import CRD, NAMESPACE, annotation, group_of
from fleet.sync.options import SYNC_OPTIONS

_IN_PLACE = frozenset((CRD, NAMESPACE, ("", "PersistentVolumeClaim")))
"""Deleting one of these deletes everything of it or in it, data among that."""


class Dependents(StrEnum):
    """PrunePropagationPolicy: what happens to the dependents of what is deleted."""

    FOREGROUND = "foreground"
    BACKGROUND = "background"
    ORPHAN = "orphan"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How one object, or every object that does not say otherwise, is to be treated."""

    replace: bool = False
    """Put the whole object in the place of the live one: fields of others that git does not have go."""
    force: bool = False
    """Delete and create anew where it cannot be changed, and always with ``replace``."""
    validate: bool = True
    """Refuse fields that the kind does not have."""
    migrate: bool = True
    """Take over what client-side applies and Argo CD own, so that what git no longer has really goes."""
    keep_ignored: bool = False
    """Leave ignored fields of live objects as they are."""
    fail_on_shared: bool = False
    """Fail where an object belongs to another application."""
    dependents: Dependents = Dependents.FOREGROUND

    def of(self, body: JsonObject) -> Manner:
        """Return the manner of one object: its own options count most."""
        own = annotation(body, SYNC_OPTIONS)
        manner = _with(self, own.split(",")) if own else self
        kind = (group_of(str(body.get("apiVersion") or "")), str(body.get("kind") or ""))
        return replace(manner, force=False) if manner.force and kind in _IN_PLACE else manner


_USUAL = Manner()


def manner_of(section: Section, operation: Operation | None = None) -> Manner:
    """Return what an Application asks for, and a sync that somebody asked for on top of it."""
    manner = _with(_USUAL, section.sync_options)
    if operation is None:
        return manner
    asked = operation.arguments
    options = asked.get("options")
    manner = _with(manner, options if isinstance(options, list) else ())
    return replace(
        manner,
        replace=manner.replace or asked.get("replace") is True,
        force=manner.force or asked.get("force") is True,
    )


def _with(manner: Manner, options: Iterable[str]) -> Manner:
    for option in options:
        name, _, value = (part.strip() for part in option.partition("="))
        is_true = value == "true"
        match name:
            case "Replace":
                manner = replace(manner, replace=is_true)
            case "Force":
                manner = replace(manner, force=is_true)
            case "Validate":
                manner = replace(manner, validate=value != "false")
            case "ClientSideApplyMigration":
                manner = replace(manner, migrate=value != "false")
            case "RespectIgnoreDifferences":
                manner = replace(manner, keep_ignored=is_true)
            case "FailOnSharedResource":
                manner = replace(manner, fail_on_shared=is_true)
            case "PrunePropagationPolicy" if value in tuple(Dependents):
                manner = replace(manner, dependents=Dependents(value))
            case _:
                continue
    return manner

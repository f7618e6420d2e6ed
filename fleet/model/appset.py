"""An ApplicationSet as Argo CD's ``argoproj.io/v1alpha1`` means it.

Generators, template and patch stay raw: their texts are templates, filled by `fleet.generators`. The other
fields are typed. ``document`` keeps the object as written.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from fleet.codec.jsontypes import JsonObject
from fleet.errors import Where
from fleet.model.application import Warning as SpecWarning
from fleet.model.rollout import RolloutPlan


class ApplicationsSync(StrEnum):
    """What may happen to Applications that exist already; new ones are always made."""

    CREATE_ONLY = "create-only"
    CREATE_UPDATE = "create-update"
    CREATE_DELETE = "create-delete"
    SYNC = "sync"

    @property
    def may_update(self) -> bool:
        """Whether an existing Application follows its set."""
        return self in (ApplicationsSync.SYNC, ApplicationsSync.CREATE_UPDATE)

    @property
    def may_delete(self) -> bool:
        """Whether an Application goes when its set no longer makes it."""
        return self in (ApplicationsSync.SYNC, ApplicationsSync.CREATE_DELETE)


@dataclass(frozen=True, slots=True, kw_only=True)
class IgnoredField:
    """One entry of ``ignoreApplicationDifferences``: fields of existing Applications that are left alone."""

    name: str = ""
    """Application name; empty means every one."""
    json_pointers: tuple[str, ...] = ()
    jq_expressions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationSet:
    """One ApplicationSet of the fleet repo."""

    name: str
    namespace: str
    document: JsonObject = field(default_factory=dict)
    where: Where = field(default_factory=Where)
    go_template: bool = False
    go_template_options: tuple[str, ...] = ()
    generators: tuple[JsonObject, ...] = ()
    template: JsonObject = field(default_factory=dict)
    """``metadata`` and ``spec`` of the Applications."""
    template_patch: str | None = None
    preserve_resources: bool = False
    """``preserveResourcesOnDeletion``: the Applications get no resources finalizer."""
    applications_sync: ApplicationsSync = ApplicationsSync.SYNC
    preserved_annotations: tuple[str, ...] = ()
    preserved_labels: tuple[str, ...] = ()
    ignored_fields: tuple[IgnoredField, ...] = ()
    rollout: RolloutPlan | None = None
    """How its new artifacts are handed out step by step; None: all at once."""
    warnings: tuple[SpecWarning, ...] = ()
    refusals: tuple[SpecWarning, ...] = ()
    """Why nothing may be generated from it (a generator that nobody knows): the last good rows stay."""

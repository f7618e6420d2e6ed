"""An ApplicationSet as Argo CD's ``argoproj.io/v1alpha1`` means it."""

from __future__ import annotations

from dataclasses import dataclass, field

from fleet.codec.jsontypes import JsonObject
from fleet.errors import Where


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationSet:
    """Placeholder of the typed form; ``document`` holds the object as written."""

    name: str
    namespace: str
    document: JsonObject = field(default_factory=dict)
    where: Where = field(default_factory=Where)

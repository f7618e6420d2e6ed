"""HealthResult: one word and why; and the word for many.

The words and their order are Argo CD's (`fleet.model.report.Health`, best first).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fleet.codec.jsontypes import JsonObject
from fleet.model.report import Health

IGNORE_HEALTH = "argocd.argoproj.io/ignore-healthcheck"

_RANK = {health: rank for rank, health in enumerate(Health)}


@dataclass(frozen=True, slots=True)
class HealthResult:
    """The health of one object."""

    status: Health
    message: str = ""


HEALTHY = HealthResult(Health.HEALTHY)
MISSING = HealthResult(Health.MISSING, "not in the cluster")


def aggregate(results: Iterable[HealthResult | None]) -> Health:
    """Give the health of an application: the worst of its objects.

    Objects without a rule (None) do not count; missing ones count only when all are missing, because an
    application that is not there yet is out of sync rather than broken. No objects: Healthy.
    """
    found = list(results)
    judged = [result.status for result in found if result and result.status is not Health.MISSING]
    if judged:
        return worst(judged)
    return Health.MISSING if found and all(found) else Health.HEALTHY


def worst(words: Iterable[Health]) -> Health:
    """Give the health of a cluster: that of the sickest of its applications. No applications: Healthy."""
    return max(words, key=_RANK.__getitem__, default=Health.HEALTHY)


def is_uncounted_child(group: str, kind: str, result: HealthResult | None) -> bool:
    """Whether it is an application of the application that nothing is known of yet: it must not make its parent sick."""
    is_child = (group, kind) == ("argoproj.io", "Application")
    return is_child and result is not None and result.status in (Health.MISSING, Health.UNKNOWN)


def is_ignored(body: JsonObject) -> bool:
    """Whether the author of an object asks that its health does not count."""
    metadata = body.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    return isinstance(annotations, dict) and annotations.get(IGNORE_HEALTH) == "true"

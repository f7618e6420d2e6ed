"""Health of a PromotionStrategy: whether every environment runs the commit that is proposed for it."""

from __future__ import annotations

from fleet.codec.jsontypes import JsonObject
from fleet.health.fields import maps_at, text_at
from fleet.health.result import HEALTHY, HealthResult
from fleet.health.rows import row
from fleet.model.report import Health

_READINESS = row("Progressing stale; Degraded Ready=False; Progressing !Ready=True|Unknown")


def promotion_strategy(body: JsonObject) -> HealthResult:
    """Judge a PromotionStrategy."""
    if (unready := _READINESS.judge(body)) is not None:
        return unready
    environments = list(maps_at(body, "status", "environments"))
    if not environments:
        return HealthResult(Health.DEGRADED, "has no environments")
    for place in environments:
        if not _active(place) or not _hydrated(place):
            return _progressing(f"{_branch(place)} has not told its commits yet")
    if len({_hydrated(place) for place in environments}) > 1:
        return _progressing("the environments are not hydrated from one commit yet")
    for place in environments:
        if text_at(place, "proposed", "dry", "sha") != _active(place):
            return _progressing(f"{_branch(place)} is being promoted")
    return HEALTHY


def _progressing(message: str) -> HealthResult:
    return HealthResult(Health.PROGRESSING, message)


def _branch(place: JsonObject) -> str:
    return text_at(place, "branch") or "an environment"


def _active(place: JsonObject) -> str:
    return text_at(place, "active", "dry", "sha")


def _hydrated(place: JsonObject) -> str:
    """The commit that was hydrated last: a note stands for one that changed nothing."""
    return text_at(place, "proposed", "note", "drySha") or text_at(place, "proposed", "dry", "sha")

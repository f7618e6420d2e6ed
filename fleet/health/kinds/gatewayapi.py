"""Health of what reports to each of several places: routes and policies of the Gateway API, Gateways with their listeners,
Routes of OpenShift.

Source: the Gateway API's status conventions (Accepted, ResolvedRefs, Programmed, and the generation that each condition
is about). A place that has not seen the newest generation says nothing yet.
"""

from __future__ import annotations

from collections.abc import Iterable

from fleet.codec.jsontypes import JsonObject
from fleet.health.fields import at, list_at, maps_at, text_at
from fleet.health.result import HEALTHY, HealthResult
from fleet.model.report import Health

_WAITS = HealthResult(Health.PROGRESSING, "waits for its status")
_MUST_HOLD = ("ResolvedRefs", "Accepted")


def route(body: JsonObject) -> HealthResult:
    """Judge a HTTPRoute and its like by the parents that know its newest generation."""
    current = [
        place
        for place in maps_at(body, "status", "parents")
        if list_at(place, "conditions") and not _is_stale(place, body)
    ]
    for place in current:
        if (found := _trouble(place, text_at(place, "parentRef", "name"))) is not None:
            return found
    return HEALTHY if current else _WAITS


def gateway(body: JsonObject) -> HealthResult:
    """Judge a Gateway and its listeners."""
    listeners = list(maps_at(body, "status", "listeners"))
    if at(body, "status", "conditions") is None and not listeners:
        return _WAITS
    for place in ({"conditions": list_at(body, "status", "conditions")}, *listeners):
        if (found := _trouble(place, text_at(place, "name"))) is not None:
            return found
    return HEALTHY


def policy(body: JsonObject) -> HealthResult:
    """Judge a policy that is attached to ancestors."""
    return _by_ancestors(body, is_strict=False)


def airlock_policy(body: JsonObject) -> HealthResult:
    """Judge a policy of Airlock Microgateway; its other kinds are configuration and always fine."""
    if not text_at(body, "kind").endswith("Policy"):
        return HEALTHY
    return _by_ancestors(body, is_strict=True)


def openshift_route(body: JsonObject) -> HealthResult:
    """Judge a Route of OpenShift by the routers that have admitted it."""
    places = list(maps_at(body, "status", "ingress"))
    if at(body, "status", "ingress") is None:
        return _WAITS
    admitted = [_status(place, "Admitted") for place in places]
    if all(status == "True" for status in admitted):
        return HEALTHY
    if "False" in admitted:
        messages = [_message(place, "Admitted") for place in places]
        return HealthResult(Health.DEGRADED, "; ".join(filter(None, messages)))
    return HealthResult(Health.PROGRESSING, "not admitted by every router yet")


def _by_ancestors(body: JsonObject, *, is_strict: bool) -> HealthResult:
    """Every ancestor has to accept; strict ones name the generation they saw and never leave Accepted out."""
    places = list(maps_at(body, "status", "ancestors"))
    if any(_is_stale(place, body, is_strict=is_strict) for place in places):
        return _WAITS
    found = _WAITS
    for place in places:
        for name in _MUST_HOLD:
            status = _status(place, name)
            if status not in ("", "True") or (is_strict and name == "Accepted" and not status):
                message = (
                    f"ancestor {text_at(place, 'ancestorRef', 'name')}: {_message(place, name)}"
                )
                return HealthResult(Health.DEGRADED, message)
            if name == "Accepted" and status == "True":
                found = HEALTHY
    return found


def _trouble(place: JsonObject, name: str) -> HealthResult | None:
    for type_ in _MUST_HOLD:
        if _status(place, type_) == "False":
            return HealthResult(Health.DEGRADED, f"{name}: {_message(place, type_)}".lstrip(": "))
    if _status(place, "Programmed") not in ("", "True"):
        return HealthResult(
            Health.PROGRESSING, _message(place, "Programmed") or "not programmed yet"
        )
    return None


def _is_stale(place: JsonObject, body: JsonObject, *, is_strict: bool = False) -> bool:
    generation = at(body, "metadata", "generation")
    seen: Iterable[object] = (
        item.get("observedGeneration") for item in maps_at(place, "conditions")
    )
    fresh = (generation,) if is_strict else (generation, None)
    return generation is not None and any(value not in fresh for value in seen)


def _condition(place: JsonObject, type_: str) -> JsonObject:
    return next((item for item in maps_at(place, "conditions") if item.get("type") == type_), {})


def _status(place: JsonObject, type_: str) -> str:
    return text_at(_condition(place, type_), "status")


def _message(place: JsonObject, type_: str) -> str:
    item = _condition(place, type_)
    return text_at(item, "message") or text_at(item, "reason")

"""Assess: the health of one object.

By what is known of its kind (`fleet.health.kinds`), or else by general conventions (`fleet.health.generic`). None
means "no rule", which counts as done. The user's own rules come before all this: `fleet.health.customrules`.
"""

from __future__ import annotations

from fleet.codec.jsontypes import JsonObject
from fleet.health.fields import at, text_at
from fleet.health.generic import generic
from fleet.health.kinds.table import known
from fleet.health.result import HealthResult
from fleet.health.rows import row
from fleet.model.report import Health

DELETING = HealthResult(Health.PROGRESSING, "is being deleted")
_WAITS = HealthResult(Health.PROGRESSING, "waits for its status")


def assess(object: JsonObject) -> HealthResult | None:  # noqa: A002  # the domain's word
    """Judge one live object; None where no rule applies."""
    if at(object, "metadata", "deletionTimestamp"):
        return DELETING
    found = known(*kind_of(object))
    if found is None:
        return generic(object)
    match found.entry:
        case None:
            return None
        case str() as text:
            return row(text).judge(object) or (_WAITS if found.is_own else generic(object))
        case rule:
            return rule(object)


def has_rule(group: str, kind: str) -> bool:
    """Whether objects of a kind have to be seen whole to be judged (false: metadata is enough).

    Kinds that nothing is known of may say something in their status, so they count as having a rule.
    """
    found = known(group, kind)
    return found is None or found.entry is not None


def kind_of(object: JsonObject) -> tuple[str, str]:  # noqa: A002  # the domain's word
    """Return an object's group and kind."""
    group, _, _ = text_at(object, "apiVersion").rpartition("/")
    return group, text_at(object, "kind")

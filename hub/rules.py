"""The fleet's own rules: what its ``argocd-cm`` says of health and of differences, for every cluster.

A key that cannot be read changes nothing but itself: what was in force of its kinds stays, over restarts too, and the
problem names file and key. Anything else would rate or repair objects in a way nobody asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import zip_longest

import msgspec

from fleet.argo.reading import Problem
from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput, Where
from fleet.health.customrules import CONFIG_MAP, rules_of
from fleet.model.assignment import ClusterRules, IgnoreRule
from fleet.model.healthrules import HealthRules
from fleet.store.port import Kind, Put, Store
from fleet.sync.globalrules import global_rules
from hub.state import State

_IN_FORCE = "rules"


@dataclass(slots=True, kw_only=True)
class FleetRules:
    """Keeps `State.rules`, written through to the store."""

    store: Store
    state: State
    _is_known: bool = False
    """Whether rules of an earlier evaluation are known, be it that there were none."""

    async def restore(self) -> None:
        """Read what is in force."""
        data = await self.store.get(Kind.META, _IN_FORCE)
        if data is not None:
            self.state.rules = msgspec.json.decode(data, type=ClusterRules)
            self._is_known = True

    async def follow(
        self, resources: Iterable[JsonObject], *, complete: bool, places: Iterable[Where] = ()
    ) -> tuple[Problem, ...]:
        """Put in force what the fleet's documents say: durable first, then visible."""
        before = self.state.rules if self._is_known else None
        rules, problems = cluster_rules(resources, before, complete=complete, places=places)
        if rules != before and (complete or rules != self.state.rules):
            await self.store.commit(Put(Kind.META, _IN_FORCE, msgspec.json.encode(rules)))
            self.state.rules, self._is_known = rules, True
        return problems


def cluster_rules(
    resources: Iterable[JsonObject],
    before: ClusterRules | None,
    *,
    complete: bool = True,
    places: Iterable[Where] = (),
) -> tuple[ClusterRules, tuple[Problem, ...]]:
    """Read the rules out of the fleet's documents; ``before`` is what is in force, None where that is not known.

    Where the documents are not ``complete`` the settings may be among those that nobody has read yet. ``places`` are
    where the documents are, in their order.
    """
    known = before or ClusterRules()
    found = [
        (body, place or Where())
        for body, place in zip_longest(resources, places)
        if _is_settings(body)
    ]
    if not found:
        return (ClusterRules() if complete else known), ()
    settings, place = min(found, key=lambda item: str(item[0]["metadata"].get("namespace") or ""))
    if not isinstance(settings.get("data") or {}, dict):
        where = Where(object=f"ConfigMap/{CONFIG_MAP}", field="data")
        problems = [_problem(BadInput("it is no map from key to text", where=where))]
        return known, _placed(problems, place)
    health, problems = _health(settings, known.health)
    ignore, more = _ignore(settings, before)
    return ClusterRules(health=health, ignore=ignore), _placed([*problems, *more], place)


def _placed(problems: Iterable[Problem], place: Where) -> tuple[Problem, ...]:
    """Complete what is wrong with the settings by the file that they are in."""
    return tuple(
        replace(
            problem,
            where=replace(
                problem.where,
                object=f"ConfigMap/{CONFIG_MAP}",
                file=place.file,
                line=place.line,
            ),
        )
        for problem in problems
    )


def _is_settings(body: JsonObject) -> bool:
    metadata = body.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return body.get("kind") == "ConfigMap" and name == CONFIG_MAP


def _health(settings: JsonObject, before: HealthRules) -> tuple[HealthRules, list[Problem]]:
    read = rules_of(settings)
    if not read.problems:
        return read.rules, []
    fields = {error.where.field.removeprefix("data.") for error in read.problems}
    known = {(rule.group, rule.kind) for rule in read.rules.rules}
    kept = [
        rule
        for rule in before.rules
        if rule.source.partition(": ")[0] in fields and (rule.group, rule.kind) not in known
    ]
    rules = sorted((*read.rules.rules, *kept), key=lambda rule: (rule.group, rule.kind))
    return HealthRules(rules=tuple(rules)), [_problem(error) for error in read.problems]


def _ignore(
    settings: JsonObject, before: ClusterRules | None
) -> tuple[tuple[IgnoreRule, ...], list[Problem]]:
    data = settings.get("data") or {}
    texts = {key: str(value) for key, value in data.items()}
    read = global_rules(texts, before.ignore if before else None)
    warnings = [
        Problem(reason="Ignored", message=f"{CONFIG_MAP}: {text}", fatal=False)
        for text in read.warnings
    ]
    return read.rules, [*warnings, *(_problem(error) for error in read.problems)]


def _problem(error: BadInput) -> Problem:
    return Problem(reason=error.reason, message=error.message, where=error.where)

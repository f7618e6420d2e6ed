"""The fleet's own rules: what its ``argocd-cm`` says of health and of differences, for every cluster.

A key that cannot be read changes nothing: what was in force of its kind stays, over restarts too, and the problem names
the key. Anything else would rate or repair objects in a way nobody asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

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

    async def restore(self) -> None:
        """Read what is in force."""
        data = await self.store.get(Kind.META, _IN_FORCE)
        if data is not None:
            self.state.rules = msgspec.json.decode(data, type=ClusterRules)

    async def follow(
        self, resources: Iterable[JsonObject], *, complete: bool
    ) -> tuple[Problem, ...]:
        """Put in force what the fleet's documents say: durable first, then visible."""
        rules, problems = cluster_rules(resources, self.state.rules, complete=complete)
        if rules != self.state.rules:
            await self.store.commit(Put(Kind.META, _IN_FORCE, msgspec.json.encode(rules)))
            self.state.rules = rules
        return problems


def cluster_rules(
    resources: Iterable[JsonObject], before: ClusterRules, *, complete: bool = True
) -> tuple[ClusterRules, tuple[Problem, ...]]:
    """Read the rules out of the fleet's documents; ``before`` is what is in force.

    Where the documents are not ``complete`` the settings may be among those that nobody has read yet.
    """
    found = [body for body in resources if _is_settings(body)]
    if not found:
        return (ClusterRules() if complete else before), ()
    settings = min(found, key=lambda body: str(body["metadata"].get("namespace") or ""))
    if not isinstance(settings.get("data") or {}, dict):
        where = Where(object=f"ConfigMap/{CONFIG_MAP}", field="data")
        return before, (_problem(BadInput("it is no map from key to text", where=where)),)
    health, problems = _health(settings, before.health)
    ignore, more = _ignore(settings, before.ignore)
    return ClusterRules(health=health, ignore=ignore), (*problems, *more)


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
    settings: JsonObject, before: tuple[IgnoreRule, ...]
) -> tuple[tuple[IgnoreRule, ...], list[Problem]]:
    data = settings.get("data") or {}
    try:
        read = global_rules({key: str(value) for key, value in data.items()})
    except BadInput as error:
        return before, [_problem(error)]
    warnings = [
        Problem(reason="Ignored", message=f"{CONFIG_MAP}: {text}", fatal=False)
        for text in read.warnings
    ]
    return read.rules, warnings


def _problem(error: BadInput) -> Problem:
    return Problem(reason=error.reason, message=error.message, where=error.where)

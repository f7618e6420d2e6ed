"""What is wrong with a fleet's rules of health and of ignored differences: the hub and the agents would say so only at work."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace

from fleet.argo.reading import Problem
from fleet.codec.yamldoc import Document
from fleet.errors import BadInput, Where
from fleet.health.assess import kind_of
from fleet.health.customrules import CONFIG_MAP, rules_of
from fleet.health.fields import map_at, text_at
from fleet.judge.custom import CustomHealth
from fleet.model.healthrules import HealthRules
from fleet.runtime.clock import SystemClock
from fleet.sync.globalrules import key_problems


async def health_rule_problems(documents: Iterable[Document]) -> list[Problem]:
    """Return a problem for each rule in the fleet's ConfigMaps of settings that cannot be used."""
    judge = CustomHealth(SystemClock())
    try:
        return [
            problem
            for document in documents
            if _has_settings(document)
            async for problem in _problems(document, judge)
        ]
    finally:
        await judge.close()


async def _problems(document: Document, judge: CustomHealth) -> AsyncIterator[Problem]:
    read = rules_of(document.value)
    where = Where(file=document.source, line=document.line, object=f"ConfigMap/{CONFIG_MAP}")
    found = {error.where.field: error for error in _ignore_problems(document)}
    found |= {error.where.field: error for error in read.problems}
    for field in sorted(found):
        yield _problem(found[field].message, replace(where, field=field))
    for rule in read.rules.rules:
        field = f"data.{rule.source.partition(': ')[0]}"
        for error in await judge.check(HealthRules(rules=(rule,))):
            yield _problem(error.message, replace(where, field=field))


def _ignore_problems(document: Document) -> list[BadInput]:
    data = map_at(document.value, "data")
    return key_problems({key: str(text) for key, text in data.items()})


def _problem(message: str, where: Where) -> Problem:
    return Problem(reason=BadInput.reason, message=message, where=where)


def _has_settings(document: Document) -> bool:
    value = document.value
    if not isinstance(value, dict) or kind_of(value) != ("", "ConfigMap"):
        return False
    return text_at(value, "metadata", "name") == CONFIG_MAP

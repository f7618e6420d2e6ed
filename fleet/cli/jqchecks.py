"""What is wrong with the jq expressions of a fleet's documents: the hub and the agents would say so only at work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from fleet.argo.reading import Problem
from fleet.errors import BadInput, Where
from fleet.jq.paths import JqPaths
from fleet.model.application import Application
from fleet.model.appset import ApplicationSet
from fleet.runtime.clock import SystemClock


async def jq_problems(
    appsets: Iterable[ApplicationSet], applications: Iterable[Application]
) -> list[Problem]:
    """Return a problem for each expression that is none."""
    used: dict[str, Where] = {}
    for text, where in (*_of_sets(appsets), *_of_applications(applications)):
        used.setdefault(text, where)
    jq = JqPaths(SystemClock())
    try:
        found = [await _problem(text, where, jq) for text, where in used.items()]
    finally:
        await jq.close()
    return [problem for problem in found if problem is not None]


def _of_sets(appsets: Iterable[ApplicationSet]) -> Iterator[tuple[str, Where]]:
    for appset in appsets:
        for position, item in enumerate(appset.ignored_fields):
            field = f"spec.ignoreApplicationDifferences[{position}].jqPathExpressions"
            where = replace(appset.where, object=f"ApplicationSet/{appset.name}", field=field)
            yield from ((text, where) for text in item.jq_expressions)


def _of_applications(applications: Iterable[Application]) -> Iterator[tuple[str, Where]]:
    for application in applications:
        for position, item in enumerate(application.ignore_differences):
            field = f"spec.ignoreDifferences[{position}].jqPathExpressions"
            where = replace(
                application.where, object=f"Application/{application.name}", field=field
            )
            yield from ((text, where) for text in item.jq_expressions)


async def _problem(text: str, where: Where, jq: JqPaths) -> Problem | None:
    try:
        await jq.check((text,))
    except BadInput as error:
        return Problem(reason=error.reason, message=error.message, where=where)
    return None

"""Problems: what is wrong anywhere between the fleet repository and the clusters, each with the place to look at.

Five sources: documents (read, compared, placed), ApplicationSets that failed, rollouts that leave somebody out, sources
that could not be rendered, and what clusters report as failed. The last may pass by itself, so it is not fatal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from fleet.argo.documents import Problem
from fleet.errors import Where
from fleet.generators.result import RENDER_ERROR
from fleet.model.application import Application
from fleet.model.identity import TargetId
from fleet.model.report import Phase
from hub.state import State


def all_problems(state: State, renders: Mapping[TargetId, Problem]) -> tuple[Problem, ...]:
    """Everything; ``renders`` are the problems of rendering by target, with the file and field they name."""
    return (
        *state.desired.problems,
        *_of_sets(state),
        *_of_rollouts(state),
        *_of_renders(state, renders),
        *_of_clusters(state),
    )


def _of_sets(state: State) -> Iterator[Problem]:
    for name, status in sorted(state.desired.sets.items()):
        appset = state.desired.appsets.get(name)
        place = appset.where if appset else Where()
        for error in status.errors:
            reason, _, message = error.partition(": ")
            field = "spec.template" if reason == RENDER_ERROR else "spec.generators"
            yield Problem(
                reason=reason,
                message=message,
                where=replace(place, object=f"ApplicationSet/{name}", field=field),
            )


def _of_rollouts(state: State) -> Iterator[Problem]:
    """An Application that no step of its set's RollingSync selects is never synced; one that several select is odd."""
    for application, id_ in _targets(state, state.desired.targets):
        appset = state.desired.appsets.get(application.appset)
        plan = appset.rollout if appset else None
        if appset is None or plan is None or plan.invalid:
            continue
        steps = [str(step + 1) for step in plan.steps_of(application.labels)]
        if len(steps) == 1:
            continue
        reason = "InvalidRolloutConfig" if steps else "MatchesNoStep"
        message = (
            f"application {id_.app!r} is selected by steps {', '.join(steps)}: the first one counts"
            if steps
            else f"application {id_.app!r} on {id_.cluster} matches no step, so it is never synced"
        )
        yield Problem(
            reason=reason,
            message=message,
            where=replace(
                appset.where,
                object=f"ApplicationSet/{appset.name}",
                field="spec.strategy.rollingSync.steps",
            ),
            fatal=False,
        )


def _of_renders(state: State, renders: Mapping[TargetId, Problem]) -> Iterator[Problem]:
    for application, id_ in _targets(state, renders):
        found = renders[id_]
        place = replace(_of_application(application), field="spec.source")
        if found.where.file:
            place = replace(found.where, object=place.object)
        candidate = state.candidates.get(id_)
        yield replace(
            found,
            where=replace(place, field=found.where.field or place.field),
            fatal=candidate is None or bool(candidate.error),
        )


def _of_clusters(state: State) -> Iterator[Problem]:
    reported = state.all_statuses()
    for application, id_ in _targets(state, reported):
        status = reported[id_]
        if status.phase is Phase.FAILED and status.reason:
            message = f"on {id_.cluster}: {status.message}"
            yield Problem(
                reason=status.reason,
                message=message,
                where=_of_application(application),
                fatal=False,
            )


def _targets(state: State, ids: Iterable[TargetId]) -> Iterator[tuple[Application, TargetId]]:
    for id_ in sorted(ids):
        target = state.desired.targets.get(id_)
        if target is not None:
            yield target.application, id_


def _of_application(application: Application) -> Where:
    return replace(application.where, object=f"Application/{application.name}")

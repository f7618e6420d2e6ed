"""Which generated Applications may be made: names, projects, destinations, and what the API server admits.

One that may not is withheld with its error, the others go on; of two with one name both are withheld.
Source: conformance topic "validation", argo.md 1.5.
"""

from __future__ import annotations

from collections.abc import Sequence

from fleet.argo.names import metadata_problems
from fleet.argo.shapes import dotted
from fleet.argo.sync_policy import problems as policy_problems
from fleet.errors import BadInput
from fleet.generators.context import Context
from fleet.generators.result import REFUSED_ERROR, VALIDATION_ERROR, SetError
from fleet.model.application import Application, Destination
from fleet.targets import ClusterIndex, find_project


def admit(
    applications: Sequence[Application], context: Context
) -> tuple[tuple[Application, ...], tuple[SetError, ...]]:
    """Return the Applications that may be made, and the errors of the others, both sorted by name."""
    validator = _Validator(context)
    judge, verdict = validator.judge, context.kept.verdict
    if applications:
        context.trail.clusters = context.trail.projects = True
    errors: dict[str, SetError] = {}
    admitted: dict[str, Application] = {}
    seen: set[str] = set()
    for application in applications:
        name = application.name
        error = validator.duplicate(name) if name in seen else verdict(application, judge)
        seen.add(name)
        if error is not None:
            errors[name] = error
        else:
            admitted[name] = application
    return (
        tuple(admitted[name] for name in sorted(admitted) if name not in errors),
        tuple(errors[name] for name in sorted(errors)),
    )


class _Validator:
    """Judges one Application after the other; destinations and projects are looked up once."""

    def __init__(self, context: Context) -> None:
        self._set = context.appset.name
        self._world = context.world
        self._clusters = ClusterIndex.of(context.world)
        self._destinations: dict[tuple[str, str], str] = {}
        self._projects: dict[str, bool] = {}

    def duplicate(self, name: str) -> SetError:
        return SetError(
            reason=VALIDATION_ERROR,
            message=f"ApplicationSet {self._set} contains applications with duplicate name: {name}",
            application=name,
        )

    def judge(self, application: Application) -> SetError | None:
        name = application.name
        problem = self._problem(application)
        if problem:
            return SetError(reason=VALIDATION_ERROR, message=problem, application=name)
        for field, refusal in metadata_problems(
            name, application.labels, application.annotations, application.finalizers
        ):
            message = f'Application.argoproj.io "{name}" is invalid: {field}: {refusal}'
            return SetError(reason=REFUSED_ERROR, message=message, application=name)
        for path, refusal in policy_problems(application.document["spec"].get("syncPolicy") or {}):
            message = f'Application.argoproj.io "{name}" is invalid: '
            message += f"{dotted(('spec', 'syncPolicy', *path))}: {refusal}"
            return SetError(reason=REFUSED_ERROR, message=message, application=name)
        return None

    def _problem(self, application: Application) -> str:
        if not application.name:
            return (
                f"ApplicationSet {self._set} contains an application with no name; a name must be "
                "set in the template's metadata.name or via a templatePatch"
            )
        if not self._has_project(application.project):
            return f"application references project {application.project} which does not exist"
        wrong = self._destination_problem(application.destination)
        return f"application destination spec is invalid: {wrong}" if wrong else ""

    def _has_project(self, name: str) -> bool:
        if name not in self._projects:
            self._projects[name] = find_project(self._world.projects, name) is not None
        return self._projects[name]

    def _destination_problem(self, destination: Destination) -> str:
        key = (destination.name, destination.server)
        if key not in self._destinations:
            try:
                self._clusters.resolve(destination)
                self._destinations[key] = ""
            except BadInput as error:
                hint = f" ({error.hint})" if error.hint else ""
                self._destinations[key] = error.message + hint
        return self._destinations[key]

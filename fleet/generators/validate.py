"""Which generated Applications may be made: names, projects, destinations, and what the API server admits.

One that may not is withheld with its error, the others go on; of two with one name both are withheld.
Source: conformance topic "validation", argo.md 1.5.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from operator import attrgetter

from fleet.argo.globs import matches_glob
from fleet.argo.names import metadata_problems
from fleet.argo.permissions import permits_namespace
from fleet.argo.shapes import dotted
from fleet.argo.sync_policy import problems as policy_problems
from fleet.codec.jsontypes import JsonValue
from fleet.errors import BadInput
from fleet.generators.context import Context
from fleet.generators.result import REFUSED_ERROR, VALIDATION_ERROR, SetError
from fleet.model.application import Application, Destination
from fleet.model.appset import ApplicationSet
from fleet.model.project import AppProject
from fleet.targets import ClusterIndex, find_project


def admit(
    applications: Sequence[Application], context: Context
) -> tuple[tuple[Application, ...], tuple[SetError, ...]]:
    """Return the Applications that may be made, and the errors of the others, both sorted by name."""
    validator = _Validator(context)
    if applications:
        context.trail.clusters = context.trail.projects = True
    ordered = sorted(applications, key=attrgetter("name"))
    verdicts = context.kept.verdicts(ordered, validator.judge)
    errors = {
        item.name: error
        for item, error in zip(ordered, verdicts, strict=True)
        if error is not None
    } if any(verdicts) else {}  # fmt: skip
    if len(set(map(attrgetter("name"), ordered))) < len(ordered):
        for first, second in pairwise(ordered):
            if first.name == second.name:
                errors[second.name] = validator.duplicate(second.name)
    admitted = [item for item in ordered if item.name not in errors] if errors else ordered
    return tuple(admitted), tuple(errors[name] for name in sorted(errors))


class _Validator:
    """Judges one Application after the other; destinations and projects are looked up once."""

    def __init__(self, context: Context) -> None:
        self._set = context.appset.name
        self._namespace = context.appset.namespace
        self._permitted = (
            context.world.templated_projects if _has_templated_project(context.appset) else ("*",)
        )
        self._world = context.world
        self._clusters = ClusterIndex.of(context.world)
        self._destinations: dict[tuple[str, str], str] = {}
        self._projects: dict[str, AppProject | None] = {}

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
        project = self._project(application.project)
        if project is None:
            return f"application references project {application.project} which does not exist"
        if not any(matches_glob(pattern, project.name) for pattern in self._permitted):
            return (
                f"project {project.name} was chosen by a template, and the hub's settings permit that "
                f"for {', '.join(self._permitted) or 'none'} (write it into the set, or add it to "
                "templatedProjects)"
            )
        namespace = application.namespace
        if namespace != self._namespace and not permits_namespace(project, namespace):
            return (
                f"application '{application.name}' in namespace '{namespace}' is not permitted to "
                f"use project '{project.name}' (its sourceNamespaces do not name it)"
            )
        wrong = self._destination_problem(application.destination)
        return f"application destination spec is invalid: {wrong}" if wrong else ""

    def _project(self, name: str) -> AppProject | None:
        if name not in self._projects:
            self._projects[name] = find_project(self._world.projects, name)
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


def _has_templated_project(appset: ApplicationSet) -> bool:
    """Whether rows can choose the project: in the set's template, or in one of a generator."""
    return any(
        "{{" in str(_member(_member(template, "spec"), "project"))
        for template in (appset.template, *_templates(list(appset.generators)))
    )


def _templates(entries: JsonValue) -> Iterator[JsonValue]:
    """The templates of generators, also of those inside of combinations, which nobody has checked."""
    for entry in entries if isinstance(entries, list) else ():
        for generator in entry.values() if isinstance(entry, dict) else ():
            yield _member(generator, "template")
            yield from _templates(_member(generator, "generators"))


def _member(value: JsonValue, name: str) -> JsonValue:
    return value.get(name) if isinstance(value, dict) else None

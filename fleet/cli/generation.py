"""What ``fleet appset generate`` does: evaluate sets over local repositories and put policies on top."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from fleet.argo.application import read_application
from fleet.argo.documents import FleetDocuments, read_fleet_documents
from fleet.cli.documents import read_documents
from fleet.cli.output import note
from fleet.cli.repositories import LocalRepositories, local_repositories
from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput, FleetError, Where
from fleet.generators import inforce
from fleet.generators.evaluate import evaluate_set
from fleet.generators.result import Failed, Generated, Missing, SetError, condition
from fleet.jq.trimming import trim_once
from fleet.model.application import Application
from fleet.model.appset import ApplicationSet
from fleet.model.cluster import Cluster, default_server
from fleet.model.identity import AppName, ClusterName
from fleet.model.project import DEFAULT_PROJECT, AppProject
from fleet.model.world import FileGlobs, World

MAX_PASSES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command line asks for."""

    file: Path
    clusters: Path | None = None
    projects: Path | None = None
    existing: Path | None = None
    repositories: tuple[str, ...] = ()
    globs: FileGlobs = FileGlobs.LEGACY


def generate_all(request: Request) -> tuple[list[JsonObject], list[SetError]]:
    """Return the Applications that would be applied, as documents, and everything that is wrong."""
    appsets, errors = _appsets(request.file)
    world = World(
        clusters=tuple(_clusters(request.clusters)) if request.clusters else (),
        projects={DEFAULT_PROJECT.name: DEFAULT_PROJECT, **_projects(request.projects)},
        file_globs=request.globs,
    )
    present = _existing(request.existing, appsets) if request.existing else {}
    applications: list[Application] = []
    with local_repositories(request.repositories) as repositories:
        for appset in appsets:
            owned = present.get(appset.name, {})
            made, found = asyncio.run(_generate(appset, world, repositories, owned))
            applications += made
            errors += [*found, *_condition(found)]
    return [item.document for item in applications], errors


def _condition(errors: list[SetError]) -> list[SetError]:
    """The one text that Argo CD would show for several errors, where it is none of theirs."""
    reason, message = condition(errors)
    if not errors or any(error.message == message for error in errors):
        return []
    return [SetError(reason="ErrorOccurred", message=f"{reason}: {message}")]


async def _generate(
    appset: ApplicationSet,
    world: World,
    repositories: LocalRepositories,
    existing: Mapping[AppName, Application],
) -> tuple[list[Application], list[SetError]]:
    result = await _evaluate(appset, world, repositories)
    if isinstance(result, Failed):
        return [existing[name] for name in sorted(existing)], list(result.errors)
    trims = await trim_once(inforce.to_trim(result, existing, appset))
    merged = inforce.in_force(result, existing, appset, trims)
    return list(merged.values()), list(result.errors)


async def _evaluate(
    appset: ApplicationSet, world: World, repositories: LocalRepositories
) -> Generated | Failed:
    for _ in range(MAX_PASSES):
        result = evaluate_set(appset, world)
        if not isinstance(result, Missing):
            return result
        world = await repositories.answer(world, result.requests)
    raise BadInput(f"the generators of {appset.name} keep asking for more")


def _appsets(file: Path) -> tuple[list[ApplicationSet], list[SetError]]:
    found = read_fleet_documents(read_documents(file), follow_argo=True)
    errors = [
        SetError(reason=problem.reason, message=f"{problem.where}: {problem.message}")
        for problem in found.problems
        if problem.fatal
    ]
    for problem in found.problems:
        if not problem.fatal:
            note(f"warning: {problem.where}: {problem.message}")
    if not found.appsets and not errors:
        raise BadInput(f"{file} holds no ApplicationSet")
    return list(found.appsets), errors


def _projects(file: Path | None) -> dict[str, AppProject]:
    if file is None:
        return {}
    return {
        item.name: item for item in _checked(read_fleet_documents(read_documents(file))).projects
    }


def _clusters(file: Path) -> list[Cluster]:
    documents = read_documents(file)
    if len(documents) == 1 and isinstance(documents[0].value, list):
        return [
            _row(row, documents[0].line_of((i,)), file) for i, row in enumerate(documents[0].value)
        ]
    return list(_checked(read_fleet_documents(documents)).clusters)


class _ClusterRow(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    server: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    project: str = ""


def _row(value: object, line: int, file: Path) -> Cluster:
    try:
        row = msgspec.convert(value, _ClusterRow)
    except msgspec.ValidationError as error:
        raise BadInput(f"not a cluster: {error}", where=Where(file=str(file), line=line)) from error
    return Cluster(
        name=ClusterName(row.name),
        server=row.server or default_server(row.name),
        labels=row.labels,
        annotations=row.annotations,
        project=row.project,
    )


def _existing(file: Path, appsets: list[ApplicationSet]) -> dict[str, dict[AppName, Application]]:
    """Read Applications by the set that owns them: the only one of the file, or as their ownerReferences say."""
    found: dict[str, dict[AppName, Application]] = {}
    for document in read_documents(file):
        values = document.value if isinstance(document.value, list) else [document.value]
        for value in values:
            where = Where(file=str(file), line=document.line)
            application = read_application(value, where=where)
            owner = _owner(value) or (appsets[0].name if len(appsets) == 1 else "")
            if not owner:
                raise BadInput(
                    f"Application {application.name} belongs to no ApplicationSet",
                    where=where,
                    hint="of several in one file its metadata.ownerReferences say which",
                )
            found.setdefault(owner, {})[application.name] = replace(application, where=where)
    return found


def _owner(value: JsonObject) -> str:
    references = value["metadata"].get("ownerReferences") or []
    return next(
        (str(item["name"]) for item in references if item.get("kind") == "ApplicationSet"), ""
    )


def _checked(documents: FleetDocuments) -> FleetDocuments:
    for problem in documents.problems:
        if problem.fatal:
            raise FleetError(problem.message, where=problem.where)
    return documents

"""What ``fleet render`` does: a directory, or an Application over local repositories, to sorted manifests."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from fleet.argo.documents import read_fleet_documents
from fleet.cli.documents import read_documents
from fleet.cli.repositories import local_repositories
from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput
from fleet.model.application import Application
from fleet.render.local import LocalRender, render_application, render_directory
from fleet.render.request import Capabilities


def render_path(
    path: Path, *, repositories: tuple[str, ...], revision: str, capabilities: Capabilities
) -> tuple[list[JsonObject], list[str]]:
    """Return the manifests, sorted, and warnings."""
    if path.is_dir():
        found = asyncio.run(render_directory(path, capabilities=capabilities))
    else:
        found = _application(path, repositories, revision, capabilities)
    warnings = [
        f"{warning.where}: {warning.message}" if str(warning.where) else warning.message
        for warning in found.rendering.warnings
    ]
    return sorted(found.objects, key=_order), warnings


def _application(
    path: Path, repo: tuple[str, ...], revision: str, capabilities: Capabilities
) -> LocalRender:
    found = read_fleet_documents(read_documents(path))
    for problem in found.problems:
        if problem.fatal:
            raise BadInput(problem.message, where=problem.where)
    if len(found.applications) != 1:
        raise BadInput(f"{path} holds {len(found.applications)} Applications; one is needed")
    application = _at_revision(found.applications[0], revision)
    with local_repositories(repo) as repositories:
        return asyncio.run(
            render_application(application, sources=repositories, capabilities=capabilities)
        )


def _at_revision(application: Application, revision: str) -> Application:
    if not revision:
        return application
    sources = tuple(replace(source, target_revision=revision) for source in application.sources)
    return replace(application, sources=sources)


def _order(item: JsonObject) -> tuple[str, ...]:
    metadata = item.get("metadata") or {}
    return (
        str(item.get("kind")),
        str(item.get("apiVersion")),
        str(metadata.get("namespace", "")),
        str(metadata.get("name", "")),
    )

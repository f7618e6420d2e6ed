"""``fleet render``: the manifests of a directory or an Application, offline, as the hub would render them."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from fleet.argo.documents import read_fleet_documents
from fleet.cli.documents import read_documents
from fleet.cli.output import note, progress
from fleet.cli.repositories import local_repositories
from fleet.codec import yamldoc
from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput
from fleet.model.application import Application
from fleet.render.local import LocalRender, render_application, render_directory
from fleet.render.request import Capabilities


def render(
    path: Annotated[
        Path, typer.Argument(metavar="DIR|APPLICATION.yaml", help="A directory, or an Application.")
    ],
    repo: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL=DIR", help="A local git repository that stands for a URL; may be repeated."
        ),
    ] = None,
    revision: Annotated[
        str, typer.Option(help="Revision instead of the Application's targetRevision.")
    ] = "",
    kube_version: Annotated[str, typer.Option(help="Kubernetes version that charts see.")] = "",
    api_versions: Annotated[
        list[str] | None, typer.Option(help="API version that charts see; may be repeated.")
    ] = None,
) -> None:
    """Print the manifests of a source, as sorted YAML documents."""
    capabilities = Capabilities(
        kube_version=kube_version, api_versions=tuple(sorted(api_versions or []))
    )
    with progress("rendering"):
        if path.is_dir():
            found = asyncio.run(render_directory(path, capabilities=capabilities))
        else:
            found = _application(path, repo or [], revision, capabilities)
    for warning in found.rendering.warnings:
        note(f"warning: {warning.message}")
    sys.stdout.write(yamldoc.dump_all(sorted(found.objects, key=_order)))


def _application(
    path: Path, repo: list[str], revision: str, capabilities: Capabilities
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

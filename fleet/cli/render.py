"""``fleet render``: the manifests of a directory or an Application, offline, as the hub would render them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from fleet.cli.output import note, progress
from fleet.codec import yamldoc
from fleet.codec.redaction import redact


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
        list[str] | None,
        typer.Option(help="API versions that charts see, with commas; may be repeated."),
    ] = None,
) -> None:
    """Print the manifests of a source, as sorted YAML documents."""
    from fleet.cli.rendering import render_path
    from fleet.render.request import Capabilities

    versions = {item for text in api_versions or () for item in text.split(",") if item}
    capabilities = Capabilities(kube_version=kube_version, api_versions=tuple(sorted(versions)))
    with progress("rendering"):
        objects, warnings = render_path(
            path, repositories=tuple(repo or ()), revision=revision, capabilities=capabilities
        )
    for warning in warnings:
        note(redact(f"warning: {warning}"))
    sys.stdout.write(yamldoc.dump_all(objects))

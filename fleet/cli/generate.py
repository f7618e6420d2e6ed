"""``fleet appset generate``: what an ApplicationSet makes, offline, as Argo CD would make it."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from fleet.cli.exits import Exit
from fleet.cli.output import note, progress
from fleet.codec import yamldoc
from fleet.codec.jsontypes import JsonObject
from fleet.codec.redaction import redact
from fleet.model.world import FileGlobs


class GenerateFormat(StrEnum):
    """The choices of ``generate -o``."""

    YAML = "yaml"
    JSON = "json"
    NAME = "name"


def generate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File with ApplicationSets, or -.")],
    clusters: Annotated[
        Path | None,
        typer.Option(
            help="Clusters: a list of {name, server, labels, ...}, or Cluster or Secret documents."
        ),
    ] = None,
    projects: Annotated[Path | None, typer.Option(help="File with AppProjects.")] = None,
    existing: Annotated[
        Path | None,
        typer.Option(help="Applications that exist, for policies and preserved fields."),
    ] = None,
    repo: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL=DIR", help="A local git repository that stands for a URL; may be repeated."
        ),
    ] = None,
    glob: Annotated[
        FileGlobs, typer.Option(help="How patterns of git files are read.")
    ] = FileGlobs.LEGACY,
    output: Annotated[
        GenerateFormat, typer.Option("--output", "-o", help="Output format.")
    ] = GenerateFormat.YAML,
) -> None:
    """Print the Applications that an ApplicationSet generates, without a hub.

    On an error standard output still holds the Applications that would be
    applied, standard error has a line "reason: message" for each (for several of
    one set one more, "ErrorOccurred: ", as the condition sums them up), and the
    exit status is 1.
    """
    from fleet.cli.generation import Request, generate_all

    request = Request(
        file=file,
        clusters=clusters,
        projects=projects,
        existing=existing,
        repositories=tuple(repo or ()),
        globs=glob,
    )
    with progress("generating"):
        documents, errors = generate_all(request)
    _print(documents, output)
    for error in errors:
        note(redact(f"{error.reason}: {error.message}"))
    raise typer.Exit(Exit.FAILED if errors else Exit.OK)


def _print(documents: list[JsonObject], output: GenerateFormat) -> None:
    match output:
        case GenerateFormat.JSON:
            text = msgspec.json.format(msgspec.json.encode(documents), indent=2).decode() + "\n"
        case GenerateFormat.YAML:
            text = yamldoc.dump_all(documents)
        case GenerateFormat.NAME:
            text = "".join(f"{document['metadata']['name']}\n" for document in documents)
    sys.stdout.write(text)

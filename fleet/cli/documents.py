"""Reading YAML files and directories for offline commands, with file and line for every mistake."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from fleet.argo.documents import FleetDocuments, Problem, read_fleet_documents
from fleet.codec import yamldoc
from fleet.codec.yamldoc import Document
from fleet.errors import BadInput

SUFFIXES = (".yaml", ".yml", ".json")


def read_documents(path: Path) -> tuple[Document, ...]:
    """Read all documents of a file, or of standard input for ``-``; raises BadInput."""
    if str(path) == "-":
        return yamldoc.load_documents(sys.stdin.buffer.read(), source="<stdin>", positions=True)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    return yamldoc.load_documents(data, source=str(path), positions=True)


def read_directory(folder: Path) -> tuple[list[FleetDocuments], list[Problem]]:
    """Read a fleet repo's working tree: the documents of each file, and files that are no YAML."""
    if not folder.is_dir():
        raise BadInput(f"{folder} is not a directory")
    found: list[FleetDocuments] = []
    broken: list[Problem] = []
    for path in fleet_files(folder):
        name = path.relative_to(folder).as_posix()
        try:
            documents = yamldoc.load_documents(path.read_bytes(), source=name, positions=True)
        except BadInput as error:
            broken.append(Problem(reason="InvalidYAML", message=error.message, where=error.where))
            continue
        found.append(read_fleet_documents(documents))
    return found, broken


def fleet_files(folder: Path) -> Iterable[Path]:
    """Name the files that the hub would read, sorted; hidden folders are left out."""
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).parts
        if (
            path.suffix in SUFFIXES
            and path.is_file()
            and not any(p.startswith(".") for p in inside)
        ):
            yield path

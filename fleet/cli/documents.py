"""Reading YAML files and directories for offline commands, with file and line for every mistake."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fleet.argo.documents import FleetDocuments, Problem, read_fleet_documents
from fleet.codec import yamldoc
from fleet.codec.yamldoc import Document
from fleet.errors import BadInput, Where

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


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetFiles:
    """What a fleet repo's working tree holds: its documents as written and as understood, and files that are no YAML."""

    documents: tuple[Document, ...]
    fleet: tuple[FleetDocuments, ...]
    broken: tuple[Problem, ...]


def read_directory(folder: Path) -> FleetFiles:
    """Read a fleet repo's working tree; raises BadInput where there is none."""
    if not folder.is_dir():
        raise BadInput(f"{folder} is not a directory")
    found: list[Document] = []
    fleet: list[FleetDocuments] = []
    broken: list[Problem] = []
    for path in fleet_files(folder):
        name = path.relative_to(folder).as_posix()
        try:
            documents = yamldoc.load_documents(path.read_bytes(), source=name, positions=True)
        except BadInput as error:
            broken.append(Problem(reason="InvalidYAML", message=error.message, where=error.where))
            continue
        except OSError as error:
            message = f"cannot be read: {error.strerror}"
            broken.append(Problem(reason="Unreadable", message=message, where=Where(file=name)))
            continue
        found += documents
        fleet.append(read_fleet_documents(documents))
    return FleetFiles(documents=tuple(found), fleet=tuple(fleet), broken=tuple(broken))


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

"""Gives a plan more files: those that a tool turned out to need beyond the static walk, in the end all of them."""

from __future__ import annotations

from dataclasses import replace

from fleet.errors import FleetError, Where
from fleet.render.inputs import InputFile, ReadBlobs, Repository
from fleet.render.plan import Plan
from fleet.render.planning import Planned

WHOLE = (".",)
"""What stands for the whole of all repositories of a plan."""


def present(planned: Planned, paths: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the paths in the folder that the repositories have."""
    found = []
    for path in paths:
        prefix, _, inside = path.partition("/")
        snapshot = planned.snapshots.get(prefix)
        if snapshot is None:
            continue
        try:
            walk = snapshot.locate(inside, base="", where=Where())
        except FleetError:
            continue
        if walk.found is not None and walk.found.path:
            found.append(path)
    return tuple(found)


def widened(planned: Planned, plan: Plan, more: tuple[str, ...], read: ReadBlobs) -> Plan:
    """Return the plan with more files; what it has already, it keeps as it has it."""
    files: dict[str, InputFile] = {}
    for prefix, snapshot in planned.snapshots.items():
        repository = Repository(snapshot, read, prefix)
        if more == WHOLE:
            repository.add_everything()
        for path in more:
            if path.startswith(f"{prefix}/"):
                _add(repository, path.removeprefix(f"{prefix}/"))
        files |= {file.path: file for file in repository.inputs()}
    files |= {file.path: file for file in plan.files}
    return replace(plan, files=tuple(files[path] for path in sorted(files)))


def _add(repository: Repository, path: str) -> None:
    where = Where(file=path)
    found = repository.locate(path, where=where)
    if found is None:
        return
    if found.is_directory:
        repository.add_below(found.path, want=lambda path: True, where=where)
    repository.add(found)

"""Differences for people at a terminal, in colours: first what differs, a line each, then how.

``fleet diff`` compares what two revisions would give to each cluster, ``fleet app diff`` an application with what lives.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TypeAlias

import typer

from fleet.cli.output import plain
from fleet.wire.api import ProblemRow
from fleet.wire.appdiff import AppDiff, ObjectDiff
from fleet.wire.difference import ApplicationChange, FleetDiff, ObjectChange

SIGNS = {"added": "+", "changed": "~", "removed": "-"}
_COLOURS = {"+": typer.colors.GREEN, "-": typer.colors.RED, "@": typer.colors.CYAN}

_NAMES = 4
_PATHS = 4

Group: TypeAlias = tuple[ApplicationChange, ...]


def lines(found: FleetDiff) -> Iterator[str]:
    """Return the whole text, line by line."""
    width = max((len(f"{item.cluster}/{item.name}") for item in found.applications), default=0)
    for item in found.applications:
        sign = SIGNS[item.change]
        name = f"{item.cluster}/{item.name}".ljust(width)
        text = plain(f"{sign} {name}  {item.change:<8} {what(item)}")
        yield typer.style(text, fg=_COLOURS.get(sign, typer.colors.YELLOW))
    for held in found.held:
        yield typer.style(plain(f"! {held.message} ({held.subject})"), fg=typer.colors.MAGENTA)
    for group in groups(found.applications):
        yield from _details(group)


def app_lines(found: AppDiff) -> Iterator[str]:
    """Return how one application differs from its objects in the cluster, line by line."""
    for item in found.objects:
        sign = SIGNS[item.change]
        text = f"{sign} {item.ref}  {item.change}{_fields(item)}"
        yield typer.style(plain(text), fg=_COLOURS.get(sign, typer.colors.YELLOW))
    for problem in found.problems:
        text = plain(f"! {problem.ref}  {problem.reason}: {problem.message}")
        yield typer.style(text, fg=typer.colors.MAGENTA)
    for item in found.objects:
        if item.diff:
            yield from _block(f"{item.ref} {item.change}", item.diff)


def app_summary(found: AppDiff) -> str:
    """Say how many objects differ."""
    counts = Counter(item.change for item in found.objects)
    parts = [f"{counts[kind]} {kind}" for kind in SIGNS if counts[kind]]
    if found.problems:
        parts.append(f"{len(found.problems)} not compared")
    return f"objects: {', '.join(parts)}" if parts else "no differences"


def _fields(item: ObjectDiff) -> str:
    """Name the first fields that differ, and what else there is to know."""
    more = [f"{len(item.paths) - _PATHS} more"] if len(item.paths) > _PATHS else []
    parts = [", ".join([*item.paths[:_PATHS], *more]), item.note]
    if item.change == "changed" and not item.predicted:
        parts.append("compared without the API server")
    said = "; ".join(part for part in parts if part)
    return f": {said}" if said else ""


def _details(group: Group) -> Iterator[str]:
    item = group[0]
    if item.document:
        yield from _block(f"{names(group)}: Application {item.change}", item.document)
    for change in item.objects:
        yield from _block(f"{names(group)}: {change.ref} {change.change}", change.diff)


def _block(title: str, diff: str) -> Iterator[str]:
    yield ""
    yield typer.style(plain(f"=== {title}"), bold=True)
    for line in diff.splitlines():
        colour = _COLOURS.get(line[:1])
        yield typer.style(plain(line), fg=colour) if colour else plain(line)


def groups(items: Iterable[ApplicationChange]) -> list[Group]:
    """Put applications that differ in the same way together: a change for a hundred clusters is read once."""
    found: dict[tuple[str, str, tuple[ObjectChange, ...]], list[ApplicationChange]] = {}
    for item in items:
        found.setdefault((item.change, item.document, item.objects), []).append(item)
    return [tuple(group) for group in found.values()]


def names(group: Group) -> str:
    """Name the applications of a group, the first few of many."""
    shown = [f"{item.cluster}/{item.name}" for item in group[:_NAMES]]
    more = [f"{len(group) - _NAMES} more"] if len(group) > _NAMES else []
    return ", ".join([*shown, *more])


def what(item: ApplicationChange) -> str:
    """Say in a few words what differs of an application."""
    counts = Counter(change.change for change in item.objects)
    kinds = [f"{counts[kind]} {kind}" for kind in SIGNS if counts[kind]]
    objects = "objects: " + ", ".join(kinds) if kinds else ""
    document = "Application" if item.document and item.change == "changed" else ""
    manifests = f"manifests not compared: {item.unchecked}" if item.unchecked else ""
    above = f"rendered by {' -> '.join(item.parents)}" if item.parents else ""
    parts = [document, objects, item.stays, manifests, item.remark, above]
    return "; ".join(part for part in parts if part)


def summary(found: FleetDiff) -> str:
    """Say how many applications differ."""
    counts = Counter(item.change for item in found.applications)
    if not counts:
        return "no differences"
    clusters = len({item.cluster for item in found.applications})
    parts = ", ".join(f"{counts[kind]} {kind}" for kind in SIGNS if counts[kind])
    return f"applications: {parts}, on {clusters} cluster{'s' if clusters > 1 else ''}"


def place(item: ProblemRow) -> str:
    """Say where a problem is."""
    file = f"{item.file}:{item.line}" if item.file and item.line else item.file
    return ": ".join(part for part in (file, item.object, item.field) if part)

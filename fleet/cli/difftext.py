"""``fleet diff`` for people at a terminal: one line for each application, then what differs, in colours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TypeAlias

import typer

from fleet.cli.output import plain
from fleet.wire.api import ProblemRow
from fleet.wire.difference import ApplicationChange, FleetDiff, ObjectChange

SIGNS = {"added": "+", "changed": "~", "removed": "-"}
_COLOURS = {"+": typer.colors.GREEN, "-": typer.colors.RED, "@": typer.colors.CYAN}

_NAMES = 4

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
    parts = [f"{counts[kind]} {kind}" for kind in SIGNS if counts[kind]]
    objects = "objects: " + ", ".join(parts) if parts else ""
    document = "Application" if item.document and item.change == "changed" else ""
    manifests = f"manifests not compared: {item.unchecked}" if item.unchecked else ""
    return "; ".join(part for part in (document, objects, item.stays, manifests) if part)


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

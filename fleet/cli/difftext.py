"""``fleet diff`` for people at a terminal: one line for each application, then what differs, in colours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import typer

from fleet.cli.output import plain
from fleet.wire.api import ProblemRow
from fleet.wire.difference import ApplicationChange, FleetDiff

SIGNS = {"added": "+", "changed": "~", "removed": "-"}
_COLOURS = {"+": typer.colors.GREEN, "-": typer.colors.RED, "@": typer.colors.CYAN}


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
    for item in found.applications:
        yield from _details(item)


def _details(item: ApplicationChange) -> Iterator[str]:
    if item.document:
        yield from _block(f"{item.cluster}/{item.name}: Application {item.change}", item.document)
    for change in item.objects:
        yield from _block(f"{item.cluster}/{item.name}: {change.ref} {change.change}", change.diff)


def _block(title: str, diff: str) -> Iterator[str]:
    yield ""
    yield typer.style(plain(f"=== {title}"), bold=True)
    for line in diff.splitlines():
        colour = _COLOURS.get(line[:1])
        yield typer.style(plain(line), fg=colour) if colour else plain(line)


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

"""``fleet app``: what is read from an application's cluster: differences, objects, manifests, logs, events.

The hub has none of this. It asks the agent of the cluster, which answers only about what belongs to the application,
and masks the values of Secrets before anything leaves the cluster.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Annotated

import msgspec
import typer

from fleet.cli import difftext
from fleet.cli.answers import read, read_all
from fleet.cli.exits import Exit
from fleet.cli.logtext import LogText, clean
from fleet.cli.options import AppName, connection
from fleet.cli.output import (
    Column,
    Format,
    Output,
    forget_reader,
    note,
    plain,
    print_rows,
    print_value,
    say,
    text,
    value_of,
)
from fleet.codec import yamldoc
from fleet.errors import BadInput
from fleet.runtime.settings import parse_duration
from fleet.wire.appdiff import AppDiff, ObjectDiff, ObjectNote, ResourceRow
from fleet.wire.references import parse_resource
from fleet.wire.requests import (
    Compared,
    Difference,
    Event,
    EventList,
    Frame,
    LogLine,
    Manifest,
    Problem,
    ReadKind,
    Resource,
    ResourceList,
    Streams,
)

_INTERRUPTED = 130
"""As shells say it of SIGINT."""


class LogFormat(StrEnum):
    """The choices of ``logs -o``."""

    TEXT = "text"
    JSON = "json"


class TreeFormat(StrEnum):
    """The choices of ``resources -o``."""

    TABLE = "table"
    TREE = "tree"
    JSON = "json"
    YAML = "yaml"


class DiffFormat(StrEnum):
    """The choices of ``diff -o``."""

    TEXT = "text"
    JSON = "json"


class ManifestFormat(StrEnum):
    """The choices of ``manifests -o``."""

    YAML = "yaml"
    JSON = "json"


EVENTS: tuple[Column, ...] = (
    ("TIME", text("time")),
    ("TYPE", text("type")),
    ("REASON", text("reason")),
    ("OBJECT", text("object")),
    ("COUNT", text("count")),
    ("MESSAGE", text("message")),
)

RESOURCES: tuple[Column, ...] = (
    ("RESOURCE", text("ref")),
    ("OWNER", text("parent")),
    ("SYNC", text("sync")),
    ("HEALTH", text("health")),
    ("WAVE", text("wave")),
    ("MESSAGE", text("message")),
)


def diff_app(
    context: typer.Context,
    name: AppName,
    resource: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GROUP:KIND:NAME",
            help="Only this object, like apps:Deployment:web; repeatable.",
        ),
    ] = None,
    exit_code: Annotated[
        bool, typer.Option(help="End with status 3 where there are differences.")
    ] = True,
    output: Annotated[
        DiffFormat, typer.Option("--output", "-o", help="Output format.", case_sensitive=False)
    ] = DiffFormat.TEXT,
) -> None:
    """Show how an application's objects in its cluster differ from what a sync would make of them.

    Values of Secrets are masked in the cluster. Exit status 0 without differences, 3 with some, 1 where an object could
    not be compared.
    """
    refs = ",".join(str(parse_resource(text)) for text in resource or ())
    found = _collected(
        read_all(connection(context), name, ReadKind.DIFF, {"refs": refs} if refs else {})
    )
    if output is DiffFormat.JSON:
        print_value(value_of(found), Format.JSON)
    else:
        for line in difftext.app_lines(found):
            typer.echo(line)
    note(difftext.app_summary(found))
    if found.problems:
        raise typer.Exit(Exit.FAILED)
    if found.objects and exit_code:
        raise typer.Exit(Exit.DIFFERENCES)


def resources_of_app(
    context: typer.Context,
    name: AppName,
    output: Annotated[
        TreeFormat, typer.Option("--output", "-o", help="Output format.", case_sensitive=False)
    ] = TreeFormat.TABLE,
) -> None:
    """List an application's objects as they are in its cluster, with those that controllers made for them."""
    found = read_all(connection(context), name, ReadKind.RESOURCES, {})
    rows = tuple(frame.row for frame in found if isinstance(frame, Resource))
    if output is TreeFormat.TREE:
        for line in tree(rows):
            say(line)
        return
    print_rows(ResourceList(items=rows), Format(output.value), RESOURCES)


def manifests_of_app(
    context: typer.Context,
    name: AppName,
    live: Annotated[
        bool, typer.Option("--live/--source", help="As they are in the cluster, or as git says.")
    ] = False,
    output: Annotated[
        ManifestFormat, typer.Option("--output", "-o", help="Output format.", case_sensitive=False)
    ] = ManifestFormat.YAML,
) -> None:
    """Print an application's manifests, rendered as its cluster has them from git, or as they live there.

    Values of Secrets are masked in the cluster.
    """
    query = {"live": "true" if live else "false"}
    found = read_all(connection(context), name, ReadKind.MANIFESTS, query)
    objects = [frame.object for frame in found if isinstance(frame, Manifest)]
    if output is ManifestFormat.JSON:
        print_value(objects, Format.JSON)
        return
    document = "---\n".join(yamldoc.dump(item) for item in objects)
    # A program gets every character; a terminal none that could fool its reader.
    sys.stdout.write(plain(document) if sys.stdout.isatty() else document)


def events_of_app(context: typer.Context, name: AppName, output: Output = Format.TABLE) -> None:
    """List the events about an application's objects and what they own, the newest last."""
    found = read_all(connection(context), name, ReadKind.EVENTS, {})
    rows = tuple(frame.row for frame in found if isinstance(frame, Event))
    print_rows(EventList(items=rows), output, EVENTS)


def logs_of_app(
    context: typer.Context,
    name: AppName,
    container: Annotated[
        str, typer.Option("--container", "-c", help="Only containers of this name, init ones too.")
    ] = "",
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until interrupted; new Pods join in.")
    ] = False,
    tail: Annotated[int, typer.Option(help="Lines of each container; -1: all.", min=-1)] = 100,
    since: Annotated[
        str, typer.Option(metavar="DURATION", help="Only lines of the last 30s, 5m, 24h.")
    ] = "",
    previous: Annotated[
        bool, typer.Option("--previous", "-p", help="Of containers before their last restart.")
    ] = False,
    pod: Annotated[
        str,
        typer.Option(metavar="PATTERN", help="Only of Pods of this name; * and ? may be in it."),
    ] = "",
    containing: Annotated[
        str, typer.Option("--filter", metavar="TEXT", help="Only lines with this text in them.")
    ] = "",
    timestamps: Annotated[
        bool, typer.Option("--timestamps", help="Put the time of each line in front.")
    ] = False,
    prefix: Annotated[
        bool, typer.Option(help="Put the name of the Pod in front of each line.")
    ] = True,
    output: Annotated[
        LogFormat, typer.Option("--output", "-o", help="Output format.", case_sensitive=False)
    ] = LogFormat.TEXT,
) -> None:
    """Print what an application's Pods wrote, of all of them in the order of time.

    Control characters are taken out. JSON is one object a line.
    """
    query = {
        "container": container,
        "follow": str(follow).lower(),
        "previous": str(previous).lower(),
        "tail": str(tail),
        "since": str(_seconds(since)),
        "pod": pod,
        "filter": containing,
    }
    written = LogText(prefix=prefix, times=timestamps)

    def take(frame: Frame) -> None:
        match frame:
            case Streams():
                written.learn(frame)
            case LogLine() if output is LogFormat.JSON:
                typer.echo(msgspec.json.encode(_cleaned(frame)))
            case LogLine():
                typer.echo(written.line(frame))
            case _:
                pass

    try:
        read(connection(context), name, ReadKind.LOGS, query, take)
    except KeyboardInterrupt:
        raise typer.Exit(_INTERRUPTED) from None
    except BrokenPipeError:
        forget_reader()
        raise typer.Exit(Exit.OK) from None


def tree(rows: Iterable[ResourceRow]) -> Iterator[str]:
    """Draw who owns whom, an object a line."""
    below: dict[str, list[ResourceRow]] = {}
    items = tuple(rows)
    known = {row.ref for row in items}
    for row in items:
        below.setdefault(row.parent if row.parent in known else "", []).append(row)
    yield from _branches(below, "", "")


def _branches(below: dict[str, list[ResourceRow]], parent: str, indent: str) -> Iterator[str]:
    rows = below.pop(parent, [])
    for position, row in enumerate(rows):
        is_last = position == len(rows) - 1
        joint, more = ("└─ ", "   ") if is_last else ("├─ ", "│  ")
        state = ", ".join(word for word in (row.sync, row.health) if word)
        words = "  ".join(word for word in (row.ref, state, row.message) if word)
        yield f"{indent}{joint if parent else ''}{words}"
        yield from _branches(below, row.ref, indent + (more if parent else ""))


def _collected(frames: Iterable[Frame]) -> AppDiff:
    target, artifact = "", ""
    objects: list[ObjectDiff] = []
    problems: list[ObjectNote] = []
    for frame in frames:
        match frame:
            case Compared():
                target, artifact = frame.target, frame.artifact
            case Difference():
                objects.append(frame.object)
            case Problem():
                problems.append(frame.object)
            case _:
                pass
    return AppDiff(
        target=target, artifact=artifact, objects=tuple(objects), problems=tuple(problems)
    )


def _seconds(since: str) -> int:
    if not since:
        return 0
    seconds = int(parse_duration(since).total_seconds())
    if seconds < 1:
        raise BadInput(f"--since {since}: less than a second")
    return seconds


def _cleaned(line: LogLine) -> LogLine:
    return msgspec.structs.replace(line, text=clean(line.text))

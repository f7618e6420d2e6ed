"""``fleet approve``, ``explain``, ``graph``, ``problems`` and ``repositories``: single commands about the hub's state."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

import typer

from fleet.cli.connection import segment
from fleet.cli.exits import Exit
from fleet.cli.options import complete_target, connection
from fleet.cli.output import (
    Column,
    Format,
    Output,
    note,
    print_rows,
    print_value,
    say,
    short,
    text,
    value_of,
)
from fleet.model.identity import TargetId
from fleet.wire import api


class GraphFormat(StrEnum):
    """The choices of ``graph -o``."""

    TEXT = "text"
    DOT = "dot"
    JSON = "json"


HOLDS: tuple[Column, ...] = (
    ("SUBJECT", text("subject")),
    ("REMOVES", lambda row: str(len(row["removed"]))),
    ("MESSAGE", text("message")),
)
PROBLEMS: tuple[Column, ...] = (
    ("WHERE", lambda row: f"{row['file']}:{row['line']}" if row["line"] else row["file"]),
    ("OBJECT", text("object")),
    ("FIELD", text("field")),
    ("REASON", text("reason")),
    ("MESSAGE", text("message")),
)
REPOSITORIES: tuple[Column, ...] = (
    ("URL", text("url")),
    ("REVISION", text("revision")),
    ("PATH", text("path")),
    ("COMMIT", short("commit")),
    ("FILES", text("files")),
    ("FLEET", lambda row: "yes" if row["fleet"] else ""),
    ("ERROR", text("error")),
)


def approve(
    context: typer.Context,
    subject: Annotated[
        str, typer.Argument(metavar="[SUBJECT]", help="appset/NAME, app/CLUSTER/NAME or fleet.")
    ] = "",
    reason: Annotated[str, typer.Option(help="Why; goes into the log.")] = "",
    digest: Annotated[str, typer.Option(help="Approve only if exactly this is held.")] = "",
    output: Output = Format.TABLE,
) -> None:
    """Let a held removal happen; without SUBJECT list what is held (exit status 4 if anything is)."""
    hub = connection(context)
    if subject:
        request = api.ApproveRequest(subject=subject, reason=reason, digest=digest)
        note(hub.post("approve", request, api.Message).message)
        return
    held = hub.get("holds", api.HoldList)
    print_rows(held, output, HOLDS)
    raise typer.Exit(Exit.HELD if held.items else Exit.OK)


def explain(
    context: typer.Context,
    target: Annotated[str, typer.Argument(metavar="CLUSTER/APP", autocompletion=complete_target)],
    output: Output = Format.TABLE,
) -> None:
    """Say why an application is on a cluster (or not), what it waits for, and what decided."""
    id_ = TargetId.parse(target.replace("~", "/", 1))
    path = f"explain/{segment(id_.cluster)}/{segment(id_.app)}"
    found = connection(context).get(path, api.Explanation)
    if output is not Format.TABLE:
        print_value(value_of(found), output)
    else:
        _print_explanation(found)
    raise typer.Exit(Exit.OK if found.exists else Exit.FAILED)


def _print_explanation(found: api.Explanation) -> None:
    if not found.exists:
        say(f"{found.target} is not a target: {found.why}")
        return
    say(f"{found.target} is a target: {found.why}")
    if found.file:
        say(f"  document      {found.file}:{found.line}")
    if found.row:
        say(f"  row           {found.row}")
    say(f"  decision      {found.decision}")
    if found.app is not None:
        say(f"  status        {found.app.sync}, {found.app.health}  {found.app.message}")
    for label, line in window_lines(found.windows):
        say(f"  {label:<14}{line}")
    for edge in found.edges:
        mark = "ok" if edge.satisfied else "waits"
        say(f"  depends on    {edge.reference}: {mark}: {edge.message}")
    for user in found.needed_by:
        say(f"  needed by     {user}")


def window_lines(windows: api.Windows | None) -> Iterator[tuple[str, str]]:
    """Say what sync windows allow now, and how each of them stands."""
    if windows is None:
        return
    yield "sync windows", windows.message
    for item in windows.items:
        zone = "" if item.time_zone == "UTC" else f" {item.time_zone}"
        turn = f" until {item.changes_at}" if item.changes_at else ""
        state = ("open" if item.open else "closed") + turn
        passes = ", fleet app sync passes" if item.manual_sync else ""
        said = f" ({item.description})" if item.description else ""
        yield (
            "window",
            f"{item.kind} {item.schedule}{zone} for {item.duration}: {state}{passes}{said}",
        )


def graph(
    context: typer.Context,
    cluster: Annotated[str, typer.Option(help="Only what touches this cluster.")] = "",
    output: Annotated[
        GraphFormat, typer.Option("--output", "-o", help="Output format.")
    ] = GraphFormat.TEXT,
) -> None:
    """Show the dependency graph of targets."""
    query = f"?cluster={segment(cluster)}" if cluster else ""
    found = connection(context).get(f"graph{query}", api.Graph)
    match output:
        case GraphFormat.JSON:
            print_value(value_of(found), Format.JSON)
        case GraphFormat.DOT:
            say(dot(found))
        case GraphFormat.TEXT:
            say(as_text(found))


def dot(found: api.Graph) -> str:
    """Write a graph for graphviz; arrows point from the dependent to what it needs."""
    lines = ["digraph fleet {", "  rankdir=BT;", "  node [shape=box];"]
    lines += [f'  "{node.target}" [tooltip="{node.sync}, {node.health}"];' for node in found.nodes]
    lines += [
        f'  "{edge.source}" -> "{edge.target}"'
        + ("" if edge.satisfied else " [style=dashed]")
        + ";"
        for edge in found.edges
    ]
    return "\n".join([*lines, "}"])


def as_text(found: api.Graph) -> str:
    """Write a graph for people: by level, each target with what it needs."""
    needs: dict[str, list[str]] = {}
    for edge in found.edges:
        mark = "" if edge.satisfied else " (waits)"
        needs.setdefault(edge.source, []).append(f"{edge.target}{mark}")
    lines = []
    for node in sorted(found.nodes, key=lambda n: (n.level is None, n.level or 0, n.target)):
        level = "cycle" if node.level is None else str(node.level)
        after = f"  after {', '.join(needs[node.target])}" if node.target in needs else ""
        lines.append(f"{level:>5}  {node.target}  {node.sync}, {node.health}{after}")
    lines += ["cycle: " + " -> ".join((*path, path[0])) for path in found.cycles]
    return "\n".join(lines)


def problems(context: typer.Context, output: Output = Format.TABLE) -> None:
    """List what is wrong, and where (exit status 1 if anything is that does not pass by itself)."""
    found = connection(context).get("problems", api.ProblemList)
    print_rows(found, output, PROBLEMS)
    raise typer.Exit(Exit.FAILED if any(row.fatal for row in found.items) else Exit.OK)


def repositories(context: typer.Context, output: Output = Format.TABLE) -> None:
    """List the repositories in use and what is wrong with them."""
    print_rows(connection(context).get("repositories", api.RepositoryList), output, REPOSITORIES)

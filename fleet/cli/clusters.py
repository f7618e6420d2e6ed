"""``fleet cluster``: the clusters of the fleet and their enrolment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fleet.cli.connection import segment
from fleet.cli.options import ClusterArgument, connection
from fleet.cli.output import (
    Column,
    Format,
    Output,
    age,
    note,
    print_rows,
    print_value,
    say,
    text,
    value_of,
)
from fleet.errors import BadInput
from fleet.pki.files import write_private
from fleet.wire import api

app = typer.Typer(no_args_is_help=True, help="Clusters: add, list, get, remove, revoke.")

COLUMNS: tuple[Column, ...] = (
    ("NAME", text("name")),
    ("STATE", text("state")),
    ("HEALTH", text("health")),
    ("TARGETS", text("targets")),
    ("SYNCED", text("synced")),
    ("HEALTHY", text("healthy")),
    ("SOURCE", text("source")),
    ("SEEN", age()),
    ("VERSION", text("kubeVersion")),
    ("LABELS", lambda row: ",".join(f"{k}={v}" for k, v in sorted(row["labels"].items()))),
)


@app.command("add")
def add_cluster(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    label: Annotated[
        list[str] | None,
        typer.Option("--label", "-l", metavar="KEY=VALUE", help="Label; may be repeated."),
    ] = None,
    server: Annotated[str, typer.Option(help="Identifier for destination.server.")] = "",
    project: Annotated[str, typer.Option(help="Project the cluster belongs to.")] = "",
    token_out: Annotated[
        Path | None, typer.Option(help="Write the join token here (0600) instead of printing it.")
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Make a cluster's identity and print the command that joins its agent.

    With --label, --server or --project the hub also holds the cluster's record, as long as git has none of that name.
    """
    asked = api.AddCluster(name=name, labels=_labels(label or []), server=server, project=project)
    answer = connection(context).post("clusters", asked, api.JoinInstructions)
    if output is not Format.TABLE:
        print_value(value_of(answer), output)
        return
    if token_out is not None:
        write_private(token_out, f"{answer.token}\n".encode())
        file = str(token_out)
    else:
        file = f"{name}.token"
        note(f"The token is good until {answer.expires}, for one agent. On the cluster:")
        say(f"(umask 077; echo '{answer.token}' > {file})")
    say(f"fleet agent join --hub {answer.hub} --token-file {file} --config agent.yaml")


@app.command("list")
def list_clusters(context: typer.Context, output: Output = Format.TABLE) -> None:
    """List clusters with their connection and how many of their targets are good."""
    print_rows(connection(context).get("clusters", api.ClusterList), output, COLUMNS)


@app.command("get")
def get_cluster(
    context: typer.Context, name: ClusterArgument, output: Output = Format.TABLE
) -> None:
    """Show one cluster."""
    row = connection(context).get(f"clusters/{segment(name)}", api.ClusterRow)
    if output is not Format.TABLE:
        print_value(value_of(row), output)
        return
    for key, value in value_of(row).items():
        shown = (
            ", ".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else value
        )
        say(f"{key + ':':<16}{shown}")


@app.command("remove")
def remove_cluster(
    context: typer.Context,
    name: ClusterArgument,
    cascade: Annotated[
        bool, typer.Option("--cascade", help="Also delete everything the fleet put on it.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Forget a cluster and its identity; what runs on it stays, unless --cascade."""
    what = "delete everything the fleet put on it and forget it" if cascade else "forget it"
    if not yes:
        typer.confirm(f"Cluster {name}: {what}?", abort=True)
    path = f"clusters/{segment(name)}?cascade={'true' if cascade else 'false'}"
    note(connection(context).delete(path, api.Message).message)


@app.command("revoke")
def revoke_cluster(
    context: typer.Context,
    name: ClusterArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Cut a cluster's agent off at once: its certificates are worth nothing from now on."""
    if not yes:
        typer.confirm(f"Cluster {name}: cut its agent off?", abort=True)
    path = f"clusters/{segment(name)}/revoke"
    note(connection(context).post(path, api.Message(message=""), api.Message).message)


def _labels(pairs: list[str]) -> dict[str, str]:
    labels = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise BadInput(f"--label {pair!r} is not KEY=VALUE")
        labels[key] = value
    return labels

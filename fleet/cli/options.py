"""Options that many commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar, cast

import msgspec
import typer

from fleet.cli.connection import Connection, NotFound
from fleet.errors import FleetError
from fleet.wire import api

_S = TypeVar("_S", bound=msgspec.Struct)

RepositoryUrl = Annotated[
    str,
    typer.Option(
        metavar="URL", help="What documents call this repository, instead of its origin's URL."
    ),
]
Branch = Annotated[
    str, typer.Option(metavar="NAME", help="The branch that is merged into: sources may name it.")
]
Wait = Annotated[float, typer.Option("--timeout", help="Seconds to wait at most.", min=0.0)]


def connection(context: typer.Context) -> Connection:
    """Return the connection that the global options describe."""
    return cast("Connection", context.obj)


def global_options(
    context: typer.Context,
    hub: Annotated[
        str | None, typer.Option(help="URL of the hub's API.", envvar="FLEET_HUB")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="File with the API token.", envvar="FLEET_TOKEN_FILE")
    ] = None,
    ca: Annotated[
        Path | None, typer.Option(help="CA certificates of the hub's API.", envvar="FLEET_CA")
    ] = None,
) -> None:
    """Remember where the hub is; nothing is asked yet."""
    context.obj = Connection.find(hub, token_file, ca)


def complete_app(context: typer.Context, incomplete: str) -> list[str]:
    """Complete an application's name from the hub; silent when it cannot be asked."""
    return [name for name in _names(context, "apps", api.AppList) if name.startswith(incomplete)]


def complete_target(context: typer.Context, incomplete: str) -> list[str]:
    """Complete CLUSTER/APP."""
    found = _asked(context, "apps", api.AppList)
    rows = found.items if found else ()
    names = sorted(f"{row.cluster}/{row.name}" for row in rows if row.cluster)
    return [name for name in names if name.startswith(incomplete)]


def complete_set(context: typer.Context, incomplete: str) -> list[str]:
    """Complete an ApplicationSet's name."""
    return [
        name for name in _names(context, "appsets", api.AppSetList) if name.startswith(incomplete)
    ]


def complete_cluster(context: typer.Context, incomplete: str) -> list[str]:
    """Complete a cluster's name."""
    return [
        name for name in _names(context, "clusters", api.ClusterList) if name.startswith(incomplete)
    ]


def _names(
    context: typer.Context,
    path: str,
    kind: type[api.AppList] | type[api.AppSetList] | type[api.ClusterList],
) -> list[str]:
    found = _asked(context, path, kind)
    return sorted({row.name for row in found.items}) if found else []


def _asked(context: typer.Context, path: str, kind: type[_S]) -> _S | None:
    """Ask the hub; None where it cannot be asked, for a shell that completes has no use for errors."""
    found = context.find_root().params
    try:
        client = Connection.find(found.get("hub"), found.get("token_file"), found.get("ca"))
        return client.get(path, kind)
    except (FleetError, NotFound):
        return None


AppName = Annotated[str, typer.Argument(metavar="APP", autocompletion=complete_app)]
SetName = Annotated[str, typer.Argument(metavar="SET", autocompletion=complete_set)]
ClusterArgument = Annotated[str, typer.Argument(metavar="CLUSTER", autocompletion=complete_cluster)]

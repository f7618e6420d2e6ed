"""``fleet hub`` and ``fleet agent``: hand over to the daemons' own entry points.

``run`` and ``join`` replace this process (exec), so that what runs for months has neither typer nor rich in it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

hub = typer.Typer(no_args_is_help=True, help="The hub daemon: run, check, restored.")
agent = typer.Typer(no_args_is_help=True, help="The agent daemon: join, run.")

_PYTHON = (sys.executable, "-P", "-m")
"""-P: a folder named fleet, hub or agents where we are called is not our package."""

Config = Annotated[Path, typer.Option("--config", metavar="FILE", help="Settings file.")]


@hub.command("run")
def hub_run(config: Config) -> None:
    """Run the hub until SIGTERM."""
    _become("hub", "run", "--config", str(config))


@hub.command("check")
def hub_check(config: Annotated[Path, typer.Argument(metavar="FILE")]) -> None:
    """Check a hub.yaml; a mistake is named with file, line and field."""
    raise typer.Exit(subprocess.call([*_PYTHON, "hub", "check", str(config)]))


@hub.command("restored")
def hub_restored(config: Config) -> None:
    """Say once, before its next start, that the hub's state came from a backup."""
    _become("hub", "restored", "--config", str(config))


@agent.command("run")
def agent_run(config: Config) -> None:
    """Run the agent until SIGTERM; enrols first if it has no identity yet."""
    _become("agents", "run", "--config", str(config))


@agent.command("join")
def agent_join(
    hub: Annotated[str, typer.Option(metavar="URL", help="The hub's address for agents.")],
    token_file: Annotated[Path, typer.Option(metavar="FILE", help="File with the join token.")],
    config: Config,
) -> None:
    """Enrol this cluster at the hub and exit."""
    _become(
        "agents", "join", "--hub", hub, "--token-file", str(token_file), "--config", str(config)
    )


def _become(module: str, *arguments: str) -> NoReturn:
    sys.stdout.flush()
    os.execv(sys.executable, [*_PYTHON, module, *arguments])  # noqa: S606  # our own module

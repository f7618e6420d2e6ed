"""``fleet embedded``: a Kubernetes API server on this machine, for trying things out; the server is `fleet.embedded`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="A small Kubernetes API server on this machine.")


@app.callback()
def embedded() -> None:
    """Keep ``run`` a command of its own, although it is the only one."""


@app.command("run")
def run(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 = one that is free.")] = 0,
    kubeconfig: Annotated[Path, typer.Option(help="Where to write the kubeconfig.")] = Path(
        "embedded.kubeconfig"
    ),
    name: Annotated[str, typer.Option(help="Name of the context.")] = "embedded",
    ready_delay: Annotated[
        float, typer.Option(metavar="SECONDS", help="How long workloads take to turn Ready.")
    ] = 1.0,
    state: Annotated[
        Path | None, typer.Option(help="File to keep the objects in between runs.")
    ] = None,
) -> None:
    """Serve until interrupted; real kubectl and helm work with the kubeconfig."""
    import asyncio

    from fleet.embedded.run import Run, serve

    asyncio.run(
        serve(
            Run(
                name=name,
                port=port,
                kubeconfig=kubeconfig,
                ready_delay=ready_delay,
                state=state,
                announce=typer.echo,
            )
        )
    )

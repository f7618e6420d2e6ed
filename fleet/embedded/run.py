"""An embedded server as a program: it listens, says where, and keeps its objects in a file if asked to."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fleet.embedded.server import EmbeddedServer, Options
from fleet.embedded.statefile import load, save
from fleet.errors import BadInput

_SAVE_EVERY = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What to serve and where."""

    name: str
    port: int
    kubeconfig: Path
    ready_delay: float
    announce: Callable[[str], None]
    state: Path | None = None


async def serve(run: Run) -> None:
    """Serve until SIGINT or SIGTERM; raises BadInput where the port is taken or the file cannot be used."""
    store = load(run.state) if run.state is not None else None
    options = Options(name=run.name, port=run.port, ready_delay=run.ready_delay)
    server = EmbeddedServer(options, store=store)
    try:
        await server.start()
    except OSError as error:
        raise BadInput(f"cannot listen on port {run.port}: {error.strerror or error}") from error
    try:
        server.write_kubeconfig(run.kubeconfig)
        run.announce(f"serving Kubernetes' API on {server.url}")
        run.announce(f"export KUBECONFIG={run.kubeconfig.absolute()}")
        await _until_stopped(server, run.state)
    finally:
        await server.stop()
        if run.state is not None:
            await asyncio.to_thread(save, server.store, run.state)


async def _until_stopped(server: EmbeddedServer, state: Path | None) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    saved = server.store.version
    while not stopped.is_set():
        try:
            async with asyncio.timeout(_SAVE_EVERY if state is not None else None):
                await stopped.wait()
        except TimeoutError:
            if state is not None and server.store.version != saved:
                saved = server.store.version
                save(server.store, state)

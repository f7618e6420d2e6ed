"""The agent's own small HTTP server: /healthz, /readyz and /metrics."""

from __future__ import annotations

import asyncio

from aiohttp import web

from fleet.errors import BadInput
from fleet.runtime import probes as probing
from fleet.runtime.probes import Probes


async def probe_server(listen: str, probes: Probes) -> None:
    """Serve until cancelled; raises BadInput for an address that cannot be used."""
    host, _, port = listen.rpartition(":")
    app = web.Application()
    app.add_routes(probing.routes(probes))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        try:
            site = web.TCPSite(runner, host.strip("[]") or None, int(port))
            await site.start()
        except (OSError, ValueError, OverflowError) as error:
            raise BadInput(
                f"cannot listen on {listen}: {error}", hint="set probes.listen to a free HOST:PORT"
            ) from error
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()

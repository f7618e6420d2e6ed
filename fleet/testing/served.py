"""An aiohttp application that serves on loopback from a thread of its own, so that a synchronous test can use it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import AsyncIterator
from typing import Self

from aiohttp import web

from fleet.errors import NotReady

_START = 30.0
_GOODBYE = 0.3
"""For connections to be closed in both directions, those of clients inside the application included."""


class Served:
    """A server; a context manager. Subclasses give the application, and what lives as long as it."""

    def __init__(self, *, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.port = port
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=type(self).__name__, daemon=True)
        self._is_ready = threading.Event()
        self._is_over = asyncio.Event()

    def application(self) -> web.Application:
        """Make the application."""
        raise NotImplementedError

    @contextlib.asynccontextmanager
    async def around(self) -> AsyncIterator[None]:
        """What the application needs open."""
        yield

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._is_ready.wait(_START):
            raise NotReady(f"{type(self).__name__} did not start")
        return self

    def __exit__(self, *_error: object) -> None:
        self._loop.call_soon_threadsafe(self._is_over.set)
        self._thread.join(_START)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        async with self.around():
            runner = web.AppRunner(
                self.application(), access_log=None, handler_cancellation=True, shutdown_timeout=0.1
            )
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", self.port, ssl_context=self._tls).start()
            self.port = int(runner.addresses[0][1])
            self._is_ready.set()
            await self._is_over.wait()
            assert runner.server is not None
            open_ones = [each.transport for each in runner.server.connections]
            await runner.cleanup()
            for transport in open_ones:
                if transport is not None:
                    transport.abort()
        await asyncio.sleep(_GOODBYE)

"""An embedded API server in a thread of its own, for tests and programs that are not asynchronous.

with EmbeddedThread(Options(name="staging")) as cluster:
    subprocess.run(["kubectl", f"--kubeconfig={cluster.kubeconfig}", "get", "namespaces"])
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from fleet.embedded.server import EmbeddedServer, Options
from fleet.errors import NotReady

_WAIT = 20.0
_T = TypeVar("_T")


class EmbeddedThread:
    """One server, running until the block ends."""

    def __init__(self, options: Options | None = None) -> None:
        self.server = EmbeddedServer(options)
        self._folder = tempfile.TemporaryDirectory(prefix="fleet-embedded-")
        self.kubeconfig = Path(self._folder.name, "kubeconfig")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> EmbeddedThread:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.server.start(), self._loop).result(_WAIT)
        self.server.write_kubeconfig(self.kubeconfig)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self.server.stop(), self._loop).result(_WAIT)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_WAIT)
        if self._thread.is_alive():
            raise NotReady("the embedded server's thread does not end")
        self._loop.close()
        self._folder.cleanup()

    def call(self, function: Callable[[], _T]) -> _T:
        """Call something on the server's own thread, such as ``server.compact``."""

        async def called() -> _T:
            return function()

        return asyncio.run_coroutine_threadsafe(called(), self._loop).result(_WAIT)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

"""The agent's own small HTTP server: /healthz, /readyz and /metrics.

Three paths, GET and HEAD, one answer a connection: aiohttp's server would cost 2 MB for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from http import HTTPStatus

from fleet.errors import BadInput
from fleet.runtime.probes import Answer, Probes, answer

_REQUEST_LIMIT = 16 * 1024
_SECONDS = 10.0
_CONNECTIONS = 32


async def probe_server(listen: str, probes: Probes) -> None:
    """Serve until cancelled; raises BadInput for an address that cannot be used."""
    host, _, port = listen.rpartition(":")
    slots = asyncio.Semaphore(_CONNECTIONS)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(writer.close)
            if slots.locked():
                return
            await stack.enter_async_context(slots)
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(_SECONDS):
                    await _serve(reader, writer, probes)

    try:
        server = await asyncio.start_server(
            serve, host.strip("[]") or None, int(port), limit=_REQUEST_LIMIT
        )
    except (OSError, ValueError, OverflowError) as error:
        raise BadInput(
            f"cannot listen on {listen}: {error}", hint="set probes.listen to a free HOST:PORT"
        ) from error
    async with server:
        await server.serve_forever()


async def _serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, probes: Probes
) -> None:
    try:
        request = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return
    words = request.split(b"\r\n", 1)[0].split(b" ")
    method = words[0]
    if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
        found = Answer(400, "text/plain", b"not an HTTP request\n")
    elif method not in (b"GET", b"HEAD"):
        found = Answer(405, "text/plain", b"only GET and HEAD\n")
    else:
        found = answer(words[1].split(b"?", 1)[0].decode("latin-1"), probes)
    writer.write(_head(found) + (b"" if method == b"HEAD" else found.body))
    await writer.drain()


def _head(found: Answer) -> bytes:
    return (
        f"HTTP/1.1 {found.status} {HTTPStatus(found.status).phrase}\r\n"
        f"Content-Type: {found.content_type}\r\n"
        f"Content-Length: {len(found.body)}\r\n"
        "Connection: close\r\n\r\n"
    ).encode("latin-1")

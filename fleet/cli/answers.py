"""Answers that come frame by frame, from a cluster through the hub: read while they come, never taken for whole.

An answer that stops without having said that it is complete was cut off, and that is an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping
from contextlib import aclosing

from fleet.cli.connection import Connection, segment
from fleet.cli.output import note, progress
from fleet.errors import BadInput, Transient
from fleet.wire import codec
from fleet.wire.requests import MAX_FRAME, End, Failure, Frame, Note, ReadKind, decode_frame


def read_all(hub: Connection, app: str, kind: ReadKind, query: Mapping[str, str]) -> list[Frame]:
    """Return a whole answer; notes go to standard error."""
    found: list[Frame] = []
    with progress(f"asking the cluster of {app}"):
        read(hub, app, kind, query, found.append)
    return found


def read(
    hub: Connection,
    app: str,
    kind: ReadKind,
    query: Mapping[str, str],
    take: Callable[[Frame], None],
) -> None:
    """Hand every frame over as it comes; raises what went wrong, also in the middle."""
    asyncio.run(_read(hub, f"apps/{segment(app)}/{kind}", query, take))


async def _read(
    hub: Connection, path: str, query: Mapping[str, str], take: Callable[[Frame], None]
) -> None:
    async with aclosing(hub.parts(path, query)) as parts, aclosing(frames(parts)) as found:
        async for frame in found:
            if isinstance(frame, Note):
                note(f"note: {frame.message}")
            else:
                take(frame)


async def frames(parts: AsyncIterable[bytes]) -> AsyncGenerator[Frame, None]:
    """Cut an answer into frames; raises Transient for a failure in it, and where its end is missing."""
    broken: BadInput | None = None
    async with aclosing(_lines(parts)) as lines:
        async for line in lines:
            try:
                frame = decode_frame(line)
            except BadInput as error:
                # What was cut off may be in the middle of a line, and the reason follows.
                broken = broken or error
                continue
            match frame:
                case Failure():
                    raise Transient(frame.message)
                case _ if broken is not None:
                    break
                case End():
                    return
                case _:
                    yield frame
    if broken is not None:
        raise Transient(broken.message, hint="hub, agent and CLI may be too far apart")
    raise Transient("the answer was cut off before its end", hint="ask again")


async def _lines(parts: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
    """Give lines; empty ones are signs of life."""
    rest = bytearray()
    async for part in parts:
        rest += part
        if b"\n" in part:
            *lines, last = rest.split(b"\n")
            rest = bytearray(last)
            for line in lines:
                if line:
                    yield bytes(line)
        codec.check_size(len(rest), MAX_FRAME)
    if rest:
        yield bytes(rest)

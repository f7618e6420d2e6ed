"""A container's log as the API server gives it: parameters of the question, lines out of the bytes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable

from fleet.kube.port import LOG_LINE, LogQuery


def parameters(query: LogQuery) -> dict[str, str]:
    """Return what the URL says; times are always asked for."""
    found = {"container": query.container, "timestamps": "true"}
    if query.follow:
        found["follow"] = "true"
    if query.previous:
        found["previous"] = "true"
    if query.tail is not None:
        found["tailLines"] = str(query.tail)
    if query.since:
        found["sinceTime"] = query.since
    elif query.since_seconds:
        found["sinceSeconds"] = str(query.since_seconds)
    return found


async def lines(parts: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
    """Cut bytes into lines, longer ones into pieces; never more at hand than a part and a line."""
    rest = b""
    async for part in parts:
        *whole, rest = (rest + part).split(b"\n")
        for line in whole:
            for piece in _pieces(line):
                yield piece
        while len(rest) > LOG_LINE:
            piece, rest = rest[:LOG_LINE], rest[LOG_LINE:]
            yield piece
    if rest:
        yield rest


def _pieces(line: bytes) -> list[bytes]:
    return [line[start : start + LOG_LINE] for start in range(0, max(1, len(line)), LOG_LINE)]

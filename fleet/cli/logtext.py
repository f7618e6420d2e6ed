"""Lines of logs for people: who wrote them in front, in colours at a terminal, and nothing that could fool one."""

from __future__ import annotations

import re
import zlib

import typer

from fleet.cli.output import plain
from fleet.wire.requests import LogLine, Streams

_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")
_COLOURS = (
    typer.colors.CYAN,
    typer.colors.GREEN,
    typer.colors.YELLOW,
    typer.colors.MAGENTA,
    typer.colors.BLUE,
    typer.colors.BRIGHT_CYAN,
    typer.colors.BRIGHT_GREEN,
    typer.colors.BRIGHT_MAGENTA,
)


class LogText:
    """Writes lines alike for one read."""

    def __init__(self, *, prefix: bool = True, times: bool = False) -> None:
        self._prefix = prefix
        self._times = times
        self._with_containers = False

    def learn(self, streams: Streams) -> None:
        """Take notice of what is read: containers are named where Pods have several."""
        pods = [name.partition("/")[0] for name in streams.names]
        self._with_containers = self._with_containers or len(pods) > len(set(pods))

    def line(self, found: LogLine) -> str:
        """Write one line."""
        text = clean(found.text)
        if self._times and found.time:
            text = f"{plain(found.time)} {text}"
        if not self._prefix:
            return text
        name = f"{found.pod}/{found.container}" if self._with_containers else found.pod
        return f"{typer.style(plain(name), fg=_colour(name))}  {text}"


def clean(text: str) -> str:
    """Take out what moves cursors, sets titles, changes colours or turns the direction of reading."""
    return plain(_SEQUENCE.sub("", text))


def _colour(name: str) -> str:
    """The same name has the same colour, today and tomorrow."""
    return _COLOURS[zlib.crc32(name.encode()) % len(_COLOURS)]

"""What the containers of the in-memory cluster wrote: tests write lines, readers get or follow them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from fleet.errors import Where
from fleet.kube.errors import Invalid
from fleet.kube.port import LogQuery

START = datetime(2026, 1, 1, tzinfo=UTC)
"""When the first line was written; each later one of the cluster comes a second after it."""


@dataclass(slots=True)
class _Log:
    lines: list[tuple[str, str]] = field(default_factory=list)
    previous: list[tuple[str, str]] = field(default_factory=list)
    is_over: bool = False


class FakeLogs:
    """The logs of one cluster."""

    def __init__(self) -> None:
        self.readers = 0
        """Logs that are being read right now."""
        self.given = 0
        """Lines that readers took."""
        self._logs: dict[tuple[str, str, str], _Log] = {}
        self._written = 0
        self._news = asyncio.Event()

    def write(self, namespace: str, pod: str, container: str, *texts: str) -> None:
        """Let a container write lines; it has a log from its first one on."""
        log = self._logs.setdefault((namespace, pod, container), _Log())
        for text in texts:
            log.lines.append((_stamp(self._written), text))
            self._written += 1
        self._wake()

    def end(self, namespace: str, pod: str, container: str) -> None:
        """Let a container end: who follows comes to the end of its log."""
        self._logs[(namespace, pod, container)].is_over = True
        self._wake()

    def restart(self, namespace: str, pod: str, container: str) -> None:
        """Let a container end and another begin: who follows comes to the end."""
        key = (namespace, pod, container)
        self._logs[key].is_over = True
        self._logs[key] = _Log(previous=self._logs[key].lines)
        self._wake()

    async def read(self, namespace: str, pod: str, query: LogQuery) -> AsyncGenerator[bytes, None]:
        """Give lines as an API server does."""
        log = self._logs.get((namespace, pod, query.container))
        place = Where(object=f"/Pod:{namespace}/{pod}")
        if log is None:
            raise Invalid(f'container "{query.container}" is waiting to start', where=place)
        if query.previous and not log.previous:
            raise Invalid(
                f'previous terminated container "{query.container}" not found', where=place
            )
        lines = log.previous if query.previous else log.lines
        since = query.since or self._before(query.since_seconds)
        chosen = [index for index, (stamp, _) in enumerate(lines) if stamp >= since]
        if query.tail is not None:
            chosen = chosen[len(chosen) - min(query.tail, len(chosen)) :]
        position = chosen[0] if chosen else len(lines)
        self.readers += 1
        try:
            while True:
                news = self._news
                for stamp, text in lines[position:]:
                    self.given += 1
                    position += 1
                    yield f"{stamp} {text}".encode()
                if not query.follow or (log.is_over and position == len(lines)):
                    return
                await news.wait()
        finally:
            self.readers -= 1

    def _before(self, seconds: int) -> str:
        return _stamp(max(0, self._written - seconds)) if seconds else ""

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()


def _stamp(second: int) -> str:
    return (START + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

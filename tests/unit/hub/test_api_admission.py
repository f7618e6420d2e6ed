"""Who the listener for people lets in, and with which status it answers what went wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from fleet.errors import BadInput, Corrupt, Denied, FleetError, NotReady, Transient, Unsupported
from fleet.runtime.probes import Probes
from fleet.store.port import Conflict
from hub.api import Api, read_or_make_token
from hub.settings import ApiListener, Webhook
from hub.views import Views


class Busy(Transient):
    """A kind of error that the listener has never heard of."""


@dataclass
class BrokenViews:
    """Views that fail."""

    error: FleetError = field(default_factory=lambda: NotReady("not now"))

    def apps(self) -> None:
        raise self.error


@dataclass
class Listener:
    """An API on a loopback port."""

    views: BrokenViews
    host: str = ""
    port: int = 0

    async def status(self, authorization: bytes) -> int:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        writer.write(
            b"GET /api/v1/apps HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n"
            b"Authorization: " + authorization + b"\r\n\r\n"
        )
        line = await reader.readline()
        writer.close()
        await writer.wait_closed()
        return int(line.split()[1])


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    made = Listener(BrokenViews())
    unasked: Any = None
    api = Api(
        settings=ApiListener(listen="127.0.0.1:0"),
        webhook=Webhook(),
        token="right",
        state=unasked,
        views=cast("Views", made.views),
        parts=(),
        approvals=unasked,
        enrolment=unasked,
        refresher=unasked,
        poller=unasked,
        news=unasked,
        probes=Probes(),
    )
    made.host, made.port = await api.start()
    yield made
    await api.stop()


@pytest.mark.parametrize(
    "authorization",
    [b"", b"Bearer", b"Bearer wrong", b"Basic right", b"Bearer \xff\xfe"],
    ids=["none", "scheme-only", "wrong", "other-scheme", "no-utf8"],
)
async def test_what_is_no_token_is_refused(listener: Listener, authorization: bytes) -> None:
    assert await listener.status(authorization) == 401


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BadInput("x"), 400),
        (Unsupported("x"), 400),
        (Denied("x"), 403),
        (NotReady("x"), 409),
        (Transient("x"), 503),
        (Busy("x"), 503),
        (Conflict("x"), 409),
        (Corrupt("x"), 500),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, FleetError) else "",
)
async def test_errors_say_whose_they_are(
    listener: Listener, error: FleetError, status: int
) -> None:
    listener.views.error = error
    assert await listener.status(b"Bearer right") == status


def test_an_empty_token_file_lets_nobody_in(tmp_path: Path) -> None:
    file = tmp_path / "admin.token"
    file.write_text("\n")
    with pytest.raises(BadInput, match="empty"):
        read_or_make_token(file)


def test_a_token_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "admin.token"
    token = read_or_make_token(file)
    assert len(token) > 40
    assert read_or_make_token(file) == token
    assert file.stat().st_mode & 0o777 == 0o600

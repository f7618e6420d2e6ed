"""The listener's certificate is renewed in time, also after a disk that took nothing for a while."""

from __future__ import annotations

import asyncio
import ssl
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from fleet.errors import Transient
from fleet.testing.clock import FakeClock
from hub import gateway
from hub.gateway import Gateway, GatewaySettings
from hub.requests import Requests


class Keys:
    """A keyring whose folder is full the first time."""

    server_certificate_files = (Path("server.crt"), Path("server.key"))

    def __init__(self) -> None:
        self.tries = 0

    def refresh(self, _now: datetime) -> bool:
        self.tries += 1
        if self.tries == 1:
            raise Transient("server.key cannot be written: no space left on device")
        return True

    def bundle(self) -> str:
        return ""


class Owner:
    """As much of the authority as the listener's certificate needs."""

    def __init__(self) -> None:
        self.keyring = Keys()

    def subscribe(self, _changed: Any) -> None:
        return


async def test_a_full_disk_only_puts_the_renewal_off(monkeypatch: pytest.MonkeyPatch) -> None:
    renewed = asyncio.Event()
    monkeypatch.setattr(gateway, "renew_context", lambda *_arguments: renewed.set())
    clock, nothing = FakeClock(), object()
    settings = GatewaySettings(listen="127.0.0.1:0")
    made = Gateway(Owner(), nothing, nothing, Requests(clock), settings, clock)  # type: ignore[arg-type]  # not asked here
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    running = asyncio.create_task(made._refresh_forever(context))
    for _ in range(100):
        await clock.advance(600)
        await asyncio.sleep(0.001)
        if renewed.is_set() or running.done():
            break
    assert renewed.is_set()
    running.cancel()
    await asyncio.wait({running})

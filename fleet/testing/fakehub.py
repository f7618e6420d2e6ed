"""A hub that lies: it has the real one's listener certificate and offers agents whatever assignment a test gives it.

    with FakeHub(port, pki=estate.folder / "hub" / "pki") as fake:
        fake.offer(signed_head, blobs)
        fake.wait_taken(3)     # so often the offer was handed out

It shows what an agent does when everything but the signature, the addressee and the order is right.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from fleet.codec.canonical import Digest, digest_bytes
from fleet.errors import NotReady
from fleet.model.assignment import SignedHead
from fleet.model.report import ReportAnswer
from fleet.testing.served import Served
from fleet.wire import codec, routes
from fleet.wire.enrolment import FetchRequest
from fleet.wire.frames import encode_frame
from fleet.wire.heads import head_digest


@dataclass(slots=True)
class Kept:
    """An assignment as an agent's cache folder holds it."""

    head: SignedHead
    blobs: Mapping[Digest, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, state: Path) -> Kept:
        """Read it from the folder of an agent's state."""
        files = (state / "blobs").iterdir()
        contents = (path.read_bytes() for path in files if not path.name.startswith("."))
        return cls(
            head=codec.decode((state / "head.json").read_bytes(), SignedHead),
            blobs={digest_bytes(data): data for data in contents},
        )


class FakeHub(Served):
    """The listener for agents, and nothing behind it; a context manager."""

    def __init__(self, port: int, *, pki: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pki / "server.crt", pki / "server.key")
        super().__init__(port=port, tls=context)
        self.handed_out = 0
        """How often the offer was handed out."""
        self._offer: Kept | None = None

    def offer(self, kept: Kept) -> None:
        """Hand this out from now on."""
        self._offer, self.handed_out = kept, 0

    def wait_taken(self, times: int, *, timeout: float = 30.0) -> None:
        """Wait until agents were given the offer so often."""
        deadline = time.monotonic() + timeout
        while self.handed_out < times:
            if time.monotonic() > deadline:
                raise NotReady(f"the offer was handed out {self.handed_out} times, not {times}")
            time.sleep(0.02)

    def application(self) -> web.Application:
        """The routes that agents use."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.add_routes(
            [
                web.get(routes.ASSIGNMENT, self._assignment),
                web.post(routes.FETCH, self._fetch),
                web.post(routes.REPORT, self._report),
            ]
        )
        return app

    async def _assignment(self, request: web.Request) -> web.Response:
        offer = self._offer
        if offer is None:
            return web.Response(status=204)
        etag = head_digest(offer.head)
        if request.headers.get("If-None-Match", "").strip('"') == etag:
            await asyncio.sleep(0.3)
            return web.Response(status=304)
        self.handed_out += 1
        return web.Response(body=codec.encode(offer.head), headers={"ETag": f'"{etag}"'})

    async def _fetch(self, request: web.Request) -> web.Response:
        asked = codec.decode(await _body(request), FetchRequest)
        blobs = self._offer.blobs if self._offer else {}
        frames = (encode_frame(Digest(each), blobs.get(Digest(each))) for each in asked.digests)
        return web.Response(body=b"".join(frames))

    async def _report(self, request: web.Request) -> web.Response:
        await _body(request)
        return web.Response(body=codec.encode(ReportAnswer()))


async def _body(request: web.Request) -> bytes:
    """aiohttp has undone the compression."""
    return await request.read()

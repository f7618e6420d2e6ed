"""Accepting agents: TLS 1.3, admitted at a rate the processor can carry.

A handshake costs two milliseconds and asyncio's clients cannot resume sessions, so after a restart ten thousand
agents are let in one after the other; who waits does so in the kernel's queue and costs nothing here. Buffers are
cut to what small messages need (290 -> 59 KB a connection), and a peer that takes no data any more is dropped.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from asyncio import sslproto
from collections.abc import Callable, Coroutine
from pathlib import Path

import structlog
from prometheus_client import Counter, Gauge

from fleet.errors import BadInput, Transient
from fleet.runtime.clock import Clock

log = structlog.get_logger(__name__)

_TLS_BUFFER = 16 * 1024
_BACKLOG = 4096
_HANDSHAKE_SECONDS = 10.0
_SHUTDOWN_SECONDS = 2.0
_UNACKNOWLEDGED_MS = 60_000
_PENDING = 1000

_HANDSHAKES = Counter("fleet_hub_handshakes_total", "TLS handshakes of agents.", ["result"])
_WAITING = Gauge("fleet_hub_handshakes_pending", "TLS handshakes under way.")


class TokenBucket:
    """Lets through so many a second, and a short burst of them."""

    def __init__(self, rate: float, clock: Clock) -> None:
        self._rate = rate
        self._burst = max(1.0, rate / 4)
        self._level = self._burst
        self._clock = clock
        self._filled = clock.monotonic()

    async def take(self) -> None:
        """Take one token, and wait until it is due."""
        now = self._clock.monotonic()
        self._level = min(self._burst, self._level + (now - self._filled) * self._rate) - 1
        self._filled = now
        if self._level < 0:
            await self._clock.sleep(-self._level / self._rate)


def server_context(certificate: Path, key: Path, ca_bundle: str) -> ssl.SSLContext:
    """Make the TLS settings of the agents' listener: 1.3 only, a client certificate may be shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_OPTIONAL
    context.num_tickets = 0  # asyncio's clients cannot resume; a ticket would only cost
    context.set_alpn_protocols(["http/1.1"])
    renew_context(context, certificate, key, ca_bundle)
    return context


def renew_context(context: ssl.SSLContext, certificate: Path, key: Path, ca_bundle: str) -> None:
    """Let coming connections see a new certificate and CAs that were added."""
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(cadata=ca_bundle)


class Listener:
    """Sockets, and one accepting task for each."""

    def __init__(
        self,
        listen: str,
        context: ssl.SSLContext,
        serve: Callable[[], asyncio.BaseProtocol],
        admission: TokenBucket,
    ) -> None:
        self._host, self._port = parse_address(listen)
        self._context = context
        self._serve = serve
        self._admission = admission
        self._pending = asyncio.Semaphore(_PENDING)
        self._sockets: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The port that is bound."""
        return int(self._sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Bind and accept; raises Transient where the address cannot be had."""
        sslproto.SSLProtocol.max_size = _TLS_BUFFER
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(
                self._host or None, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
            for family, _, _, _, address in sorted(set(found)):
                self._sockets.append(_bind(family, address))
        except OSError as error:
            self._close()
            raise Transient(
                f"cannot listen on {self._host}:{self._port}: {error.strerror}"
            ) from error
        for bound in self._sockets:
            self._keep(self._accept_forever(bound), f"accept-{bound.getsockname()[1]}")

    async def stop(self) -> None:
        """Accept no more; connections that stand are left to their server."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._close()

    async def _accept_forever(self, bound: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._admission.take()
            await self._pending.acquire()
            try:
                connection, _ = await loop.sock_accept(bound)
            except OSError as error:  # out of descriptors, or the peer has gone already
                self._pending.release()
                log.warning("connection not accepted", error=error.strerror)
                await asyncio.sleep(0.1)
                continue
            except BaseException:
                self._pending.release()
                raise
            self._keep(self._handshake(connection), "handshake")

    async def _handshake(self, connection: socket.socket) -> None:
        _WAITING.inc()
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED_MS)
            await asyncio.get_running_loop().connect_accepted_socket(
                self._serve,
                connection,
                ssl=self._context,
                ssl_handshake_timeout=_HANDSHAKE_SECONDS,
                ssl_shutdown_timeout=_SHUTDOWN_SECONDS,
            )
        except (OSError, ssl.SSLError, TimeoutError) as error:
            connection.close()
            _HANDSHAKES.labels("failed").inc()
            log.debug("handshake failed", error=type(error).__name__)
        except BaseException:
            connection.close()
            raise
        else:
            _HANDSHAKES.labels("done").inc()
        finally:
            _WAITING.dec()
            self._pending.release()

    def _keep(self, job: Coroutine[object, object, None], name: str) -> None:
        task = asyncio.create_task(job, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("listener task failed", task=task.get_name(), exc_info=error)

    def _close(self) -> None:
        for bound in self._sockets:
            bound.close()


def parse_address(listen: str) -> tuple[str, int]:
    """Read ``HOST:PORT`` (``:PORT`` for all addresses, ``[::1]:PORT``); raises BadInput."""
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise BadInput(f"not an address to listen on: {listen!r}", hint="write HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _bind(family: int, address: tuple[object, ...]) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)
        bound.listen(_BACKLOG)
        bound.setblocking(False)
    except OSError:
        bound.close()
        raise
    return bound

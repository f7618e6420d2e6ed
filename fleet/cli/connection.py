"""The connection to the hub: where it is, who we are, and one call.

``--hub``, ``--token-file`` and ``--ca`` win over ``FLEET_HUB``, ``FLEET_TOKEN_FILE`` and ``FLEET_CA``, and those over the
configuration file (``$XDG_CONFIG_HOME/fleet/config.yaml``, or ``FLEET_CONFIG``) with the keys hub, tokenFile and ca.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import msgspec

from fleet.errors import BadInput, Denied, FleetError, NotReady, Transient
from fleet.runtime.settings import load_settings

DEFAULT_HUB = "http://127.0.0.1:8080"
TIMEOUT = 30.0
"""Seconds one call may take."""

SILENCE = 90.0
"""Seconds that an answer that is streamed may be silent: before it begins the hub may wait for an agent."""

T = TypeVar("T", bound=msgspec.Struct)


class NotFound(FleetError):
    """The hub does not know what was asked about."""

    reason = "NotFound"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """The configuration file."""

    hub: str = ""
    token_file: Path | None = None
    ca: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Calls to one hub."""

    hub: str
    token_file: Path | None
    ca: Path | None

    @classmethod
    def find(cls, hub: str | None, token_file: Path | None, ca: Path | None) -> Connection:
        """Put together what options, environment and file say."""
        settings = _settings_file()
        file = token_file or _path("FLEET_TOKEN_FILE") or settings.token_file
        return cls(
            hub=(hub or os.environ.get("FLEET_HUB") or settings.hub or DEFAULT_HUB).rstrip("/"),
            token_file=file,
            ca=ca or _path("FLEET_CA") or settings.ca,
        )

    def get(self, path: str, kind: type[T]) -> T:
        """Ask; raises what the hub answered, or Transient when it cannot be reached."""
        return asyncio.run(self._call("GET", path, None, kind))

    def post(self, path: str, body: msgspec.Struct, kind: type[T]) -> T:
        """Tell."""
        return asyncio.run(self._call("POST", path, body, kind))

    def delete(self, path: str, kind: type[T]) -> T:
        """Remove."""
        return asyncio.run(self._call("DELETE", path, None, kind))

    async def parts(self, path: str, query: Mapping[str, str]) -> AsyncGenerator[bytes, None]:
        """Ask for something that is streamed, and give it as it comes; raises what the hub answered instead."""
        import aiohttp

        headers = {"Authorization": f"Bearer {self._token()}"}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT, sock_read=SILENCE)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(
                    f"{self.hub}/api/v1/{path}",
                    params=query,
                    headers=headers,
                    ssl=self._tls(),
                    allow_redirects=False,
                ) as answer,
            ):
                if answer.status >= 400:
                    raise _failure(answer.status, await answer.read())
                async for part in answer.content.iter_any():
                    yield part
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: BaseException) -> Transient:
        return Transient(
            f"the hub at {self.hub} cannot be reached: {str(error) or type(error).__name__}",
            hint="is it running? --hub URL or FLEET_HUB say where",
        )

    async def _call(self, method: str, path: str, body: msgspec.Struct | None, kind: type[T]) -> T:
        # half of the start-up time of a command, and only this one needs it
        import aiohttp

        headers = {"Authorization": f"Bearer {self._token()}", "Content-Type": "application/json"}
        data = msgspec.json.encode(body) if body is not None else None
        timeout = aiohttp.ClientTimeout(total=TIMEOUT)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.request(
                    method,
                    f"{self.hub}/api/v1/{path}",
                    data=data,
                    headers=headers,
                    ssl=self._tls(),
                    allow_redirects=False,
                ) as answer,
            ):
                return _read(answer.status, await answer.read(), kind)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unreachable(error) from error

    def _token(self) -> str:
        if self.token_file is None:
            raise BadInput(
                "no token: the hub wants to know who you are",
                hint="--token-file or FLEET_TOKEN_FILE; the hub made STATE/admin.token",
            )
        try:
            return self.token_file.read_text().strip()
        except OSError as error:
            raise BadInput(f"token file {self.token_file}: {error.strerror}") from error

    def _tls(self) -> ssl.SSLContext | bool:
        if not self.hub.startswith("https://"):
            return True
        try:
            return ssl.create_default_context(cafile=str(self.ca) if self.ca else None)
        except (OSError, ssl.SSLError) as error:
            raise BadInput(f"CA file {self.ca} cannot be used: {error}") from error


def segment(name: str) -> str:
    """Make a name safe as one segment of a path."""
    return quote(name, safe="")


_KINDS: dict[int, type[FleetError]] = {
    400: BadInput,
    401: Denied,
    403: Denied,
    404: NotFound,
    409: NotReady,
}


def _failure(status: int, data: bytes) -> FleetError:
    try:
        message = str(msgspec.json.decode(data)["error"]["message"])
    except (msgspec.MsgspecError, KeyError, TypeError):
        message = f"the hub answered with status {status}"
    return _KINDS.get(status, Transient)(message)


def _read(status: int, data: bytes, kind: type[T]) -> T:
    if status >= 400:
        raise _failure(status, data)
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise Transient(
            f"the hub's answer cannot be read: {error}", hint="hub and CLI may be too far apart"
        ) from error


def _path(variable: str) -> Path | None:
    text = os.environ.get(variable)
    return Path(text) if text else None


def _settings_file() -> ClientSettings:
    chosen = _path("FLEET_CONFIG")
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    file = chosen or home / "fleet" / "config.yaml"
    if chosen is None and not file.exists():
        return ClientSettings()
    return load_settings(file, ClientSettings)

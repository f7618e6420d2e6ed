"""Who is trusted: the server's own certificate, an administrator's token, and client certificates of its CA.

kubectl sends credentials over TLS only. A state of its own is not kept: every start makes a new CA, and the kubeconfig says which.
"""

from __future__ import annotations

import base64
import hmac
import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import web

from fleet.codec.jsontypes import JsonObject
from fleet.embedded.errors import Refusal
from fleet.pki.certificates import Ca, PrivateKey, create_ca, issue_client, issue_server

_LIFETIME = timedelta(days=365)
_CLOCK_SKEW = timedelta(minutes=5)


class Trust:
    """The credentials of one server."""

    def __init__(self, *, name: str, hosts: tuple[str, ...], token: str, tls: bool) -> None:
        self._name = name
        self._token = token
        self._authorization = f"Bearer {token}".encode()
        self._ca: Ca | None = None
        self.context: ssl.SSLContext | None = None
        """What the listener needs; None without TLS."""
        if tls:
            self._ca = create_ca(f"{name} CA", _LIFETIME, _now())
            self.context = _context(self._ca, hosts)

    @property
    def ca_pem(self) -> str:
        """The authority to trust; empty without TLS."""
        return self._ca.certificate.pem() if self._ca else ""

    def user_of(self, request: web.BaseRequest) -> str:
        """Who asks; refused where nobody is known."""
        transport = request.transport
        if transport is not None and transport.get_extra_info("peercert"):
            return "certificate"
        given = request.headers.get("Authorization", "").encode()
        if hmac.compare_digest(given, self._authorization):
            return "admin"
        raise Refusal(401, "Unauthorized", "Unauthorized")

    def cluster(self, url: str) -> JsonObject:
        """How a kubeconfig names the server."""
        if self._ca is None:
            return {"server": url}
        return {"server": url, "certificate-authority-data": _text(self._ca.certificate.pem())}

    def token_user(self) -> JsonObject:
        """A kubeconfig's user who shows the token."""
        return {"token": self._token}

    def certificate_user(self) -> JsonObject:
        """A kubeconfig's user who shows a client certificate; needs TLS."""
        assert self._ca is not None
        key = PrivateKey.generate()
        certificate = issue_client(
            self._ca, key.public, hub=self._name, cluster_id="admin", lifetime=_LIFETIME, now=_now()
        )
        return {
            "client-certificate-data": _text(certificate.pem()),
            "client-key-data": _text(key.pem().decode()),
        }


def _context(ca: Ca, hosts: tuple[str, ...]) -> ssl.SSLContext:
    key = PrivateKey.generate()
    certificate = issue_server(ca, key.public, hosts, _LIFETIME, _now())
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=ca.certificate.pem())
    context.verify_mode = ssl.CERT_OPTIONAL
    with tempfile.TemporaryDirectory(prefix="fleet-embedded-") as folder:
        # OpenSSL reads keys from files only
        file = Path(folder, "server.pem")
        file.touch(mode=0o600)
        file.write_text(f"{certificate.pem()}{key.pem().decode()}")
        context.load_cert_chain(file)
    return context


def _text(pem: str) -> str:
    return base64.b64encode(pem.encode()).decode()


def _now() -> datetime:
    return datetime.now(UTC) - _CLOCK_SKEW

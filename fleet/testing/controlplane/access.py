"""How to reach one cluster's API server: the address, whom to trust and who to be.

``Access`` makes kubeconfig files (JSON, which every reader of kubeconfig YAML accepts) and sends single requests. It is
synchronous and opens a connection a request, which suits a test that asks an API server for the truth; it is no client
for a daemon.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.errors import Transient

_TIMEOUT = 30.0

MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What an API server answered; ``body`` is the parsed JSON, a Status object when it refused."""

    status: int
    body: JsonObject

    def is_success(self) -> bool:
        """Whether the request was carried out."""
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """An API server with the credentials of one user: a token, or a client certificate."""

    name: str
    server: str
    ca_file: Path
    token: str = ""
    client_certificate: Path | None = None
    client_key: Path | None = None

    def kubeconfig(self) -> JsonObject:
        """A kubeconfig with everything inline, so that it works from any folder."""
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": self.name,
            "clusters": [{"name": self.name, "cluster": self._cluster()}],
            "contexts": [{"name": self.name, "context": {"cluster": self.name, "user": self.name}}],
            "users": [{"name": self.name, "user": self._user()}],
        }

    def write_kubeconfig(self, path: Path) -> Path:
        """Write the kubeconfig, readable by its owner only."""
        path.touch(mode=0o600)
        path.write_text(json.dumps(self.kubeconfig(), indent=1))
        return path

    def request(
        self, method: str, path: str, body: JsonValue = None, *, content_type: str = JSON
    ) -> Response:
        """Send one request and read the whole answer; Transient when the server cannot be reached."""
        place = urlsplit(self.server)
        connection = http.client.HTTPSConnection(
            place.hostname or "", place.port, timeout=_TIMEOUT, context=self._trust()
        )
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, self._headers(content_type))
            answer = connection.getresponse()
            return Response(status=answer.status, body=_parsed(answer.read()))
        except (OSError, http.client.HTTPException) as error:
            raise Transient(f"cluster {self.name}: {method} {path} failed: {error}") from error
        finally:
            connection.close()

    def _headers(self, content_type: str) -> Mapping[str, str]:
        headers = {"Accept": JSON, "Content-Type": content_type, "User-Agent": "fleet-testing"}
        return headers | ({"Authorization": f"Bearer {self.token}"} if self.token else {})

    def _trust(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.ca_file))
        if self.client_certificate is not None:
            context.load_cert_chain(self.client_certificate, self.client_key)
        return context

    def _cluster(self) -> JsonObject:
        return {"server": self.server, "certificate-authority-data": _inline(self.ca_file)}

    def _user(self) -> JsonObject:
        if self.client_certificate is None or self.client_key is None:
            return {"token": self.token}
        return {
            "client-certificate-data": _inline(self.client_certificate),
            "client-key-data": _inline(self.client_key),
        }


def _inline(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _parsed(raw: bytes) -> JsonObject:
    try:
        value = json.loads(raw) if raw else {}
    except ValueError:  # /readyz and a proxy's error page are text
        value = None
    return value if isinstance(value, dict) else {"text": raw.decode(errors="replace")}

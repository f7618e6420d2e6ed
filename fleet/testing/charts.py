"""Charts for tests: build an archive, serve a Helm repository and an OCI registry on loopback.

One server is both: ``<address>/charts/index.yaml`` with its archives, and ``<address>/v2/…``. It can want
credentials, redirect, fail, and point its index, redirects and token realm elsewhere, as a hostile one would.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from aiohttp import web

from fleet.codec import canonical, yamldoc
from fleet.codec.jsontypes import JsonObject

_LAYER = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"


def build_chart(name: str, version: str, files: Mapping[str, str] | None = None) -> bytes:
    """Pack a chart; equal input gives equal bytes."""
    metadata = yamldoc.dump({"apiVersion": "v2", "name": name, "version": version})
    content = {"Chart.yaml": metadata, **(files or {})}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, text in sorted(content.items()):
            member = tarfile.TarInfo(f"{name}/{path}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return gzip.compress(packed.getvalue(), mtime=0)


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """A request that reached the server."""

    path: str
    query: str
    authorization: str


@dataclass(slots=True, kw_only=True)
class Behaviour:
    """How the server treats its callers; change it at any time."""

    username: str = ""
    password: str = ""
    """With a password, everything wants credentials."""
    token_realm: str = ""
    """Registry only: ask for a bearer token from there; "self" = this server's own /token."""
    failures: list[tuple[int, Mapping[str, str]]] = field(default_factory=list)
    """Statuses and headers of the next answers, before it works again."""
    redirect: Mapping[str, str] = field(default_factory=dict)
    """Path to a Location, answered with 302."""
    digests: bool = True
    """The index tells the digests of charts."""
    chart_url: str = "{file}"
    """How the index names an archive; ``{file}`` is its file name."""
    page_size: int = 0
    """Registry: tags on one page; 0 = all."""


class ChartServer:
    """The server; use it as ``async with``."""

    def __init__(self, behaviour: Behaviour | None = None) -> None:
        self.behaviour = behaviour or Behaviour()
        self.requests: list[SeenRequest] = []
        self.address = ""
        self.raw_index: bytes | None = None
        self._charts: dict[tuple[str, str], bytes] = {}
        self._blobs: dict[str, bytes] = {}
        self._tags: dict[str, dict[str, bytes]] = {}
        self._runner: web.AppRunner | None = None

    @property
    def repository(self) -> str:
        """The URL of the Helm repository."""
        return f"{self.address}/charts"

    @property
    def registry(self) -> str:
        """The URL of the registry's namespace ``team``."""
        return f"oci://{self.address.partition('://')[2]}/team"

    def add(self, name: str, version: str, files: Mapping[str, str] | None = None) -> bytes:
        """Offer a chart in both forms, and return the archive."""
        data = build_chart(name, version, files)
        self.add_archive(name, version, data)
        return data

    def add_archive(
        self, name: str, version: str, data: bytes, *, served: bytes | None = None
    ) -> None:
        """Offer an archive; ``served`` is what is sent in its place."""
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self._charts[name, version] = data
        self._blobs[f"/charts/{name}-{version}.tgz"] = data if served is None else served
        self._blobs[f"/v2/team/{name}/blobs/{digest}"] = data if served is None else served
        layer = {"mediaType": _LAYER, "digest": digest, "size": len(data)}
        manifest: JsonObject = {"schemaVersion": 2, "layers": [layer]}
        tags = self._tags.setdefault(f"team/{name}", {})
        tags[version.replace("+", "_")] = canonical.canonical_bytes(manifest)

    def set_manifest(self, name: str, tag: str, manifest: bytes) -> None:
        """Offer any bytes as the manifest of a tag."""
        self._tags.setdefault(f"team/{name}", {})[tag] = manifest

    def paths(self) -> list[str]:
        """The paths of all requests so far."""
        return [request.path for request in self.requests]

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.address = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._runner:
            await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.Response:
        authorization = request.headers.get("Authorization", "")
        path, behaviour = request.path, self.behaviour
        self.requests.append(SeenRequest(path, request.query_string, authorization))
        if behaviour.failures:
            status, headers = behaviour.failures.pop(0)
            return web.Response(status=status, headers=headers)
        if target := behaviour.redirect.get(path):
            return web.Response(status=302, headers={"Location": target})
        if path == "/token":
            return self._token(authorization)
        if challenge := self._challenge(path, authorization):
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})
        if path == "/charts/index.yaml":
            return self._index(request)
        if path in self._blobs:
            return web.Response(body=self._blobs[path], content_type="application/gzip")
        return self._registry(request)

    def _index(self, request: web.Request) -> web.Response:
        body = (
            self.raw_index if self.raw_index is not None else yamldoc.dump(self._entries()).encode()
        )
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers={"ETag": etag})
        return web.Response(body=body, headers={"ETag": etag})

    def _entries(self) -> JsonObject:
        entries: dict[str, list[JsonObject]] = {}
        for (name, version), data in self._charts.items():
            url = self.behaviour.chart_url.replace("{file}", f"{name}-{version}.tgz")
            row: JsonObject = {"name": name, "version": version, "urls": [url]}
            if self.behaviour.digests:
                row["digest"] = hashlib.sha256(data).hexdigest()
            entries.setdefault(name, []).append(row)
        return {"apiVersion": "v1", "entries": entries}

    def _registry(self, request: web.Request) -> web.Response:
        head, _, reference = request.path.removeprefix("/v2/").rpartition("/")
        if head.endswith("/manifests"):
            manifest = self._tags.get(head.removesuffix("/manifests"), {}).get(reference)
            if manifest is not None:
                digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
                return web.Response(body=manifest, headers={"Docker-Content-Digest": digest})
        name = head.removesuffix("/tags")
        if reference == "list" and name in self._tags:
            return self._tag_page(request, name)
        return web.Response(status=404)

    def _tag_page(self, request: web.Request, name: str) -> web.Response:
        tags = sorted(self._tags[name])
        last, size = request.query.get("last", ""), self.behaviour.page_size or len(tags)
        left = [tag for tag in tags if tag > last]
        headers = {}
        if len(left) > size:
            headers["Link"] = f'</v2/{name}/tags/list?last={left[size - 1]}&n={size}>; rel="next"'
        return web.json_response({"name": name, "tags": left[:size]}, headers=headers)

    def _challenge(self, path: str, authorization: str) -> str:
        behaviour = self.behaviour
        if not behaviour.password:
            return ""
        if path.startswith("/v2/") and behaviour.token_realm:
            if authorization == "Bearer token-of-the-registry":
                return ""
            own = behaviour.token_realm == "self"  # noqa: S105 - a place, not a token
            realm = f"{self.address}/token" if own else behaviour.token_realm
            return f'Bearer realm="{realm}",service="test",scope="repository:everything:*"'
        return "" if authorization == self._basic() else 'Basic realm="charts"'

    def _token(self, authorization: str) -> web.Response:
        if authorization != self._basic():
            return web.Response(status=401)
        return web.json_response({"token": "token-of-the-registry", "expires_in": 300})

    def _basic(self) -> str:
        pair = f"{self.behaviour.username}:{self.behaviour.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"

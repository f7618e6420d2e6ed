"""Charts in OCI registries: tags as versions, a manifest, one layer with the archive.

Speaks the distribution API itself (three GETs). Tokens: the registry's ``Bearer`` challenge is answered only at the
registry's own host, at well-known pairs, or at hosts that settings name; the scope is ours, never the challenge's; a
token goes only to the registry that asked for it (security.md row 38).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from fleet.codec import canonical
from fleet.codec.canonical import Digest
from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput, Corrupt, Denied
from fleet.fetch import chartindex
from fleet.fetch.chartindex import ChartVersion
from fleet.fetch.http import Answer, Get, Http, basic_credentials, refused
from fleet.fetch.kept import Kept
from fleet.fetch.settings import ChartAccess, ChartSettings
from fleet.fetch.urls import FetchUrl, admit, follow, is_below
from fleet.model import semver
from fleet.runtime.clock import Clock

CHART_LAYER = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_ACCEPT = f"{_MANIFEST}, application/vnd.docker.distribution.manifest.v2+json"
_NAME = re.compile(
    r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*"
)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_EXACT = re.compile(r"v?[0-9]+\.[0-9]+\.[0-9]+(?:[-+][0-9A-Za-z.+-]{1,100})?")
_PARAMETER = re.compile(r'([a-z]+)="([^"]*)"')
_NEXT = re.compile(r'<([^<>]+)>\s*;\s*rel="?next"?')
_REALMS = {"registry-1.docker.io": "auth.docker.io", "registry.gitlab.com": "gitlab.com"}
_ALIASES = {"docker.io": "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}
_TOKEN_SECONDS = 60.0


@dataclass(slots=True)
class _Repository:
    """One repository of a registry, which is one chart."""

    base: FetchUrl
    name: str
    access: ChartAccess | None
    tags: Kept[tuple[str, ...]]
    authorization: str = ""
    expires_at: float = 0.0
    versions: dict[str, Kept[ChartVersion]] = field(default_factory=dict)
    """By tag."""


def is_registry(repo_url: str) -> bool:
    """Say whether a URL means a registry: ``oci://…``, or without a scheme as Argo CD writes them."""
    return repo_url.lower().startswith("oci://") or "://" not in repo_url


def is_reference(url: str) -> bool:
    """Say whether a chart's URL in an index points into a registry."""
    return url.lower().startswith("oci://")


class Registries:
    """All registries that the hub reads."""

    def __init__(self, settings: ChartSettings, http: Http, clock: Clock) -> None:
        self._settings = settings
        self._http = http
        self._clock = clock
        self._seconds = settings.index_age.total_seconds()
        self._repositories: dict[str, _Repository] = {}

    async def resolve(self, repo_url: str, chart: str, version_range: str) -> ChartVersion:
        """Find the version; raises as `ChartRepositories.resolve` does."""
        repository = self._repository(repo_url, chart)
        if _EXACT.fullmatch(version_range):
            return await self._version(repository, _as_tag(version_range))
        rows = [
            ChartVersion(version, "", tag)
            for tag in await repository.tags.get(lambda _: self._fetch_tags(repository))
            if semver.is_version(version := _as_version(tag))
        ]
        rows.sort(key=lambda row: semver.Version.parse(row.version), reverse=True)
        what = f"chart {repository.name!r} in registry {repository.base.origin!r}"
        chosen = chartindex.choose(tuple(rows), version_range, what)
        return await self._version(repository, chosen.url)

    async def blob(self, repo_url: str, chart: str, digest: Digest) -> bytes:
        """Fetch a layer; the caller checks the digest."""
        return await self._blob(self._repository(repo_url, chart), digest)

    async def fetch(self, url: str) -> bytes:
        """Fetch the chart of a whole reference, ``oci://host/path/name:tag``; raises Corrupt."""
        repo_url, _, tag = url.rpartition(":")
        if not _TAG.fullmatch(tag):
            raise Denied(f"chart reference {url[:200]!r} has no valid tag")
        repository = self._repository(repo_url, "")
        digest = canonical.parse_digest((await self._version(repository, tag)).digest)
        return canonical.verify(await self._blob(repository, digest), digest)

    async def _blob(self, repository: _Repository, digest: Digest) -> bytes:
        limit = self._settings.limits.chart_bytes
        answer = await self._get(repository, f"blobs/{digest}", limit=limit, elsewhere=True)
        return answer.body

    async def _version(self, repository: _Repository, tag: str) -> ChartVersion:
        kept = repository.versions.setdefault(tag, Kept(self._clock, self._seconds))
        return await kept.get(lambda _: self._fetch_version(repository, tag))

    async def _fetch_version(self, repository: _Repository, tag: str) -> ChartVersion:
        limits, shown = self._settings.limits, f"{repository.name}:{tag}"
        answer = await self._get(
            repository,
            f"manifests/{tag}",
            limit=limits.manifest_bytes,
            headers={"Accept": _ACCEPT},
        )
        told = answer.headers.get("docker-content-digest", "")
        if told.startswith("sha256:") and told != canonical.digest_bytes(answer.body):
            raise Corrupt(f"manifest of {shown!r} does not match its digest {told[:80]!r}")
        digest = _chart_layer(_json(answer), shown, limits.chart_bytes)
        url = f"oci://{repository.base.origin.partition('://')[2]}/{shown}"
        return ChartVersion(_as_version(tag), digest, url)

    async def _fetch_tags(self, repository: _Repository) -> tuple[str, ...]:
        tags: list[str] = []
        limits, reference = self._settings.limits, "tags/list?n=1000"
        while reference:
            answer = await self._get(repository, reference, limit=limits.manifest_bytes)
            page = _json(answer).get("tags")
            found = page if isinstance(page, list) else []
            tags += [tag for tag in found if isinstance(tag, str) and _TAG.fullmatch(tag)]
            if len(tags) > limits.tags:
                raise BadInput(f"{repository.name!r} has more than {limits.tags} tags")
            more = _NEXT.search(answer.headers.get("link", ""))
            reference = more[1] if more and found else ""
        return tuple(tags)

    async def _get(
        self,
        repository: _Repository,
        reference: str,
        *,
        limit: int,
        headers: Mapping[str, str] | None = None,
        elsewhere: bool = False,
    ) -> Answer:
        url = follow(repository.base, reference, self._http.rules)
        if url.origin != repository.base.origin:
            raise Denied(
                f"registry {repository.base.origin!r} points to another host, {url.origin!r}"
            )
        for last in (False, True):
            token = await self._authorization(repository)
            answer = await self._http.get(
                Get(
                    url=url,
                    limit=limit,
                    access=repository.access,
                    headers={**(headers or {}), **token},
                    send_credentials=False,
                    other_hosts=elsewhere,
                    verbatim=elsewhere,
                    accept=frozenset({200, 401}),
                )
            )
            if answer.status == 200:
                return answer
            if not last:
                await self._answer_challenge(repository, answer)
        raise refused(url, 401)

    async def _authorization(self, repository: _Repository) -> dict[str, str]:
        if not repository.authorization or self._clock.monotonic() > repository.expires_at:
            return {}
        return {"Authorization": repository.authorization}

    async def _answer_challenge(self, repository: _Repository, answer: Answer) -> None:
        challenge = answer.headers.get("www-authenticate", "")
        scheme = challenge.partition(" ")[0].lower()
        if scheme == "basic" and repository.access:
            header = await basic_credentials(repository.access)
            repository.authorization = header.get("Authorization", "")
            repository.expires_at = self._clock.monotonic() + _TOKEN_SECONDS
        elif scheme == "bearer":
            await self._fetch_token(repository, dict(_PARAMETER.findall(challenge)))
        if not repository.authorization:
            raise refused(answer.url, 401)

    async def _fetch_token(self, repository: _Repository, challenge: Mapping[str, str]) -> None:
        realm = admit(challenge.get("realm", ""), self._http.rules)
        if not self._is_realm(repository.base, realm):
            raise Denied(
                f"registry {repository.base.origin!r} asks for a token of another host, {realm.origin!r}",
                hint="name the host in the realmHosts setting if that is right",
            )
        wanted = {"scope": f"repository:{repository.name}:pull"}
        if service := challenge.get("service"):
            wanted["service"] = service
        url = admit(f"{realm.origin}{realm.path}?{urlencode(wanted)}", self._http.rules)
        answer = await self._http.get(
            Get(
                url=url,
                limit=self._settings.limits.manifest_bytes,
                access=repository.access,
                pass_credentials=True,
            )
        )
        value = _json(answer)
        token = value.get("token") or value.get("access_token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise refused(url, 401)
        seconds = value.get("expires_in")
        lives = float(seconds) if isinstance(seconds, (int, float)) else _TOKEN_SECONDS
        repository.authorization = f"Bearer {token}"
        repository.expires_at = self._clock.monotonic() + min(max(lives * 0.8, 5.0), 3600.0)

    def _is_realm(self, base: FetchUrl, realm: FetchUrl) -> bool:
        allowed = {base.host, _REALMS.get(base.host, ""), *self._settings.realm_hosts}
        same_port = realm.port == base.port or realm.host != base.host
        return (
            realm.host in allowed
            and same_port
            and (realm.scheme == "https" or base.scheme == "http")
        )

    def _repository(self, repo_url: str, chart: str) -> _Repository:
        address = re.sub(r"^oci://", "", repo_url, flags=re.IGNORECASE).strip("/")
        key = f"{address}/{chart}"
        if key not in self._repositories:
            host, _, path = address.partition("/")
            name = "/".join(part for part in (path, chart) if part)
            if not _NAME.fullmatch(name) or len(name) > 255:
                raise Denied(f"{name[:100]!r} is not a repository name of a registry")
            base = admit(
                f"{self._scheme(host)}://{_ALIASES.get(host.lower(), host)}/v2/{name}/",
                self._http.rules,
            )
            tags: Kept[tuple[str, ...]] = Kept(self._clock, self._seconds)
            self._repositories[key] = _Repository(base, name, self._access_for(base), tags)
        return self._repositories[key]

    def _scheme(self, host: str) -> str:
        """https, but plain http for this machine itself where settings allow both."""
        local = host.partition(":")[0] in ("127.0.0.1", "localhost")
        return "http" if local and self._http.rules.allow_http else "https"

    def _access_for(self, base: FetchUrl) -> ChartAccess | None:
        rows = [row for row in self._settings.access if is_below(base, row.url_prefix)]
        return max(rows, key=lambda row: len(row.url_prefix.rstrip("/")), default=None)


def _chart_layer(manifest: JsonObject, shown: str, limit: int) -> Digest:
    layers = manifest.get("layers")
    charts = [
        layer
        for layer in (layers if isinstance(layers, list) else [])
        if isinstance(layer, dict) and layer.get("mediaType") == CHART_LAYER
    ]
    if len(charts) != 1:
        raise BadInput(f"{shown!r} is not a Helm chart", hint="its manifest has no chart layer")
    size = charts[0].get("size")
    if isinstance(size, int) and size > limit:
        raise BadInput(f"chart {shown!r} has {size} bytes; the limit is {limit}")
    return canonical.parse_digest(str(charts[0].get("digest")))


def _json(answer: Answer) -> JsonObject:
    value = canonical.decode(answer.body)
    if not isinstance(value, dict):
        raise BadInput(f"{answer.url.shown!r} answers something that is no registry's")
    return value


def _as_tag(version: str) -> str:
    return version.replace("+", "_")


def _as_version(tag: str) -> str:
    return tag.replace("_", "+")

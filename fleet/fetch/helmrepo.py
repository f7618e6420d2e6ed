"""Charts for rendering: Helm repositories over HTTP here, OCI registries by `fleet.fetch.oci`.

An index is asked for at most once a minute and by ETag; a chart is downloaded once and kept by digest. Credentials stay
below the prefix that they were given for: an index may point anywhere, so its URLs are admitted like any other and
get no credentials on another host unless the access row says so (security.md rows 36, 37).
"""

from __future__ import annotations

import asyncio
import sys
from collections import OrderedDict
from dataclasses import dataclass, field, replace

from fleet.codec import canonical
from fleet.codec.canonical import Digest
from fleet.errors import BadInput, Corrupt, Denied, Transient
from fleet.fetch import chartindex, oci
from fleet.fetch.chartcache import ChartCache
from fleet.fetch.chartindex import ChartVersion, Index
from fleet.fetch.http import Get, Http
from fleet.fetch.kept import Kept
from fleet.fetch.settings import ChartAccess, ChartSettings
from fleet.fetch.urls import FetchUrl, admit, follow, is_below
from fleet.runtime.clock import Clock, SystemClock

__all__ = ["ChartRepositories", "ChartVersion"]

_INLINE_BYTES = 256 * 1024
"""An index up to this size is parsed in a thread."""
_PARSE_SECONDS = 60
_INDEXES = 32
"""Indexes that are kept in memory."""


@dataclass(frozen=True, slots=True)
class _Index:
    charts: Index
    etag: str


@dataclass(slots=True)
class _Repository:
    url: FetchUrl
    access: ChartAccess | None
    index: Kept[_Index]
    digests: dict[tuple[str, str], str] = field(default_factory=dict)
    """Digests of charts whose index tells none, by name and version."""


class ChartRepositories:
    """All chart repositories that the hub reads; used from one event loop."""

    def __init__(
        self, settings: ChartSettings, *, http: Http | None = None, clock: Clock | None = None
    ) -> None:
        self._settings = settings
        self._clock = clock or SystemClock()
        self._http = http or Http(settings, clock=self._clock)
        self._registries = oci.Registries(settings, self._http, self._clock)
        self._cache = ChartCache(settings.state, settings.limits.cache_bytes)
        self._repositories: OrderedDict[str, _Repository] = OrderedDict()
        self._downloads: dict[str, asyncio.Lock] = {}

    async def resolve(self, repo_url: str, chart: str, version_range: str) -> ChartVersion:
        """Find the exact version, or the highest in a Helm version range ("" = the newest release).

        Raises BadInput (no such chart or version), Denied (URL, credentials, trust), Transient (unreachable).
        """
        if oci.is_registry(repo_url):
            return await self._registries.resolve(repo_url, chart, version_range)
        if not chartindex.is_chart_name(chart):
            raise Denied(f"chart name {chart[:80]!r} is not safe to use")
        repository = self._repository(repo_url)
        index = (await repository.index.get(lambda old: self._fetch_index(repository, old))).charts
        if chart not in index:
            raise BadInput(f"chart {chart!r} is not in repository {repository.url.shown!r}")
        what = f"chart {chart!r} in repository {repository.url.shown!r}"
        found = chartindex.choose(index[chart], version_range, what)
        if not oci.is_reference(found.url):
            url = follow(_folder(repository.url), found.url, self._http.rules)
            found = replace(found, url=str(url))
        return found if found.digest else await self._with_digest(repository, chart, found)

    async def chart(self, repo_url: str, chart: str, version: str) -> bytes:
        """Fetch a chart's archive; raises Corrupt if it is not what the repository's digest says."""
        found = await self.resolve(repo_url, chart, version)
        digest = canonical.parse_digest(found.digest)
        # One download at a time of the same chart; locks of other charts do not wait for it.
        lock = self._downloads.setdefault(digest, asyncio.Lock())
        try:
            async with lock:
                held = await asyncio.to_thread(self._cache.read, digest)
                return (
                    held
                    if held is not None
                    else await self._download(repo_url, chart, found, digest)
                )
        finally:
            if not lock.locked():
                self._downloads.pop(digest, None)

    async def close(self) -> None:
        """Close connections."""
        await self._http.close()

    async def _download(
        self, repo_url: str, chart: str, found: ChartVersion, digest: Digest
    ) -> bytes:
        if oci.is_registry(repo_url):
            data = await self._registries.blob(repo_url, chart, digest)
        else:
            data = await self._get_chart(self._repository(repo_url), found)
        if canonical.digest_bytes(data) != digest:
            raise Corrupt(
                f"chart {chart!r} {found.version} does not match the digest of its repository, {digest}"
            )
        await asyncio.to_thread(self._cache.write, data)
        return data

    async def _with_digest(
        self, repository: _Repository, chart: str, found: ChartVersion
    ) -> ChartVersion:
        """Download a chart whose index tells no digest, to name it by its bytes."""
        key = (chart, found.version)
        if key not in repository.digests:
            data = await self._get_chart(repository, found)
            repository.digests[key] = await asyncio.to_thread(self._cache.write, data)
        return replace(found, digest=repository.digests[key])

    async def _get_chart(self, repository: _Repository, found: ChartVersion) -> bytes:
        if oci.is_reference(found.url):
            return await self._registries.fetch(found.url)
        url = admit(found.url, self._http.rules)
        access = repository.access
        passed_on = access is not None and access.pass_credentials
        own = access is not None and is_below(url, access.url_prefix)
        answer = await self._http.get(
            Get(
                url=url,
                limit=self._settings.limits.chart_bytes,
                access=access if own or passed_on else self._access_for(url),
                pass_credentials=passed_on,
                other_hosts=True,
                verbatim=True,
            )
        )
        return answer.body

    async def _fetch_index(self, repository: _Repository, old: _Index | None) -> _Index:
        url = follow(_folder(repository.url), "index.yaml", self._http.rules)
        etag = old.etag if old else ""
        answer = await self._http.get(
            Get(
                url=url,
                limit=self._settings.limits.index_bytes,
                access=repository.access,
                headers={"If-None-Match": etag} if etag else {},
                accept=frozenset({200, 304} if etag else {200}),
                other_hosts=True,
            )
        )
        if old and answer.status == 304:
            return old
        repository.digests.clear()
        return _Index(await _parse(answer.body, url), answer.headers.get("etag", ""))

    def _repository(self, repo_url: str) -> _Repository:
        url = admit(repo_url, self._http.rules)
        key = str(_folder(url))
        if key not in self._repositories:
            kept: Kept[_Index] = Kept(self._clock, self._settings.index_age.total_seconds())
            self._repositories[key] = _Repository(url, self._access_for(url), kept)
            while len(self._repositories) > _INDEXES:
                self._repositories.popitem(last=False)
        self._repositories.move_to_end(key)
        return self._repositories[key]

    def _access_for(self, url: FetchUrl) -> ChartAccess | None:
        rows = [row for row in self._settings.access if is_below(url, row.url_prefix)]
        return max(rows, key=lambda row: len(row.url_prefix.rstrip("/")), default=None)


def _folder(url: FetchUrl) -> FetchUrl:
    return replace(url, path=url.path.rstrip("/") + "/", query="")


async def _parse(data: bytes, url: FetchUrl) -> Index:
    try:
        if len(data) <= _INLINE_BYTES:
            return await asyncio.to_thread(chartindex.parse_index, data)
        return chartindex.decode(canonical.decode(await _parse_in_child(data)))
    except BadInput as error:
        raise BadInput(f"index of Helm repository {url.shown!r}: {error.message}") from error


async def _parse_in_child(data: bytes) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "fleet.fetch.chartindex"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_PARSE_SECONDS):
            output, errors = await process.communicate(data)
    except TimeoutError as error:
        raise BadInput(f"reading it took longer than {_PARSE_SECONDS} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode == 1:
        raise BadInput(errors.decode("utf-8", "replace").strip()[:300])
    if process.returncode != 0:
        raise Transient("the process that reads the index ended unexpectedly")
    return output

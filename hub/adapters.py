"""What the hub opens with I/O, from its settings: the store, mirrors, charts, forges, renderer and certificate authority.

Joining them to the parts that decide is `hub.app`.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from urllib.parse import urlsplit

from fleet.fetch.helmrepo import ChartRepositories
from fleet.fetch.http import Http
from fleet.fetch.scm.forges import Forges
from fleet.fetch.settings import ChartAccess, ChartSettings
from fleet.git.mirrors import Mirrors
from fleet.git.settings import GitSettings, RepositoryAccess
from fleet.render.renderer import Renderer
from fleet.render.settings import RenderSettings
from fleet.runtime.clock import Clock
from fleet.store.blobs import FileArtifactStore
from fleet.store.port import ArtifactStore, Kind, Put, Store
from fleet.store.sql import SqlStore
from hub.ca import Authority, CaSettings
from hub.closures import Closures
from hub.settings import HubSettings

EPOCH = "epoch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapters:
    """What was opened with I/O."""

    store: Store
    artifacts: ArtifactStore
    closures: Closures
    mirrors: Mirrors
    charts: ChartRepositories
    forges: Forges
    renderer: Renderer
    authority: Authority
    epoch: int


async def open_adapters(settings: HubSettings, clock: Clock, stack: AsyncExitStack) -> Adapters:
    """Open everything; what has to be closed is registered with the stack."""
    settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    store = await SqlStore.open(
        settings.database or f"sqlite+aiosqlite:///{settings.state / 'hub.db'}"
    )
    stack.push_async_callback(store.close)
    artifacts = FileArtifactStore(settings.state / "artifacts")
    mirrors = Mirrors(_git_settings(settings))
    stack.push_async_callback(mirrors.close)
    fetching = _chart_settings(settings)
    charts = ChartRepositories(fetching)
    stack.push_async_callback(charts.close)
    http = Http(fetching, clock=clock)
    stack.push_async_callback(http.close)
    forges = Forges(http, clock, scm=settings.scm, plugins=settings.plugins, access=fetching.access)
    closures = Closures(store)
    renderer = Renderer(
        sources=mirrors,
        charts=charts,
        artifacts=artifacts,
        closures=closures,
        settings=_render_settings(settings),
    )
    await renderer.start()
    stack.push_async_callback(renderer.close)
    authority = await Authority.open(settings.state, store, _ca_settings(settings), clock)
    return Adapters(
        store=store,
        artifacts=artifacts,
        closures=closures,
        mirrors=mirrors,
        charts=charts,
        forges=forges,
        renderer=renderer,
        authority=authority,
        epoch=await read_epoch(store),
    )


async def read_epoch(store: Store) -> int:
    """Return the hub's epoch, 1 at the first start; a hub restored from a backup is given a higher one."""
    data = await store.get(Kind.META, EPOCH)
    if data is None:
        await store.commit(Put(Kind.META, EPOCH, b"1"))
        return 1
    return int(data)


def _git_settings(settings: HubSettings) -> GitSettings:
    return GitSettings(
        state=settings.state / "mirrors",
        access=tuple(
            RepositoryAccess(
                url_prefix=item.url_prefix,
                username_file=item.username_file,
                password_file=item.password_file,
                ssh_key_file=item.ssh_key_file,
                known_hosts_file=item.known_hosts_file,
                ca_file=item.ca_file,
                insecure=item.insecure,
            )
            for item in settings.access
        ),
        allow_file=settings.git.allow_file,
        allow_http=settings.git.allow_http,
        timeout=settings.git.timeout,
        clone_timeout=settings.git.clone_timeout,
        limits=settings.git.limits,
    )


def _ca_settings(settings: HubSettings) -> CaSettings:
    host = urlsplit(settings.external_url).hostname or ""
    return CaSettings(
        hosts=tuple(dict.fromkeys((host, *settings.agents.names))),
        certificate_lifetime=settings.identity.certificate_lifetime,
        renew_expired_for=settings.identity.renew_expired_for,
        join_token_lifetime=settings.identity.join_token_lifetime,
    )


def _chart_settings(settings: HubSettings) -> ChartSettings:
    return ChartSettings(
        state=settings.state / "charts",
        access=tuple(
            ChartAccess(
                url_prefix=item.url_prefix,
                username_file=item.username_file,
                password_file=item.password_file,
                ca_file=item.ca_file,
                insecure=item.insecure,
                pass_credentials=item.pass_credentials,
            )
            for item in settings.access
        ),
        hosts=settings.charts.hosts,
        realm_hosts=settings.charts.realm_hosts,
        allow_http=settings.git.allow_http,
        allow_loopback=settings.charts.allow_loopback,
    )


def _render_settings(settings: HubSettings) -> RenderSettings:
    render = settings.render
    return RenderSettings(
        helm=render.helm,
        kubectl=render.kubectl,
        concurrency=render.concurrency,
        timeout=render.timeout.total_seconds(),
        require_sandbox=render.require_sandbox,
        allow_remote_bases=render.allow_remote_bases,
    )

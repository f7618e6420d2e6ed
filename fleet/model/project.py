"""An AppProject: what the Applications in it may use."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from fleet.codec.jsontypes import JsonObject
from fleet.errors import Where
from fleet.model.application import Warning as SpecWarning


@dataclass(frozen=True, slots=True, kw_only=True)
class KindRule:
    """A group and kind pattern (filepath.Match), optionally a name pattern."""

    group: str
    kind: str
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationRule:
    server: str = ""
    name: str = ""
    namespace: str = ""


class WindowKind(StrEnum):
    ALLOW = "allow"
    DENY = "deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncWindow:
    """One of ``syncWindows``: when the Applications it matches may, or may not, be synced."""

    kind: WindowKind
    schedule: str
    """Five cron fields."""
    duration: timedelta
    time_zone: str = "UTC"
    applications: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ()
    """Patterns; an Application is matched by any of the three lists, or by all that are given with ``all_of``."""
    all_of: bool = False
    """andOperator."""
    manual_sync: bool = False
    """Whether a sync that a person asks for passes."""
    sync_overrun: bool = False
    """Whether a sync that began before the window closed goes on."""
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrphanedResources:
    """``orphanedResources``: whether objects in an Application's namespace that nothing tracks are warned of."""

    warn: bool = True
    ignore: tuple[KindRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AppProject:
    """Argo CD's AppProject, as far as rules over sources, destinations and kinds go."""

    name: str
    namespace: str = "argocd"
    source_repos: tuple[str, ...] = ()
    destinations: tuple[DestinationRule, ...] = ()
    cluster_kinds: tuple[KindRule, ...] = ()
    """clusterResourceWhitelist: empty means no cluster-scoped object."""
    cluster_kinds_denied: tuple[KindRule, ...] = ()
    namespace_kinds: tuple[KindRule, ...] | None = None
    """namespaceResourceWhitelist: None means all, empty means none."""
    namespace_kinds_denied: tuple[KindRule, ...] = ()
    only_scoped_clusters: bool = False
    """permitOnlyProjectScopedClusters: destinations must be clusters whose record names this project."""
    windows: tuple[SyncWindow, ...] = ()
    orphaned: OrphanedResources | None = None
    source_namespaces: tuple[str, ...] = ()
    """Namespaces, besides its own, whose Applications may use it."""
    document: JsonObject = field(default_factory=dict)
    where: Where = field(default_factory=Where)
    warnings: tuple[SpecWarning, ...] = ()
    unsupported: tuple[str, ...] = ()
    """Field paths that are known to Argo CD, not built here, and unsafe to ignore: its targets are held."""


DEFAULT_PROJECT = AppProject(
    name="default",
    source_repos=("*",),
    destinations=(DestinationRule(server="*", name="*", namespace="*"),),
    cluster_kinds=(KindRule(group="*", kind="*"),),
)
"""The project that exists where nobody defined one."""

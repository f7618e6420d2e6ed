"""The rules of an AppProject: over sources, destinations and objects. Agents load this and not the documents.

Argo CD's rules, quirks included: a deny pattern (leading ``!``) that does not hit counts as a match, so a list
of only deny patterns allows everything else. Sources are globs in which ``*`` stops at ``/``; destinations are
globs without a separator; kinds are Go's ``filepath.Match``. Source: app_project_types.go, argo.md 2.10.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from fleet.argo.globs import matches_glob, matches_path
from fleet.model.assignment import KindPattern, ProjectRules
from fleet.model.cluster import IN_CLUSTER_NAME, IN_CLUSTER_SERVER, Cluster
from fleet.model.project import DEFAULT_PROJECT, AppProject, DestinationRule, KindRule


def permits_source(project: AppProject, repo_url: str) -> bool:
    """Tell whether Applications of the project may use a repository.

    A URL that reads like one repository and means another is never permitted, unless every one is.
    """
    if _is_deceptive(repo_url):
        return project.source_repos == ("*",)
    url = normalize_url(repo_url)
    matched = False
    for pattern in project.source_repos:
        denies = pattern.startswith("!")
        hit = matches_glob(normalize_url(pattern.removeprefix("!")), url, "/")
        if denies and hit:
            return False
        matched = matched or hit or denies
    return matched


def permits_namespace(project: AppProject, namespace: str) -> bool:
    """Tell whether Applications of another namespace than Argo CD's own may use the project."""
    return any(matches_glob(pattern, namespace) for pattern in project.source_namespaces)


def permits_application_in(
    project: AppProject, namespace: str, projects: Mapping[str, AppProject]
) -> bool:
    """Tell whether Applications of a namespace may use the project: of its own, and of those in ``sourceNamespaces``.

    The default project that nobody wrote is where all ``projects`` of the fleet are; without any of these nobody knows.
    """
    if project != DEFAULT_PROJECT:
        return namespace == project.namespace or permits_namespace(project, namespace)
    written = [other for other in projects.values() if other.name != project.name]
    return not written or any(other.namespace == namespace for other in written)


def permits_destination(project: AppProject, cluster: Cluster, namespace: str) -> bool:
    """Tell whether Applications of the project may go to a namespace of a cluster."""
    if project.only_scoped_clusters and cluster.project != project.name:
        return False
    matched = False
    for rule in project.destinations:
        hit = _Hit.of(rule, cluster)
        fits = _covers(rule.namespace, (namespace,))
        if (hit.name or hit.server) and fits:
            matched = True
        elif (
            hit.name_denied
            or (hit.server_denied and fits)
            or (not fits and rule.namespace.startswith("!") and hit.server)
        ):
            return False
    return matched


def permits_object(
    rules: ProjectRules, *, group: str, kind: str, name: str, namespace: str, namespaced: bool
) -> bool:
    """Tell whether an object may be made: its kind, and for a namespaced one the place."""
    if not namespaced:
        return _has_kind(rules.cluster_kinds, group, kind, name) and not _has_kind(
            rules.cluster_kinds_denied, group, kind, name
        )
    allowed = rules.namespace_kinds is None or _has_kind(rules.namespace_kinds, group, kind, name)
    if not allowed or _has_kind(rules.namespace_kinds_denied, group, kind, name):
        return False
    return _permits_namespace(rules.namespaces, namespace)


def rules_for(project: AppProject, cluster: Cluster) -> ProjectRules:
    """Return what an agent has to know: the rules over objects, and the namespaces of its own cluster."""
    scoped_out = project.only_scoped_clusters and cluster.project != project.name
    namespace_kinds = project.namespace_kinds
    return ProjectRules(
        name=project.name,
        namespaces=() if scoped_out else _agent_namespaces(project, cluster),
        cluster_kinds=_patterns(project.cluster_kinds),
        cluster_kinds_denied=_patterns(project.cluster_kinds_denied),
        namespace_kinds=None if namespace_kinds is None else _patterns(namespace_kinds),
        namespace_kinds_denied=_patterns(project.namespace_kinds_denied),
        orphans=_orphans(project),
    )


@functools.lru_cache(maxsize=2048)
def normalize_url(url: str) -> str:
    """Write a repository URL in the form in which patterns are compared: lower case, no ``.git``, no ``ssh://``."""
    text = url.strip().lower()
    web = re.fullmatch(r"(https?://)(?:[^/@]*@)?(.*)", text)
    if web:  # who asks is no part of what is asked for
        return web[1] + web[2].removesuffix(".git")
    scp = re.fullmatch(r"(?!\w+://)([^/@]+@)?([^/:@]+):(?!//)(.*)", text)
    if scp and scp[1]:
        text = f"{scp[1]}{scp[2]}/{scp[3]}"
    return text.removeprefix("ssh://").removesuffix(".git")


@functools.lru_cache(maxsize=2048)
def _is_deceptive(url: str) -> bool:
    """Tell whether servers may understand another address than a pattern sees: two ``@``, ``..``, backslashes."""
    plain = unquote(url)
    authority = re.split(r"[/\\?#]", plain.partition("://")[2] or plain, maxsplit=1)[0]
    return (
        authority.count("@") > 1
        or "\\" in plain
        or any(char.isspace() or not char.isprintable() for char in plain.strip())
        or any(part in (".", "..") for part in plain.split("/"))
    )


def _orphans(project: AppProject) -> tuple[KindPattern, ...] | None:
    """Return what of orphans is to be ignored, where the project warns of them."""
    orphaned = project.orphaned
    return _patterns(orphaned.ignore) if orphaned is not None and orphaned.warn else None


def _patterns(rules: Iterable[KindRule]) -> tuple[KindPattern, ...]:
    return tuple(KindPattern(group=rule.group, kind=rule.kind, name=rule.name) for rule in rules)


def _has_kind(patterns: Iterable[KindPattern], group: str, kind: str, name: str) -> bool:
    return any(
        matches_path(pattern.kind, kind)
        and matches_path(pattern.group, group)
        and (not pattern.name or matches_path(pattern.name, name))
        for pattern in patterns
    )


def _permits_namespace(patterns: Iterable[str], namespace: str) -> bool:
    allowed = False
    for pattern in patterns:
        if pattern.startswith("!"):
            if matches_glob(pattern[1:], namespace):
                return False
        elif matches_glob(pattern, namespace):
            allowed = True
    return allowed


def _agent_namespaces(project: AppProject, cluster: Cluster) -> tuple[str, ...]:
    """Write the destinations, as far as they concern one cluster, as namespace patterns.

    Here a ``!`` pattern only denies. Where Argo CD's quirks have no such form the result is the stricter one.
    """
    patterns: list[str] = []
    for rule in project.destinations:
        hit = _Hit.of(rule, cluster)
        denied = rule.namespace.startswith("!")
        if hit.name or hit.server:
            if hit.name_denied and not hit.name and rule.namespace != "*":
                return ()
            patterns += ["*", rule.namespace] if denied else [rule.namespace]
        elif hit.name_denied or (hit.server_denied and rule.namespace == "*"):
            return ()
        elif hit.server_denied:
            # Argo CD denies where the namespace matches: for a "!" pattern that is everything else.
            patterns += [f"!{rule.namespace}"] if not denied else ["!*"]
    return tuple(dict.fromkeys(patterns))


@dataclass(frozen=True, slots=True)
class _Hit:
    """How a destination rule looks at a cluster; a deny pattern that does not cover it is a hit too."""

    name: bool
    server: bool
    name_denied: bool
    server_denied: bool

    @classmethod
    def of(cls, rule: DestinationRule, cluster: Cluster) -> _Hit:
        inside = cluster.management
        names = (cluster.name, IN_CLUSTER_NAME) if inside else (cluster.name,)
        servers = (cluster.server, IN_CLUSTER_SERVER) if inside else (cluster.server,)
        name, server = _covers(rule.name, names), _covers(rule.server, servers)
        return cls(
            name=name,
            server=server,
            name_denied=not name and rule.name.startswith("!"),
            server_denied=not server and rule.server.startswith("!"),
        )


def _covers(pattern: str, words: tuple[str, ...]) -> bool:
    if pattern.startswith("!"):
        return not any(matches_glob(pattern[1:], word) for word in words)
    return any(matches_glob(pattern, word) for word in words)

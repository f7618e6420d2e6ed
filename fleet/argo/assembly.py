"""Assembly: the documents of many files as one World, with what is wrong between them.

Names are unique over the whole fleet: of two objects with one name the first counts, so that a copy elsewhere never
takes anything over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Protocol, TypeVar

from fleet.argo.documents import FleetDocuments
from fleet.argo.reading import Problem
from fleet.errors import Where
from fleet.model.cluster import Cluster
from fleet.model.project import DEFAULT_PROJECT
from fleet.model.world import World


def assemble(
    documents: Iterable[FleetDocuments], held_clusters: Iterable[Cluster]
) -> tuple[World, tuple[Problem, ...]]:
    """Put the documents of all files together; the second object of a name is a problem that names both files."""
    found = list(documents)
    problems = [problem for item in found for problem in item.problems]
    clusters = _unique("Cluster", (c for item in found for c in item.clusters), problems)
    problems += _several_managers(clusters.values())
    clusters = _unique_servers(clusters, problems)
    for cluster in held_clusters:
        clusters.setdefault(cluster.name, cluster)
    projects = _unique("AppProject", (p for item in found for p in item.projects), problems)
    world = World(
        clusters=tuple(clusters[name] for name in sorted(clusters)),
        projects={DEFAULT_PROJECT.name: DEFAULT_PROJECT, **projects},
        appsets=_unique("ApplicationSet", (s for item in found for s in item.appsets), problems),
        applications=_unique(
            "Application", (a for item in found for a in item.applications), problems
        ),
        resources=tuple(resource for item in found for resource in item.resources),
        places=tuple(place for item in found for place in item.places),
        implicit_in_cluster=False,
    )
    return world, tuple(problems)


class _Item(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def where(self) -> Where: ...


T = TypeVar("T", bound=_Item)


def _unique(kind: str, items: Iterable[T], problems: list[Problem]) -> dict[str, T]:
    """Index by name; the first of a name counts, so that a copy elsewhere never takes anything over."""
    unique: dict[str, T] = {}
    for item in items:
        first = unique.setdefault(item.name, item)
        if first is not item:
            problems.append(
                Problem(
                    reason="Duplicate",
                    message=f"{kind} {item.name} is already defined in "
                    f"{first.where.file}:{first.where.line}; that one counts",
                    where=replace(item.where, field="metadata.name"),
                )
            )
    return unique


def _unique_servers(clusters: Mapping[str, Cluster], problems: list[Problem]) -> dict[str, Cluster]:
    """Leave out clusters whose server another one has: destinations could not tell them apart."""
    owners: dict[str, Cluster] = {}
    for cluster in clusters.values():
        first = owners.setdefault(cluster.server, cluster)
        if first is not cluster:
            problems.append(
                Problem(
                    reason="Duplicate",
                    message=f"server {cluster.server} is already that of cluster {first.name}, "
                    f"{first.where.file}:{first.where.line}; that one counts",
                    where=replace(cluster.where, field="spec.server"),
                )
            )
    return {cluster.name: cluster for cluster in owners.values()}


def _several_managers(clusters: Iterable[Cluster]) -> list[Problem]:
    marked = [cluster for cluster in clusters if cluster.management]
    return [
        Problem(
            reason="SeveralManagementClusters",
            message=f"cluster {cluster.name!r} is marked as management cluster beside {marked[0].name!r}",
            where=cluster.where,
            fatal=True,
        )
        for cluster in marked[1:]
    ]

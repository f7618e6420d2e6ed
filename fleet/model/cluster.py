"""A cluster of the fleet as git (or, failing that, the hub) declares it.

What an agent reports about its cluster is not here: it never feeds a selector (design decision 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from fleet.errors import Where
from fleet.model.identity import ClusterName

IN_CLUSTER_NAME = "in-cluster"
IN_CLUSTER_SERVER = "https://kubernetes.default.svc"


class ClusterSource(StrEnum):
    """Who holds the record."""

    GIT = "git"
    HUB = "hub"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Name, identifier and labels of a cluster; ``server`` is a name that nobody dials."""

    name: ClusterName
    server: str
    project: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    management: bool = False
    """The cluster the hub's own Applications, ApplicationSets and AppProjects live on (``in-cluster``)."""
    source: ClusterSource = ClusterSource.GIT
    where: Where = field(default_factory=Where)


def default_server(name: str) -> str:
    """Return the identifier of a cluster whose record names no server."""
    return f"https://{name}.clusters.gitopsfleet.internal"

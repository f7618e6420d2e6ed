"""What the agent sees of its cluster: for the hub to check its identity, and for Helm's Capabilities."""

from __future__ import annotations

import importlib.metadata

from fleet.errors import NotReady
from fleet.kube.port import ClusterPort
from fleet.model.report import ClusterFacts

_NAMESPACE = "kube-system"


def agent_version() -> str:
    """The version of the program."""
    try:
        return importlib.metadata.version("gitops-fleet")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


async def cluster_uid(cluster: ClusterPort) -> str:
    """The UID of kube-system, by which a control plane is told from another of the same name."""
    namespaces = (await cluster.discovery()).find("", "v1", "Namespace")
    if namespaces is None:
        raise NotReady("the API server does not serve namespaces")
    live = await cluster.get(namespaces, "", _NAMESPACE, metadata_only=True)
    return str(live["metadata"]["uid"])


async def read_facts(cluster: ClusterPort, uid: str) -> ClusterFacts:
    """Everything that is reported."""
    return ClusterFacts(
        uid=uid,
        kube_version=await cluster.version(),
        api_versions=(await cluster.discovery()).api_versions(),
        agent_version=agent_version(),
    )

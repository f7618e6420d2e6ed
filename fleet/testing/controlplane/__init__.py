"""Real Kubernetes control planes for tests, the demo and the benchmark, without any container engine.

    with ControlPlanes(binaries) as planes:
        cluster = planes.start("staging", pods=True, audit=True)
        cluster.kubectl("get", "namespaces")

``Binaries.locate`` finds (or builds, when asked) etcd, kube-apiserver, kube-controller-manager, kube-scheduler and KWOK;
``ControlPlanes`` starts clusters of them; ``GivenClusters`` uses contexts of the user's kubeconfig instead, and
``open_source`` chooses between the two.
"""

from fleet.testing.controlplane.access import Access, Response
from fleet.testing.controlplane.binaries import Binaries, Lacking, Missing
from fleet.testing.controlplane.given import ClusterSource, GivenClusters, open_source
from fleet.testing.controlplane.plane import ControlPlane
from fleet.testing.controlplane.planes import ControlPlanes
from fleet.testing.controlplane.settings import Options

__all__ = [
    "Access",
    "Binaries",
    "ClusterSource",
    "ControlPlane",
    "ControlPlanes",
    "GivenClusters",
    "Lacking",
    "Missing",
    "Options",
    "Response",
    "open_source",
]

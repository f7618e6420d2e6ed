"""The argument lists that make programs into one cluster. Nothing here starts anything.

What is turned off is what costs processor time on a small machine without being seen by a client: the endpoint
reconciler, the counting of etcd keys, leader election, profiling. Admission leaves out ServiceAccount (no Pod could be
made before its controller has run) and TaintNodesByCondition (the one node would stay tainted).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fleet.testing.controlplane.binaries import Binaries
from fleet.testing.controlplane.settings import Options, ca_file

_NAMED_CONTROLLERS = (
    "namespace-controller", "garbage-collector-controller", "serviceaccount-controller",
    "serviceaccount-token-controller", "root-ca-certificate-publisher-controller", "clusterrole-aggregation-controller",
    "deployment-controller", "replicaset-controller", "statefulset-controller", "daemonset-controller",
    "job-controller", "cronjob-controller", "ttl-after-finished-controller", "endpointslice-controller",
    "resourcequota-controller", "disruption-controller", "persistentvolume-binder-controller",
    "horizontal-pod-autoscaler-controller",
)  # fmt: skip


def etcd(binaries: Binaries, folder: Path) -> Iterable[str]:
    """etcd on sockets in its own folder: no port to lose, and nobody else on the machine can read it."""
    unused = "http://localhost:2380"  # must look like an address; a single member never dials it
    yield str(binaries.etcd)
    yield f"--data-dir={folder / 'data'}"
    yield "--unsafe-no-fsync"
    yield f"--listen-client-urls=unix://{folder / 'client.sock'}"
    yield f"--advertise-client-urls={unused}"
    yield f"--listen-peer-urls=unix://{folder / 'peer.sock'}"
    yield f"--initial-advertise-peer-urls={unused}"
    yield f"--initial-cluster=default={unused}"
    yield "--log-level=warn"


def apiserver(
    binaries: Binaries, folder: Path, *, etcd: Path, port: int, options: Options
) -> Iterable[str]:
    """The API server; ``folder`` holds its files, ``etcd`` is the socket that several share under a prefix each."""
    yield str(binaries.apiserver)
    yield f"--etcd-servers=unix://{etcd}"
    yield f"--etcd-prefix=/{folder.name}"
    yield "--etcd-count-metric-poll-period=0"
    yield "--etcd-db-metric-poll-interval=0"
    yield "--bind-address=127.0.0.1"
    yield "--advertise-address=127.0.0.1"
    yield f"--secure-port={port}"
    yield "--permit-address-sharing"
    yield "--endpoint-reconciler-type=none"
    yield f"--cert-dir={folder / 'certificates'}"
    yield f"--token-auth-file={folder / 'tokens.csv'}"
    yield "--authorization-mode=RBAC"
    yield "--service-account-issuer=https://kubernetes.default.svc"
    yield f"--service-account-key-file={folder / 'service-accounts.key'}"
    yield f"--service-account-signing-key-file={folder / 'service-accounts.key'}"
    yield "--service-cluster-ip-range=10.96.0.0/16"
    yield "--disable-admission-plugins=ServiceAccount,TaintNodesByCondition"
    yield "--allow-privileged"
    yield "--profiling=false"
    if options.audit:
        yield f"--audit-policy-file={folder / 'audit-policy.json'}"
        yield f"--audit-log-path={folder / 'audit.log'}"
        yield "--audit-log-mode=blocking-strict"  # an answered request is in the log
        yield "--audit-log-maxsize=4000"


def controller_manager(binaries: Binaries, folder: Path) -> Iterable[str]:
    """The controller manager with the controllers that tests can see; its requests are not slowed down."""
    yield str(binaries.controller_manager)
    yield f"--kubeconfig={folder / 'controllers.kubeconfig'}"
    yield f"--controllers={','.join(_NAMED_CONTROLLERS)}"
    yield f"--service-account-private-key-file={folder / 'service-accounts.key'}"
    yield f"--root-ca-file={ca_file(folder)}"
    yield "--leader-elect=false"
    yield "--secure-port=0"
    yield "--profiling=false"
    yield "--kube-api-qps=500"
    yield "--kube-api-burst=1000"


def scheduler(binaries: Binaries, folder: Path) -> Iterable[str]:
    """The scheduler."""
    yield str(binaries.scheduler)
    yield f"--config={folder / 'scheduler.json'}"
    yield "--secure-port=0"


def kwok(binaries: Binaries, folder: Path) -> Iterable[str]:
    """KWOK: plays the kubelet of every node."""
    yield str(binaries.kwok)
    yield f"--kubeconfig={folder / 'kubelet.kubeconfig'}"
    yield f"--config={folder / 'stages.yaml'}"
    yield "--manage-all-nodes=true"
    yield "--node-lease-duration-seconds=0"

"""Kinds of operators that the table does not list: what the general conventions make of the statuses they write.

The shapes are those of the operators' own sources; none of the objects was recorded.
"""

from __future__ import annotations

import pytest

from fleet.codec import yamldoc
from fleet.health.assess import assess, kind_of
from fleet.health.kinds.table import known

CASES = {
    # Operator SDK: Helm and Ansible, which many operators are made with
    "helm-operator-installed": ("charts.example.com/v1 App", "Initialized Deployed=True:InstallSuccessful ReleaseFailed=False Irreconcilable=False", "Healthy"),
    "helm-operator-irreconcilable": ("charts.example.com/v1 App", "Initialized Irreconcilable=True:ReconcileError", "Degraded"),
    "helm-operator-failed": ("charts.example.com/v1 App", "Initialized ReleaseFailed=True:InstallError", "Degraded"),
    "ansible-operator-failed": ("ansible.example.com/v1 App", "Failure=True:Failed Running=False:Failed Successful=False", "Degraded"),
    # conditions
    "nats-stream": ("jetstream.nats.io/v1beta2 Stream", "Ready=True:Created", "Healthy"),
    "nats-errored": ("jetstream.nats.io/v1beta2 Stream", "Ready=False:Errored", "Degraded"),
    "temporal-starts": ("temporal.io/v1beta1 TemporalCluster", "Ready=False:ServicesNotReady ReconcileSuccess", "Progressing"),
    "redhatcop-failed": ("redhatcop.redhat.io/v1alpha1 Policy", "ReconcileFailed=True:LastReconcileCycleFailed", "Degraded"),
    "tailscale-failed": ("tailscale.com/v1alpha1 Connector", "ConnectorReady=False:ConnectorCreationFailed", "Degraded"),
    "redpanda-starts": ("cluster.redpanda.com/v1alpha2 Redpanda", "Ready=False:NotReady Healthy=False:NotHealthy Quiesced=False:StillReconciling", "Progressing"),
    "couchbase": ("couchbase.com/v2 CouchbaseCluster", "Available=True:Available Balanced Error=False", "Healthy"),
    "tidb-rolls": ("pingcap.com/v1alpha1 TidbCluster", "Ready=False:StatefulSetNotUpToDate", "Progressing"),
    "tidb-sick": ("pingcap.com/v1alpha1 TidbCluster", "Ready=False:PDUnhealthy", "Degraded"),
    "scylla": ("scylla.scylladb.com/v1 ScyllaCluster", "Available=True:AsExpected Progressing=False:AsExpected Degraded=False:AsExpected", "Healthy"),
    "scylla-controller": ("scylla.scylladb.com/v1 ScyllaCluster", "Available=True:AsExpected StatefulSetControllerProgressing=True:Waiting", "Progressing"),
    "emqx-starts": ("apps.emqx.io/v2beta1 EMQX", "CoreNodesProgressing Initialized", "Progressing"),
    "emqx": ("apps.emqx.io/v2beta1 EMQX", "Ready Available CoreNodesReady Initialized", "Healthy"),
    "apisix-refused": ("apisix.apache.org/v2 ApisixRoute", "ResourcesAvailable=False:ResourceSyncAborted", "Degraded"),
    "consul-refused": ("consul.hashicorp.com/v1alpha1 ServiceIntentions", "Synced=False:ConsulAgentError", "Degraded"),
    "rancher": ("provisioning.cattle.io/v1 Cluster", "Reconciling=False Stalled=False Ready Provisioned", "Healthy"),
    "rancher-fleet-stalled": ("fleet.cattle.io/v1alpha1 GitRepo", "Ready GitPolling Stalled=True:Stalled", "Degraded"),
    "kapp-works": ("kappctrl.k14s.io/v1alpha1 App", "Reconciling", "Progressing"),
    "kapp-failed": ("kappctrl.k14s.io/v1alpha1 App", "ReconcileFailed", "Degraded"),
    "piraeus": ("piraeus.io/v1 LinstorCluster", "Available=True:AsExpected Configured=True:AsExpected Applied=True:Applied", "Healthy"),
    "stackgres-failed": ("stackgres.io/v1 SGCluster", "Failed=True:ClusterConfigFailed PendingRestart=False Bootstrapped", "Degraded"),
    "etcd-druid": ("druid.gardener.cloud/v1alpha1 Etcd", "Ready=False:QuorumLost AllMembersReady=False:NotAllMembersReady", "Degraded"),
    "teleport-refused": ("resources.teleport.dev/v1 TeleportRole", "ValidStructure:NoError SuccessfullyReconciled=False:TeleportError", "Degraded"),
    "vpa-unsupported": ("autoscaling.k8s.io/v1 VerticalPodAutoscaler", "RecommendationProvided=False ConfigUnsupported", "Degraded"),
    "lws-rolls": ("leaderworkerset.x-k8s.io/v1 LeaderWorkerSet", "Progressing=True:GroupsProgressing Available=False:AllGroupsReady", "Progressing"),
    "chaos-paused": ("chaos-mesh.org/v1alpha1 PodChaos", "AllInjected AllRecovered=False Paused", "Suspended"),
    "nothing-to-update-to": ("x.example.com/v1 X", "UpdateAvailable=False:UpToDate", None),
    "no-newer-version": ("x.example.com/v1 X", "NewVersionAvailable=False", None),
    # words
    "redis-bootstrap": ("redis.redis.opstreelabs.in/v1beta2 RedisCluster", "{state: Bootstrap}", "Progressing"),
    "redis": ("redis.redis.opstreelabs.in/v1beta2 RedisCluster", "{state: Ready}", "Healthy"),
    "hazelcast": ("hazelcast.com/v1alpha1 Hazelcast", "{phase: Pending}", "Progressing"),
    "opensearch": ("opensearch.opster.io/v1 OpenSearchCluster", "{phase: RUNNING, health: red}", "Degraded"),
    "nginx-rejected": ("k8s.nginx.org/v1 VirtualServer", "{state: Invalid, reason: Rejected}", "Degraded"),
    "nginx": ("k8s.nginx.org/v1 VirtualServer", "{state: Valid, reason: AddedOrUpdated}", None),
    "antrea": ("crd.antrea.io/v1beta1 NetworkPolicy", "{phase: Realizing}", "Progressing"),
    "antrea-done": ("crd.antrea.io/v1beta1 NetworkPolicy", "{phase: Realized}", "Healthy"),
    "splunk": ("enterprise.splunk.com/v4 Standalone", "{phase: ScalingUp}", "Progressing"),
    "some-ready": ("x.example.com/v1 X", "{phase: PartiallyReady}", "Progressing"),
    "out-of-sync": ("x.example.com/v1 X", "{phase: OutOfSync}", "Progressing"),
    "disconnected": ("x.example.com/v1 X", "{state: Disconnected}", "Degraded"),
    "metal3-error": ("metal3.io/v1alpha1 BareMetalHost", "{operationalStatus: error, errorMessage: no BMC}", "Degraded"),
    "metal3": ("metal3.io/v1alpha1 BareMetalHost", "{operationalStatus: OK, errorMessage: ''}", None),
    "dask": ("kubernetes.dask.org/v1 DaskCluster", "{phase: Running}", "Healthy"),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "said", "expected"), CASES.values(), ids=CASES.keys())
def test_status(kind: str, said: str, expected: str | None) -> None:
    api, _, name = kind.partition(" ")
    status = yamldoc.load_one(said) if said.startswith("{") else {"conditions": conditions(said)}
    body = {"apiVersion": api, "kind": name, "status": status}
    assert known(*kind_of(body)) is None
    found = assess(body)
    assert (found.status.value if found else None) == expected


def conditions(words: str) -> list[dict[str, str]]:
    """``Type=Status:Reason``; a type alone is True."""
    items = []
    for word in words.split():
        head, _, reason = word.partition(":")
        type_, _, status = head.partition("=")
        items.append({"type": type_, "status": status or "True", "reason": reason})
    return items


@pytest.mark.parametrize(
    ("message", "expected"),
    [("Running reconciliation", "Progressing"), ("Awaiting next reconciliation", "Healthy")],
)
def test_a_run_of_an_ansible_operator(message: str, expected: str) -> None:
    """Running is True in between as well."""
    running = {"type": "Running", "status": "True", "reason": "Running", "message": message}
    body = {
        "apiVersion": "ansible.example.com/v1",
        "kind": "App",
        "status": {"conditions": [{"type": "Failure", "status": "False"}, running]},
    }
    found = assess(body)
    assert found is not None
    assert found.status.value == expected


@pytest.mark.parametrize(
    ("state", "words", "expected"),
    [
        ("RUNNING", "Initialized=True:CreatedOrUpdated Running=True:CheckRunning", "Healthy"),
        ("REBUILDING", "Initialized=True:CreatedOrUpdated Running=Unknown", "Progressing"),
        ("POWEROFF", "Initialized=True:CreatedOrUpdated Running=False:CheckRunning", "Suspended"),
        ("Preparing", "Initialized=False:Pending Available=False:MinimumReplicas", "Progressing"),
        ("Preparing", "Initialized=False:Pending Available=False:QuotaExceeded", "Degraded"),
    ],
)
def test_state_and_conditions_together(state: str, words: str, expected: str) -> None:
    """A phase of work is believed over a condition that is merely not true yet, not over one that names a failure."""
    status = {"state": state, "conditions": conditions(words)}
    found = assess({"apiVersion": "aiven.io/v1alpha1", "kind": "PostgreSQL", "status": status})
    assert found is not None
    assert found.status.value == expected

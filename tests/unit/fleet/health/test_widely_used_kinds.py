"""Kinds of widely used projects, as their API references describe their status. None of these objects was recorded."""

from __future__ import annotations

import pytest

from fleet.codec import yamldoc
from fleet.health.assess import assess

READY = "conditions: [{type: Ready, status: 'True'}]"
NOT_READY = "conditions: [{type: Ready, status: 'False', reason: Failed, message: broken}]"
UNKNOWN = "conditions: [{type: Ready, status: Unknown, reason: Progressing}]"


def conditions(*words: str) -> str:
    """``Type=Status`` or ``Type=Status:Reason``."""
    items = []
    for word in words:
        head, _, reason = word.partition(":")
        type_, _, status = head.partition("=")
        items.append(f"{{type: {type_}, status: '{status or 'True'}', reason: '{reason}'}}")
    return f"conditions: [{', '.join(items)}]"


def status(text: str) -> str:
    return f"status: {{{text}}}"


CASES = [
    # certificates and secrets
    ("cert-manager.io/v1 Certificate", status(conditions("Ready=True", "Issuing")), "Progressing"),
    ("cert-manager.io/v1 Certificate", status(READY), "Healthy"),
    ("cert-manager.io/v1 Certificate", status(NOT_READY), "Degraded"),
    ("cert-manager.io/v1 Certificate", "spec: {}", "Progressing"),
    ("cert-manager.io/v1 CertificateRequest", status(conditions("Ready=False:Pending")), "Progressing"),
    ("cert-manager.io/v1 CertificateRequest", status(conditions("Denied")), "Degraded"),
    ("cert-manager.io/v1 Issuer", status(NOT_READY), "Degraded"),
    ("acme.cert-manager.io/v1 Order", status("state: valid"), "Healthy"),
    ("acme.cert-manager.io/v1 Order", status("state: pending"), "Progressing"),
    ("acme.cert-manager.io/v1 Challenge", status("state: errored"), "Degraded"),
    ("external-secrets.io/v1 ClusterExternalSecret", status(conditions("NotReady", "Ready")), "Healthy"),
    ("external-secrets.io/v1 ClusterExternalSecret", status(conditions("Ready", "PartiallyReady")), "Degraded"),
    ("secrets.hashicorp.com/v1beta1 VaultAuth", status("valid: false"), "Degraded"),
    ("k8s.keycloak.org/v2alpha1 KeycloakRealmImport", status(conditions("Done")), "Healthy"),
    # delivery
    ("argoproj.io/v1alpha1 ApplicationSet", status(conditions("ErrorOccurred", "ResourcesUpToDate=False")), "Degraded"),
    ("argoproj.io/v1alpha1 ApplicationSet", status(conditions("RolloutProgressing", "ResourcesUpToDate")), "Progressing"),
    ("argoproj.io/v1alpha1 ApplicationSet", status(conditions("ErrorOccurred=False", "ResourcesUpToDate")), "Healthy"),
    ("argoproj.io/v1alpha1 AnalysisRun", status("phase: Inconclusive"), "Unknown"),
    ("argoproj.io/v1alpha1 AnalysisRun", status("phase: Error"), "Degraded"),
    ("argoproj.io/v1alpha1 WorkflowTemplate", "spec: {}", None),
    ("argoproj.io/v1alpha1 Sensor", status(conditions("Deployed=False:DeployFailed")), "Degraded"),
    ("helm.toolkit.fluxcd.io/v2 HelmRelease", "spec: {suspend: true}", "Suspended"),
    ("helm.toolkit.fluxcd.io/v2 HelmRelease", status(conditions("Ready", "Released", "TestSuccess")), "Healthy"),
    ("helm.toolkit.fluxcd.io/v2 HelmRelease", status(conditions("Ready=Unknown", "Reconciling")), "Progressing"),
    ("helm.toolkit.fluxcd.io/v2 HelmRelease", status(conditions("Ready=False:UpgradeFailed", "Released=False")), "Degraded"),
    ("source.toolkit.fluxcd.io/v1 GitRepository", status(conditions("Ready", "ArtifactInStorage")), "Healthy"),
    ("notification.toolkit.fluxcd.io/v1beta3 Alert", "spec: {}", None),
    ("fluxcd.controlplane.io/v1 FluxInstance", status(conditions("Ready=False:ReconciliationFailed")), "Degraded"),
    ("tekton.dev/v1 PipelineRun", status(conditions("Succeeded=Unknown:Running")), "Progressing"),
    ("tekton.dev/v1 TaskRun", status(conditions("Succeeded=False:Failed")), "Degraded"),
    ("shipwright.io/v1beta1 Build", status("registered: 'False', reason: SecretDoesNotExist"), "Degraded"),
    ("shipwright.io/v1beta1 BuildRun", status(conditions("Succeeded=Unknown:Running")), "Progressing"),
    ("flagger.app/v1beta1 Canary", status("phase: Promoting"), "Progressing"),
    ("flagger.app/v1beta1 Canary", status("phase: Failed"), "Degraded"),
    ("apps.kruise.io/v1alpha1 CloneSet",
     "{metadata: {generation: 2}, spec: {updateStrategy: {partition: 1}}, status: {observedGeneration: 2, replicas: 3, updatedReplicas: 2, expectedUpdatedReplicas: 2, updatedAvailableReplicas: 2}}",
     "Suspended"),
    ("apps.kruise.io/v1alpha1 CloneSet",
     "{metadata: {generation: 2}, spec: {updateStrategy: {partition: 50%}}, status: {observedGeneration: 2, replicas: 4, updatedReplicas: 1, expectedUpdatedReplicas: 2, updatedAvailableReplicas: 1}}",
     "Progressing"),
    ("operators.coreos.com/v1alpha1 ClusterServiceVersion", status("phase: InstallReady"), "Progressing"),
    ("operators.coreos.com/v1alpha1 ClusterServiceVersion", status("phase: Succeeded"), "Healthy"),
    ("operators.coreos.com/v1alpha1 InstallPlan", status("phase: RequiresApproval"), "Suspended"),
    ("olm.operatorframework.io/v1 ClusterExtension", status(conditions("Installed", "Progressing:Blocked")), "Degraded"),
    # infrastructure
    ("s3.aws.upbound.io/v1beta1 Bucket", status(conditions("Ready=False:Creating", "Synced")), "Progressing"),
    ("s3.aws.upbound.io/v1beta1 Bucket", status(conditions("Ready", "Synced=False:ReconcileError")), "Degraded"),
    ("s3.aws.upbound.io/v1beta1 Bucket", status(conditions("Ready", "Synced", "LastAsyncOperation=False")), "Degraded"),
    ("s3.aws.upbound.io/v1beta1 Bucket", "spec: {}", "Progressing"),
    ("aws.upbound.io/v1beta1 ProviderConfig", "spec: {}", "Healthy"),
    ("apiextensions.crossplane.io/v1 Composition", "spec: {}", "Healthy"),
    ("apiextensions.crossplane.io/v1 CompositeResourceDefinition", status(conditions("Established", "Offered")), "Healthy"),
    ("pkg.crossplane.io/v1 Provider", status(conditions("Installed", "Healthy=False")), "Degraded"),
    ("pkg.crossplane.io/v1 Function", status(conditions("Installed", "Healthy")), "Healthy"),
    ("pkg.crossplane.io/v1beta1 DeploymentRuntimeConfig", "spec: {}", "Healthy"),
    ("ec2.services.k8s.aws/v1alpha1 VPC", status(conditions("ACK.Terminal", "ACK.ResourceSynced=False")), "Degraded"),
    ("ec2.services.k8s.aws/v1alpha1 VPC", status(conditions("ACK.ResourceSynced")), "Healthy"),
    ("sql.cnrm.cloud.google.com/v1beta1 SQLInstance", status(conditions("Ready=False:Updating")), "Progressing"),
    ("sql.cnrm.cloud.google.com/v1beta1 SQLInstance", status(conditions("Ready=True:UpToDate")), "Healthy"),
    ("sql.cnrm.cloud.google.com/v1beta1 SQLInstance", status(conditions("Ready=False:DependencyNotReady")), "Suspended"),
    ("sql.cnrm.cloud.google.com/v1beta1 SQLInstance", status(conditions("Ready=False:UpdateFailed")), "Degraded"),
    ("network.azure.com/v1api20240301 VirtualNetwork",
     "status: {conditions: [{type: Ready, status: 'False', severity: Info, reason: Reconciling}]}", "Progressing"),
    ("network.azure.com/v1api20240301 VirtualNetwork",
     "status: {conditions: [{type: Ready, status: 'False', severity: Error, reason: AzureResourceNotFound}]}", "Degraded"),
    ("cluster.x-k8s.io/v1beta1 Cluster", "{spec: {paused: true}, status: {phase: Provisioned}}", "Suspended"),
    ("cluster.x-k8s.io/v1beta1 Cluster",
     "status: {phase: Provisioning, conditions: [{type: Ready, status: 'False', severity: Info}]}", "Progressing"),
    ("cluster.x-k8s.io/v1beta1 Cluster",
     "status: {phase: Provisioned, conditions: [{type: Ready, status: 'False', severity: Error, message: no quota}]}", "Degraded"),
    ("cluster.x-k8s.io/v1beta1 Machine", status("phase: Provisioned"), "Progressing"),
    ("cluster.x-k8s.io/v1beta1 MachineHealthCheck", status("expectedMachines: 3, currentHealthy: 2"), "Degraded"),
    ("cluster.x-k8s.io/v1beta1 MachineHealthCheck", status("expectedMachines: 0, currentHealthy: 0"), "Healthy"),
    ("infrastructure.cluster.x-k8s.io/v1beta2 AWSMachine", status("failureMessage: no such AMI"), "Degraded"),
    ("infrastructure.cluster.x-k8s.io/v1beta2 AWSMachine", status(READY), "Healthy"),
    ("karpenter.k8s.aws/v1 EC2NodeClass", status(NOT_READY), "Degraded"),
    ("policy.open-cluster-management.io/v1 Policy", "{spec: {disabled: true}}", "Healthy"),
    ("policy.open-cluster-management.io/v1 Policy", status("compliant: NonCompliant"), "Degraded"),
    ("work.karmada.io/v1alpha2 ResourceBinding",
     "{spec: {clusters: [{name: a}, {name: b}]}, status: {aggregatedStatus: [{clusterName: a, health: Healthy}]}}", "Progressing"),
    ("work.karmada.io/v1alpha2 ResourceBinding",
     "{spec: {clusters: [{name: a}]}, status: {aggregatedStatus: [{clusterName: a, health: Unhealthy}]}}", "Degraded"),
    ("work.karmada.io/v1alpha2 ResourceBinding", "status: {aggregatedStatus: [{clusterName: a, health: Healthy}]}", "Healthy"),
    # data
    ("kafka.strimzi.io/v1 KafkaConnect", status(conditions("NotReady:FatalProblem")), "Degraded"),
    ("kafka.strimzi.io/v1 KafkaTopic", status(conditions("ReconciliationPaused")), "Suspended"),
    ("kafka.strimzi.io/v1 KafkaNodePool", status("nodeIds: [0, 1, 2], replicas: 3"), "Healthy"),
    ("kafka.strimzi.io/v1 KafkaRebalance", status(conditions("ProposalReady")), "Suspended"),
    ("platform.confluent.io/v1beta1 Kafka", status("phase: PROVISIONING"), "Progressing"),
    ("rabbitmq.com/v1beta1 Exchange", status(conditions("Ready=False:FailedCreateOrUpdate")), "Degraded"),
    ("rabbitmq.com/v1beta1 SuperStream", status(conditions("Ready=True:SuccessfulCreateOrUpdate")), "Healthy"),
    ("acid.zalan.do/v1 postgresql", status("PostgresClusterStatus: SyncFailed"), "Degraded"),
    ("acid.zalan.do/v1 postgresql", status("PostgresClusterStatus: Running"), "Healthy"),
    ("postgresql.cnpg.io/v1 Database", "{metadata: {generation: 1}, status: {observedGeneration: 1, applied: false, message: no owner}}", "Degraded"),
    ("postgres-operator.crunchydata.com/v1beta1 PostgresCluster",
     "{metadata: {generation: 1}, status: {observedGeneration: 1, instances: [{name: a, replicas: 2, readyReplicas: 1}]}}", "Progressing"),
    ("k8s.mariadb.com/v1alpha1 SqlJob", status(conditions("Complete=True:JobComplete")), "Healthy"),
    ("pgv2.percona.com/v2 PerconaPGCluster", status("state: ready"), "Healthy"),
    ("mongodbcommunity.mongodb.com/v1 MongoDBCommunity", status("phase: Failed"), "Degraded"),
    ("cassandra.datastax.com/v1beta1 CassandraDatacenter", status(conditions("Ready", "Updating")), "Progressing"),
    ("kibana.k8s.elastic.co/v1 Kibana", status("health: red"), "Degraded"),
    ("minio.min.io/v2 Tenant", status("currentState: Pool Decommissioning Not Allowed"), "Degraded"),
    ("minio.min.io/v2 Tenant", status("currentState: Initialized"), "Healthy"),
    ("ceph.rook.io/v1 CephBlockPool", status("phase: Ready"), "Healthy"),
    ("velero.io/v1 Backup", status("phase: PartiallyFailed"), "Degraded"),
    ("snapshot.storage.k8s.io/v1 VolumeSnapshotContent", status("readyToUse: false, error: {message: gone}"), "Degraded"),
    ("sparkoperator.k8s.io/v1beta2 SparkApplication",
     "{spec: {executor: {instances: 2}}, status: {applicationState: {state: RUNNING}, executorState: {a: RUNNING, b: PENDING}}}", "Progressing"),
    ("sparkoperator.k8s.io/v1beta2 SparkApplication",
     "{spec: {dynamicAllocation: {enabled: true, minExecutors: 1}}, status: {applicationState: {state: RUNNING}, executorState: {a: RUNNING}}}", "Healthy"),
    ("ray.io/v1 RayCluster", status("state: ready"), "Healthy"),
    ("serving.kserve.io/v1beta1 InferenceService",
     status("modelStatus: {transitionStatus: BlockedByFailedLoad}, " + NOT_READY), "Degraded"),
    ("infinispan.org/v1 Infinispan", status(conditions("PreliminaryChecksPassed", "WellFormed=False", "Upgrade=False")), "Progressing"),
    ("infinispan.org/v1 Infinispan", status(conditions("PreliminaryChecksPassed", "WellFormed", "Upgrade=False")), "Healthy"),
    ("infinispan.org/v1 Infinispan", status(conditions("PreliminaryChecksPassed=False", "WellFormed=Unknown")), "Degraded"),
    # network
    ("gateway.networking.k8s.io/v1 GatewayClass", status(conditions("Accepted=Unknown:Pending")), "Progressing"),
    ("gateway.networking.k8s.io/v1 GatewayClass", status(conditions("Accepted=False:InvalidParameters")), "Degraded"),
    ("gateway.networking.k8s.io/v1 Gateway", status(conditions("Accepted", "Programmed=False:AddressNotAssigned")), "Progressing"),
    ("gateway.networking.k8s.io/v1 Gateway",
     status(conditions("Accepted", "Programmed") + ", listeners: [{name: web, " + conditions("ResolvedRefs=False:InvalidCertificateRef") + "}]"), "Degraded"),
    ("gateway.networking.k8s.io/v1 Gateway", status(conditions("Accepted", "Programmed")), "Healthy"),
    ("gateway.networking.k8s.io/v1alpha2 TCPRoute", status("parents: [{" + conditions("Accepted") + "}]"), "Healthy"),
    ("gateway.networking.k8s.io/v1 GRPCRoute",
     "{metadata: {generation: 2}, status: {parents: [{conditions: [{type: Accepted, status: 'True', observedGeneration: 1}]}]}}", "Progressing"),
    ("gateway.networking.k8s.io/v1 BackendTLSPolicy", status("ancestors: [{" + conditions("Accepted=False:Conflicted") + "}]"), "Degraded"),
    ("networking.istio.io/v1 VirtualService", status(conditions("Reconciled=False")), None),
    ("gloo.solo.io/v1 Upstream", "status: {statuses: {a: {state: Accepted}, b: {state: Rejected, reason: no}}}", "Degraded"),
    ("install.istio.io/v1alpha1 IstioOperator", status("status: HEALTHY"), "Healthy"),
    # platforms
    ("serving.knative.dev/v1 Service", status(conditions("Ready", "ConfigurationsReady", "RoutesReady")), "Healthy"),
    ("serving.knative.dev/v1 Service", status(conditions("Ready=Unknown", "ConfigurationsReady=Unknown", "RoutesReady")), "Progressing"),
    ("eventing.knative.dev/v1 Broker", status(NOT_READY), "Degraded"),
    ("eventing.knative.dev/v1 Trigger", status(UNKNOWN), "Progressing"),
    ("keda.sh/v1alpha1 ScaledObject", status(conditions("Ready", "Fallback")), "Degraded"),
    ("keda.sh/v1alpha1 ScaledObject", status(conditions("Ready", "Paused")), "Suspended"),
    ("keda.sh/v1alpha1 TriggerAuthentication", "spec: {}", None),
    ("kubevirt.io/v1 VirtualMachineInstance", status("phase: Succeeded"), "Suspended"),
    ("kubevirt.io/v1 VirtualMachineInstance", status("phase: Running, " + READY), "Healthy"),
    ("monitoring.coreos.com/v1 Alertmanager", status(conditions("Available=False:NoPodReady")), "Degraded"),
    ("monitoring.coreos.com/v1 Alertmanager", status(conditions("Available=Degraded:SomePodsNotReady")), "Progressing"),
    ("monitoring.coreos.com/v1 ServiceMonitor", "spec: {}", None),
    ("operator.victoriametrics.com/v1beta1 VMCluster", status("updateStatus: expanding"), "Progressing"),
    ("operator.victoriametrics.com/v1beta1 VMAgent", status("updateStatus: paused"), "Suspended"),
    ("grafana.integreatly.org/v1beta1 GrafanaContactPoint", status(conditions("ContactPointSynchronized=False")), "Degraded"),
    ("config.openshift.io/v1 ClusterOperator", status(conditions("Available", "Progressing=False", "Degraded=False")), "Healthy"),
    ("machineconfiguration.openshift.io/v1 MachineConfigPool", status(conditions("Updated=False", "Updating")), "Progressing"),
    ("nmstate.io/v1 NodeNetworkConfigurationPolicy", status(conditions("Ignored:NoMatchingNode")), "Suspended"),
    ("kueue.x-k8s.io/v1beta1 LocalQueue", status(conditions("Active=False")), "Degraded"),
    ("nvidia.com/v1 ClusterPolicy", status("state: notReady, " + conditions("Ready=False:Error", "Error=True:OperandNotReady")), "Progressing"),
    ("nvidia.com/v1 ClusterPolicy", status("state: notReady, " + conditions("Ready=False:Error", "Error=True:ReconcileFailed")), "Degraded"),
    ("nvidia.com/v1 ClusterPolicy", status("state: ready, " + conditions("Ready", "Error=False")), "Healthy"),
    ("batch/v1 CronJob", "{spec: {suspend: true}}", "Healthy"),
    ("batch/v1 CronJob", "{spec: {}, status: {lastScheduleTime: '2026-01-02T00:00:00Z', lastSuccessfulTime: '2026-01-01T00:00:05Z'}}", "Degraded"),
    ("batch/v1 CronJob",
     "{spec: {}, status: {active: [{}], lastScheduleTime: '2026-01-02T00:00:00Z', lastSuccessfulTime: '2026-01-01T00:00:05Z'}}", "Healthy"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    CASES,
    ids=[f"{kind.split()[1]}-{expected}-{n}" for n, (kind, _, expected) in enumerate(CASES)],
)
def test_kind(kind: str, text: str, expected: str | None) -> None:
    api, _, name = kind.partition(" ")
    found = assess({"apiVersion": api, "kind": name, **yamldoc.load_one(text)})
    assert (found.status.value if found else None) == expected


def test_healthy_in_an_older_generation_is_not_believed() -> None:
    body = {
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": {"generation": 2},
        "status": {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True"}]},
    }
    found = assess(body)
    assert found is not None
    assert found.status.value == "Progressing"


def test_the_message_is_that_of_the_condition_that_decided() -> None:
    body = yamldoc.load_one(
        f"{{apiVersion: cert-manager.io/v1, kind: Issuer, {status(NOT_READY)}}}"
    )
    found = assess(body)
    assert found is not None
    assert found.message == "broken"

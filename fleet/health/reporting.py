"""Kinds whose controllers always report: an object of theirs without a report is not done, it was not seen yet.

For any other custom kind silence has to count as done, because many never say anything. The kinds are those that
Argo CD has health checks for; ``*`` stands for any text.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from fleet.codec.jsontypes import JsonObject
from fleet.health.fields import text_at

_KINDS = {
    "*.cnrm.cloud.google.com": "*",
    "*.crossplane.io": "*",
    "*.services.k8s.aws": "*",
    "*.upbound.io": "*",
    "addons.cluster.x-k8s.io": "ClusterResourceSet",
    "apps.3scale.net": "APIManager",
    "apps.kruise.io": "StatefulSet",
    "apps.openshift.io": "DeploymentConfig",
    "argoproj.io": "EventBus Experiment Rollout",
    "astra.netapp.io": "Backup ExecHooksRun ResticVolumeBackup",
    "beat.k8s.elastic.co": "Beat",
    "bitnami.com": "SealedSecret",
    "capabilities.3scale.net": "ActiveDoc Application ApplicationAuth CustomPolicyDefinition DeveloperAccount Product Tenant",
    "cassandra.rook.io": "Cluster",
    "cdi.kubevirt.io": "DataVolume",
    "ceph.rook.io": "CephCluster CephObjectStore",
    "cert-manager.io": "Certificate ClusterIssuer Issuer",
    "certmanager.k8s.io": "Certificate Issuer",
    "clickhouse-keeper.altinity.com": "ClickHouseKeeperInstallation",
    "clickhouse.altinity.com": "ClickHouseInstallation",
    "cloudfront.aws.crossplane.io": "Distribution",
    "cluster.x-k8s.io": "Cluster Machine MachineDeployment MachinePool",
    "controlplane.cluster.x-k8s.io": "AWSManagedControlPlane",
    "coralogix.com": "Alert",
    "core.gardener.cloud": "Shoot",
    "core.humio.com": "HumioAlert HumioCluster HumioParser HumioRepository HumioView",
    "core.spinkube.dev": "SpinApp",
    "db.atlasgo.io": "AtlasMigration AtlasSchema",
    "elasticsearch.k8s.elastic.co": "Elasticsearch",
    "external-secrets.io": "ClusterSecretStore ExternalSecret PushSecret SecretStore",
    "flink.apache.org": "FlinkDeployment",
    "game.kruise.io": "GameServerSet",
    "gateway.networking.k8s.io": "GRPCRoute Gateway HTTPRoute",
    "gateway.solo.io": "MatchableHttpGateway VirtualHostOption",
    "gloo.solo.io": "Settings Upstream UpstreamGroup",
    "grafana-org-operator.kubitus-project.gitlab.io": "*",
    "grafana.integreatly.org": "Grafana GrafanaFolder",
    "helm.toolkit.fluxcd.io": "HelmRelease",
    "iam.aws.crossplane.io": "Role",
    "iammanager.keikoproj.io": "Iamrole",
    "image.toolkit.fluxcd.io": "ImagePolicy ImageRepository ImageUpdateAutomation",
    "jaegertracing.io": "Jaeger",
    "k8s.mariadb.com": "Database MariaDB User",
    "kafka.banzaicloud.io": "KafkaCluster",
    "kafka.strimzi.io": "Kafka KafkaBridge KafkaConnector KafkaUser",
    "karpenter.sh": "NodeClaim NodePool",
    "keda.sh": "ScaledJob",
    "kubernetes-client.io": "ExternalSecret",
    "kubevirt.io": "VirtualMachine VirtualMachineInstance",
    "kustomize.toolkit.fluxcd.io": "Kustomization",
    "lifecycle.keptn.sh": "KeptnAppVersion KeptnWorkloadVersion",
    "metrics.keptn.sh": "Analysis",
    "microgateway.airlock.com": "*",
    "minio.min.io": "Tenant",
    "monitoring.coreos.com": "Prometheus",
    "networking.gke.io": "ManagedCertificate",
    "notification.toolkit.fluxcd.io": "Receiver",
    "numaflow.numaproj.io": "InterStepBufferService MonoVertex Vertex",
    "numaplane.numaproj.io": "ISBServiceRollout PipelineRollout",
    "objectbucket.io": "ObjectBucketClaim",
    "opentelemetry.io": "OpenTelemetryCollector",
    "operator.knative.dev": "KnativeEventing KnativeServing",
    "operator.openshift.io": "IngressController",
    "operators.coreos.com": "Subscription",
    "platform.confluent.io": "Connect Connector SchemaRegistry",
    "policy.open-cluster-management.io": "CertificatePolicy ConfigurationPolicy OperatorPolicy",
    "postgresql.cnpg.io": "Cluster",
    "proclaim.dogmatiq.io": "DNSSDServiceInstance",
    "projectcontour.io": "ExtensionService HTTPProxy",
    "promoter.argoproj.io": "ChangeTransferPolicy ClusterScmProvider CommitStatus GitRepository PromotionStrategy PullRequest ScmProvider",
    "psmdb.percona.com": "PerconaServerMongoDB",
    "pulumi.com": "Stack",
    "pxc.percona.com": "PerconaXtraDBCluster",
    "rabbitmq.com": "Binding Permission Policy Queue RabbitmqCluster Shovel Vhost",
    "rds.aws.crossplane.io": "DBCluster DBInstance",
    "rollouts.kruise.io": "Rollout",
    "route.openshift.io": "Route",
    "services.cloud.sap.com": "ServiceBinding",
    "serving.knative.dev": "Service",
    "snapshot.storage.k8s.io": "VolumeSnapshot",
    "solr.apache.org": "SolrCloud",
    "source.toolkit.fluxcd.io": "Bucket GitRepository HelmChart HelmRepository OCIRepository",
    "spot.io": "SpotDeployment",
    "zookeeper.pravega.io": "ZookeeperCluster",
}  # fmt: skip
_REPORTING = {group: frozenset(kinds.split()) for group, kinds in _KINDS.items()}
_PATTERNS = tuple(group for group in _REPORTING if "*" in group)
_SILENT = frozenset(("ProviderConfig", "ProviderConfigUsage", "StoreConfig"))
"""Configuration of the wildcard groups' own controllers."""


def reports(body: JsonObject) -> bool:
    """Whether the object's controller is known to write a status that says how it is."""
    group, _, _ = text_at(body, "apiVersion").rpartition("/")
    kind = text_at(body, "kind")
    kinds = _REPORTING.get(group)
    if kinds is not None:
        return kind in kinds or "*" in kinds
    return kind not in _SILENT and any(fnmatchcase(group, pattern) for pattern in _PATTERNS)

"""Rows for what makes infrastructure: Crossplane and its providers, ACK, Config Connector, Cluster API, Karpenter, and the
managers of many clusters (Gardener, Karmada, Open Cluster Management).
"""

from __future__ import annotations

from collections.abc import Mapping

from fleet.health.kinds import karmada, stacks
from fleet.health.kinds.entry import READY, Entry

_MANAGED = (
    "Degraded LastAsyncOperation=False; Degraded Synced=False; "
    "Healthy Ready; Healthy Healthy; Healthy Offered; Healthy Established; Healthy ValidPipeline; "
    "Healthy RevisionHealthy; Progressing"
)
# Providers of the first generation also tell a pause from a failure.
_CLASSIC = (
    "Healthy Ready Synced; Suspended Synced=False|Unknown:ReconcilePaused; Progressing Synced; "
    "Degraded .status.conditions"
)
_CONFIGURATION = "Healthy !.status; Healthy .status.users; " + _MANAGED
_CLUSTER_API = (
    "Suspended .spec.paused; Progressing behind; Degraded .status.failureMessage; Degraded *=False@Error; "
    "Degraded .status.phase=Failed; Healthy Ready; Healthy Available; Healthy .status.phase=Provisioned|Running"
)
_COMPLIANCE = "Healthy .status.compliant=Compliant; Degraded .status.compliant"

ROWS: Mapping[str, Mapping[str, Entry]] = {
    "*.crossplane.io": {
        "*": _MANAGED,
        "ClusterProviderConfig Composition CompositionRevision ControllerConfig DeploymentRuntimeConfig "
        "EnvironmentConfig ImageConfig ProviderConfig ProviderConfigUsage StoreConfig": _CONFIGURATION,
    },
    "*.upbound.io": {
        "*": _MANAGED,
        "ClusterProviderConfig ProviderConfig ProviderConfigUsage StoreConfig": _CONFIGURATION,
    },
    "cloudfront.aws.crossplane.io": {"Distribution": _CLASSIC},
    "iam.aws.crossplane.io": {"Policy Role RolePolicyAttachment": _CLASSIC},
    "rds.aws.crossplane.io": {"DBCluster DBInstance": _CLASSIC},
    "route53.aws.crossplane.io": {"ResourceRecordSet": _CLASSIC},
    "s3.aws.crossplane.io": {"Bucket": _CLASSIC},
    "pkg.crossplane.io": {
        "Provider": "Healthy Installed Healthy; Degraded .status.conditions",
    },
    "stacks.crossplane.io": {"ClusterStackInstall": stacks.conditioned},
    "*.services.k8s.aws": {
        "*": "Degraded ACK.Terminal; Progressing Ready=False; Healthy Ready; "
        "Progressing ACK.ResourceSynced=False; Healthy ACK.ResourceSynced; Progressing",
    },
    "services.k8s.aws": {
        "AdoptedResource": "Degraded ACK.Adopted=False; Healthy ACK.Adopted",
        "FieldExport": "Degraded ACK.Recoverable; Healthy",
    },
    "*.cnrm.cloud.google.com": {
        "*": (
            "Progressing !.status.observedGeneration=.metadata.generation .status.observedGeneration; "
            "Healthy *=True:UpToDate; "
            "Degraded *:UpdateFailed|DeleteFailed|DependencyNotFound|DependencyInvalid|ManagementConflict; "
            "Suspended *:DependencyNotReady; Progressing"
        ),
        "ConfigConnector ConfigConnectorContext": (
            "Progressing behind; Healthy .status.healthy; Degraded .status.healthy=false"
        ),
    },
    "*.azure.com": {
        "*": "Degraded Ready=False@Error; Progressing Ready=False; Healthy Ready",
    },
    "infra.contrib.fluxcd.io": {
        "Terraform": (
            "Suspended .spec.suspend; Progressing Ready=Unknown; Degraded Ready=False; Healthy Ready"
        ),
    },
    "addons.cluster.x-k8s.io": {
        "ClusterResourceSet": "Degraded ResourcesApplied=False; Healthy ResourcesApplied",
        "HelmChartProxy HelmReleaseProxy": _CLUSTER_API,
    },
    "cluster.x-k8s.io": {
        "Cluster": (
            "Suspended .spec.paused; Degraded Ready=False@!Info; Healthy .status.phase=Provisioned; "
            "Degraded .status.phase=Failed"
        ),
        "ClusterClass": "Degraded VariablesReconciled=False; Healthy VariablesReconciled",
        "Machine": "Healthy .status.phase=Running; Degraded .status.phase=Failed",
        "MachineDeployment": (
            "Suspended .spec.paused; Healthy .status.phase=Running; Degraded .status.phase=Failed"
        ),
        "MachineHealthCheck": (
            "Healthy .status.currentHealthy .status.expectedMachines=.status.currentHealthy; "
            "Degraded .status.currentHealthy"
        ),
        "MachinePool": "Healthy .status.phase=Running|Scaling; Degraded .status.phase=Failed|Unknown",
    },
    "*.cluster.x-k8s.io": {"*": _CLUSTER_API},
    "controlplane.cluster.x-k8s.io": {
        "AWSManagedControlPlane": (
            "Progressing !.status.observedGeneration=.metadata.generation .status.observedGeneration; "
            "Degraded .status.failureMessage; Progressing EKSControlPlaneUpdating; Healthy Ready; "
            "Degraded *=False@Error"
        ),
    },
    "karpenter.sh": {
        "NodeClaim": (
            "Progressing behind; Suspended Disrupting; Healthy Ready; Degraded Ready=False"
        ),
        "NodePool": READY,
    },
    "karpenter.k8s.aws": {"EC2NodeClass": READY},
    "karpenter.azure.com": {"AKSNodeClass": READY},
    "core.gardener.cloud": {
        "Shoot": (
            "Healthy .metadata.labels[shoot.gardener.cloud/status]=healthy; "
            "Degraded .metadata.labels[shoot.gardener.cloud/status]=unhealthy; "
            "Unknown .metadata.labels[shoot.gardener.cloud/status]=unknown"
        ),
        "Seed": "Degraded *=False; Progressing *=Unknown|Progressing; Healthy *",
    },
    "work.karmada.io": {
        "ClusterResourceBinding": karmada.cluster_resource_binding,
        "ResourceBinding": karmada.resource_binding,
        "Work": "Degraded Applied=False; Healthy Applied",
    },
    "cluster.karmada.io": {"Cluster": "Degraded Ready=False; Healthy Ready"},
    "policy.open-cluster-management.io": {
        "CertificatePolicy": _COMPLIANCE,
        "ConfigurationPolicy": (
            "Progressing !.status.compliant; "
            "Progressing !.status.lastEvaluatedGeneration=.metadata.generation; "
            "Progressing !.status.compliancyDetails; " + _COMPLIANCE
        ),
        "OperatorPolicy": (
            "Progressing behind; Healthy Compliant; Degraded Compliant=False|Unknown"
        ),
        "Policy": (
            "Healthy .spec.disabled; "
            # One that is placed on no cluster.
            "Healthy !.status.compliant !.status.status .status.placement; " + _COMPLIANCE
        ),
        "PolicySet": _COMPLIANCE,
    },
    "cluster.open-cluster-management.io": {
        "ManagedCluster": (
            "Suspended .spec.hubAcceptsClient=false; Degraded ManagedClusterConditionAvailable=False|Unknown; "
            "Degraded HubAcceptedManagedCluster=False; Healthy ManagedClusterConditionAvailable"
        ),
        "Placement": "Degraded PlacementMisconfigured; Degraded PlacementSatisfied=False; Healthy PlacementSatisfied",
    },
    "addon.open-cluster-management.io": {
        "ManagedClusterAddOn": "Degraded Degraded; Degraded Available=False; Healthy Available",
    },
    "work.open-cluster-management.io": {
        "ManifestWork": (
            "Progressing stale; Degraded Applied=False; Degraded Available=False; Healthy Available"
        ),
    },
}  # fmt: skip

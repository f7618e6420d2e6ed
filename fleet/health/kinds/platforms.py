"""Rows for platforms and their operations: Knative, KEDA, KubeVirt, OpenShift, monitoring, API management, functions."""

from __future__ import annotations

from collections.abc import Mapping

from fleet.health.kinds import collectors
from fleet.health.kinds.entry import READY, Entry

_OPENSHIFT = (
    "Degraded Degraded; Progressing Progressing; Degraded Available=False; Healthy Available"
)
_KNATIVE = "Progressing behind; Degraded Ready=False; Progressing Ready=Unknown; Healthy Ready"
_KNATIVE_PARTS = "Progressing Ready=False; Progressing *=Unknown; "
_PROMETHEUS = (
    "Progressing Available=!True:SomePodsNotReady; Degraded Available=!True; Healthy Available"
)
_GRAFANA = "Degraded *=False; Healthy *"
_THREESCALE = (
    "Suspended .status.developerUserState=suspended; Degraded Invalid; Degraded Orphan; Degraded Failed; "
    "Healthy Ready; Healthy Synced; Suspended Waiting; Progressing"
)
_VICTORIA = (
    "Progressing behind; Healthy .status.updateStatus=operational; "
    "Suspended .status.updateStatus=paused; Degraded .status.updateStatus=failed; Progressing"
)

ROWS: Mapping[str, Mapping[str, Entry]] = {
    "serving.knative.dev": {
        "*": _KNATIVE,
        "Service": (
            "Degraded *=False; Healthy Ready ConfigurationsReady RoutesReady !*=Unknown; Progressing"
        ),
    },
    "*.knative.dev": {"*": _KNATIVE},
    "operator.knative.dev": {
        "KnativeEventing": _KNATIVE_PARTS
        + "Healthy Ready InstallSucceeded; Degraded .status.conditions",
        "KnativeServing": "Progressing DeploymentsAvailable=False; "
        + _KNATIVE_PARTS
        + "Healthy Ready InstallSucceeded DependenciesInstalled DeploymentsAvailable; "
        "Degraded .status.conditions",
    },
    "keda.sh": {
        "ScaledJob": "Degraded Ready=False|Unknown; Suspended Ready Paused; Healthy Ready",
        "ScaledObject": (
            "Degraded Ready=False; Degraded Fallback; Suspended Ready Paused; Healthy Ready"
        ),
        "ClusterTriggerAuthentication TriggerAuthentication": None,
    },
    "http.keda.sh": {"HTTPScaledObject": "Degraded Ready=False; Healthy Ready"},
    "kubevirt.io": {
        "KubeVirt": "Degraded Degraded; Progressing Progressing; Healthy Available",
        "VirtualMachine": (
            "Suspended Paused; Healthy Ready; Suspended Ready=False|Unknown !.status.created; "
            "Progressing"
        ),
        "VirtualMachineInstance": (
            "Degraded .status.phase=Failed; Suspended .status.phase=Succeeded; "
            "Unknown .status.phase=Unknown; Progressing .status.phase=Pending|Scheduling|Scheduled; "
            "Suspended Paused; Healthy Ready; Degraded Ready=False|Unknown"
        ),
    },
    "cdi.kubevirt.io": {
        "DataVolume": (
            "Healthy .status.phase=Succeeded; Suspended .status.phase=Paused; "
            "Degraded Running=False:Error; Degraded .status.phase=Failed|Unknown"
        ),
        "CDI": "Degraded Degraded; Progressing Progressing; Healthy Available",
    },
    "apps.openshift.io": {
        "DeploymentConfig": (
            "Progressing !.status.conditions; Progressing !.status.replicas; "
            "Healthy .status.replicas=0; "
            "Healthy Available Progressing=True:NewReplicationControllerAvailable; "
            "Progressing Available; Progressing Progressing=True:NewReplicationControllerAvailable; "
            "Degraded"
        ),
    },
    "config.openshift.io": {
        "ClusterOperator": _OPENSHIFT,
        "ClusterVersion": "Degraded Failing; Progressing Progressing; Healthy Available",
        "*": None,
    },
    "operator.openshift.io": {
        "IngressController": (
            "Degraded Degraded; Progressing DeploymentReplicasAllAvailable=False; "
            "Progressing Progressing; Healthy Available"
        ),
        "*": "Degraded *Degraded; Progressing *Progressing; Degraded *Available=False; Healthy *Available",
    },
    "machineconfiguration.openshift.io": {
        "MachineConfigPool": (
            "Suspended .spec.paused; Degraded Degraded; Progressing Updating; Healthy Updated"
        ),
        "MachineConfig": None,
    },
    "monitoring.coreos.com": {
        "Alertmanager Prometheus PrometheusAgent ThanosRuler": _PROMETHEUS,
        "AlertmanagerConfig PodMonitor Probe PrometheusRule ScrapeConfig ServiceMonitor": None,
    },
    "operator.victoriametrics.com": {"*": _VICTORIA},
    "grafana.integreatly.org": {
        "*": _GRAFANA,
        "Grafana": (
            "Degraded .status.stageStatus=failed; "
            "Healthy .status.stage=complete .status.stageStatus=success"
        ),
        "GrafanaDashboard GrafanaFolder": _GRAFANA,
        "GrafanaDatasource": (
            "Progressing !.status; Degraded .status.NoMatchingInstances; Degraded *=False; Healthy *; "
            "Progressing !.status.uid; Healthy"
        ),
    },
    "grafana-org-operator.kubitus-project.gitlab.io": {"*": READY + "; Progressing"},
    "loki.grafana.com": {
        "LokiStack": "Degraded Failed; Degraded Degraded; Progressing Pending; Healthy Ready",
        "AlertingRule RecordingRule RulerConfig": None,
    },
    "tempo.grafana.com": {
        "TempoMonolithic TempoStack": (
            "Degraded ConfigurationError; Degraded Failed; Progressing Pending; Healthy Ready"
        ),
    },
    "jaegertracing.io": {"Jaeger": "Healthy .status.phase=Running; Degraded .status.phase=Failed"},
    "opentelemetry.io": {
        "OpenTelemetryCollector": collectors.open_telemetry,
        "Instrumentation OpAMPBridge TargetAllocator": None,
    },
    "datadoghq.com": {
        "DatadogAgent": "Degraded *ReconcileError; Degraded .status.agent.state=Failed; "
        "Progressing .status.agent.state=Updating|Progressing; Healthy .status.agent",
        "DatadogMetric": "Degraded Error; Degraded Valid=False; Healthy",
        "DatadogMonitor DatadogSLO": "Degraded Error; Healthy Active; Healthy Created",
    },
    "coralogix.com": {"*": "Degraded RemoteSynced=False; Healthy RemoteSynced; Progressing"},
    "logging.banzaicloud.io": {
        "ClusterFlow ClusterOutput Flow Output": (
            "Degraded .status.problemsCount=!0; Degraded .status.active=false; Healthy .status.active"
        ),
        "Logging": "Degraded .status.problemsCount=!0; Healthy .status",
    },
    "apps.3scale.net": {
        "APIManager": (
            "Healthy .status.deployments.ready !.status.deployments.starting !.status.deployments.stopped; "
            "Healthy Available; Degraded Available=!True:?*"
        ),
    },
    "capabilities.3scale.net": {
        "*": _THREESCALE,
        "Application": (
            "Suspended .status.state=suspended; Healthy Ready; "
            "Progressing .status.adminId !.status.adminId=0; Degraded Ready=!True"
        ),
        "ProxyConfigPromote": "Degraded Failed; Healthy Ready; Progressing In-progress",
        "Tenant": (
            "Healthy Ready .status.tenantId !.status.tenantId=0 .status.adminId !.status.adminId=0; "
            "Degraded Ready=!True"
        ),
    },
    "camel.apache.org": {
        "Build": "Healthy .status.phase=Succeeded; Degraded .status.phase=Failed|Error|Interrupted",
        "Integration": READY,
        "IntegrationKit IntegrationPlatform KameletBinding Kamelet Pipe": (
            "Degraded Ready=False; Healthy Ready; Healthy .status.phase=Ready; Degraded .status.phase=Error"
        ),
    },
    "openfaas.com": {
        "Function": (
            "Degraded Ready=False; Degraded Stalled; "
            "Healthy Ready .status.replicas !.status.replicas=0; Suspended Ready"
        ),
    },
    "core.spinkube.dev": {
        "SpinApp": (
            "Progressing !.status; Degraded Progressing=False:ProgressDeadlineExceeded; "
            "Degraded !Available; Progressing .status.readyReplicas<.spec.replicas; "
            "Progressing .spec.replicas=!0 !.status.readyReplicas; "
            "Progressing Progressing; Healthy"
        ),
        "SpinAppExecutor": None,
    },
    "core.oam.dev": {
        "Application": (
            "Suspended .status.status=workflowSuspending; Healthy .status.status=running; "
            "Degraded .status.status=unhealthy|workflowFailed|workflowTerminated"
        ),
    },
    "core.openfeature.dev": {"*": None},
    "agones.dev": {
        "Fleet": "Healthy .status.readyReplicas .status.replicas=.spec.replicas; Progressing",
        "GameServer": (
            "Healthy .status.state=Ready|Allocated|Reserved; Degraded .status.state=Error|Unhealthy"
        ),
    },
    "batch.volcano.sh": {
        "Job": (
            "Healthy .status.state.phase=Completed; "
            "Degraded .status.state.phase=Failed|Aborted|Terminated"
        ),
    },
    "kueue.x-k8s.io": {
        "ClusterQueue LocalQueue": "Degraded Active=False; Healthy Active",
        "Workload": (
            "Degraded Finished:*Failed*; Healthy Finished; Healthy Admitted; Suspended Evicted; Progressing"
        ),
    },
    "nvidia.com": {
        "ClusterPolicy NVIDIADriver": (
            "Degraded Error=True:!OperandNotReady; Healthy .status.state=ready; "
            "Suspended .status.state=ignored; Progressing"
        ),
    },
    "jobset.x-k8s.io": {"JobSet": "Suspended Suspended; Degraded Failed; Healthy Completed"},
}  # fmt: skip

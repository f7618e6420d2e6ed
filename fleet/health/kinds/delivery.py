"""Rows for what delivers and builds: Argo, Flux, OpenKruise, Flagger, Numaflow, GitOps Promoter, Keptn, Tekton, OLM."""

from __future__ import annotations

from collections.abc import Mapping

from fleet.health.kinds import kruise, promoter, rollouts
from fleet.health.kinds.entry import Entry

_FLUX = "Suspended .spec.suspend; Progressing Ready=Unknown Reconciling; "
_ENDED = "Healthy .status.phase=Succeeded|Successful|Completed; Degraded .status.phase=Failed|Error"
_NUMAPLANE_SEEN = (
    "Progressing !.status; Progressing unseen; "
    "Progressing .status.upgradeInProgress !ProgressiveUpgradeSucceeded=False; "
    "Progressing .status.phase=Pending !ProgressiveUpgradeSucceeded=False; "
    "Progressing ChildResourcesHealthy=False:Progressing; "
    "Degraded .status.phase=Failed; "
)
_NUMAPLANE_END = "Healthy ChildResourcesHealthy; Unknown"
_PROMOTED = "Progressing stale; Degraded Ready=False; Progressing !Ready=True|Unknown; "
_GATED = (
    "Progressing stale; Degraded Ready=False; Progressing !Ready; "
    "Degraded .status.environments[].phase=failure; "
    "Progressing .status.environments[].phase=!success; Healthy"
)

ROWS: Mapping[str, Mapping[str, Entry]] = {
    "argoproj.io": {
        "AnalysisRun": (
            "Healthy .status.phase=Successful; Degraded .status.phase=Failed|Error; "
            "Unknown .status.phase=Inconclusive"
        ),
        # An application of applications does not wait for its children, as with Argo CD, unless a rule says so.
        "Application": None,
        "ApplicationSet": (
            "Degraded ErrorOccurred; Degraded ResourcesUpToDate=False; Progressing RolloutProgressing; "
            "Healthy ResourcesUpToDate"
        ),
        "ClusterWorkflowTemplate WorkflowTemplate AppProject": None,
        "CronWorkflow": "Degraded SpecError; Degraded SubmissionError; Healthy",
        "EventBus": "Degraded Deployed=False; Healthy Deployed",
        "EventSource Sensor": "Degraded *=False; Healthy Deployed",
        "Experiment": _ENDED,
        "Rollout": rollouts.rollout,
        "Workflow": "Progressing .status.phase=Pending|Running; Healthy .status.phase=Succeeded; "
        "Degraded .status.phase=Failed|Error; Unknown .status.phase",
    },
    "promoter.argoproj.io": {
        "ArgoCDCommitStatus": _PROMOTED + "Degraded !.status.applicationsSelected; Healthy",
        "ChangeTransferPolicy": _PROMOTED
        + "Progressing !.status.active.dry.sha; Progressing !.status.proposed.dry.sha; "
        "Progressing !.status.active.dry.sha=.status.proposed.dry.sha; Healthy",
        "ClusterScmProvider GitRepository ScmProvider": (
            "Progressing stale; Degraded Ready=False; Healthy Ready"
        ),
        "CommitStatus": _PROMOTED + "Healthy",
        "GitCommitStatus TimedCommitStatus WebRequestCommitStatus": _GATED,
        "PromotionStrategy": promoter.promotion_strategy,
        "PullRequest": (
            "Progressing stale; Degraded Ready=False; Degraded Reconciled=False; "
            "Healthy Ready=True|Unknown; Healthy Reconciled=True|Unknown"
        ),
    },
    "helm.toolkit.fluxcd.io": {
        "HelmRelease": _FLUX
        + "Healthy Ready Released; Healthy Ready TestSuccess; Degraded .status.conditions",
    },
    "kustomize.toolkit.fluxcd.io": {
        "Kustomization": _FLUX + "Healthy Ready; Degraded .status.conditions",
    },
    "source.toolkit.fluxcd.io": {
        "Bucket ExternalArtifact GitRepository HelmChart OCIRepository": (
            _FLUX + "Healthy Ready ArtifactInStorage; Degraded .status.conditions"
        ),
        # One of type oci is only configuration: no controller writes its status.
        "HelmRepository": "Suspended .spec.suspend; Healthy .spec.type=oci; "
        + _FLUX
        + "Healthy Ready ArtifactInStorage; Degraded .status.conditions",
    },
    "image.toolkit.fluxcd.io": {
        "ImagePolicy": (
            "Suspended .spec.suspend; "
            "Progressing Ready=False Reconciling=True:NewGeneration|AccessingRepository|ApplyingPolicy; "
            "Healthy Ready; Degraded .status.conditions"
        ),
        "ImageRepository": (
            "Suspended .spec.suspend; Progressing Ready=False Reconciling=True:NewGeneration|Scanning; "
            "Healthy Ready; Degraded .status.conditions"
        ),
        "ImageUpdateAutomation": _FLUX + "Healthy Ready; Degraded .status.conditions",
    },
    "notification.toolkit.fluxcd.io": {
        "Receiver": "Suspended .spec.suspend; Healthy Ready; Degraded .status.conditions",
    },
    "*.fluxcd.io": {
        "*": _FLUX + "Degraded Stalled; Progressing Ready=Unknown; Progressing Ready=False Reconciling; Healthy Ready",
    },
    "fluxcd.controlplane.io": {
        "*": "Progressing Ready=Unknown; Progressing Ready=False Reconciling; Degraded Ready=False; Healthy Ready",
    },
    "apps.kruise.io": {
        "AdvancedCronJob": (
            "Suspended .spec.paused !.status.lastScheduleTime; Progressing .status.active; "
            "Healthy .status.lastScheduleTime; Degraded"
        ),
        "BroadcastJob": (
            "Healthy .status.phase=completed .status.desired=.status.succeeded; "
            "Progressing .status.phase=running; Degraded .status.phase=failed; "
            "Suspended .status.phase=paused .spec.paused"
        ),
        "CloneSet": kruise.clone_set,
        "DaemonSet": kruise.daemon_set,
        "StatefulSet": kruise.stateful_set,
    },
    "game.kruise.io": {
        "GameServer": kruise.game_server,
        "GameServerSet": kruise.game_server_set,
    },
    "rollouts.kruise.io": {
        "Rollout": (
            "Progressing unseen; "
            "Suspended .status.canaryStatus.currentStepState=StepPaused .status.phase=Progressing; "
            "Healthy .status.canaryStatus.currentStepState=Completed .status.phase=Healthy; "
            "Degraded .status.canaryStatus.currentStepState=StepPaused .status.phase=Terminating|Disabled"
        ),
    },
    "flagger.app": {
        "Canary": (
            "Degraded .status.phase=Failed; Progressing .status.phase=Progressing|Promoting|Finalising; "
            "Healthy .status.phase=Initialized|Succeeded; Unknown"
        ),
    },
    "spot.io": {
        "SpotDeployment": (
            "Progressing !.status.conditions; Degraded InvalidSpec=*; "
            "Degraded Progressing:RolloutAborted|ProgressDeadlineExceeded; Suspended Paused; "
            "Progressing .status.phase=Progressing; Healthy"
        ),
    },
    "numaflow.numaproj.io": {
        "*": (
            "Progressing !.status; Progressing unseen; Degraded *=False; Degraded .status.phase=Failed; "
            "Degraded .metadata.labels[numaplane.numaproj.io/progressive-result-state]=failed; "
            "Healthy .status.phase=Running|Paused|Pausing; Progressing"
        ),
    },
    "numaplane.numaproj.io": {
        "ISBServiceRollout MonoVertexRollout PipelineRollout": _NUMAPLANE_SEEN
        + "Degraded ChildResourcesHealthy=False:*Failed; Degraded ProgressiveUpgradeSucceeded=False; "
        "Healthy *PausingOrPaused; " + _NUMAPLANE_END,
        "NumaflowControllerRollout": _NUMAPLANE_SEEN
        + "Degraded ChildResourcesHealthy=False; "
        + _NUMAPLANE_END,
    },
    "lifecycle.keptn.sh": {
        "*": (
            "Healthy .status.status=Succeeded; Healthy .status.overallStatus=Succeeded; "
            "Degraded .status.status=Failed; Degraded .status.overallStatus=Failed; "
            "Progressing .status.status; Progressing .status.overallStatus"
        ),
        "KeptnAppVersion KeptnEvaluation KeptnTask KeptnWorkloadInstance KeptnWorkloadVersion": (
            "Healthy .status.status=Succeeded; Healthy .status.overallStatus=Succeeded; "
            "Degraded .status.status=Failed; Degraded .status.overallStatus=Failed"
        ),
    },
    "metrics.keptn.sh": {
        "Analysis": "Healthy .status.pass=true; Healthy .status.warning=true; Degraded .status.pass=false",
        "KeptnMetric": "Degraded .status.errMsg; Healthy .status.value",
    },
    "tekton.dev": {
        "PipelineRun Run CustomRun TaskRun": (
            "Suspended .spec.status=PipelineRunPending; Degraded Succeeded=False; Healthy Succeeded"
        ),
    },
    "shipwright.io": {
        "Build": "Degraded .status.registered=False; Healthy .status.registered=True",
    },
    "operators.coreos.com": {
        "CatalogSource": (
            "Healthy .status.connectionState.lastObservedState=READY; "
            "Degraded .status.connectionState.lastObservedState=TRANSIENT_FAILURE; "
            "Healthy .spec.sourceType=internal|configmap .status.configMapReference"
        ),
        "ClusterServiceVersion": (
            "Healthy .status.phase=Succeeded; Degraded .status.phase=Failed; Unknown .status.phase=Unknown"
        ),
        "InstallPlan": (
            "Healthy .status.phase=Complete; Degraded .status.phase=Failed; "
            "Suspended .status.phase=RequiresApproval"
        ),
        "Subscription": (
            "Progressing !.status.conditions; "
            "Degraded InstallPlanMissing:!ReferencedInstallPlanNotFound; "
            "Degraded CatalogSourcesUnhealthy; Degraded InstallPlanFailed; Degraded ResolutionFailed; "
            "Degraded .status.state=UpgradeFailed; Progressing !.status.state; "
            "Progressing .status.state=UpgradeAvailable; "
            # An upgrade that waits for its approval, of an operator that runs.
            "Healthy InstallPlanPending=True:RequiresApproval .spec.installPlanApproval=Manual .status.installedCSV; "
            "Progressing InstallPlanPending; Progressing .status.state=UpgradePending; Healthy"
        ),
    },
    "olm.operatorframework.io": {
        "ClusterCatalog": (
            "Suspended Serving=False:UserSpecifiedUnavailable; Degraded Progressing:Blocked; Healthy Serving"
        ),
        "ClusterExtension": (
            "Degraded Progressing:Blocked; Degraded Installed=False:Failed; Healthy Installed"
        ),
    },
    "tower.ansible.com": {
        "AnsibleJob": (
            "Healthy .status.ansibleJobResult.status=successful; "
            "Degraded .status.ansibleJobResult.status=failed|error|canceled"
        ),
    },
    "pulumi.com": {
        "Stack": "Progressing unseen; Degraded Stalled; Progressing Reconciling; Healthy Ready",
    },
    "db.atlasgo.io": {
        "AtlasMigration AtlasSchema": (
            "Healthy Ready; Progressing Ready:Reconciling|GettingDevDB; "
            "Progressing Ready=*~Reconciling|GettingDevDB; Degraded Ready=False|Unknown"
        ),
    },
}  # fmt: skip

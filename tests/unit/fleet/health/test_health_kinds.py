"""Built-in kinds: one row per rule of the table, first match wins."""

import pytest

from fleet.codec import yamldoc
from fleet.codec.jsontypes import JsonObject
from fleet.health.assess import assess, has_rule
from fleet.health.result import HEALTHY, MISSING, HealthResult, aggregate, worst
from fleet.model.report import Health

HEADS = {
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "DaemonSet": "apps/v1",
    "ReplicaSet": "apps/v1",
    "Pod": "v1",
    "Service": "v1",
    "ConfigMap": "v1",
    "PersistentVolumeClaim": "v1",
    "Job": "batch/v1",
    "Ingress": "networking.k8s.io/v1",
    "APIService": "apiregistration.k8s.io/v1",
    "CustomResourceDefinition": "apiextensions.k8s.io/v1",
    "PodDisruptionBudget": "policy/v1",
    "Workflow": "argoproj.io/v1alpha1",
    "Application": "argoproj.io/v1alpha1",
    "Widget": "example.com/v1",
    "Certificate": "cert-manager.io/v1",
}


def body(kind: str, text: str) -> JsonObject:
    found: JsonObject = yamldoc.load_one(text)
    return {"apiVersion": HEADS[kind], "kind": kind, **found}


def status(result: HealthResult | None) -> str:
    return result.status.value if result else "-"


UP = "updatedReplicas: 2, availableReplicas: 2, replicas: 2"
STS = "metadata: {generation: 2}, spec: {replicas: 2"
SEEN = "observedGeneration: 2, readyReplicas: 2"
ROLLING = "updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 1}}"
RUNNING = "phase: Running"


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (
            "Deployment",
            f"{{metadata: {{generation: 2}}, spec: {{replicas: 2}}, status: {{observedGeneration: 2, {UP}}}}}",
            "Healthy",
        ),
        (
            "Deployment",
            f"{{metadata: {{generation: 3}}, spec: {{replicas: 2}}, status: {{observedGeneration: 2, {UP}}}}}",
            "Progressing",
        ),
        ("Deployment", "{metadata: {generation: 1}, spec: {replicas: 0}}", "Progressing"),
        ("Deployment", "{metadata: {generation: 1}, spec: {paused: true}}", "Suspended"),
        ("Deployment", f"{{spec: {{replicas: 3}}, status: {{{UP}}}}}", "Progressing"),
        (
            "Deployment",
            "{spec: {replicas: 2}, status: {updatedReplicas: 2, availableReplicas: 2, replicas: 3}}",
            "Progressing",
        ),
        (
            "Deployment",
            "{spec: {replicas: 2}, status: {updatedReplicas: 2, availableReplicas: 1, replicas: 2}}",
            "Progressing",
        ),
        (
            "Deployment",
            "{spec: {replicas: 2}, status: {conditions: [{type: Progressing, reason: ProgressDeadlineExceeded}]}}",
            "Degraded",
        ),
        ("Deployment", "{spec: {replicas: 0}, status: {observedGeneration: 1}}", "Healthy"),
        ("StatefulSet", "{spec: {replicas: 0}}", "Progressing"),
        ("StatefulSet", f"{{{STS}}}, status: {{{SEEN}}}}}", "Healthy"),
        (
            "StatefulSet",
            f"{{{STS}}}, status: {{observedGeneration: 1, readyReplicas: 2}}}}",
            "Progressing",
        ),
        (
            "StatefulSet",
            f"{{{STS}}}, status: {{observedGeneration: 2, readyReplicas: 1}}}}",
            "Progressing",
        ),
        (
            "StatefulSet",
            f"{{{STS}, {ROLLING}}}, status: {{{SEEN}, updatedReplicas: 0}}}}",
            "Progressing",
        ),
        (
            "StatefulSet",
            f"{{{STS}, {ROLLING}}}, status: {{{SEEN}, updatedReplicas: 1, updateRevision: b, currentRevision: a}}}}",
            "Healthy",
        ),
        (
            "StatefulSet",
            f"{{{STS}, updateStrategy: {{type: OnDelete}}}}, status: {{{SEEN}, updateRevision: b}}}}",
            "Healthy",
        ),
        (
            "StatefulSet",
            f"{{{STS}}}, status: {{{SEEN}, updateRevision: b, currentRevision: a}}}}",
            "Progressing",
        ),
        (
            "DaemonSet",
            "{status: {desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 2}}",
            "Healthy",
        ),
        ("DaemonSet", "{metadata: {generation: 1}, status: {}}", "Progressing"),
        (
            "DaemonSet",
            "{status: {desiredNumberScheduled: 2, updatedNumberScheduled: 1}}",
            "Progressing",
        ),
        (
            "DaemonSet",
            "{status: {desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 1}}",
            "Progressing",
        ),
        (
            "DaemonSet",
            "{spec: {updateStrategy: {type: OnDelete}}, status: {desiredNumberScheduled: 2}}",
            "Healthy",
        ),
        ("ReplicaSet", "{spec: {replicas: 1}, status: {availableReplicas: 1}}", "Healthy"),
        ("ReplicaSet", "{spec: {replicas: 1}, status: {}}", "Progressing"),
        ("ReplicaSet", "{metadata: {generation: 1}}", "Progressing"),
        (
            "ReplicaSet",
            "{status: {conditions: [{type: ReplicaFailure, status: 'True', message: quota}]}}",
            "Degraded",
        ),
        ("Pod", "{status: {phase: Pending}}", "Progressing"),
        ("Pod", "{status: {phase: Succeeded}}", "Healthy"),
        ("Pod", "{status: {phase: Failed, message: oops}}", "Degraded"),
        ("Pod", "{status: {}}", "Unknown"),
        (
            "Pod",
            f"{{spec: {{restartPolicy: Always}}, status: {{{RUNNING}, conditions: [{{type: Ready, status: 'True'}}]}}}}",
            "Healthy",
        ),
        ("Pod", f"{{spec: {{restartPolicy: Always}}, status: {{{RUNNING}}}}}", "Progressing"),
        (
            "Pod",
            f"{{spec: {{restartPolicy: Always}}, status: {{{RUNNING}, containerStatuses: [{{lastState: {{terminated: {{exitCode: 1}}}}}}]}}}}",
            "Degraded",
        ),
        (
            "Pod",
            f"{{spec: {{restartPolicy: Never}}, status: {{{RUNNING}, conditions: [{{type: Ready, status: 'True'}}]}}}}",
            "Progressing",
        ),
        (
            "Pod",
            "{spec: {restartPolicy: Always}, status: {phase: Pending, containerStatuses: [{state: {waiting: {reason: ImagePullBackOff}}}]}}",
            "Degraded",
        ),
        (
            "Pod",
            "{spec: {restartPolicy: Never}, status: {phase: Pending, containerStatuses: [{state: {waiting: {reason: ImagePullBackOff}}}]}}",
            "Progressing",
        ),
        (
            "Pod",
            "{spec: {restartPolicy: Always}, status: {phase: Pending, containerStatuses: [{state: {waiting: {reason: ContainerCreating}}}]}}",
            "Progressing",
        ),
        ("Job", "{status: {}}", "Progressing"),
        ("Job", "{status: {conditions: [{type: Complete, status: 'True'}]}}", "Healthy"),
        ("Job", "{status: {conditions: [{type: Failed, status: 'True'}]}}", "Degraded"),
        ("Job", "{status: {conditions: [{type: Suspended, status: 'True'}]}}", "Suspended"),
        ("Job", "{status: {conditions: [{type: Suspended, status: 'False'}]}}", "Progressing"),
        ("PersistentVolumeClaim", "{status: {phase: Bound}}", "Healthy"),
        ("PersistentVolumeClaim", "{status: {phase: Pending}}", "Progressing"),
        ("PersistentVolumeClaim", "{status: {phase: Lost}}", "Degraded"),
        ("PersistentVolumeClaim", "{status: {}}", "Unknown"),
        ("Service", "{spec: {type: ClusterIP}}", "Healthy"),
        ("Service", "{spec: {type: LoadBalancer}}", "Progressing"),
        (
            "Service",
            "{spec: {type: LoadBalancer}, status: {loadBalancer: {ingress: [{ip: 1.2.3.4}]}}}",
            "Healthy",
        ),
        ("Ingress", "{status: {loadBalancer: {}}}", "Progressing"),
        ("Ingress", "{status: {loadBalancer: {ingress: [{ip: 1.2.3.4}]}}}", "Healthy"),
        ("APIService", "{status: {conditions: [{type: Available, status: 'True'}]}}", "Healthy"),
        (
            "APIService",
            "{status: {conditions: [{type: Available, status: 'False'}]}}",
            "Progressing",
        ),
        ("APIService", "{}", "Progressing"),
        ("CustomResourceDefinition", "{}", "Progressing"),
        (
            "CustomResourceDefinition",
            "{status: {conditions: [{type: Established, status: 'True'}]}}",
            "Healthy",
        ),
        (
            "CustomResourceDefinition",
            "{status: {conditions: [{type: NamesAccepted, status: 'False', message: taken}]}}",
            "Degraded",
        ),
        (
            "CustomResourceDefinition",
            "{status: {conditions: [{type: Established, status: 'True'}, {type: Terminating, status: 'True'}]}}",
            "Progressing",
        ),
        (
            "PodDisruptionBudget",
            "{status: {conditions: [{type: DisruptionAllowed, status: 'True'}]}}",
            "Healthy",
        ),
        ("Workflow", "{status: {phase: Running}}", "Progressing"),
        ("Workflow", "{status: {phase: Succeeded}}", "Healthy"),
        ("Workflow", "{status: {phase: Error}}", "Degraded"),
        ("Workflow", "{status: {phase: New}}", "Unknown"),
        ("Application", "{status: {health: {status: Degraded}}}", "-"),
        ("ConfigMap", "{data: {a: b}}", "-"),
        ("ConfigMap", "{metadata: {deletionTimestamp: '2026-01-01T00:00:00Z'}}", "Progressing"),
        ("Widget", "{}", "-"),
        ("Widget", "{status: {}}", "-"),
        ("Widget", "{status: {something: else}}", "-"),
        (
            "Widget",
            "{metadata: {generation: 2}, status: {observedGeneration: 1, conditions: [{type: Ready, status: 'True'}]}}",
            "Progressing",
        ),
        (
            "Widget",
            "{metadata: {generation: 2}, status: {observedGeneration: 1, conditions: [{type: Ready, status: 'False', reason: ArtifactFailed, observedGeneration: 2}]}}",
            "Degraded",
        ),
        (
            "Widget",
            "{metadata: {generation: 2}, status: {conditions: [{type: Ready, status: 'True', observedGeneration: 1}]}}",
            "Progressing",
        ),
        ("Widget", "{status: {conditions: [{type: Ready, status: 'True'}]}}", "Healthy"),
        ("Widget", "{status: {conditions: [{type: Ready, status: 'Unknown'}]}}", "Progressing"),
        (
            "Widget",
            "{status: {conditions: [{type: Ready, status: 'False', reason: Creating}]}}",
            "Progressing",
        ),
        (
            "Widget",
            "{status: {conditions: [{type: Ready, status: 'False', reason: ReconcileError}]}}",
            "Degraded",
        ),
        (
            "Widget",
            "{status: {conditions: [{type: Ready, status: 'True'}, {type: Stalled, status: 'True'}]}}",
            "Degraded",
        ),
        (
            "Widget",
            "{status: {conditions: [{type: Ready, status: 'True'}, {type: Reconciling, status: 'True'}]}}",
            "Progressing",
        ),
        (
            "Widget",
            "{status: {conditions: [{type: Ready, status: 'True'}, {type: Synced, status: 'False', reason: ReconcileError}]}}",
            "Degraded",
        ),
        (
            "Widget",
            "{status: {conditions: [{type: Available, status: 'True'}, {type: Progressing, status: 'True', reason: NewReplicaSetAvailable}]}}",
            "Healthy",
        ),
        ("Widget", "{status: {conditions: [{type: Paused, status: 'True'}]}}", "Suspended"),
        ("Widget", "{status: {phase: Running}}", "Healthy"),
        ("Widget", "{status: {phase: Failed}}", "Degraded"),
        ("Widget", "{status: {phase: Provisioning}}", "Progressing"),
        ("Widget", "{status: {phase: Zorgled}}", "-"),
        ("Widget", "{status: {replicas: 2, readyReplicas: 1}}", "Progressing"),
        ("Widget", "{status: {replicas: 2, readyReplicas: 2}}", "Healthy"),
        ("Widget", "{status: {error: {message: no}}}", "Degraded"),
        ("Widget", "{status: {conditions: nonsense, phase: 3}}", "-"),
        (
            "Widget",
            "{status: {parents: [{conditions: [{type: Accepted, status: 'True'}]}]}}",
            "Healthy",
        ),
        (
            "Widget",
            "{status: {parents: [{conditions: [{type: Accepted, status: 'True'}]}, {conditions: [{type: Accepted, status: 'False', reason: InvalidConfiguration}]}]}}",
            "Degraded",
        ),
        ("Certificate", "{}", "Progressing"),
    ],
)
def test_health(kind: str, text: str, expected: str) -> None:
    assert status(assess(body(kind, text))) == expected


BAD = "{type: ScalingActive, status: 'False', reason: FailedGetResourceMetric, message: no metrics}"
FINE = "{type: AbleToScale, status: 'True', reason: ReadyForNewScale}"


@pytest.mark.parametrize(
    ("version", "conditions", "expected"),
    [
        ("autoscaling/v2", f"[{FINE}]", "Healthy"),
        ("autoscaling/v2", f"[{FINE}, {BAD}]", "Degraded"),
        ("autoscaling/v2", "[]", "Progressing"),
        ("autoscaling/v2beta2", f"[{FINE}]", "Unknown"),
    ],
)
def test_autoscaler(version: str, conditions: str, expected: str) -> None:
    text = f"{{apiVersion: {version}, kind: HorizontalPodAutoscaler, status: {{conditions: {conditions}}}}}"
    assert status(assess(yamldoc.load_one(text))) == expected


def test_autoscaler_v1_reads_its_annotation() -> None:
    found: JsonObject = {
        "apiVersion": "autoscaling/v1",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {
            "annotations": {
                "autoscaling.alpha.kubernetes.io/conditions": '[{"type":"ScalingActive","reason":"InvalidSelector"}]'
            }
        },
    }
    assert status(assess(found)) == "Degraded"
    found["metadata"]["annotations"]["autoscaling.alpha.kubernetes.io/conditions"] = "{"
    assert status(assess(found)) == "Progressing"


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "{kind: 3}",
        "{apiVersion: [], kind: {}}",
        "{metadata: 1, status: [1]}",
        "{apiVersion: apps/v1, kind: Deployment, spec: x, status: y}",
    ],
)
def test_odd_objects_never_raise(text: str) -> None:
    assess(yamldoc.load_one(text))


@pytest.mark.parametrize(
    ("group", "kind", "expected"),
    [
        ("apps", "Deployment", True),
        ("", "ConfigMap", False),
        ("", "Secret", False),
        ("rbac.authorization.k8s.io", "Role", False),
        ("example.com", "Widget", True),
        ("argoproj.io", "Application", False),
    ],
)
def test_which_kinds_have_to_be_seen_whole(group: str, kind: str, expected: bool) -> None:
    assert has_rule(group, kind) is expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], Health.HEALTHY),
        ([None], Health.HEALTHY),
        ([HEALTHY, None], Health.HEALTHY),
        ([HEALTHY, HealthResult(Health.SUSPENDED)], Health.SUSPENDED),
        ([HealthResult(Health.DEGRADED), HealthResult(Health.PROGRESSING)], Health.DEGRADED),
        ([HealthResult(Health.DEGRADED), HealthResult(Health.UNKNOWN)], Health.UNKNOWN),
        ([MISSING, HEALTHY], Health.HEALTHY),
        ([MISSING, None], Health.HEALTHY),
        ([MISSING, MISSING], Health.MISSING),
    ],
    ids=str,
)
def test_aggregate(words: list[HealthResult | None], expected: Health) -> None:
    assert aggregate(words) is expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], Health.HEALTHY),
        ([Health.HEALTHY, Health.MISSING, Health.PROGRESSING], Health.MISSING),
        ([Health.DEGRADED, Health.UNKNOWN, Health.HEALTHY], Health.UNKNOWN),
    ],
    ids=str,
)
def test_worst(words: list[Health], expected: Health) -> None:
    assert worst(words) is expected

"""The general conventions: what an object of a kind that nobody listed is rated by."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.codec import yamldoc
from fleet.codec.jsontypes import JsonValue
from fleet.health.assess import assess
from fleet.health.generic import generic


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("{spec: {x: 1}}", None, id="silent"),
        pytest.param("{status: {conditions: [{type: Whatever, status: 'True'}]}}", None, id="unknown-condition"),
        pytest.param("{spec: {suspend: true}, status: {conditions: [{type: Ready, status: 'True'}]}}", "Suspended", id="suspend"),
        pytest.param("{status: {conditions: [{type: Stopped, status: 'True'}, {type: Ready, status: 'False', reason: X}]}}", "Suspended", id="stopped"),
        pytest.param("{metadata: {generation: 2}, status: {observedGeneration: 1, conditions: [{type: Ready, status: 'True'}]}}", "Progressing", id="behind"),
        pytest.param(
            "{metadata: {generation: 2}, status: {observedGeneration: 1, conditions: [{type: Stalled, status: 'True', observedGeneration: 2}]}}",
            "Degraded",
            id="stalled-now",
        ),
        pytest.param("{status: {conditions: [{type: Ready, status: 'True'}]}}", "Healthy", id="ready"),
        pytest.param("{status: {conditions: [{type: Ready, status: 'False', reason: InvalidSpec}]}}", "Degraded", id="reason-fails"),
        pytest.param("{status: {conditions: [{type: Ready, status: 'False', reason: Provisioning}]}}", "Progressing", id="reason-works"),
        pytest.param("{status: {conditions: [{type: Ready, status: 'False', reason: Applying, message: 'Error: no such table'}]}}", "Degraded", id="error-message"),
        pytest.param("{status: {conditions: [{type: Ready, status: 'False', message: access denied}]}}", "Degraded", id="message-fails"),
        pytest.param("{status: {conditions: [{type: Ready, status: 'False', message: 2 of 3}]}}", "Progressing", id="message-works"),
        pytest.param("{status: {conditions: [{type: Ready, status: Unknown}]}}", "Progressing", id="unknown"),
        pytest.param("{status: {conditions: [{type: Ready, status: 'True'}, {type: Degraded, status: 'True'}]}}", "Degraded", id="degraded"),
        pytest.param("{status: {conditions: [{type: Ready, status: 'True'}, {type: DiskUnhealthy, status: 'True'}]}}", "Degraded", id="unhealthy"),
        pytest.param("{status: {conditions: [{type: HasErrors, status: 'False', reason: NoErrors}]}}", None, id="no-errors"),
        pytest.param("{status: {conditions: [{type: Advertised, status: 'False', reason: AdvertiseError}]}}", "Degraded", id="any-reason-fails"),
        pytest.param("{status: {conditions: [{type: Ready, status: 'True'}, {type: Reconciling, status: 'True'}]}}", "Progressing", id="reconciling"),
        pytest.param("{status: {conditions: [{type: Available, status: 'True'}, {type: Progressing, status: 'True', reason: NewReplicaSetAvailable}]}}", "Healthy", id="progressed"),
        pytest.param(
            "{status: {conditions: [{type: Available, status: 'False', reason: MinimumReplicasUnavailable}, {type: Progressing, status: 'True', reason: ReplicaSetUpdated}]}}",
            "Progressing",
            id="rolling-out",
        ),
        pytest.param("{status: {conditions: [{type: Available, status: 'False', reason: MinimumReplicasUnavailable}]}}", "Degraded", id="unavailable"),
        pytest.param("{status: {conditions: [{type: Ready, status: 'False', reason: ReconciliationFailed}, {type: Reconciling, status: 'True'}]}}", "Degraded", id="failing-and-trying"),
        pytest.param("{status: {conditions: [{type: Running, status: 'False', reason: Completed}, {type: Successful, status: 'True'}]}}", "Healthy", id="has-run"),
        pytest.param("{status: {conditions: [{type: Reconciled, status: 'False', reason: ApplyError}]}}", "Degraded", id="not-reconciled"),
        pytest.param("{status: {phase: NonCompliant}}", "Degraded", id="phase-denies"),
        pytest.param("{status: {state: CrashLoopBackOff}}", "Degraded", id="phase-crashes"),
        pytest.param("{status: {state: Rebuilding}}", "Progressing", id="phase-works"),
        pytest.param("{status: {state: connected}}", "Healthy", id="phase-in-lower-case"),
        pytest.param("{status: {phase: Running}}", "Healthy", id="phase"),
        pytest.param("{status: {phase: CreateFailed}}", "Degraded", id="phase-fails"),
        pytest.param("{status: {phase: Unknown}}", "Unknown", id="phase-unknown"),
        pytest.param("{status: {state: PROVISIONING, conditions: [{type: x/resources-ready, status: 'True'}]}}", "Progressing", id="phase-over-minor-conditions"),
        pytest.param("{status: {failureMessage: no quota, conditions: [{type: Ready, status: 'True'}]}}", "Degraded", id="failure-message"),
        pytest.param("{status: {ready: true}}", "Healthy", id="ready-field"),
        pytest.param("{spec: {replicas: 2}, status: {replicas: 2}}", "Progressing", id="none-ready"),
        pytest.param("{status: {replicas: 2, readyReplicas: 2}}", "Healthy", id="all-ready"),
        pytest.param("{status: {replicas: 2, updatedReadyReplicas: 1}}", "Progressing", id="some-ready"),
        pytest.param("{status: {replicas: 2}}", None, id="not-counted"),
        pytest.param(
            "{metadata: {generation: 2}, status: {parents: [{conditions: [{type: Accepted, status: 'True', observedGeneration: 1}]}]}}",
            "Progressing",
            id="parent-behind",
        ),
    ],
)  # fmt: skip
def test_convention(text: str, expected: str | None) -> None:
    found = generic({"apiVersion": "example.com/v1", "kind": "Widget", **yamldoc.load_one(text)})
    assert (found.status.value if found else None) == expected


_JSON: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "True", "Ready", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "conditions",
                    "type",
                    "status",
                    "phase",
                    "replicas",
                    "parents",
                    "health",
                    "state",
                    "observedGeneration",
                    "generation",
                    "spec",
                    "updateStrategy",
                    "racks",
                    "statuses",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(
    kind=st.sampled_from(
        [
            ("example.com/v1", "Widget"),
            ("argoproj.io/v1alpha1", "Rollout"),
            ("apps.kruise.io/v1alpha1", "CloneSet"),
            ("gateway.networking.k8s.io/v1", "HTTPRoute"),
            ("kafka.banzaicloud.io/v1beta1", "KafkaCluster"),
            ("sparkoperator.k8s.io/v1beta2", "SparkApplication"),
            ("cert-manager.io/v1", "Certificate"),
            ("batch/v1", "CronJob"),
            ("apps/v1", "Deployment"),
            ("v1", "Pod"),
        ]
    ),
    metadata=_JSON,
    spec=_JSON,
    status=_JSON,
)
def test_no_object_whatever_its_form_breaks_a_rule(
    kind: tuple[str, str], metadata: JsonValue, spec: JsonValue, status: JsonValue
) -> None:
    """Nobody has checked what a cluster holds: some kinds have no schema."""
    body = {
        "apiVersion": kind[0],
        "kind": kind[1],
        "metadata": metadata,
        "spec": spec,
        "status": status,
    }
    found = assess(body)
    assert found is None or isinstance(found.message, str)

"""How an Application is synced, and what is wrong with values that cannot be used."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fleet.argo.application import read_application
from fleet.codec.yamldoc import load_documents
from fleet.errors import BadInput, Where
from fleet.model.application import Application, NamespaceMetadata, Retry

BASE = """
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: guestbook}
spec:
  project: default
  source: {repoURL: https://git.example.com/apps.git, path: guestbook}
  destination: {name: alpha, namespace: demo}
"""


def read(spec: str) -> Application:
    (document,) = load_documents(f"{BASE}  {spec}\n", source="app.yaml")
    return read_application(document.value, where=Where(file="app.yaml"))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("syncPolicy: {}", None),
        ("syncPolicy: {retry: {limit: 2}}", Retry(limit=2)),
        (
            "syncPolicy: {retry: {backoff: {duration: 10s}}}",
            Retry(limit=0, wait=timedelta(seconds=10)),
        ),
        (
            "syncPolicy: {retry: {limit: -1, refresh: true, backoff: {duration: '30', factor: 3, maxDuration: 1m30s}}}",
            Retry(
                limit=-1,
                wait=timedelta(seconds=30),
                factor=3,
                max_wait=timedelta(seconds=90),
                refresh=True,
            ),
        ),
    ],
    ids=["none", "defaults", "no limit is none", "all"],
)
def test_retry(spec: str, expected: Retry | None) -> None:
    assert read(spec).sync_policy.retry == expected


def test_namespace_metadata_history_and_ignored_differences() -> None:
    application = read(
        """syncPolicy: {managedNamespaceMetadata: {labels: {team: web}, annotations: {a: b}}}
  revisionHistoryLimit: 3
  ignoreDifferences:
  - {group: apps, kind: Deployment, jqPathExpressions: [.spec.replicas], managedFieldsManagers: [hpa]}
"""
    )
    assert application.sync_policy.namespace_metadata == NamespaceMetadata(
        labels={"team": "web"}, annotations={"a": "b"}
    )
    assert application.history_limit == 3
    (rule,) = application.ignore_differences
    assert rule.jq_expressions == (".spec.replicas",)
    assert rule.managers == ("hpa",)


def test_ten_deployments_are_kept_where_nothing_is_said() -> None:
    assert read("syncPolicy: {}").history_limit == 10
    assert read("revisionHistoryLimit: 0").history_limit == 0


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "syncPolicy: {retry: {backoff: {duration: soon}}}",
            "spec.syncPolicy.retry.backoff.duration: not a duration: 'soon'",
        ),
        (
            "syncPolicy: {retry: {backoff: {maxDuration: -3m}}}",
            "spec.syncPolicy.retry.backoff.maxDuration: a duration cannot be negative",
        ),
        (
            "syncPolicy: {retry: {backoff: {factor: 0}}}",
            "spec.syncPolicy.retry.backoff.factor: must be at least 1",
        ),
        (
            "syncPolicy: {managedNamespaceMetadata: {labels: {a b: c}}}",
            "spec.syncPolicy.managedNamespaceMetadata.labels: key 'a b'",
        ),
        (
            "syncPolicy: {managedNamespaceMetadata: {annotations: {/a: c}}}",
            "spec.syncPolicy.managedNamespaceMetadata.annotations: the prefix",
        ),
        ("revisionHistoryLimit: -1", "spec.revisionHistoryLimit: must not be negative"),
    ],
)
def test_values_that_cannot_be_used_are_named(spec: str, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        read(spec)
    assert message in str(caught.value)
    assert "app.yaml" in str(caught.value)


def test_a_pointer_that_can_name_nothing_is_a_warning() -> None:
    application = read(
        "ignoreDifferences: [{kind: Deployment, jsonPointers: [/spec/replicas, spec/paused]}]"
    )
    (warning,) = application.warnings
    assert warning.reason == "IgnoreDifferences"
    assert warning.message == (
        "spec.ignoreDifferences[0].jsonPointers: 'spec/paused' names nothing, a JSON pointer starts with /"
    )

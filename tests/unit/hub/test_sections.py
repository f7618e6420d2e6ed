"""Sections: the words of an Application and of its project, as an agent gets them."""

from __future__ import annotations

from datetime import timedelta

from fleet.argo.application import read_application
from fleet.argo.projects import read_project
from fleet.codec.yamldoc import load_documents
from fleet.errors import Where
from fleet.model.assignment import IgnoreRule, RetryPolicy, Section, Window
from fleet.model.cluster import Cluster
from fleet.model.identity import ClusterName, TargetId
from fleet.model.target import Target
from fleet.moves import Decision
from hub.sections import ProjectsHere, section_for

DOCUMENTS = """
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: team}
spec:
  sourceRepos: ['*']
  destinations: [{name: '*', server: '*', namespace: '*'}]
  syncWindows:
  - {kind: deny, schedule: '0 22 * * *', duration: 1h, clusters: [alpha], manualSync: true}
  - {kind: deny, schedule: '0 23 * * *', duration: 1h, applications: [other]}
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: web
  annotations:
    argocd.argoproj.io/deletion-approved: "2026-01-01T00:00:00Z"
    argocd.argoproj.io/compare-options: "ServerSideDiff=true, IgnoreExtraneous"
spec:
  project: team
  source: {repoURL: https://git.example.com/apps.git, path: web}
  destination: {name: alpha, namespace: demo}
  syncPolicy:
    automated: {prune: true}
    syncOptions: [CreateNamespace=true]
    retry: {limit: 3, backoff: {duration: 10s, maxDuration: 1m}}
    managedNamespaceMetadata: {labels: {team: web}}
  ignoreDifferences:
  - {group: apps, kind: Deployment, jqPathExpressions: [.spec.replicas], managedFieldsManagers: [hpa]}
"""


def section() -> Section:
    project, application = (
        document.value for document in load_documents(DOCUMENTS, source="fleet.yaml")
    )
    read = read_application(application, where=Where())
    target = Target(id=TargetId(ClusterName("alpha"), read.name), application=read)
    cluster = Cluster(name=ClusterName("alpha"), server="https://alpha.example.com")
    projects = ProjectsHere({"team": read_project(project, where=Where())}, cluster)
    return section_for(target, Decision(digest="sha256:1"), projects)


def test_what_the_application_says_reaches_its_agent() -> None:
    found = section()
    assert found.retry == RetryPolicy(limit=3, wait=10.0, factor=2, max_wait=60.0)
    assert found.namespace_labels == {"team": "web"}
    assert found.namespace_annotations == {}
    assert found.deletion_approved == "2026-01-01T00:00:00Z"
    assert found.compare_options == ("ServerSideDiff=true", "IgnoreExtraneous")
    assert found.ignore == (
        IgnoreRule(
            group="apps", kind="Deployment", jq_expressions=(".spec.replicas",), managers=("hpa",)
        ),
    )


def test_only_windows_that_match_reach_the_agent() -> None:
    assert section().windows == (
        Window(
            kind="deny",
            schedule="0 22 * * *",
            duration=timedelta(hours=1).total_seconds(),
            manual_sync=True,
        ),
    )


def test_an_unknown_project_permits_nothing_and_has_no_windows() -> None:
    projects = ProjectsHere({}, None)
    assert projects.rules("ghost").namespaces == ()
    assert projects.rules("ghost") is projects.rules("ghost")

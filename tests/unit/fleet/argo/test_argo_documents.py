"""Documents to the model: what is read, and what is said about everything that is wrong."""

from __future__ import annotations

import textwrap

import pytest

from fleet.argo.assembly import assemble
from fleet.argo.documents import FleetDocuments, Problem, read_fleet_documents
from fleet.codec.yamldoc import load_documents
from fleet.model.application import Automated, Deletion, HelmParameter, KustomizeReplicas
from fleet.model.appset import ApplicationsSync

APPLICATION = """
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: guestbook
spec:
  project: default
  source:
    repoURL: https://git.example.com/apps.git
    path: guestbook
  destination:
    name: alpha
    namespace: demo
"""

APPSET = """
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata:
  name: set
spec:
  generators:
  - list:
      elements: []
  template:
    metadata:
      name: x
    spec:
      project: default
      source:
        repoURL: https://git.example.com/apps.git
      destination:
        name: alpha
"""


def read(text: str, *, file: str = "fleet.yaml", repo: str = "") -> FleetDocuments:
    documents = load_documents(textwrap.dedent(text).lstrip("\n"), source=file, positions=True)
    return read_fleet_documents(documents, repo=repo)


def shown(problem: Problem) -> tuple[str, str, bool]:
    return problem.reason, str(problem.where), problem.fatal


def test_an_application_is_read_with_all_its_parts() -> None:
    found = read(
        """
        apiVersion: argoproj.io/v1alpha1
        kind: Application
        metadata:
          name: shop
          labels: {team: blue}
          annotations: {gitopsfleet.io/depends-on: base}
          finalizers: [resources-finalizer.argocd.argoproj.io/background]
        spec:
          project: team
          sources:
          - repoURL: https://charts.example.com
            chart: web
            targetRevision: 1.2.3
            helm:
              valueFiles: [$vals/a.yaml]
              valuesObject: {a: {b: 1}}
              parameters: [{name: p, value: "1", forceString: true}]
              skipCrds: true
              releaseName: web
          - repoURL: https://git.example.com/k.git
            path: over
            kustomize:
              namePrefix: x-
              images: [a=b:1]
              replicas: [{name: d, count: "3"}]
              commonLabels: {l: v}
          - repoURL: https://git.example.com/vals.git
            ref: vals
          destination: {server: "https://10.0.0.1:6443", namespace: shop}
          syncPolicy:
            automated: {prune: true}
            syncOptions: [CreateNamespace=true]
          ignoreDifferences:
          - group: apps
            kind: Deployment
            jsonPointers: [/spec/replicas]
            jqPathExpressions: [.spec.paused]
            managedFieldsManagers: [hpa]
        """
    )
    assert found.problems == ()
    (application,) = found.applications
    chart, overlay, values = application.sources
    assert chart.helm is not None
    assert chart.helm.parameters == (HelmParameter(name="p", value="1", force_string=True),)
    assert chart.helm.values_object == {"a": {"b": 1}}
    assert (chart.helm.skip_crds, chart.helm.release_name) == (True, "web")
    assert overlay.kustomize is not None
    assert overlay.kustomize.replicas == (KustomizeReplicas(name="d", count=3),)
    assert (values.ref, values.path) == ("vals", "")
    assert application.sync_policy.automated == Automated(prune=True)
    (ignored,) = application.ignore_differences
    assert ignored.json_pointers == ("/spec/replicas",)
    assert (ignored.jq_expressions, ignored.managers) == ((".spec.paused",), ("hpa",))
    assert application.deletion is Deletion.BACKGROUND
    assert (application.project, application.namespace) == ("team", "argocd")
    assert application.where.line == 1


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("{}", None),
        ("{automated: {}}", Automated()),
        ("{automated: {enabled: false, prune: true}}", None),
        ("{automated: {enabled: true, selfHeal: true}}", Automated(self_heal=True)),
    ],
    ids=["none", "empty", "disabled", "enabled"],
)
def test_automated_sync(policy: str, expected: Automated | None) -> None:
    (application,) = read(APPLICATION + f"  syncPolicy: {policy}\n").applications
    assert application.sync_policy.automated == expected


BAD = {
    "wrong type": (
        APPLICATION + "  syncPolicy: automatic\n",
        [("InvalidSpec", "fleet.yaml:13: Application/guestbook: spec.syncPolicy", True)],
    ),
    "number for a text": (
        APPLICATION.replace("namespace: demo", "namespace: 7"),
        [("InvalidSpec", "fleet.yaml:12: Application/guestbook: spec.destination.namespace", True)],
    ),
    "missing repoURL": (
        APPLICATION.replace("    repoURL: https://git.example.com/apps.git\n", ""),
        [("InvalidSpec", "fleet.yaml:7: Application/guestbook: spec.source.repoURL", True)],
    ),
    "missing destination": (
        APPLICATION.partition("  destination:")[0],
        [("InvalidSpec", "fleet.yaml:5: Application/guestbook: spec.destination", True)],
    ),
    "no source": (
        APPLICATION.replace(
            "  source:\n    repoURL: https://git.example.com/apps.git\n    path: guestbook\n", ""
        ),
        [("InvalidSpec", "fleet.yaml:5: Application/guestbook: spec", True)],
    ),
    "bad name": (
        APPLICATION.replace("name: guestbook", "name: Guest_Book"),
        [("InvalidSpec", "fleet.yaml:4: Application/Guest_Book: metadata.name", True)],
    ),
    "bad destination namespace": (
        APPLICATION.replace("namespace: demo", "namespace: Demo"),
        [("InvalidSpec", "fleet.yaml:12: Application/guestbook: spec.destination.namespace", True)],
    ),
    "unknown field": (
        APPLICATION.replace("    path: guestbook", "    pth: guestbook"),
        [("UnknownField", "fleet.yaml:9: Application/guestbook: spec.source.pth", False)],
    ),
    "harmless field": (
        APPLICATION.replace("    path: guestbook", "    helm: {version: v3}"),
        [("IgnoredField", "fleet.yaml:9: Application/guestbook: spec.source.helm.version", False)],
    ),
    "unbuilt field": (
        APPLICATION.replace("    path: guestbook", "    plugin: {name: p}"),
        [("Unsupported", "fleet.yaml:9: Application/guestbook: spec.source.plugin", False)],
    ),
    "old version": (
        APPLICATION.replace("argoproj.io/v1alpha1", "argoproj.io/v1"),
        [("InvalidSpec", "fleet.yaml:1: Application/guestbook: apiVersion", True)],
    ),
    "unknown kind of ours": (
        "apiVersion: gitopsfleet.io/v1alpha1\nkind: Clutser\nmetadata: {name: a}\n",
        [("InvalidSpec", "fleet.yaml:2: Clutser/a: kind", True)],
    ),
    "unknown field of ours": (
        "apiVersion: gitopsfleet.io/v1alpha1\nkind: Cluster\nmetadata: {name: a}\nspec:\n  sever: x\n",
        [("UnknownField", "fleet.yaml:5: Cluster/a: spec.sever", True)],
    ),
    "set without generators": (
        APPSET.replace("  generators:\n  - list:\n      elements: []\n", ""),
        [("InvalidSpec", "fleet.yaml:5: ApplicationSet/set: spec.generators", True)],
    ),
    "unknown generator": (
        APPSET.replace("  - list:", "  - lists:"),
        [("UnknownGenerator", "fleet.yaml:7: ApplicationSet/set: spec.generators[0].lists", True)],
    ),
    "empty generator entry": (
        APPSET.replace("  - list:\n      elements: []\n", "  - {}\n"),
        [("UnknownGenerator", "fleet.yaml:7: ApplicationSet/set: spec.generators[0]", True)],
    ),
    "project that denies everything": (
        (
            "apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: p}\n"
            "spec:\n  destinations:\n  - server: '!*'\n"
        ),
        [("InvalidSpec", "fleet.yaml:6: AppProject/p: spec.destinations[0].server", True)],
    ),
}


@pytest.mark.parametrize(("text", "expected"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_told_with_file_line_and_field(
    text: str, expected: list[tuple[str, str, bool]]
) -> None:
    assert [shown(problem) for problem in read(text).problems] == expected


def test_a_near_name_is_suggested() -> None:
    (problem,) = read(APPLICATION.replace("    path: guestbook", "    pth: guestbook")).problems
    assert problem.message == 'unknown field "pth" (did you mean "path"?)'


def test_one_bad_document_does_not_stop_the_others() -> None:
    bad = APPLICATION.replace("project: default", "project: [default]").replace("guestbook", "bad")
    found = read(f"{APPLICATION}\n---\n{bad}\n---\n{APPSET}")
    assert [item.name for item in found.applications] == ["guestbook"]
    assert [item.name for item in found.appsets] == ["set"]
    (problem,) = found.problems
    assert problem.where.object == "Application/bad"
    assert problem.message == "must be a string, not a list"


def test_other_kinds_are_counted_and_ignored() -> None:
    found = read(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\n"
        "apiVersion: v1\nkind: Secret\nmetadata: {name: b}\n---\n- 1\n---\njust text\n"
    )
    assert found == FleetDocuments(ignored=4)


def test_a_list_is_taken_apart_with_the_lines_of_its_items() -> None:
    found = read(
        """
        apiVersion: v1
        kind: List
        items:
        - apiVersion: argoproj.io/v1alpha1
          kind: AppProject
          metadata: {name: p}
          spec: {sourceRepos: ['*'], decription: typo}
        """
    )
    assert [item.name for item in found.projects] == ["p"]
    (problem,) = found.problems
    assert shown(problem) == ("UnknownField", "fleet.yaml:7: AppProject/p: spec.decription", False)


def test_the_repository_is_put_before_the_file() -> None:
    (problem,) = read(APPLICATION + "  x: 1\n", repo="https://git.example.com/fleet.git").problems
    assert problem.where.file == "https://git.example.com/fleet.git/fleet.yaml"


@pytest.mark.parametrize(
    ("change", "unsupported"),
    [
        (
            "sourceHydrator: {drySource: {repoURL: u, targetRevision: v, path: p}, syncSource: {targetBranch: b, path: p}}",
            "spec.sourceHydrator",
        ),
    ],
)
def test_what_is_unsafe_to_ignore_holds_the_application(change: str, unsupported: str) -> None:
    (application,) = read(f"{APPLICATION}  {change}\n").applications
    assert application.unsupported == (unsupported,)


@pytest.mark.parametrize(
    "change",
    [
        "syncPolicy: {syncOptions: [Prune=true, ServerSideApply=true, CreateNamespace=true]}",
        "syncPolicy: {syncOptions: [Replace=true, Force=true, Prune=false, Delete=confirm, PruneLast=true]}",
        "syncPolicy: {retry: {limit: 3}}",
        "info: [{name: a, value: b}]\n  revisionHistoryLimit: 3",
        "ignoreDifferences: [{kind: X, jqPathExpressions: []}]",
        "syncPolicy: {syncOptions: [CreateNamespace=true], managedNamespaceMetadata: {labels: {a: b}}}",
    ],
)
def test_what_says_nothing_new_holds_nothing(change: str) -> None:
    (application,) = read(f"{APPLICATION}  {change}\n").applications
    assert application.unsupported == ()
    assert application.warnings == ()


def test_namespace_metadata_without_a_namespace_to_create_is_a_warning() -> None:
    text = APPLICATION + "  syncPolicy: {managedNamespaceMetadata: {labels: {a: b}}}\n"
    (application,) = read(text).applications
    assert [warning.message for warning in application.warnings] == [
        "managedNamespaceMetadata has no effect without syncOption CreateNamespace=true"
    ]


def test_an_unknown_sync_option_is_a_warning_with_the_nearest_one() -> None:
    text = APPLICATION + "  syncPolicy: {syncOptions: [CreateNamespaces=true]}\n"
    (application,) = read(text).applications
    (warning,) = application.warnings
    assert warning.message == (
        'unknown sync option "CreateNamespaces=true" (did you mean "CreateNamespace"?)'
    )


def test_skip_reconcile_holds_the_application() -> None:
    text = APPLICATION.replace(
        "  name: guestbook",
        "  name: guestbook\n  annotations: {argocd.argoproj.io/skip-reconcile: 'true'}",
    )
    (application,) = read(text).applications
    assert application.unsupported == ("metadata.annotations: argocd.argoproj.io/skip-reconcile",)


def test_a_set_is_read_with_its_policies() -> None:
    text = APPSET + textwrap.indent(
        textwrap.dedent(
            """
            goTemplate: true
            goTemplateOptions: [missingkey=error]
            syncPolicy: {applicationsSync: create-only, preserveResourcesOnDeletion: true}
            preservedFields: {annotations: [a], labels: [l]}
            ignoreApplicationDifferences: [{name: x, jsonPointers: [/spec/project], jqPathExpressions: [.spec.info]}]
            templatePatch: 'spec: {}'
            strategy: {type: RollingSync, rollingSync: {steps: [{maxUpdate: 1}]}}
            """
        ),
        "  ",
    )
    (appset,) = read(text).appsets
    assert appset.go_template
    assert appset.go_template_options == ("missingkey=error",)
    assert appset.applications_sync is ApplicationsSync.CREATE_ONLY
    assert not (appset.applications_sync.may_update)
    assert not (appset.applications_sync.may_delete)
    assert appset.preserve_resources
    assert (appset.preserved_annotations, appset.preserved_labels) == (("a",), ("l",))
    (ignored,) = appset.ignored_fields
    assert ignored.json_pointers == ("/spec/project",)
    assert ignored.jq_expressions == (".spec.info",)
    assert appset.template_patch == "spec: {}"
    assert appset.rollout is not None
    assert [str(step.max_update) for step in appset.rollout.steps] == ["1"]


def test_refusals_are_kept_so_that_the_set_can_keep_its_last_rows() -> None:
    found = read(APPSET.replace("  - list:", "  - lists:"))
    (appset,) = found.appsets
    assert [refusal.message for refusal in appset.refusals] == [
        'unknown generator "lists" (did you mean "list"?)'
    ]


def test_unknown_generators_inside_combinations_are_refused_too() -> None:
    text = APPSET.replace(
        "  - list:\n      elements: []\n",
        "  - matrix:\n      generators:\n      - list: {elements: []}\n      - nothing: {}\n",
    )
    (appset,) = read(text).appsets
    assert [refusal.where.field for refusal in appset.refusals] == [
        "spec.generators[0].matrix.generators[1].nothing"
    ]


def test_follow_argo_refuses_no_generator() -> None:
    documents = load_documents(APPSET.replace("  - list:", "  - lists:"), positions=True)
    found = read_fleet_documents(documents, follow_argo=True)
    assert found.appsets[0].refusals == ()
    assert [problem.fatal for problem in found.problems] == [False]


def test_two_objects_of_one_name_are_told_with_both_files() -> None:
    first, second = read(APPLICATION, file="a.yaml"), read(APPLICATION, file="b.yaml")
    world, problems = assemble([first, second], ())
    assert world.applications["guestbook"].where.file == "a.yaml"
    (problem,) = problems
    assert problem.where.file == "b.yaml"
    assert (
        problem.message == "Application guestbook is already defined in a.yaml:1; that one counts"
    )


def test_two_clusters_cannot_share_a_server() -> None:
    cluster = "apiVersion: gitopsfleet.io/v1alpha1\nkind: Cluster\nmetadata: {name: NAME}\nspec: {server: https://x}\n"
    found = read(cluster.replace("NAME", "a") + "---\n" + cluster.replace("NAME", "b"))
    world, problems = assemble([found], ())
    assert [item.name for item in world.clusters] == ["a"]
    assert [(str(item.where), item.message) for item in problems] == [
        (
            "fleet.yaml:6: Cluster/b: spec.server",
            "server https://x is already that of cluster a, fleet.yaml:1; that one counts",
        )
    ]


@pytest.mark.parametrize("api", ["[]", "{a: b}", "5", "null"])
def test_a_document_whose_version_is_no_text_is_somebody_elses(api: str) -> None:
    found = read(f"apiVersion: {api}\nkind: ApplicationSet\nmetadata: {{name: a}}\n")
    assert (found.appsets, found.problems) == ((), ())


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        pytest.param(
            "{type: RollingSync, rollingSync: {steps: []}}",
            "spec.strategy.rollingSync.steps: No steps defined for rollout",
            id="a plan that cannot be used",
        ),
        pytest.param(
            "{type: RolingSync}",
            'unknown strategy "RolingSync" (did you mean "RollingSync"?): nothing is rolled out in steps',
            id="a strategy that nobody knows",
        ),
    ],
)
def test_a_rollout_that_is_not_valid_is_named_and_the_set_is_read(
    strategy: str, message: str
) -> None:
    found = read(f"{APPSET}  strategy: {strategy}\n")
    assert [item.name for item in found.appsets] == ["set"]
    (problem,) = found.problems
    assert (problem.reason, problem.message) == ("InvalidRolloutConfig", message)
    assert (problem.where.field, problem.fatal) == ("spec.strategy", False)

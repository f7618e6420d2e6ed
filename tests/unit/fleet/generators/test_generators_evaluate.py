"""Evaluation of a set beyond the recorded cases: what is asked for, what fails, what the result depends on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from fleet.argo.appset import appset_from
from fleet.argo.reading import Reader
from fleet.errors import Where
from fleet.generators import Failed, Generated, Inputs, Missing, evaluate_set
from fleet.generators.result import condition
from fleet.model.appset import ApplicationSet
from fleet.model.cluster import Cluster
from fleet.model.identity import ClusterName
from fleet.model.project import AppProject
from fleet.model.world import BlobRequest, TreeRequest, Unavailable, World

MakeSet = Callable[..., ApplicationSet]
Settle = Callable[..., Generated | Failed]

URL = "https://git.example.com/cfg.git"
CLUSTERS = tuple(
    Cluster(name=ClusterName(name), server=f"https://{name}", labels={"env": env})
    for name, env in (("alpha", "prod"), ("beta", "dev"), ("gamma", "prod"))
)
WORLD = World(clusters=CLUSTERS)

GIT = """
- git:
    repoURL: https://git.example.com/cfg.git
    revision: main
    files: [{path: 'conf/*.yaml'}]
"""


def names(result: Generated | Missing | Failed) -> list[str]:
    assert isinstance(result, Generated), result
    return [application.name for application in result.applications]


def failure(result: Generated | Missing | Failed) -> str:
    assert isinstance(result, Failed), result
    return result.errors[0].message


def tree_request(revision: str, url: str = URL) -> TreeRequest:
    return TreeRequest(repo_url=url, revision=revision)


def test_applications_come_sorted_with_their_origin(make_set: MakeSet) -> None:
    appset = make_set(
        "[{list: {elements: [{name: b}, {name: a}]}}, {list: {elements: [{name: c}]}}]"
    )
    result = evaluate_set(appset, WORLD)
    assert isinstance(result, Generated)
    assert [(item.name, item.row, item.appset) for item in result.applications] == [
        ("a", "generators[0].list[1]", "set"),
        ("b", "generators[0].list[0]", "set"),
        ("c", "generators[1].list[0]", "set"),
    ]


def test_everything_missing_is_asked_for_at_once(make_set: MakeSet) -> None:
    appset = make_set(
        """
        - git: {repoURL: 'https://git.example.com/a.git', revision: main, directories: [{path: '*'}]}
        - matrix:
            generators:
            - git: {repoURL: 'https://git.example.com/b.git', revision: main, directories: [{path: '*'}]}
            - git: {repoURL: 'https://git.example.com/c.git', revision: main, directories: [{path: '*'}]}
        - merge:
            mergeKeys: [name]
            generators:
            - git: {repoURL: 'https://git.example.com/d.git', revision: main, files: [{path: '*'}]}
            - git: {repoURL: 'https://git.example.com/e.git', revision: v1, files: [{path: '*'}]}
        """
    )
    assert evaluate_set(appset, WORLD) == Missing(
        requests=frozenset(
            tree_request("v1" if letter == "e" else "main", f"https://git.example.com/{letter}.git")
            for letter in "abcde"
        )
    )


def test_a_second_child_that_depends_on_the_first_asks_for_all_rows_at_once(
    make_set: MakeSet,
) -> None:
    appset = make_set(
        """
        - matrix:
            generators:
            - clusters: {selector: {matchLabels: {env: prod}}}
            - git: {repoURL: 'https://git.example.com/cfg.git', revision: '{{.name}}', directories: [{path: '*'}]}
        """
    )
    assert evaluate_set(appset, WORLD) == Missing(
        requests=frozenset((tree_request("alpha"), tree_request("gamma")))
    )


def test_the_result_tells_what_it_depends_on(make_set: MakeSet, settle: Settle) -> None:
    result = settle(make_set(GIT), WORLD, {"conf/a.yaml": "name: a", "other.yaml": "name: b"})
    assert names(result) == ["a"]
    (blob,) = result.inputs.blobs
    assert isinstance(blob, BlobRequest)
    assert result.inputs == Inputs(
        clusters=True,
        projects=True,
        trees=frozenset((tree_request("main"),)),
        blobs=frozenset((blob,)),
    )


def test_a_set_that_makes_nothing_depends_on_no_clusters(make_set: MakeSet) -> None:
    result = evaluate_set(make_set("[{list: {elements: []}}]"), WORLD)
    assert result == Generated()


def test_what_cannot_be_had_fails_the_set_and_says_why(make_set: MakeSet) -> None:
    missing = Unavailable(
        since=datetime(2026, 1, 1, tzinfo=UTC),
        reason="Unavailable",
        message="https://user:secret@git.example.com/cfg.git does not answer",
    )
    world = replace(WORLD, trees={tree_request("main"): missing})
    result = evaluate_set(make_set(GIT), world)
    assert failure(result) == (
        "error generating params from git: https://***@git.example.com/cfg.git does not answer"
    )
    assert isinstance(result, Failed)
    assert result.errors[0].reason == "ApplicationGenerationFromParamsError"
    assert result.inputs.trees == {tree_request("main")}


def test_an_error_wins_over_what_is_missing(make_set: MakeSet) -> None:
    generators = GIT + "- list: {elementsYaml: '{{{'}\n"
    result = evaluate_set(make_set(generators), WORLD)
    assert failure(result).startswith("error unmarshling decoded ElementsYaml")


@pytest.mark.parametrize(
    ("generators", "message"),
    [
        (
            "[{lists: {}}]",
            'spec.generators[0].lists: unknown generator "lists" (did you mean "list"?)',
        ),
        ("[{}]", "spec.generators[0]: the entry holds no generator"),
    ],
)
def test_a_generator_nobody_knows_fails_the_set(
    make_set: MakeSet, generators: str, message: str
) -> None:
    document = make_set(generators, follow_argo=True).document
    appset = appset_from(Reader.of_value(document, where=Where()))
    assert appset is not None
    assert failure(evaluate_set(appset, WORLD)) == message


def test_as_in_argo_a_generator_nobody_knows_yields_nothing(make_set: MakeSet) -> None:
    appset = make_set("[{lists: {}}, {list: {elements: [{name: a}]}}]", follow_argo=True)
    assert names(evaluate_set(appset, WORLD)) == ["a"]


def test_an_unknown_template_option_fails_the_set(make_set: MakeSet) -> None:
    appset = make_set("[{list: {elements: [{name: a}]}}]", goTemplateOptions=["missingkey=explode"])
    assert "missingkey=explode" in failure(evaluate_set(appset, WORLD))


def test_at_most_ten_template_errors_are_told(make_set: MakeSet) -> None:
    elements = ", ".join(f"{{name: a{n}}}" for n in range(40))
    appset = make_set(
        f"[{{list: {{elements: [{elements}]}}}}]",
        "{metadata: {name: '{{index .x 3}}'}, spec: {project: default, destination: {}}}",
    )
    result = evaluate_set(appset, WORLD)
    assert isinstance(result, Failed)
    assert len(result.errors) == 10
    assert {error.reason for error in result.errors} == {"RenderTemplateParamsError"}


def test_a_bad_template_that_nobody_fills_is_no_error(make_set: MakeSet) -> None:
    appset = make_set(
        "[{list: {elements: []}}]",
        "{metadata: {name: '{{ .x '}, spec: {project: p, destination: {}}}",
    )
    assert names(evaluate_set(appset, WORLD)) == []


@pytest.mark.parametrize(
    ("element", "reason", "message"),
    [
        ("{name: a, project: nope}", "ApplicationValidationError", "references project nope"),
        ("{name: a, cluster: alpa}", "ApplicationValidationError", "did you mean alpha?"),
        ("{name: A}", "UpdateApplicationError", "is invalid: metadata.name"),
        ("{name: a, label: no good}", "UpdateApplicationError", "is invalid: metadata.labels"),
        ("{name: ''}", "ApplicationValidationError", "application with no name"),
    ],
)
def test_an_application_that_may_not_be_made_is_withheld_alone(
    make_set: MakeSet, element: str, reason: str, message: str
) -> None:
    appset = make_set(
        f"[{{list: {{elements: [{element}, {{name: ok}}]}}}}]",
        """
        metadata:
          name: '{{.name}}'
          labels: {l: '{{.label | default "x"}}'}
        spec:
          project: '{{.project | default "default"}}'
          destination: {name: '{{.cluster | default "alpha"}}'}
        """,
    )
    result = evaluate_set(appset, WORLD)
    assert names(result) == ["ok"]
    assert isinstance(result, Generated)
    (error,) = result.errors
    assert error.reason == reason
    assert message in error.message
    assert condition(result.errors)[0] == reason


def test_of_two_applications_with_one_name_none_is_made(make_set: MakeSet) -> None:
    appset = make_set(
        "[{list: {elements: [{name: a}, {name: b}]}}, {list: {elements: [{name: a}]}}]"
    )
    result = evaluate_set(appset, WORLD)
    assert names(result) == ["b"]
    assert isinstance(result, Generated)
    assert [error.application for error in result.errors] == ["a"]


def test_a_project_that_exists_only_as_default(make_set: MakeSet) -> None:
    appset = make_set("[{list: {elements: [{name: a}]}}]")
    assert names(evaluate_set(appset, WORLD)) == ["a"]
    mine = replace(WORLD, projects={"other": AppProject(name="other")})
    assert names(evaluate_set(appset, mine)) == ["a"]


def test_unbuilt_fields_of_the_template_hold_every_application(make_set: MakeSet) -> None:
    appset = make_set(
        "[{list: {elements: [{name: a}]}}]",
        """
        metadata: {name: '{{.name}}'}
        spec:
          project: default
          source: {repoURL: 'https://git.example.com/a.git', plugin: {name: x}}
          destination: {name: alpha}
        """,
    )
    result = evaluate_set(appset, WORLD)
    assert isinstance(result, Generated)
    assert result.applications[0].unsupported == ("spec.source.plugin",)


def test_unbuilt_fields_that_a_patch_brings_are_found(make_set: MakeSet) -> None:
    appset = make_set(
        "[{list: {elements: [{name: a, hold: true}, {name: b, hold: false}]}}]",
        templatePatch="{{ if .hold }}spec: {source: {plugin: {name: p}}}{{ end }}",
    )
    result = evaluate_set(appset, WORLD)
    assert isinstance(result, Generated)
    assert [item.unsupported for item in result.applications] == [
        ("spec.source.plugin",),
        (),
    ]


CLUSTER_ROWS = {
    "offline, as in Argo CD": (WORLD, ["alpha", "beta", "gamma", "in-cluster"]),
    "a hub without a management cluster": (
        replace(WORLD, implicit_in_cluster=False),
        ["alpha", "beta", "gamma"],
    ),
    "a hub with one: its own row counts": (
        replace(
            WORLD,
            implicit_in_cluster=False,
            clusters=(
                *CLUSTERS,
                Cluster(name=ClusterName("home"), server="https://home", management=True),
            ),
        ),
        ["alpha", "beta", "gamma", "home"],
    ),
}


@pytest.mark.parametrize(("world", "expected"), CLUSTER_ROWS.values(), ids=CLUSTER_ROWS)
def test_the_row_of_the_local_cluster(make_set: MakeSet, world: World, expected: list[str]) -> None:
    template = "{metadata: {name: '{{.name}}'}, spec: {project: default, destination: {server: '{{.server}}'}}}"
    result = evaluate_set(make_set("[{clusters: {}}]", template), world)
    assert names(result) == expected
    assert isinstance(result, Generated)
    assert result.errors == ()


def test_a_label_value_that_no_cluster_could_have_is_an_error(make_set: MakeSet) -> None:
    appset = make_set("[{clusters: {selector: {matchLabels: {env: 'no good'}}}}]")
    assert "error converting label selector" in failure(evaluate_set(appset, WORLD))


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("{key: a, operator: Is}", '"Is" is not a valid pod selector operator'),
        ("{key: 'a b', operator: Exists}", "key 'a b' must be"),
        ("{key: a, operator: In}", "In needs values"),
        ("{key: a, operator: Exists, values: [x]}", "Exists takes no values"),
    ],
)
def test_bad_row_selectors(make_set: MakeSet, expression: str, message: str) -> None:
    appset = make_set(
        f"[{{list: {{elements: [{{name: a}}]}}, selector: {{matchExpressions: [{expression}]}}}}]"
    )
    assert failure(evaluate_set(appset, WORLD)).startswith(
        f"error parsing label selector: {message}"
    )


MATRIX_VALUES = """
- matrix:
    generators:
    - list: {elements: [{app: web}]}
    - clusters: {selector: {matchLabels: {env: dev}}, values: {both: '{{.app}}-{{.name}}'}}
"""
VALUES_TEMPLATE = "{metadata: {name: x, annotations: {v: '{{.values.both}}'}}, spec: {project: default, destination: {name: beta}}}"


def test_a_value_of_both_children_is_left_to_the_second_one(make_set: MakeSet) -> None:
    result = evaluate_set(make_set(MATRIX_VALUES, VALUES_TEMPLATE), WORLD)
    assert isinstance(result, Generated)
    assert result.applications[0].annotations == {"v": "<no value>-beta"}


def test_a_value_of_both_children_fails_where_missing_keys_do(make_set: MakeSet) -> None:
    appset = make_set(MATRIX_VALUES, VALUES_TEMPLATE, goTemplateOptions=["missingkey=error"])
    assert 'map has no entry for key "app"' in failure(evaluate_set(appset, WORLD))


def test_a_value_of_both_children_in_fast_mode(make_set: MakeSet) -> None:
    appset = make_set(
        MATRIX_VALUES.replace("{{.", "{{"), VALUES_TEMPLATE.replace("{{.", "{{"), goTemplate=False
    )
    result = evaluate_set(appset, WORLD)
    assert isinstance(result, Generated)
    assert result.applications[0].annotations == {"v": "web-beta"}


def test_the_third_level_of_combinations_yields_nothing(make_set: MakeSet) -> None:
    appset = make_set(
        """
        - matrix:
            generators:
            - list: {elements: [{name: a}]}
            - matrix:
                generators:
                - list: {elements: [{b: b}]}
                - matrix:
                    generators: [{list: {elements: [{c: c}]}}, {list: {elements: [{d: d}]}}]
        """
    )
    assert "child generator generated no parameters" in failure(evaluate_set(appset, WORLD))


def test_a_row_selector_inside_a_matrix_is_not_filled(make_set: MakeSet) -> None:
    appset = make_set(
        """
        - matrix:
            generators:
            - list: {elements: [{want: x}]}
            - list: {elements: [{name: x}, {name: '{{.want}}'}]}
              selector: {matchLabels: {name: '{{.want}}'}}
        """
    )
    assert names(evaluate_set(appset, WORLD)) == []


def test_elements_of_the_second_child_are_filled_from_the_first(make_set: MakeSet) -> None:
    appset = make_set(
        """
        - matrix:
            generators:
            - list: {elements: [{a: one}, {a: two}]}
            - list: {elements: [{name: '{{.a}}-x', '{{.a}}': 1, gone: null}]}
        """
    )
    assert names(evaluate_set(appset, WORLD)) == ["one-x", "two-x"]


def test_the_order_of_clusters_does_not_matter(make_set: MakeSet) -> None:
    template = "{metadata: {name: '{{.name}}'}, spec: {project: default, destination: {server: '{{.server}}'}}}"
    appset = make_set("[{clusters: {}}]", template)
    backwards = replace(WORLD, clusters=tuple(reversed(CLUSTERS)))
    assert evaluate_set(appset, WORLD) == evaluate_set(appset, backwards)


def test_rows_share_what_never_changes_and_nothing_else(make_set: MakeSet) -> None:
    appset = make_set(
        "[{list: {elements: [{name: a, p: x}, {name: b, p: ''}]}}]",
        """
        metadata: {name: '{{.name}}', labels: {static: 'yes'}}
        spec:
          project: default
          source: {repoURL: 'https://git.example.com/a.git', path: '{{.p}}'}
          destination: {name: alpha}
          syncPolicy: {automated: {prune: true}}
        """,
    )
    result = evaluate_set(appset, WORLD)
    assert isinstance(result, Generated)
    first, second = result.applications
    assert first.sync_policy is second.sync_policy
    assert first.document["spec"]["source"]["path"] == "x"
    assert "path" not in second.document["spec"]["source"]
    assert first.document["metadata"] is not second.document["metadata"]

"""What generators can beyond Argo CD's: only for sets that ask, and never with a crash."""

from __future__ import annotations

import pytest
import yaml

from fleet.argo.appset import read_application_set
from fleet.errors import Where
from fleet.generators import Failed, Generated, Missing, evaluate_set
from fleet.model.appset import ApplicationSet
from fleet.model.cluster import Cluster
from fleet.model.identity import ClusterName
from fleet.model.world import World

WORLD = World(clusters=(Cluster(name=ClusterName("alpha"), server="https://alpha"),))


def make(
    generators: str, extensions: str = "", *, go: bool = True, name: str = "{{.n}}"
) -> ApplicationSet:
    """A set with the annotation."""
    annotations = {"gitopsfleet.io/generator-extensions": extensions} if extensions else {}
    source = {"repoURL": "https://git.example.com/x.git", "path": "apps"}
    document = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {"name": "set", "annotations": annotations},
        "spec": {
            "goTemplate": go,
            "generators": yaml.safe_load(generators),
            "template": {
                "metadata": {"name": name},
                "spec": {
                    "project": "default",
                    "source": source,
                    "destination": {"name": "alpha", "namespace": "demo"},
                },
            },
        },
    }
    return read_application_set(document, where=Where(file="set.yaml", line=1), follow_argo=True)


def names(result: Generated | Missing | Failed) -> list[str]:
    assert isinstance(result, Generated), result
    assert not result.errors
    return [str(item.name) for item in result.applications]


def failure(result: Generated | Missing | Failed) -> str:
    assert isinstance(result, Failed), result
    return result.errors[0].message


THREE = """
- matrix:
    generators:
    - list: {elements: [{a: x}, {a: y}]}
    - list: {elements: [{b: '{{.a}}1'}, {b: '{{.a}}2'}]}
    - list: {elements: [{n: '{{.a}}-{{.b}}'}]}
"""


def test_a_matrix_of_three_is_filled_from_all_before() -> None:
    wanted = ["x-x1", "x-x2", "y-y1", "y-y2"]
    assert names(evaluate_set(make(THREE, "matrix-n"), WORLD)) == wanted
    fast = THREE.replace("{{.", "{{")
    result = evaluate_set(make(fast, "matrix-n", go=False, name="{{n}}"), WORLD)
    assert names(result) == wanted


@pytest.mark.parametrize("extensions", ["", "outer-join", "deep-nesting"])
def test_a_matrix_of_three_is_refused_unasked(extensions: str) -> None:
    message = failure(evaluate_set(make(THREE, extensions), WORLD))
    assert message == "found more than two generators, Matrix support only two"


def nested(depth: int, innermost: str = "{list: {elements: [{n: x}, {n: z}]}}") -> str:
    """Matrices inside of each other."""
    text = innermost
    for level in range(depth):
        one = f"{{list: {{elements: [{{k{level}: v}}]}}}}"
        text = f"{{matrix: {{generators: [{one}, {text}]}}}}"
    return f"[{text}]"


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_deep_nesting(depth: int) -> None:
    assert names(evaluate_set(make(nested(depth), "deep-nesting"), WORLD)) == ["x", "z"]


def test_deep_nesting_is_nothing_unasked() -> None:
    message = failure(evaluate_set(make(nested(3)), WORLD))
    assert message.endswith("child generator generated no parameters")


def test_merge_inside_of_matrix_inside_of_matrix() -> None:
    inner = """{merge: {mergeKeys: [n], generators: [
        {list: {elements: [{n: v, m: a}]}}, {list: {elements: [{n: v, m: b}]}}]}}"""
    result = evaluate_set(make(nested(2, inner), "deep-nesting", name="{{.n}}-{{.m}}"), WORLD)
    assert names(result) == ["v-b"]


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        ("{matrix: {generators: 5}}", "matrix.generators: must be a list"),
        ("{matrix: {}}", "matrix.generators: required and missing"),
        ("{matrix: {generators: [{git: {repoURL: x}}, {list: {}}]}}", "matrix.generators[0].git.revision: required and missing"),
        ("{merge: {generators: [{list: {elements: {}}}]}}", "merge.generators[0].list.elements: must be a list"),
    ],
)  # fmt: skip
def test_what_is_wrong_deep_inside(inner: str, message: str) -> None:
    assert message in failure(evaluate_set(make(nested(2, inner), "deep-nesting"), WORLD))


@pytest.mark.parametrize(
    "inner",
    [
        "{matrix: {generators: 5}}",
        "{matrix: {generators: [5, null]}}",
        "{matrix: {generators: [{clusters: {values: 5}}]}}",
        "{merge: {generators: [{clusters: {values: {a: 5}}}]}}",
        "{matrix: 5}",
    ],
)
def test_what_is_deep_inside_crashes_nobody_unasked(inner: str) -> None:
    assert failure(evaluate_set(make(nested(2, inner)), WORLD))


def test_there_is_an_end_to_depth() -> None:
    message = failure(evaluate_set(make(nested(30), "deep-nesting"), WORLD))
    assert message.endswith("combinations are nested more than 16 deep")


LONELY = """
- matrix:
    generators:
    - list: {elements: [{n: alpha}, {n: beta}]}
    - clusters: {selector: {matchLabels: {only: '{{.n}}'}}}
"""


def test_an_outer_join_keeps_what_has_no_partner() -> None:
    assert names(evaluate_set(make(LONELY, "outer-join"), WORLD)) == ["alpha", "beta"]
    assert names(evaluate_set(make(LONELY), WORLD)) == []


def test_an_unknown_extension_fails_the_set() -> None:
    message = failure(evaluate_set(make(THREE, "matrix-n, magic"), WORLD))
    assert message == (
        "metadata.annotations: gitopsfleet.io/generator-extensions names the unknown extension "
        "'magic' (known: matrix-n, deep-nesting, outer-join, template-namespace)"
    )


@pytest.mark.parametrize("deep", ["x", "[]", "{matrix: x}", "{matrix: {generators: {a: b}}}", "[1]", "{matrix: {generators: [x, {list: []}]}}"])  # fmt: skip
def test_the_deepest_combinations_may_have_any_shape(deep: str) -> None:
    """They are judged when they are evaluated; reading the set ended in an AttributeError."""
    inner = f"{{matrix: {{generators: [{{matrix: {{generators: [{{list: {{elements: []}}}}, {{matrix: {{generators: [{deep}]}}}}]}}}}, {{list: {{elements: []}}}}]}}}}"
    appset = make(f"- {inner}")
    result = evaluate_set(appset, World())
    assert isinstance(result, Failed | Generated)

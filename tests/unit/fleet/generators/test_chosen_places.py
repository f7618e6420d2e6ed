"""Projects and namespaces that a row chooses: what is written into git by many must not widen what one may do."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml

from fleet.argo.appset import read_application_set
from fleet.errors import Where
from fleet.generators import Generated, evaluate_set
from fleet.model.appset import ApplicationSet
from fleet.model.cluster import Cluster
from fleet.model.identity import ClusterName
from fleet.model.project import DEFAULT_PROJECT, AppProject
from fleet.model.world import World

WORLD = World(
    clusters=(Cluster(name=ClusterName("alpha"), server="https://alpha"),),
    projects={
        "default": DEFAULT_PROJECT,
        "team-a": AppProject(name="team-a", source_namespaces=("apps-*", "shop")),
        "team-b": AppProject(name="team-b"),
    },
)
ROWS = "[{list: {elements: [{n: a, p: team-a}, {n: b, p: team-b}, {n: d, p: default}]}}]"


def make(
    generators: str = ROWS,
    *,
    project: str = "{{.p}}",
    namespace: str = "",
    extensions: str = "",
    patch: str | None = None,
) -> ApplicationSet:
    """A set whose rows say names and more."""
    metadata = {"name": "set", "namespace": "argocd"}
    if extensions:
        metadata["annotations"] = {"gitopsfleet.io/generator-extensions": extensions}  # type: ignore[assignment]
    document = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": metadata,
        "spec": {
            "goTemplate": True,
            "generators": yaml.safe_load(generators),
            "template": {
                "metadata": {"name": "{{.n}}", **({"namespace": namespace} if namespace else {})},
                "spec": {
                    "project": project,
                    "source": {"repoURL": "https://git.example.com/x.git", "path": "apps"},
                    "destination": {"name": "alpha", "namespace": "demo"},
                },
            },
            **({"templatePatch": patch} if patch else {}),
        },
    }
    return read_application_set(document, where=Where(file="set.yaml", line=1), follow_argo=True)


def evaluated(appset: ApplicationSet, world: World) -> Generated:
    result = evaluate_set(appset, world)
    assert isinstance(result, Generated), result
    return result


@pytest.mark.parametrize(
    ("permitted", "made"),
    [
        pytest.param(("*",), ["a", "b", "d"], id="argo-cd"),
        pytest.param((), [], id="none"),
        pytest.param(("team-*",), ["a", "b"], id="pattern"),
        pytest.param(("team-a", "default"), ["a", "d"], id="names"),
    ],
)
def test_a_template_chooses_among_permitted_projects(
    permitted: tuple[str, ...], made: list[str]
) -> None:
    result = evaluated(make(), replace(WORLD, templated_projects=permitted))
    assert [item.name for item in result.applications] == made
    assert {error.reason for error in result.errors} <= {"ApplicationValidationError"}
    assert all("templatedProjects" in error.message for error in result.errors)
    assert len(result.errors) == 3 - len(made)


OVER = (
    "[{list: {elements: [{n: a, p: team-a}], template: "
    "{metadata: {}, spec: {project: '{{.p}}', destination: {}}}}}]"
)
INSIDE = (
    "[{matrix: {generators: [{list: {elements: [{n: a, p: team-a}]}}, {list: {elements: [{m: x}]}}],"
    " template: {metadata: {}, spec: {project: '{{.p}}', destination: {}}}}}]"
)


@pytest.mark.parametrize("generators", [OVER, INSIDE], ids=["generator", "combination"])
def test_a_generators_own_template_is_no_way_around(generators: str) -> None:
    result = evaluated(make(generators, project="team-b"), replace(WORLD, templated_projects=()))
    assert result.applications == ()
    assert "project team-a was chosen by a template" in result.errors[0].message


def test_a_project_that_is_written_out_needs_no_permission() -> None:
    strict = replace(WORLD, templated_projects=())
    patched = make(project="team-a", patch="spec: {project: default}")
    for appset in (make(project="team-a"), patched):
        result = evaluated(appset, strict)
        assert [item.project for item in result.applications] == ["team-a"] * 3


NAMESPACES = "[{list: {elements: [{n: a, p: team-a, ns: apps-x}, {n: b, p: team-a, ns: other}, {n: c, p: team-b, ns: shop}, {n: d, p: team-a}]}}]"


def test_the_templates_namespace_counts_where_it_is_asked_for_and_permitted() -> None:
    appset = make(
        NAMESPACES,
        namespace='{{ index . "ns" | default "argocd" }}',
        extensions="template-namespace",
    )
    result = evaluated(appset, WORLD)
    made = {item.name: item.namespace for item in result.applications}
    assert made == {"a": "apps-x", "d": "argocd"}
    assert result.applications[0].document["metadata"]["namespace"] == "apps-x"
    assert [error.application for error in result.errors] == ["b", "c"]
    assert (
        "in namespace 'other' is not permitted to use project 'team-a'" in result.errors[0].message
    )


def test_a_patch_leaves_the_chosen_namespace() -> None:
    appset = make(
        NAMESPACES,
        namespace='{{ index . "ns" | default "argocd" }}',
        extensions="template-namespace",
        patch="metadata: {namespace: kube-system, labels: {x: z}}",
    )
    made = {item.name: item.namespace for item in evaluated(appset, WORLD).applications}
    assert made == {"a": "apps-x", "d": "argocd"}


@pytest.mark.parametrize("extensions", ["", "matrix-n"])
def test_unasked_all_are_in_the_sets_own_namespace(extensions: str) -> None:
    result = evaluated(make(NAMESPACES, namespace="{{.n}}", extensions=extensions), WORLD)
    assert {item.namespace for item in result.applications} == {"argocd"}
    assert not result.errors

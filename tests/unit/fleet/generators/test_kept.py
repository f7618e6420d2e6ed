"""What an evaluation keeps for the next one: results are equal with and without it, and unchanged rows the same objects."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.generators import Failed, Generated, Missing, evaluate_set
from fleet.generators.kept import Kept
from fleet.model.appset import ApplicationSet
from fleet.model.cluster import Cluster
from fleet.model.identity import ClusterName
from fleet.model.project import AppProject
from fleet.model.world import BlobRequest, EntryKind, Tree, TreeEntry, TreeRequest, World

MakeSet = Callable[..., ApplicationSet]
URL = "https://git.example.com/cfg.git"
CLUSTERS = tuple(
    Cluster(name=ClusterName(name), server=f"https://{name}", labels={"env": env})
    for name, env in (("alpha", "prod"), ("beta", "dev"), ("gamma", "prod"))
)
MATRIX = """
- matrix:
    generators:
    - clusters: {}
    - git: {repoURL: https://git.example.com/cfg.git, revision: main, files: [{path: '*.yaml'}]}
"""
DEPENDENT = """
- matrix:
    generators:
    - git: {repoURL: https://git.example.com/cfg.git, revision: main, files: [{path: '*.yaml'}]}
    - clusters: {selector: {matchLabels: {env: '{{.env}}'}}}
"""
MERGE = """
- merge:
    mergeKeys: [name]
    generators:
    - clusters: {values: {x: base}}
    - git: {repoURL: https://git.example.com/cfg.git, revision: main, files: [{path: '*.yaml'}]}
"""
LISTS = """
- git: {repoURL: https://git.example.com/cfg.git, revision: main, files: [{path: '*.yaml'}]}
- list: {elements: [{name: alpha}, {name: alpha}]}
"""
BOTH_WAYS = """
- matrix:
    generators:
    - clusters: {}
    - git: {repoURL: https://git.example.com/cfg.git, revision: main, files: [{path: '*.yaml'}]}
- merge:
    mergeKeys: [name]
    generators:
    - clusters: {}
    - git: {repoURL: https://git.example.com/cfg.git, revision: main, files: [{path: '*.yaml'}]}
"""
TEMPLATE = """
metadata:
  name: '{{.name}}-{{ index . "path" | default dict | toJson | sha256sum | trunc 8 }}'
  annotations: {all: '{{ toJson . }}'}
spec:
  project: '{{ index . "project" | default "default" }}'
  source: {repoURL: 'https://git.example.com/deploy.git', path: apps}
  destination: {name: '{{.name}}', namespace: demo}
"""
FILES = {
    "a.yaml": "{env: prod, name: alpha, n: 1}",
    "b.yaml": "{env: dev, name: beta}",
    "c.yaml": "[{env: dev, name: gamma}, {env: prod, name: other}]",
}


def world(files: Mapping[str, str], clusters: tuple[Cluster, ...] = CLUSTERS) -> World:
    entries = tuple(TreeEntry(path, EntryKind.FILE, text) for path, text in sorted(files.items()))
    tree = Tree(commit="c", root=repr(sorted(files.items())), entries=entries)
    blobs = {BlobRequest(repo_url=URL, object=text): text.encode() for text in files.values()}
    request = TreeRequest(repo_url=URL, revision="main")
    return World(clusters=clusters, trees={request: tree}, blobs=blobs, implicit_in_cluster=False)


def made(result: Generated | Missing | Failed) -> dict[str, int]:
    assert isinstance(result, Generated), result
    return {item.name: id(item) for item in result.applications}


def changed(before: Generated, after: Generated) -> set[str]:
    """Names of the Applications that are other objects now."""
    old = {item.name: item for item in before.applications}
    return {item.name for item in after.applications if item is not old.get(item.name)}


def evaluate(appset: ApplicationSet, seen: World, kept: Kept) -> Generated:
    result = evaluate_set(appset, seen, kept)
    assert result == evaluate_set(appset, seen)
    assert isinstance(result, Generated), result
    return result


@pytest.mark.parametrize("generators", [MATRIX, MERGE, LISTS, DEPENDENT])
def test_the_same_world_gives_the_same_objects(make_set: MakeSet, generators: str) -> None:
    kept = Kept()
    appset = make_set(generators, TEMPLATE)
    first = evaluate(appset, world(FILES), kept)
    second = evaluate(appset, world(dict(FILES)), kept)
    assert first.applications
    assert changed(first, second) == set()


def test_a_changed_file_changes_its_rows_only(make_set: MakeSet) -> None:
    kept = Kept()
    appset = make_set(MATRIX, TEMPLATE)
    first = evaluate(appset, world(FILES), kept)
    second = evaluate(appset, world({**FILES, "b.yaml": "{env: dev, name: beta, n: 2}"}), kept)
    assert len(first.applications) + len(first.errors) >= 4
    assert len(changed(first, second)) == 3  # one file, with each of three clusters


@pytest.mark.parametrize(
    ("one", "other"),
    [("n: 1", "n: true"), ("n: 1", "n: '1'"), ("n: true", "n: 'true'"), ("n: null", "n: 'None'"), ("n: {}", "n: []")],
)  # fmt: skip
def test_values_that_only_look_alike_are_not_mixed_up(
    make_set: MakeSet, one: str, other: str
) -> None:
    kept = Kept()
    appset = make_set(LISTS, TEMPLATE)
    first = evaluate(appset, world({"a.yaml": f"{{name: alpha, {one}}}"}), kept)
    second = evaluate(appset, world({"a.yaml": f"{{name: alpha, {other}}}"}), kept)
    assert len(changed(first, second)) == 1


def test_an_application_that_says_the_same_stays_the_same_object(make_set: MakeSet) -> None:
    kept = Kept()
    appset = make_set(MATRIX, TEMPLATE.replace("toJson .", ".name"))
    first = evaluate(appset, world(FILES), kept)
    second = evaluate(appset, world({**FILES, "b.yaml": "{env: dev, name: beta, n: 2}"}), kept)
    assert first.applications
    assert changed(first, second) == set()


def test_another_template_makes_everything_anew(make_set: MakeSet) -> None:
    kept = Kept()
    first = evaluate(make_set(MATRIX, TEMPLATE), world(FILES), kept)
    second = evaluate(make_set(MATRIX, TEMPLATE.replace("apps", "other")), world(FILES), kept)
    assert changed(first, second) == set(made(second))
    assert {item.sources[0].path for item in second.applications} == {"other"}


def test_verdicts_follow_clusters_and_projects(make_set: MakeSet) -> None:
    kept = Kept()
    appset = make_set("[{list: {elements: [{name: alpha}, {name: beta, project: web}]}}]", TEMPLATE)
    both = replace(world({}), projects={"web": AppProject(name="web")})
    assert len(evaluate(appset, both, kept).applications) == 2
    assert len(evaluate(appset, world({}), kept).applications) == 1
    assert len(evaluate(appset, replace(both, clusters=CLUSTERS[1:]), kept).applications) == 1
    assert len(evaluate(appset, both, kept).applications) == 2


def test_a_failure_in_between_forgets_nothing(make_set: MakeSet) -> None:
    kept = Kept()
    appset = make_set(MATRIX, TEMPLATE)
    first = evaluate(appset, world(FILES), kept)
    assert isinstance(evaluate_set(appset, world({"a.yaml": "{{"}), kept), Failed)
    assert isinstance(evaluate_set(appset, World(clusters=CLUSTERS), kept), Missing)
    assert changed(first, evaluate(appset, world(FILES), kept)) == set()


def test_a_row_combined_in_two_ways_is_not_mixed_up(make_set: MakeSet) -> None:
    template = TEMPLATE.replace('index . "path" | default dict | toJson', ".server")
    appset = make_set(BOTH_WAYS, template)
    seen = world({"a.yaml": "{name: alpha, server: other}"})
    kept = Kept()
    first = evaluate(appset, seen, kept)
    assert len({item.name for item in first.applications if item.name.startswith("alpha")}) == 2
    assert changed(first, evaluate(appset, seen, kept)) == set()


FILE = st.dictionaries(
    st.sampled_from(["name", "env", "n", "project"]),
    st.sampled_from(["alpha", "beta", "prod", "dev", "1", 1, True, None, 2.5]),
    max_size=3,
).map(json.dumps)
STEP = st.tuples(
    st.dictionaries(st.sampled_from(["a.yaml", "b.yaml", "c.yaml"]), FILE, max_size=3),
    st.sets(st.integers(0, 2)),
    st.sampled_from([MATRIX, MERGE, LISTS, DEPENDENT, BOTH_WAYS]),
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(STEP, min_size=2, max_size=5))
def test_any_history_gives_what_none_gives(make_set: MakeSet, steps: list[tuple[dict[str, str], set[int], str]]) -> None:  # fmt: skip
    kept = Kept()
    for files, clusters, generators in steps:
        seen = world(files, tuple(CLUSTERS[number] for number in sorted(clusters)))
        appset = make_set(generators, TEMPLATE)
        assert evaluate_set(appset, seen, kept) == evaluate_set(appset, seen)

"""``fleet appset generate``: its inputs and outputs; what it makes is judged by the recorded cases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleet.codec import yamldoc

Fleet = Callable[..., Any]

TEMPLATE = """\
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {{name: {name}, namespace: argocd}}
spec:
  goTemplate: true
  generators: [{generator}]
  template:
    metadata: {{name: '{{{{.name}}}}-{name}'}}
    spec:
      project: default
      source: {{repoURL: https://git.example.com/a.git, path: a}}
      destination: {{name: '{{{{.name}}}}', namespace: shop}}
"""
CLUSTERS = TEMPLATE.format(name="all", generator="{clusters: {}}")
LIST = "[{name: b, server: 'https://b'}, {name: a, server: 'https://a', labels: {x: 'y'}}]"
OURS = """\
apiVersion: gitopsfleet.io/v1alpha1
kind: Cluster
metadata: {name: ours}
spec: {}
---
apiVersion: v1
kind: Secret
metadata: {name: theirs-secret, labels: {argocd.argoproj.io/secret-type: cluster}}
stringData: {name: theirs, server: 'https://theirs'}
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_clusters_as_a_list_and_as_documents(fleet: Fleet, tmp_path: Path) -> None:
    appset = write(tmp_path / "set.yaml", CLUSTERS)
    rows = write(tmp_path / "list.yaml", LIST)
    names = fleet("appset", "generate", appset, "--clusters", rows, "-o", "name").out.split()
    assert names == ["a-all", "b-all", "in-cluster-all"], "Argo's implicit cluster is one, too"
    ours = write(tmp_path / "ours.yaml", OURS)
    names = fleet("appset", "generate", appset, "--clusters", ours, "-o", "name").out.split()
    assert names == ["in-cluster-all", "ours-all", "theirs-all"]


def test_yaml_and_json_say_the_same(fleet: Fleet, tmp_path: Path) -> None:
    appset = write(tmp_path / "set.yaml", CLUSTERS)
    options = ("--clusters", write(tmp_path / "list.yaml", LIST))
    found = fleet("appset", "generate", appset, *options, "-o", "json").fits("appset-generate")
    text = fleet("appset", "generate", appset, *options).out
    assert [item.value for item in yamldoc.load_documents(text)] == found
    assert [item["kind"] for item in found] == ["Application"] * 3


def test_standard_input(fleet: Fleet) -> None:
    text = TEMPLATE.format(name="one", generator="{list: {elements: [{name: x}]}}")
    assert fleet("appset", "generate", "-", "-o", "name", stdin=text).err.startswith(
        "ApplicationValidationError: "
    ), "without clusters there is no destination"


def test_nothing_generated_is_an_empty_list(fleet: Fleet) -> None:
    text = TEMPLATE.format(name="none", generator="{list: {elements: []}}")
    assert fleet("appset", "generate", "-", "-o", "json", stdin=text).json == []
    assert fleet("appset", "generate", "-", stdin=text).out == ""


def test_existing_ones_belong_to_their_set(fleet: Fleet, tmp_path: Path) -> None:
    sets = "".join(
        TEMPLATE.format(name=name, generator="{list: {elements: [{name: a}]}}") + "---\n"
        for name in ("left", "right")
    )
    options = ["--clusters", str(write(tmp_path / "list.yaml", LIST)), "-o", "json"]
    made = fleet("appset", "generate", "-", *options, stdin=sets).json
    assert [item["metadata"]["name"] for item in made] == ["a-left", "a-right"]
    for item, owner in zip(made, ("left", "right"), strict=True):
        item["metadata"]["ownerReferences"] = [{"kind": "ApplicationSet", "name": owner}]
        item["metadata"]["labels"] = {"team": "x"}
    existing = write(tmp_path / "existing.yaml", yamldoc.dump_all(made))
    options += ["--existing", str(existing)]
    keeping = sets.replace("  goTemplate", "  preservedFields: {labels: [team]}\n  goTemplate")
    again = fleet("appset", "generate", "-", *options, stdin=keeping)
    assert [item["metadata"]["labels"] for item in again.json] == [{"team": "x"}] * 2
    del made[0]["metadata"]["ownerReferences"]
    existing.write_text(yamldoc.dump_all(made))
    lost = fleet("appset", "generate", "-", *options, stdin=sets)
    assert lost.status == 1
    assert "Application a-left belongs to no ApplicationSet" in lost.err


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        pytest.param("a: 1\n", (), "- holds no ApplicationSet", id="no-set"),
        pytest.param("a: [", (), "<stdin>:2: not valid YAML", id="no-yaml"),
        pytest.param(CLUSTERS, ("--repo", "x"), "--repo 'x' is not URL=DIR", id="repo"),
        pytest.param(CLUSTERS, ("--repo", "u=/nowhere"), "is not a directory", id="repo-dir"),
        pytest.param(CLUSTERS, ("--clusters", "/nowhere"), "cannot be read", id="clusters"),
        pytest.param(CLUSTERS, ("--projects", "/nowhere"), "cannot be read", id="projects"),
        pytest.param(CLUSTERS, ("--existing", "/nowhere"), "cannot be read", id="existing"),
    ],
)
def test_mistakes_are_one_line(
    fleet: Fleet, text: str, options: tuple[str, ...], message: str
) -> None:
    done = fleet("appset", "generate", "-", *options, stdin=text)
    assert (done.status, done.out) == (1, "")
    assert message in done.err
    assert len(done.err.splitlines()) == 1


def test_a_cluster_row_with_a_typing_error(fleet: Fleet, tmp_path: Path) -> None:
    rows = write(tmp_path / "list.yaml", "- {name: a}\n- {name: b, label: {}}\n")
    done = fleet("appset", "generate", "-", "--clusters", rows, stdin=CLUSTERS)
    assert done.status == 1
    assert f"{rows}:2: not a cluster: " in done.err

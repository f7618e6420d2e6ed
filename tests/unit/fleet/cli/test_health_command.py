"""``fleet health``: one result per document, in order, by the rules that the agents use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Fleet = Callable[..., Any]

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop, generation: 2}
spec: {replicas: 1}
status: {observedGeneration: 1}
"""
CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n"
PODS = """\
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Pod, metadata: {name: b}, status: {phase: Failed, message: no memory}}
- {apiVersion: v1, kind: Pod, metadata: {name: a}, status: {phase: Succeeded}}
"""
ALL = f"{DEPLOYMENT}---\n{CONFIG_MAP}---\n{PODS}"
EXPECTED = [
    ("apps", "Deployment", "shop", "web", "Progressing"),
    ("", "ConfigMap", "", "settings", None),
    ("", "Pod", "", "b", "Degraded"),
    ("", "Pod", "", "a", "Healthy"),
]


def test_order_and_keys_of_json(fleet: Fleet, tmp_path: Path) -> None:
    file = tmp_path / "objects.yaml"
    file.write_text(ALL)
    done = fleet("health", file, "-o", "json")
    rows = done.fits("health")
    keys = ("group", "kind", "namespace", "name", "status")
    assert [tuple(row[key] for key in keys) for row in rows] == EXPECTED
    assert rows[2]["message"] == "no memory"
    assert all(set(row) == {*keys, "message"} for row in rows)
    assert (done.status, done.err) == (0, "")


def test_standard_input_yaml_and_a_table(fleet: Fleet) -> None:
    lines = fleet("health", "-", stdin=ALL).out.splitlines()
    assert [line.split()[0] for line in lines] == ["KIND", "Deployment", "ConfigMap", "Pod", "Pod"]
    assert lines[2].split() == ["ConfigMap", "settings", "-"]
    assert "- group: apps\n  kind: Deployment" in fleet("health", "-", "-o", "yaml", stdin=ALL).out


def test_json_documents_and_lists_of_them(fleet: Fleet) -> None:
    text = '[{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}}]'
    assert fleet("health", "-", "-o", "json", stdin=text).json[0]["name"] == "x"


def test_nothing_is_an_empty_list(fleet: Fleet) -> None:
    assert fleet("health", "-", "-o", "json").fits("health") == []
    assert fleet("health", "-").err == "nothing to show\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("a: [", "<stdin>:2: not valid YAML", id="no-yaml"),
        pytest.param("{}\n", "<stdin>:1: not a Kubernetes object: it has no kind", id="no-kind"),
        pytest.param("just text", "it has no kind", id="text"),
        pytest.param("kind: [Pod]", "its kind is no text", id="kind"),
        pytest.param("kind: Pod\nmetadata: 3", "its metadata is no map", id="metadata"),
        pytest.param(f"{CONFIG_MAP}---\n3\n", "<stdin>:5: not a Kubernetes", id="second-document"),
    ],
)
def test_what_is_no_object(fleet: Fleet, text: str, message: str) -> None:
    done = fleet("health", "-", stdin=text)
    assert done.status == 1
    assert message in done.err
    assert done.out == ""
    assert len(done.err.splitlines()) == 1


def test_a_file_that_is_not_there(fleet: Fleet, tmp_path: Path) -> None:
    done = fleet("health", tmp_path / "ghost.yaml")
    assert (done.status, done.err) == (
        1,
        f"fleet: {tmp_path}/ghost.yaml cannot be read: No such file or directory\n",
    )


def test_control_characters_never_reach_the_terminal(fleet: Fleet) -> None:
    pod = '{"kind": "Pod", "status": {"phase": "Failed", "message": "\\u001b[31mred\\u202e"}}'
    out = fleet("health", "-", stdin=pod).out
    assert "[31mred" in out
    assert "\x1b" not in out
    assert "\u202e" not in out


RULES = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: argocd-cm}
data:
  resource.customizations.health.apps_Deployment: |
    return {status = "Suspended", message = obj.metadata.name .. " as we like it"}
  gitopsfleet.health.ConfigMap: "obj.metadata.name == 'settings' ? 'Healthy' : 'Degraded'"
"""


def test_several_files_and_a_folder(fleet: Fleet, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "pods.yaml").write_text(PODS)
    (tmp_path / "folder" / "notes.txt").write_text("no object")
    (tmp_path / "map.yaml").write_text(CONFIG_MAP)
    rows = fleet("health", tmp_path / "map.yaml", tmp_path / "folder", "-o", "json").json
    assert [row["name"] for row in rows] == ["settings", "b", "a"]


def test_own_rules(fleet: Fleet, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(f"{CONFIG_MAP}---\n{RULES}")
    rows = fleet("health", "-", "--rules", rules, "-o", "json", stdin=ALL).fits("health")
    assert [(row["status"], row["message"]) for row in rows[:3]] == [
        ("Suspended", "web as we like it"),
        ("Healthy", ""),
        ("Degraded", "no memory"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(CONFIG_MAP, "has no health rules", id="none"),
        pytest.param(
            RULES.replace("_Deployment", "_Deploy_ment"),
            "ConfigMap argocd-cm: data.resource.customizations.health.apps_Deploy_ment: does not end in",
            id="key",
        ),
        pytest.param(
            RULES.replace("return {", "return {{"),
            "the health rule resource.customizations.health.apps_Deployment cannot be used: line 2",
            id="script",
        ),
    ],
)
def test_rules_that_cannot_be_used(fleet: Fleet, tmp_path: Path, text: str, message: str) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(text)
    done = fleet("health", "-", "--rules", rules, stdin=ALL)
    assert (done.status, done.out) == (1, "")
    assert message in done.err


@pytest.mark.parametrize(
    ("text", "status"),
    [
        pytest.param(CONFIG_MAP, 0, id="no-rule-counts-as-done"),
        pytest.param(DEPLOYMENT, 3, id="progressing"),
        pytest.param(
            DEPLOYMENT.replace(
                "generation: 2",
                'generation: 2, annotations: {argocd.argoproj.io/ignore-healthcheck: "true"}',
            ),
            0,
            id="ignored",
        ),
    ],
)
def test_exit_code(fleet: Fleet, text: str, status: int) -> None:
    assert fleet("health", "-", "--exit-code", stdin=text).status == status
    assert fleet("health", "-", stdin=text).status == 0

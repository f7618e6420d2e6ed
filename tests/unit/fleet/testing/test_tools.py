"""helm and kubectl are taken from PATH only when they are usable."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from fleet.errors import BadInput, NotReady
from fleet.testing.tools import Tools, find_tools, is_good_helm, is_good_kubectl


def program(folder: Path, name: str, script: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def kubectl(folder: Path, version: str, *, kustomize: str = "echo 'kind: ConfigMap'") -> Path:
    client = json.dumps({"clientVersion": {"gitVersion": version}})
    return program(
        folder, "kubectl", f"case $1 in version) echo '{client}';; *) {kustomize};; esac"
    )


@pytest.mark.parametrize(
    ("version", "is_good"),
    [
        pytest.param("v1.35.2", True, id="current"),
        pytest.param("v1.27.0", True, id="oldest"),
        pytest.param("v1.26.9", False, id="too old"),
        pytest.param("v1.32.4-dispatcher", False, id="starts another kubectl"),
        pytest.param("", False, id="no version"),
    ],
)
def test_kubectl_must_be_new_enough(tmp_path: Path, version: str, *, is_good: bool) -> None:
    assert is_good_kubectl(kubectl(tmp_path, version)) is is_good


def test_kubectl_must_be_able_to_kustomize(tmp_path: Path) -> None:
    assert not is_good_kubectl(kubectl(tmp_path, "v1.35.2", kustomize="exit 1"))


@pytest.mark.parametrize("script", ["echo hello", "exit 1"], ids=["other program", "failing"])
def test_another_program_named_kubectl_is_no_kubectl(tmp_path: Path, script: str) -> None:
    assert not is_good_kubectl(program(tmp_path, "kubectl", script))


@pytest.mark.parametrize(
    ("answer", "is_good"),
    [("v4.1.4", True), ("v3.8.0", True), ("v3.7.2", False), ("v2.17.0", False), ("", False)],
)
def test_helm_must_be_new_enough(tmp_path: Path, answer: str, *, is_good: bool) -> None:
    assert is_good_helm(program(tmp_path, "helm", f"echo {answer}")) is is_good


def test_both_come_from_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLEET_HELM", raising=False)
    monkeypatch.delenv("FLEET_KUBECTL", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    expected = Tools(
        helm=program(tmp_path, "helm", "echo v3.20.0"), kubectl=kubectl(tmp_path, "v1.35.2")
    )
    assert find_tools() == expected


def test_children_find_exactly_these_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    helms, kubectls = tmp_path / "helms", tmp_path / "kubectls"
    for folder in (helms, kubectls):  # each folder also holds a wrong one of the other
        folder.mkdir()
        program(folder, "helm", f"echo {folder.name}")
        program(folder, "kubectl", f"echo {folder.name}")
    tools = Tools(helm=helms / "helm", kubectl=kubectls / "kubectl")
    answer = subprocess.run(
        "helm; kubectl", shell=True, env=tools.environment(), capture_output=True, text=True
    )
    assert answer.stdout.split() == ["helms", "kubectls"]


def test_named_programs_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEET_HELM", str(tmp_path / "none"))
    with pytest.raises(BadInput, match="FLEET_HELM"):
        find_tools()


def test_nothing_is_downloaded_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLEET_HELM", raising=False)
    monkeypatch.setenv("FLEET_KUBECTL", str(program(tmp_path, "kubectl", "")))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotReady, match="no usable helm on PATH"):
        find_tools()

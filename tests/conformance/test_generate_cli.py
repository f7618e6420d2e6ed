"""Every recorded ApplicationSet case through ``fleet appset generate``, as somebody would call it.

Each case becomes files: the set, its clusters as a plain list, its projects, and real git repositories with branches
and tags given by ``--repo``. Steps become a second call with ``--existing``. The command runs in this process; a
sample runs as a process of its own, which also judges the exit status. `test_applicationset` judges the pure pipeline
by the same cases and the same list of differences.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from fleet.cli.main import app
from fleet.codec import yamldoc
from fleet.testing.repos import RepoBuilder

SHARED = Path(os.environ.get("FLEET_SHARED", "") or Path(__file__).resolve().parents[3] / "shared")
FOLDER = SHARED / "conformance" / "applicationset"
CASES = sorted(FOLDER.glob("*/*.yaml"))
FLEET = Path(sys.executable).with_name("fleet")
SAMPLE = (
    "list/*",
    "clusters/*",
    "git-dirs/*",
    "git-files/*",
    "matrix/*",
    "policy/pol-error-keeps",
    "rejected/*",
    "validation/*",
)
"""Patterns of cases; the first that fits each runs as a process of its own."""


def load(path: Path) -> Any:
    """Read a file as its writer meant it: PyYAML wrote them, and to it a plain 1e+06 is a text."""
    return yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)


DIFFERENCES: dict[str, str] = load(Path(__file__).parent / "differences.yaml") or {}


@dataclass(frozen=True)
class Run:
    """A finished command."""

    status: int
    out: str
    err: str


Fleet = Callable[[list[str]], Run]


def in_process(arguments: list[str]) -> Run:
    done = CliRunner().invoke(app, arguments)
    assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
    return Run(done.exit_code, done.stdout, done.stderr)


def as_process(arguments: list[str]) -> Run:
    done = subprocess.run(
        [str(FLEET), *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    return Run(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Call:
    """A case on disk."""

    folder: Path
    options: list[str]
    fleet: Fleet

    def generate(self, appset: Mapping[str, Any], existing: list[dict[str, Any]] | None) -> Run:
        more = []
        if existing is not None:
            more = ["--existing", self._write("existing.yaml", *existing)]
        file = self._write("appset.yaml", appset)
        return self.fleet(["appset", "generate", file, *self.options, *more, "-o", "json"])

    def _write(self, name: str, *documents: Mapping[str, Any]) -> str:
        return write(self.folder / name, *documents)


def write(path: Path, *documents: Any) -> str:
    path.write_text(yamldoc.dump_all(list(documents)))
    return str(path)


def lay_out(case: Mapping[str, Any], folder: Path, fleet: Fleet) -> Call:
    clusters = [item for item in case.get("clusters") or () if not item.get("notCluster")]
    options = ["--clusters", write(folder / "clusters.yaml", clusters)]
    projects = [
        {"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", **item}
        for item in case.get("projects", ())
    ]
    if projects:
        options += ["--projects", write(folder / "projects.yaml", *projects)]
    for name, content in (case.get("repos") or {}).items():
        if not content.get("absent"):
            repo = repository(folder / f"{name}.git", content)
            options += ["--repo", f"https://git.example.com/{name}.git={repo.path}"]
    return Call(folder, options, fleet)


def repository(path: Path, content: Mapping[str, Any]) -> RepoBuilder:
    repo = RepoBuilder(path)
    repo.commit(content.get("files", {}))
    for name, other in content.get("branches", {}).items():
        repo.branch(name)
        repo.commit(other.get("files", {}), branch=name)
    for name, other in content.get("tags", {}).items():
        repo.branch("for-the-tag")
        repo.tag(name, repo.commit(other.get("files", {}), branch="for-the-tag"))
        repo.delete("refs/heads/for-the-tag")
    return repo


def run(case: Mapping[str, Any], folder: Path, fleet: Fleet) -> Run:
    """Do everything a case says; each call starts from what the one before left."""
    call = lay_out(case, folder, fleet)
    appset = case["applicationset"]
    done = call.generate(appset, None)
    for step in case.get("steps", ()):
        existing = json.loads(done.out)
        if "patchApplication" in step:
            existing = [patched(item, step["patchApplication"]) for item in existing]
        else:
            appset = step["applicationset"]
        done = call.generate(appset, existing)
    return done


def patched(document: dict[str, Any], step: Mapping[str, Any]) -> dict[str, Any]:
    if document["metadata"]["name"] != step["name"]:
        return document
    merged = json_merge(document, step["patch"])
    assert isinstance(merged, dict)
    return merged


def json_merge(value: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    old = value if isinstance(value, dict) else {}
    merged = {**old, **{key: json_merge(old.get(key), item) for key, item in patch.items()}}
    return {key: item for key, item in merged.items() if patch.get(key, item) is not None}


def shown(document: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {key: item for key, item in document["metadata"].items() if key != "namespace"}
    return {"metadata": metadata, "spec": document["spec"]}


def problems(case: Mapping[str, Any], done: Run) -> Iterator[str]:
    """Say where the command did not do what was recorded."""
    expected = case["expected"]
    failed = bool(expected.get("rejected")) or expected["errorOccurred"]
    if done.status != (1 if failed else 0):
        yield f"exit status {done.status}: {done.err}"
    found = json.loads(done.out)
    wanted = sorted(expected["applications"], key=lambda item: item["metadata"]["name"])
    if [shown(item) for item in found] != wanted:
        yield f"applications {found}, expected {wanted}"
    if not all(item["apiVersion"] == "argoproj.io/v1alpha1" for item in found):
        yield f"not Applications: {found}"
    for field, _reason in expected.get("rejectedFields", ()):
        if field not in done.err:
            yield f"{done.err!r} does not name {field}"
    if expected.get("errorOccurred"):
        if f"{expected['reason']}: " not in done.err:
            yield f"{done.err!r} lacks the reason {expected['reason']}"
        if expected.get("messageContains", "") not in done.err:
            yield f"{done.err!r} lacks {expected['messageContains']!r}"


def judge(path: Path, tmp_path: Path, fleet: Fleet) -> None:
    case = load(path)
    done = run(case, tmp_path, fleet)
    assert "Traceback" not in done.err
    found = list(problems(case, done))
    if DIFFERENCES.get(f"{path.parent.name}/{path.stem}"):
        assert found, "the case passes: take it out of differences.yaml"
    else:
        assert not found, "\n".join(found)


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_case(path: Path, tmp_path: Path) -> None:
    judge(path, tmp_path, in_process)


@pytest.mark.parametrize("pattern", SAMPLE)
def test_case_as_a_process(shared_dir: Path, pattern: str, tmp_path: Path) -> None:
    folder = shared_dir / "conformance" / "applicationset"
    judge(min(folder.glob(f"{pattern}.yaml")), tmp_path, as_process)

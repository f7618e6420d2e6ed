"""Every recorded ApplicationSet case through the pure pipeline: documents, generators, templates, policies.

Cases that cannot pass are in ``differences.yaml`` with the reason; one that passes although it is listed fails.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.argo.application import read_application
from fleet.argo.appset import appset_from, read_application_set
from fleet.argo.policy import merge_existing
from fleet.argo.projects import read_project
from fleet.argo.reading import Reader
from fleet.errors import Where
from fleet.generators import Failed, Generated, Missing, evaluate_set
from fleet.generators.result import condition
from fleet.model.answers import NOT_CONFIGURED, PluginRequest
from fleet.model.application import Application
from fleet.model.appset import ApplicationSet
from fleet.model.cluster import Cluster
from fleet.model.identity import ClusterName
from fleet.model.project import AppProject
from fleet.model.world import (
    BlobRequest,
    EntryKind,
    SourceRequest,
    Tree,
    TreeEntry,
    TreeRequest,
    Unavailable,
    World,
)

SHARED = Path(os.environ.get("FLEET_SHARED", "") or Path(__file__).resolve().parents[3] / "shared")
FOLDER = SHARED / "conformance" / "applicationset"
CASES = sorted(FOLDER.glob("*/*.yaml"))
DIFFERENCES_FILE = Path(__file__).parent / "differences.yaml"
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
MAX_PASSES = 6


def load(path: Path) -> Any:
    """Read a file as its writer meant it: PyYAML wrote them, and to it a plain 1e+06 is a text."""
    return yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)


DIFFERENCES: dict[str, str] = load(DIFFERENCES_FILE) or {}


@dataclass
class Outcome:
    """What a case led to."""

    applications: list[dict[str, Any]]
    reason: str
    message: str = ""
    rejected: list[str] = field(default_factory=list)


class Repos:
    """The repositories of a case, with object ids made from the contents."""

    def __init__(self, repos: Mapping[str, Any]) -> None:
        self.trees: dict[tuple[str, str], Tree] = {}
        self.blobs: dict[tuple[str, str], bytes] = {}
        self.absent = {
            f"https://git.example.com/{name}.git"
            for name, repo in repos.items()
            if repo.get("absent")
        }
        for name, repo in repos.items():
            if not repo.get("absent"):
                self._add(f"https://git.example.com/{name}.git", repo)

    def _add(self, url: str, repo: Mapping[str, Any]) -> None:
        main = repo.get("files", {})
        revisions = {"": main, "HEAD": main, "main": main}
        for kind in ("branches", "tags"):
            for revision, other in repo.get(kind, {}).items():
                revisions[revision] = {**main, **other.get("files", {})}
        for revision, files in revisions.items():
            self.trees[url, revision] = self._tree(url, files)

    def _tree(self, url: str, files: Mapping[str, str]) -> Tree:
        entries: dict[str, TreeEntry] = {}
        for path, text in files.items():
            data = text.encode()
            name = hashlib.sha1(data, usedforsecurity=False).hexdigest()
            self.blobs[url, name] = data
            entries[path] = TreeEntry(path, EntryKind.FILE, name)
            parts = path.split("/")
            for count in range(1, len(parts)):
                folder = "/".join(parts[:count])
                entries[folder] = TreeEntry(folder, EntryKind.DIRECTORY, f"tree-{folder}")
        ordered = tuple(entries[path] for path in sorted(entries))
        return Tree(commit=f"commit-{len(self.trees)}", root="root", entries=ordered)

    def answer(self, request: SourceRequest) -> Tree | bytes | Unavailable:
        if isinstance(request, BlobRequest):
            return self.blobs[request.repo_url, request.object]
        if isinstance(request, PluginRequest):
            message = f'ConfigMap "{request.config}" not found'
            return Unavailable(since=SINCE, reason=NOT_CONFIGURED, message=message)
        assert isinstance(request, TreeRequest), "no case asks a forge"
        tree = self.trees.get((request.repo_url, request.revision))
        if tree is not None:
            return tree
        if request.repo_url in self.absent:
            message = f"repository not found: {request.repo_url}"
        else:
            message = f"unable to resolve '{request.revision}' to a commit SHA"
        return Unavailable(since=SINCE, reason="Unavailable", message=message)


def settle(appset: ApplicationSet, world: World, repos: Repos) -> Generated | Failed:
    """Evaluate until nothing is missing, as the hub and the CLI do."""
    for _ in range(MAX_PASSES):
        result = evaluate_set(appset, world)
        if not isinstance(result, Missing):
            return result
        answers = {request: repos.answer(request) for request in result.requests}
        world = World(
            clusters=world.clusters,
            projects=world.projects,
            trees=world.trees
            | {key: item for key, item in answers.items() if isinstance(key, TreeRequest)},  # type: ignore[operator]
            blobs=world.blobs
            | {key: item for key, item in answers.items() if isinstance(key, BlobRequest)},  # type: ignore[operator]
            answers={key: item for key, item in answers.items() if isinstance(key, PluginRequest)},  # type: ignore[misc]
        )
    raise AssertionError("the set never stops asking")


def run(case: Mapping[str, Any]) -> Outcome:
    """Do everything a case says."""
    reader = Reader.of_value(case["applicationset"], where=Where(file="case.yaml", line=1))
    appset = appset_from(reader, follow_argo=True)
    if appset is None:
        fields = [problem.where.field for problem in reader.problems if problem.fatal]
        return Outcome([], "", rejected=fields)
    repos = Repos(case.get("repos", {}))
    world = World(clusters=clusters_of(case), projects=projects_of(case))
    result = settle(appset, world, repos)
    applications = applied(result, (), appset)
    for step in case.get("steps", ()):
        if "patchApplication" in step:
            applications = patched(applications, step["patchApplication"])
        else:
            appset = read_application_set(step["applicationset"], where=Where(), follow_argo=True)
        result = settle(appset, world, repos)
        applications = applied(result, applications, appset)
    reason, message = condition(result.errors)
    return Outcome([shown(application) for application in applications], reason, message)


def applied(
    result: Generated | Failed, existing: tuple[Application, ...], appset: ApplicationSet
) -> tuple[Application, ...]:
    if isinstance(result, Failed):
        return existing
    withheld = [error.application for error in result.errors]
    return merge_existing(result.applications, existing, appset, withheld=withheld)


def patched(
    applications: tuple[Application, ...], step: Mapping[str, Any]
) -> tuple[Application, ...]:
    return tuple(
        read_application(json_merge(item.document, step["patch"]), where=Where())
        if item.name == step["name"]
        else item
        for item in applications
    )


def json_merge(value: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    result = dict(value) if isinstance(value, dict) else {}
    for key, item in patch.items():
        if item is None:
            result.pop(key, None)
        else:
            result[key] = json_merge(result.get(key), item)
    return result


def clusters_of(case: Mapping[str, Any]) -> tuple[Cluster, ...]:
    records = [item for item in case.get("clusters") or () if not item.get("notCluster")]
    return tuple(
        Cluster(
            name=ClusterName(item["name"]),
            server=item["server"],
            project=item.get("project", ""),
            labels=item.get("labels", {}),
            annotations=item.get("annotations", {}),
        )
        for item in sorted(records, key=lambda item: (item["name"], item["server"]))
    )


def projects_of(case: Mapping[str, Any]) -> dict[str, AppProject]:
    documents = (
        {"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", **item}
        for item in case.get("projects", ())
    )
    projects = (read_project(document, where=Where()) for document in documents)
    return {project.name: project for project in projects}


def shown(application: Application) -> dict[str, Any]:
    """An Application as the cases write it."""
    metadata = {
        key: item for key, item in application.document["metadata"].items() if key != "namespace"
    }
    return {"metadata": metadata, "spec": application.document["spec"]}


def problems(case: Mapping[str, Any]) -> Iterator[str]:
    """Say where the outcome is not what was recorded."""
    expected = case["expected"]
    outcome = run(case)
    if expected.get("rejected"):
        fields = [name for name, _reason in expected["rejectedFields"]]
        if outcome.rejected != fields:
            yield f"rejected fields {outcome.rejected}, expected {fields}"
        return
    if outcome.rejected:
        yield f"rejected for {outcome.rejected}"
        return
    wanted = sorted(expected["applications"], key=lambda item: item["metadata"]["name"])
    if outcome.applications != wanted:
        yield f"applications {outcome.applications}, expected {wanted}"
    failed = outcome.reason != "ApplicationSetUpToDate"
    if failed is not expected["errorOccurred"]:
        yield f"{outcome.reason} ({outcome.message}), expected errorOccurred {expected['errorOccurred']}"
    elif failed and not expected.get("noStatus"):
        if outcome.reason != expected["reason"]:
            yield f"reason {outcome.reason} ({outcome.message}), expected {expected['reason']}"
        if expected.get("messageContains", "") not in outcome.message:
            yield f"message {outcome.message!r} lacks {expected['messageContains']!r}"


def test_the_cases_are_there(shared_dir: Path) -> None:
    assert len(list((shared_dir / "conformance" / "applicationset").glob("*/*.yaml"))) >= 250


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_case(path: Path) -> None:
    case = load(path)
    found = list(problems(case))
    listed = DIFFERENCES.get(f"{path.parent.name}/{path.stem}")
    if listed:
        assert found, "the case passes: take it out of differences.yaml"
    else:
        assert not found, "\n".join(found)


@pytest.mark.skipif(not CASES, reason=f"no cases in {FOLDER}")
def test_every_difference_is_a_case() -> None:
    known = {f"{path.parent.name}/{path.stem}" for path in CASES}
    assert set(DIFFERENCES) <= known
    assert all(DIFFERENCES.values())

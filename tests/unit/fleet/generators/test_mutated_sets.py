"""Sets that were right, changed at random: whatever is left of them, evaluating them ends in a result or a failure.

The sets are the reference cases and one of each kind that those do not have; a few hundred in an ordinary run, twenty
thousand with ``FLEET_HYPOTHESIS=thorough``. A failure prints the number that makes the same set again.
"""

from __future__ import annotations

import copy
import functools
import random
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from fleet.argo.assembly import assemble
from fleet.argo.documents import read_fleet_documents
from fleet.codec import yamldoc
from fleet.errors import BadInput
from fleet.generators import Failed, Generated, Missing, evaluate_set
from fleet.model.answers import (
    BranchesRequest,
    PathRequest,
    PluginRequest,
    PullRequestsRequest,
    RepositoriesRequest,
)
from fleet.model.cluster import Cluster
from fleet.model.identity import ClusterName
from fleet.model.world import (
    BlobRequest,
    EntryKind,
    Tree,
    TreeEntry,
    TreeRequest,
    Unavailable,
    World,
)

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
CLUSTERS = tuple(
    Cluster(
        name=ClusterName(name),
        server=f"https://{name}.example.com",
        labels={"env": env, "a/b": "c"},
        annotations={"note": "x"},
    )
    for name, env in (("alpha", "prod"), ("beta", "staging"), ("gamma", "prod"))
)
MAX_SECONDS = 60.0
"""Of processor time for one set; the slowest take about a second."""
COMMON = {
    "values": {"v": "{{.repository}}-{{.values.v}}", "w": "{{index . 0}}"},
    "requeueAfterSeconds": 60,
}
SECRET = {"secretName": "s", "key": "k"}
OTHERS: list[Any] = [
    {"scmProvider": {**COMMON, "github": {"organization": "o", "allBranches": True, "tokenRef": SECRET},
                     "filters": [{"repositoryMatch": "^w", "labelMatch": "x", "branchMatch": "main", "pathsExist": ["a/b"], "pathsDoNotExist": ["c"]}]}},
    {"scmProvider": {"gitlab": {"group": "g", "includeSubgroups": True, "topic": "t"}, "cloneProtocol": "https"}},
    {"scmProvider": {"gitea": {"owner": "o", "api": "https://g.example.com"}}},
    {"scmProvider": {"bitbucket": {"owner": "o", "user": "u", "appPasswordRef": SECRET}}},
    {"scmProvider": {"bitbucketServer": {"project": "P", "api": "https://b.example.com", "basicAuth": {"username": "u", "passwordRef": SECRET}}}},
    {"scmProvider": {"azureDevOps": {"organization": "o", "teamProject": "t", "accessTokenRef": SECRET}}},
    {"scmProvider": {"awsCodeCommit": {"region": "eu-central-1", "tagFilters": [{"key": "k", "value": "v"}]}}},
    {"pullRequest": {**COMMON, "github": {"owner": "o", "repo": "r", "labels": ["x"]}, "filters": [{"branchMatch": ".*", "targetBranchMatch": "m", "titleMatch": "T"}], "continueOnRepoNotFoundError": True}},
    {"pullRequest": {"gitlab": {"project": "7", "pullRequestState": "opened"}}},
    {"pullRequest": {"bitbucketServer": {"project": "P", "repo": "r", "api": "https://b.example.com", "bearerToken": {"tokenRef": SECRET}}}},
    {"pullRequest": {"azuredevops": {"organization": "o", "project": "p", "repo": "r"}}},
    {"plugin": {"configMapRef": {"name": "p"}, "input": {"parameters": {"a": [1, {"b": None}]}}, "values": {"v": "{{.a}}"}}},
    {"clusterDecisionResource": {"configMapRef": "cm", "name": "d", "values": {"v": "w"}, "requeueAfterSeconds": 3}},
    {"matrix": {"generators": [{"plugin": {"configMapRef": {"name": "p"}}}, {"merge": {"mergeKeys": ["name"], "generators": [{"clusters": {"values": {"x": "{{.a}}"}}}, {"list": {"elementsYaml": "{{toJson .}}"}}]}}]}},
    {"matrix": {"generators": [{"list": {"elements": [{"n": 1}, {"n": 2}]}}] * 4}},
]  # fmt: skip
RESOURCES = """
apiVersion: v1
kind: ConfigMap
metadata: {name: cm}
data: {apiVersion: a.b/v1, kind: decisions, statusListKey: d, matchKey: n}
---
apiVersion: a.b/v1
kind: Decision
metadata: {name: d, labels: {x: y}}
status: {d: [{n: alpha, w: 1.5}, {n: nobody}, {n: [1]}]}
"""
TEXTS = [
    *("", "a", "alpha", "default", "*", "**", "..", "/", "a/../b", "true", "1", "-1", "1e400", "é", "\u202e", "\x00"),
    *("{{.name}}", "{{name}}", "{{", "}}", "{{.x.y}}", "{{range .}}", "{{index . 0}}", "{{.}}", "{{toYaml .}}"),
    *('{{fail "x"}}', '{{template "t"}}', '{{define "t"}}{{template "t"}}{{end}}', "{{repeat 1000000 .name}}"),
    *("{{range until 100000}}{{.}}{{end}}", "{{.name | upper", "{{ .path.segments }}", "{{- $x := . -}}"),
    *("https://git.example.com/cfg.git", "missingkey=error", "missingkey=x", "- {a: b}", "&a [*a]", "[" * 300),
    *("(", "(a*)*b", "[z-a]", "{a,b}", "\\", "[", "!x", ":(top)a", "x" * 300, "a\nb", "{{/* */}}", "$patch", "Int"),
    *("metadata: {name: y}", '{"spec": {"project": 1}}', "spec: {source: null}", "<<: {}", "$patch: delete"),
]  # fmt: skip
SCALARS: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**63, 10**300, 1.5, 1e308, -0.0),
    *(
        "",
        [],
        {},
        [[]],
        [None],
        [{}],
        {"": ""},
        {"a": None},
        {"list": {}},
        {"matrix": {"generators": []}},
    ),
]


@functools.cache
def originals() -> tuple[Any, ...]:
    """The documents of every reference case, and those of our own."""
    shared = Path(__file__).resolve().parents[5] / "shared" / "conformance" / "applicationset"
    found = []
    for path in sorted(shared.glob("*/*.yaml")):
        case = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)  # a safe loader
        files = {
            name: text for repo in (case.get("repos") or {}).values() for name, text in repo.get("files", {}).items()
        }  # fmt: skip
        if isinstance(case.get("applicationset"), dict):
            found.append((case["applicationset"], files))
    template = (
        copy.deepcopy(found[0][0]["spec"]["template"]) if found else {"metadata": {}, "spec": {}}
    )
    for go in (True, False):
        for generator in OTHERS:
            metadata = {
                "name": "x",
                "annotations": {
                    "gitopsfleet.io/generator-extensions": "matrix-n,deep-nesting,outer-join"
                },
            }
            spec = {"goTemplate": go, "generators": [generator], "template": template}
            document = {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "ApplicationSet",
                "metadata": metadata,
                "spec": spec,
            }
            found.append((document, {"apps/a/c.yaml": "a: 1"}))
    return tuple(found)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of everything in a document."""
    found = [path] if path else []
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, item in items:
        found += places(item, (*path, key))
    return found


_WEIGHTS = (2, 2, 8, 4, 1, 3, 8, 8)
"""Of the changes: most break the shape of a document, and then it is not evaluated at all."""


def mutate(document: Any, choose: random.Random) -> None:
    """Change one thing in a document."""
    paths = places(document)
    if not paths:
        return
    *before, key = choose.choice(paths)
    parent = document
    for step in before:
        parent = parent[step]
    value = parent[key]
    match choose.choices(range(8), _WEIGHTS)[0]:
        case 0:
            del parent[key]
        case 1:
            parent[key] = copy.deepcopy(choose.choice(SCALARS))
        case 2 if isinstance(value, str):
            parent[key] = choose.choice(TEXTS)
        case 3 if isinstance(parent, list):
            parent.insert(choose.randrange(len(parent) + 1), copy.deepcopy(value))
        case 3:
            parent[choose.choice(TEXTS) or str(key)] = parent.pop(key)
        case 4:
            parent[key] = choose.choice([[value], {"a": value}, [value] * 5, str(value)])
        case 5:
            other = document
            for step in choose.choice(paths):
                other = other[step]
            parent[key] = copy.deepcopy(other)
        case 6 if isinstance(value, str):
            at = choose.randrange(len(value) + 1)
            parent[key] = value[:at] + choose.choice(TEXTS) + value[at:]
        case _:
            if isinstance(value, dict):
                value[choose.choice(["list", "git", "matrix", "merge", "clusters", "template", "selector", "values", "x"])] = (
                    copy.deepcopy(choose.choice(choose.choice(originals())[0]["spec"].get("generators") or [1]))
                    if choose.random() < 0.6
                    else choose.choice(TEXTS)
                )  # fmt: skip


def anything(choose: random.Random, depth: int = 0) -> Any:
    """Any JSON that a plugin may send."""
    if depth > 3 or choose.random() < 0.5:
        return choose.choice([*TEXTS, *SCALARS])
    if choose.random() < 0.5:
        return [anything(choose, depth + 1) for _ in range(choose.randrange(4))]
    keys = ["name", "a", "values", "path", "generator", "a.b", "", "é"]
    return {choose.choice(keys): anything(choose, depth + 1) for _ in range(choose.randrange(4))}


def answer(request: object, files: dict[str, str], choose: random.Random) -> Any:
    """What the world says to a request: mostly something, of the right shape where a provider makes it."""
    if choose.random() < 0.05:
        return Unavailable(since=SINCE, reason=choose.choice(["NotFound", "Denied"]), message="no")
    text = functools.partial(choose.choice, [item for item in TEXTS if "\x00" not in item])
    match request:
        case TreeRequest():
            entries = {
                "apps": EntryKind.DIRECTORY,
                "link": EntryKind.SYMLINK,
                ".hidden": EntryKind.DIRECTORY,
            }
            for path in files:
                entries |= dict.fromkeys(
                    ("/".join(path.split("/")[:n]) for n in range(1, path.count("/") + 1)), EntryKind.DIRECTORY
                )  # fmt: skip
                entries[path] = EntryKind.FILE
            made = tuple(TreeEntry(path, kind, path) for path, kind in sorted(entries.items()))
            return Tree(commit="c", root="r", entries=made)
        case BlobRequest(object=name):
            contents = files.get(name, "link")
            at = choose.randrange(len(contents) + 1)
            return (
                contents[:at] + (text() if choose.random() < 0.3 else "") + contents[at:]
            ).encode()
        case RepositoriesRequest():
            return tuple(
                {"organization": "o", "repository": text(), "id": "1", "ssh": text(), "https": "https://x.example.com", "branch": text(), "labels": ["x"]}
                for _ in range(choose.randrange(4))
            )  # fmt: skip
        case BranchesRequest():
            return tuple({"name": text(), "sha": "0" * 40} for _ in range(choose.randrange(3)))
        case PathRequest():
            return ({"exists": choose.random() < 0.5},)
        case PullRequestsRequest():
            return tuple(
                {"number": str(n), "title": text(), "branch": text(), "target": text(), "sha": "0" * 40, "author": "", "labels": ["x"]}
                for n in range(choose.randrange(4))
            )  # fmt: skip
        case PluginRequest():
            rows = (anything(choose) for _ in range(choose.randrange(4)))
            return tuple(row for row in rows if isinstance(row, dict))
    raise AssertionError(request)


def evaluate(document: Any, files: dict[str, str], choose: random.Random) -> list[Any]:
    """Go the way of a fleet file: text, documents, world, evaluation until nothing is missing."""
    try:
        text = f"{yamldoc.dump(document)}---\n{RESOURCES}"
        documents = yamldoc.load_documents(
            text.encode("utf-8", "replace"), source="x.yaml", positions=True
        )
    except BadInput:
        return []
    world, _ = assemble([read_fleet_documents(documents)], CLUSTERS)
    results = []
    for appset in world.appsets.values():
        for _ in range(8):
            result = evaluate_set(appset, world)
            assert isinstance(result, Generated | Failed | Missing)
            if not isinstance(result, Missing):
                results.append(result)
                break
            said = {request: answer(request, files, choose) for request in result.requests}
            world = World(
                clusters=world.clusters,
                projects=world.projects,
                resources=world.resources,
                appsets=world.appsets,
                trees={**world.trees, **{key: item for key, item in said.items() if isinstance(key, TreeRequest)}},
                blobs={**world.blobs, **{key: item for key, item in said.items() if isinstance(key, BlobRequest)}},
                answers={**world.answers, **{key: item for key, item in said.items() if not isinstance(key, TreeRequest | BlobRequest)}},
            )  # fmt: skip
    return results


def changed(seed: int) -> tuple[Any, dict[str, str], random.Random]:
    """Make the document of a number."""
    choose = random.Random(seed)
    document, files = copy.deepcopy(choose.choice(originals()))
    for _ in range(choose.choice([1, 1, 2, 3, 6, 12])):
        mutate(document, choose)
    return document, files, choose


@given(seed=st.integers(0, 2**48))
@settings(phases=[Phase.generate])
def test_any_changed_set_ends_in_a_result_or_a_failure(seed: int) -> None:
    document, files, choose = changed(seed)
    begun = time.thread_time()
    evaluate(document, files, choose)
    assert time.thread_time() - begun < MAX_SECONDS


def test_the_sets_are_good_before_they_are_changed() -> None:
    """Else the test above would look at refusals only."""
    good = bad = 0
    for document, files in originals():
        for result in evaluate(copy.deepcopy(document), files, random.Random(7)):
            good += isinstance(result, Generated)
            bad += isinstance(result, Failed)
    assert good > bad, (good, bad)

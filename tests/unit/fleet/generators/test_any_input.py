"""Whatever is written in a fleet repository, reading and evaluating it end in a result, a failure or a problem."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fleet.argo.assembly import assemble
from fleet.argo.documents import read_fleet_documents
from fleet.codec import yamldoc
from fleet.errors import BadInput
from fleet.generators import Failed, Generated, Missing, evaluate_set
from fleet.model.cluster import Cluster
from fleet.model.identity import ClusterName
from fleet.model.world import (
    BlobRequest,
    EntryKind,
    SourceRequest,
    Tree,
    TreeEntry,
    TreeRequest,
    World,
)

CLUSTER = Cluster(
    name=ClusterName("alpha"), server="https://alpha.example.com", labels={"env": "prod"}
)
TEXTS = st.one_of(
    st.sampled_from(
        [
            *("", "a", "alpha", "default", "*", "**/c.yaml", "apps/*", "..", "/", "a/../b", "1", "true"),
            *("{{.name}}", "{{name}}", "{{", "{{.x.y}}", "{{range .}}", "{{ .path.path }}", "{{index . 0}}"),
            *("https://git.example.com/x.git", "http://", "git@x:y", "main", "HEAD", "missingkey=error"),
        ]
    ),
    st.text(max_size=8),
)  # fmt: skip
KEYS = st.one_of(
    st.sampled_from(
        [
            *("name", "server", "spec", "metadata", "list", "elements", "elementsYaml", "git", "clusters"),
            *("matrix", "merge", "mergeKeys", "generators", "selector", "matchLabels", "matchExpressions"),
            *("key", "operator", "values", "template", "project", "destination", "source", "sources", "path"),
            *("exclude", "files", "directories", "repoURL", "revision", "goTemplate", "templatePatch"),
            *("pathParamPrefix", "flatList", "plugin", "configMapRef", "pullRequest", "scmProvider", "github"),
            *("syncPolicy", "preservedFields", "ignoreApplicationDifferences", "jqPathExpressions"),
        ]
    ),
    st.text(max_size=4),
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=15,
)
GENERATORS: list[Any] = [
    {"list": {"elements": [{"name": "a", "v": {"w": 1}}, {"name": "b"}]}},
    {"list": {"elementsYaml": "- name: {{ .x }}\n"}},
    {"clusters": {"selector": {"matchLabels": {"env": "prod"}}, "values": {"a": "{{.name}}"}}},
    {"git": {"repoURL": "https://git.example.com/x.git", "revision": "main", "directories": [{"path": "*"}]}},
    {"git": {"repoURL": "https://git.example.com/x.git", "revision": "main", "files": [{"path": "**/c.yaml"}]}},
    {"matrix": {"generators": [{"clusters": {}}, {"list": {"elements": [{"n": "{{.name}}"}]}}]}},
    {"merge": {"mergeKeys": ["name"], "generators": [{"clusters": {}}, {"list": {"elements": [{"name": "alpha"}]}}]}},
    {"plugin": {"configMapRef": {"name": "p"}}},
]  # fmt: skip


def base(generators: list[Any], *, go: bool) -> Any:
    name = "x-{{.name}}" if go else "x-{{name}}"
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {"name": "set"},
        "spec": {
            "goTemplate": go,
            "generators": copy.deepcopy(generators),
            "template": {
                "metadata": {"name": name, "labels": {"a": "b"}},
                "spec": {
                    "project": "default",
                    "source": {"repoURL": "https://git.example.com/x.git", "path": "p"},
                    "destination": {"name": "alpha", "namespace": "demo"},
                },
            },
            "templatePatch": "metadata: {annotations: {x: z}}",
        },
    }


@st.composite
def appsets(draw: st.DrawFn) -> Any:
    """Draw a set that was right, with other things put into some places of it."""
    generators = draw(st.lists(st.sampled_from(GENERATORS), min_size=1, max_size=3))
    document = base(generators, go=draw(st.booleans()))
    for _ in range(draw(st.integers(0, 4))):
        place = document
        for _ in range(draw(st.integers(1, 9))):
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            inner = place[key]
            if not isinstance(inner, (dict, list)) or draw(st.integers(0, 5)) == 0:
                place[key] = draw(JSON)
                break
            place = inner
        if isinstance(place, dict) and draw(st.booleans()):
            place[draw(KEYS)] = draw(JSON)
    return document


def answers(
    requests: frozenset[SourceRequest], contents: str, world: World
) -> tuple[dict[TreeRequest, Tree], dict[BlobRequest, bytes]]:
    """Every repository has the same three files."""
    entries = (
        TreeEntry("apps", EntryKind.DIRECTORY, "t1"),
        TreeEntry("apps/a", EntryKind.DIRECTORY, "t2"),
        TreeEntry("apps/a/c.yaml", EntryKind.FILE, "b1"),
        TreeEntry("apps/link", EntryKind.SYMLINK, "b2"),
        TreeEntry("c.yaml", EntryKind.FILE, "b1"),
    )
    trees = {r: Tree(commit="c", root="r", entries=entries) for r in requests if isinstance(r, TreeRequest)}  # fmt: skip
    blobs = {r: contents.encode("utf-8", "surrogateescape") for r in requests if isinstance(r, BlobRequest)}  # fmt: skip
    return trees, blobs


YAML = st.lists(
    st.sampled_from(
        [
            *("a", "- ", ": ", "\n", "\n  ", "---\n", "{", "}", "[", "]", ",", "'", '"', "|", ">", "&x ", "*x"),
            *("!!int ", "!!binary ", "!!python/object:os.system ", "? ", "<<: ", "1e3", "0x1f", "~", "yes"),
            *("2001-01-01", "\t", "#", "%YAML 1.1\n", "kind: ", "ApplicationSet", "Cluster", "metadata:\n", "\u2028"),
            *("apiVersion: argoproj.io/v1alpha1\n", "apiVersion: gitopsfleet.io/v1alpha1\n", "\x00", "é", "\ufeff"),
        ]
    ),
    max_size=40,
).map("".join)  # fmt: skip


@given(text=YAML | st.text(max_size=60))
def test_any_text_is_documents_or_bad_input(text: str) -> None:
    with contextlib.suppress(BadInput):
        documents = yamldoc.load_documents(text.encode(), source="x.yaml", positions=True)
        assemble([read_fleet_documents(documents)], ())


@given(data=st.binary(max_size=60))
def test_any_bytes_are_documents_or_bad_input(data: bytes) -> None:
    with contextlib.suppress(BadInput):
        read_fleet_documents(yamldoc.load_documents(data, source="x.yaml", positions=True))


@given(value=JSON)
def test_any_document_is_read_or_a_problem(value: object) -> None:
    text = yamldoc.dump_all([value])
    with contextlib.suppress(BadInput):
        read_fleet_documents(yamldoc.load_documents(text.encode(), source="x.yaml"))


@given(document=appsets(), contents=YAML | JSON.map(lambda value: yamldoc.dump_all([value])))
def test_any_set_ends_in_a_result_or_a_failure(document: Any, contents: str) -> None:
    text = yamldoc.dump_all([document])
    try:
        documents = yamldoc.load_documents(text.encode(), source="x.yaml", positions=True)
    except BadInput:
        return
    found = read_fleet_documents(documents)
    world, _ = assemble([found], (CLUSTER,))
    for appset in world.appsets.values():
        for _ in range(5):
            result = evaluate_set(appset, world)
            assert isinstance(result, Generated | Failed | Missing)
            if not isinstance(result, Missing):
                break
            trees, blobs = answers(result.requests, contents, world)
            world = World(
                clusters=world.clusters,
                projects=world.projects,
                trees={**world.trees, **trees},
                blobs={**world.blobs, **blobs},
            )

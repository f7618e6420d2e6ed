"""Building blocks of generator tests: sets as YAML, worlds with trees and files."""

from __future__ import annotations

import hashlib
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
import yaml

from fleet.argo.appset import read_application_set
from fleet.errors import Where
from fleet.generators import Failed, Generated, Missing, evaluate_set
from fleet.model.appset import ApplicationSet
from fleet.model.world import BlobRequest, EntryKind, Tree, TreeEntry, TreeRequest, World

URL = "https://git.example.com/cfg.git"

TEMPLATE = """
metadata: {name: '{{.name}}'}
spec:
  project: default
  source: {repoURL: 'https://git.example.com/deploy.git', path: apps}
  destination: {name: in-cluster, namespace: demo}
"""

MakeSet = Callable[..., ApplicationSet]
Settle = Callable[..., Generated | Failed]


def make_set(
    generators: str, template: str = TEMPLATE, *, follow_argo: bool = False, **spec: object
) -> ApplicationSet:
    """A set in Go mode with the generators (and the template) of a YAML text."""
    document = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {"name": "set", "namespace": "argocd"},
        "spec": {
            "goTemplate": True,
            "generators": yaml.safe_load(textwrap.dedent(generators)),
            "template": yaml.safe_load(textwrap.dedent(template)),
            **spec,
        },
    }
    return read_application_set(
        document, where=Where(file="set.yaml", line=1), follow_argo=follow_argo
    )


def make_tree(
    files: Mapping[str, str], *, links: Mapping[str, str] | None = None
) -> tuple[Tree, dict[str, bytes]]:
    """A commit with these files, and its blobs by object id."""
    blobs: dict[str, bytes] = {}
    entries: dict[str, TreeEntry] = {}
    for kind, items in ((EntryKind.FILE, files), (EntryKind.SYMLINK, links or {})):
        for path, text in items.items():
            name = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
            blobs[name] = text.encode()
            entries[path] = TreeEntry(path, kind, name)
            for count in range(1, path.count("/") + 1):
                folder = path.rsplit("/", count)[0]
                entries[folder] = TreeEntry(folder, EntryKind.DIRECTORY, f"tree-{folder}")
    ordered = tuple(entries[path] for path in sorted(entries))
    return Tree(commit="c", root="r", entries=ordered), blobs


def settle(
    appset: ApplicationSet,
    world: World,
    files: Mapping[str, str],
    *,
    links: Mapping[str, str] | None = None,
) -> Generated | Failed:
    """Evaluate until nothing is missing; every revision of every repository has the same files."""
    tree, blobs = make_tree(files, links=links)
    for _ in range(8):
        result = evaluate_set(appset, world)
        if not isinstance(result, Missing):
            return result
        trees = {request: tree for request in result.requests if isinstance(request, TreeRequest)}
        found = {
            request: blobs[request.object]
            for request in result.requests
            if isinstance(request, BlobRequest)
        }
        world = replace(world, trees={**world.trees, **trees}, blobs={**world.blobs, **found})
    raise AssertionError("the set never stops asking")


@pytest.fixture(name="make_set")
def make_set_fixture() -> MakeSet:
    return make_set


@pytest.fixture(name="settle")
def settle_fixture() -> Settle:
    return settle

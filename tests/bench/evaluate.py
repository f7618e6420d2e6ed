"""The benchmark of evaluation: a matrix of clusters and directories from nothing, and after a commit that touches one.

``python -m tests.bench.evaluate [--clusters 1000] [--directories 50]`` prints one line of JSON. Times are seconds; of
several commits, each of which touches one more directory, the best and the worst are told, and the processor's time.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import resource
import sys
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from fleet.argo.appset import read_application_set
from fleet.errors import Where
from fleet.generators import Generated, evaluate_set
from fleet.generators.kept import Kept
from fleet.model.appset import ApplicationSet
from fleet.model.cluster import Cluster
from fleet.model.identity import ClusterName
from fleet.model.world import BlobRequest, EntryKind, Tree, TreeEntry, TreeRequest, World

T = TypeVar("T")
URL = "https://git.example.com/apps.git"
PATHS = {"directories": "apps/*", "files": "apps/*/config.yaml"}


def appset(kind: str) -> ApplicationSet:
    """Every cluster with every directory; templates of a usual size."""
    git = {"repoURL": URL, "revision": "main", kind: [{"path": PATHS[kind]}]}
    spec = {
        "project": "default",
        "source": {
            "repoURL": URL,
            "targetRevision": "main",
            "path": "{{ .path.path }}",
            "helm": {"valuesObject": {"cluster": "{{ .name }}", "region": "{{ .metadata.labels.region }}"}},
        },
        "destination": {"name": "{{ .name }}", "namespace": "{{ .path.basename }}"},
        "syncPolicy": {"automated": {"prune": True}, "syncOptions": ["CreateNamespace=true"]},
    }  # fmt: skip
    metadata = {
        "name": "{{ .name }}-{{ .path.basename }}",
        "labels": {"cluster": "{{ .name }}", "app": "{{ .path.basenameNormalized }}"},
    }
    children = [{"clusters": {"selector": {"matchLabels": {"fleet": "all"}}}}, {"git": git}]
    document = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {"name": "all", "namespace": "argocd"},
        "spec": {
            "goTemplate": True,
            "goTemplateOptions": ["missingkey=error"],
            "generators": [{"matrix": {"generators": children}}],
            "template": {"metadata": metadata, "spec": spec},
        },
    }
    return read_application_set(document, where=Where(file="all.yaml", line=1))


def clusters(count: int) -> tuple[Cluster, ...]:
    """A fleet of clusters."""
    return tuple(
        Cluster(
            name=ClusterName(f"edge-{number:04}"),
            server=f"https://edge-{number:04}.example.com:6443",
            labels={"fleet": "all", "region": f"r{number % 7}", "env": "prod"},
        )
        for number in range(count)
    )


def files(directories: int, changed: Mapping[int, int]) -> dict[str, str]:
    """The repository: a manifest and a config per directory; ``changed`` gives some another version."""
    found = {}
    for number in range(directories):
        version = changed.get(number, 0)
        found[f"apps/app-{number:02}/config.yaml"] = f"size: {number}\nversion: v{version}\n"
        found[f"apps/app-{number:02}/deployment.yaml"] = f"kind: Deployment # {version}\n"
    return found


def world(fleet: tuple[Cluster, ...], contents: Mapping[str, str]) -> World:
    """What the hub would know."""
    entries: dict[str, TreeEntry] = {}
    blobs: dict[BlobRequest, bytes] = {}
    for path, text in contents.items():
        name = hashlib.sha256(text.encode()).hexdigest()
        blobs[BlobRequest(repo_url=URL, object=name)] = text.encode()
        entries[path] = TreeEntry(path, EntryKind.FILE, name)
        for depth in range(1, path.count("/") + 1):
            folder = path.rsplit("/", depth)[0]
            entries[folder] = TreeEntry(folder, EntryKind.DIRECTORY, f"tree of {folder}")
    root = hashlib.sha256(repr(sorted(contents.items())).encode()).hexdigest()
    tree = Tree(commit=root, root=root, entries=tuple(entries[path] for path in sorted(entries)))
    request = TreeRequest(repo_url=URL, revision="main")
    return World(clusters=fleet, trees={request: tree}, blobs=blobs)


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Return the seconds that something took, and its result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def measure(
    kind: str, fleet: tuple[Cluster, ...], directories: int, rounds: int
) -> dict[str, float]:
    """Evaluate from nothing, after commits that touch one directory, and after one that adds a directory."""
    kept = Kept()
    wanted = appset(kind)

    def evaluate(changed: Mapping[int, int], more: int = 0) -> tuple[float, float]:
        snapshot = world(fleet, files(directories + more, changed))
        begun = time.process_time()
        seconds, result = timed(lambda: evaluate_set(wanted, snapshot, kept))
        used = time.process_time() - begun
        assert isinstance(result, Generated), result
        assert len(result.applications) == len(fleet) * (directories + more), result.errors[:3]
        return seconds, used

    first = evaluate({})
    touched = [
        evaluate(dict.fromkeys(range(round_ % directories), 1)) for round_ in range(1, rounds + 1)
    ]
    added = evaluate(dict.fromkeys(range(rounds), 1), more=1)
    return {
        "from_nothing": round(first[0], 3),
        "one_directory_touched": round(min(touched)[0], 3),
        "one_directory_touched_worst": round(max(touched)[0], 3),
        "one_directory_touched_cpu": round(min(used for _, used in touched), 3),
        "one_directory_added": round(added[0], 3),
    }


def main() -> None:
    """Measure and print."""
    from tests.bench import hubpath  # which needs this module

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clusters", type=int, default=1000)
    parser.add_argument("--directories", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    fleet = clusters(options.clusters)
    found: dict[str, object] = {
        kind: measure(kind, fleet, options.directories, options.rounds) for kind in PATHS
    }
    for kind, needs in (("directories", False), ("files", True)):
        found[f"hub_{kind}"] = asyncio.run(
            hubpath.measure(
                kind, options.clusters, options.directories, options.rounds, needs=needs
            )
        )
    found["size"] = f"{options.clusters} clusters x {options.directories} directories"
    found["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    json.dump(found, sys.stdout)
    print()


if __name__ == "__main__":
    main()

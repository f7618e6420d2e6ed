"""A running fleet for tests: control planes, a hub, agents, one repository, and what a test does with them.

    with Fleet.start(folder, planes, environment=tools.environment()) as fleet:
        fleet.commit({"fleet/shop.yaml": documents(application("shop", ...)), "shop/shop.yaml": ...})
        fleet.wait_good("shop")
        fleet.cli("app", "list")

The repository holds fleet documents below ``fleet/`` and anything else beside it. Commits are followed by the push
event that a forge would send.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from fleet.codec import yamldoc
from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.testing.audit import AGENT, Cursor
from fleet.testing.controlplane.access import MERGE_PATCH
from fleet.testing.controlplane.plane import ControlPlane
from fleet.testing.estate import Estate, wait_until
from fleet.testing.repos import Content, RepoBuilder
from fleet.wire import api

FINALIZER = "resources-finalizer.argocd.argoproj.io"
KEEP_IN_STEP: JsonObject = {"prune": True, "selfHeal": True}
DOCUMENTS = "fleet"
"""The folder of fleet documents in the repository."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> JsonObject:
        """Its standard output as JSON."""
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value

    @property
    def text(self) -> str:
        """Both outputs, with runs of white space as one blank: tables are wide."""
        return re.sub(r"\s+", " ", self.out + self.err)


@dataclass(slots=True, kw_only=True)
class Fleet:
    """A fleet that runs."""

    estate: Estate
    repo: RepoBuilder
    planes: dict[str, ControlPlane]
    _kubeconfigs: dict[str, Path] = field(default_factory=dict)

    @classmethod
    def start(
        cls,
        folder: Path,
        planes: Mapping[str, ControlPlane],
        *,
        files: Mapping[str, Content] | None = None,
        labels: Mapping[str, Mapping[str, str]] | None = None,
        management: str = "",
        repositories: Sequence[JsonObject] = (),
        environment: Mapping[str, str] | None = None,
        hub: JsonObject | None = None,
        agent: JsonObject | None = None,
    ) -> Fleet:
        """Declare the clusters in git, start the hub, and join an agent in each.

        ``labels`` by cluster; ``repositories``: more of the hub's; ``hub`` and ``agent``: merged over their settings.
        """
        folder.mkdir(parents=True, exist_ok=True)
        repo = RepoBuilder(folder / "fleet.git")
        declared = [
            cluster(name, labels=(labels or {}).get(name, {}), management=name == management)
            for name in planes
        ]
        repo.commit({f"{DOCUMENTS}/clusters.yaml": documents(*declared), **(files or {})})
        own: JsonObject = {"repoURL": repo.url, "revision": "main", "path": DOCUMENTS}
        estate = Estate(
            folder=folder,
            repositories=[own, *repositories],
            environment=environment or {},
            hub_settings=hub or {},
            agent_settings=agent or {},
        )
        fleet = cls(estate=estate, repo=repo, planes=dict(planes))
        try:
            estate.start_hub()
            # At once: most of the time goes by while processes start.
            with ThreadPoolExecutor(max(1, len(planes))) as pool:
                list(pool.map(fleet.join, planes, planes.values()))
            estate.members = {name: estate.members[name] for name in planes}
        except BaseException:
            estate.stop()
            raise
        return fleet

    def join(self, name: str, plane: ControlPlane, *, start: bool = True, **add: object) -> None:
        """Join a cluster: its agent logs in to it as a user of its own, which the audit log tells apart."""
        self.planes[name] = plane
        self.estate.add_cluster(name, plane.kubeconfig_of(AGENT), start=start, **add)

    def __enter__(self) -> Fleet:
        running.append(self)
        return self

    def __exit__(self, *_error: object) -> None:
        running[:] = [other for other in running if other is not self]
        self.estate.stop()

    def logs(self, lines: int = 60) -> list[tuple[str, str]]:
        """The ends of the daemons' logs, by name."""
        daemons = (self.estate.hub, *(each.agent for each in self.estate.members.values()))
        return [(daemon.name, daemon.tail(lines)) for daemon in daemons]

    # doing

    def commit(self, files: Mapping[str, Content], *, replace: bool = False) -> float:
        """Commit, tell the hub, and return the time of the push (time.monotonic())."""
        self.repo.commit(files, replace=replace)
        at = time.monotonic()
        self.estate.push(self.repo.url)
        return at

    def cli(self, *arguments: str, timeout: float = 60.0, stdin: str = "") -> Ran:
        """Run the ``fleet`` command as a user would."""
        done = subprocess.run(
            [sys.executable, "-P", "-m", "fleet.cli.main", *arguments],
            input=stdin, capture_output=True, text=True, timeout=timeout, check=False,
            env=self.cli_environment(),
        )  # fmt: skip
        return Ran(done.returncode, done.stdout, done.stderr)

    def cli_environment(self) -> dict[str, str]:
        """The environment in which the ``fleet`` command finds this fleet's hub."""
        return {
            **os.environ,
            **self.estate.environment,
            "FLEET_HUB": self.estate.url,
            "FLEET_TOKEN_FILE": str(self.estate.token_file),
        }

    # asking

    def get(self, cluster: str, path: str) -> JsonObject | None:
        """Ask a cluster's API server; None when it is not there."""
        return self.planes[cluster].get(path)

    def cursor(self, cluster: str) -> Cursor:
        """A cluster's audit log from now on."""
        return Cursor(self.planes[cluster])

    def change(self, cluster: str, path: str, patch: JsonObject) -> None:
        """Change an object by hand (a merge patch, as the administrator)."""
        answer = self.planes[cluster].request("PATCH", path, patch, content_type=MERGE_PATCH)
        assert answer.is_success(), answer

    def delete(self, cluster: str, path: str) -> None:
        """Delete an object by hand."""
        answer = self.planes[cluster].request("DELETE", path)
        assert answer.is_success(), answer

    def wait_for(
        self, cluster: str, path: str, *, gone: bool = False, timeout: float = 30.0
    ) -> JsonObject:
        """Wait until an object is there, or gone."""
        found = self.planes[cluster].wait_for(
            path, lambda found: (found is None) == gone, timeout=timeout
        )
        return found or {}

    def wait_good(self, *names: str, timeout: float = 60.0) -> None:
        """Wait until applications (``cluster/name``) are Synced and Healthy, as the hub tells."""
        self.estate.wait_good(*names, timeout=timeout)

    def wait_row(
        self,
        target: str,
        *,
        sync: str = "",
        health: str = "",
        message: str = "",
        timeout: float = 30.0,
    ) -> None:
        """Wait until the hub shows a target (``cluster/name``) like this; ``message`` is a part of its message."""

        def is_so() -> bool:
            row = self.estate.apps().get(target)
            return (
                row is not None
                and sync in ("", row.sync)
                and health in ("", row.health)
                and message in row.message
            )

        wanted = " ".join(part for part in (sync, health, message) if part)
        try:
            wait_until(is_so, timeout=timeout, what=f"{target}: {wanted}", poll=0.05)
        except Exception as error:
            error.add_note(f"it is {self.estate.apps().get(target)}")
            raise

    def wait_left(self, target: str, *, timeout: float = 30.0) -> None:
        """Wait until the hub has no row of a target (``cluster/name``) any more."""
        try:
            wait_until(
                lambda: target not in self.estate.apps(),
                timeout=timeout,
                what=f"{target}'s leaving",
            )
        except Exception as error:
            error.add_note(f"it is {self.estate.apps().get(target)}")
            raise

    def settled(self) -> None:
        """Wait until the hub has evaluated the newest commit of the repository."""
        head = self.repo.head()

        def is_read() -> bool:
            rows = self.estate.call("GET", "repositories", api.RepositoryList).items
            return any(
                row.fleet and row.url == self.repo.url and row.commit == head for row in rows
            )

        wait_until(is_read, what="the hub's reading the newest commit", poll=0.02)

    def metric(self, name: str) -> float:
        """One of the hub's metrics, its labels summed up."""
        token = self.estate.token_file.read_text().strip()
        request = urllib.request.Request(  # noqa: S310  # our own hub
            f"{self.estate.url}/metrics", headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            lines = answer.read().decode().splitlines()
        values = [
            float(line.rpartition(" ")[2]) for line in lines if re.match(rf"{name}(\{{| )", line)
        ]
        return sum(values)


running: list[Fleet] = []
"""The fleets that run at the moment, as far as ``with`` ends them."""


# addresses and documents


def at(kind: str, namespace: str, name: str = "") -> str:
    """The address of an object, or of all of a kind in a namespace: ``at("configmaps", "shop", "settings")``."""
    root = "/apis/apps/v1" if kind == "deployments" else "/api/v1"
    return f"{root}/namespaces/{namespace}/{kind}" + (f"/{name}" if name else "")


def documents(*values: JsonObject) -> str:
    """Write YAML documents."""
    return "---\n".join(yamldoc.dump(value) for value in values)


def cluster(
    name: str, *, labels: Mapping[str, str] | None = None, management: bool = False
) -> JsonObject:
    """A Cluster."""
    spec: JsonObject = {"management": True} if management else {}
    metadata: JsonObject = {"name": name, "labels": dict(labels or {})}
    return {
        "apiVersion": "gitopsfleet.io/v1alpha1",
        "kind": "Cluster",
        "metadata": metadata,
        "spec": spec,
    }


def application(
    name: str,
    *,
    repo: str,
    path: str,
    cluster: str,
    namespace: str,
    revision: str = "main",
    project: str = "default",
    automated: JsonObject | None = KEEP_IN_STEP,
    finalizer: bool = True,
    depends_on: str = "",
    annotations: Mapping[str, str] | None = None,
    options: Sequence[str] = ("CreateNamespace=true",),
    source: JsonObject | None = None,
) -> JsonObject:
    """An Application; ``automated=None`` leaves syncing to people, ``source`` is merged over its source."""
    notes: JsonObject = dict(annotations or {})
    if depends_on:
        notes["gitopsfleet.io/depends-on"] = depends_on
    metadata: JsonObject = {"name": name, "namespace": "argocd"}
    if notes:
        metadata["annotations"] = notes
    if finalizer:
        metadata["finalizers"] = [FINALIZER]
    policy: JsonObject = {"syncOptions": list(options)}
    if automated is not None:
        policy["automated"] = automated
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": metadata,
        "spec": {
            "project": project,
            "source": {"repoURL": repo, "targetRevision": revision, "path": path, **(source or {})},
            "destination": {"name": cluster, "namespace": namespace},
            "syncPolicy": policy,
        },
    }


def appset(name: str, generators: Sequence[JsonObject], template: JsonObject) -> JsonObject:
    """An ApplicationSet in Go template mode; the template is an Application without its kind."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {"name": name, "namespace": "argocd"},
        "spec": {
            "goTemplate": True,
            "goTemplateOptions": ["missingkey=error"],
            "generators": list(generators),
            "template": {key: template[key] for key in ("metadata", "spec")},
        },
    }


# manifests


def configmap(name: str, **data: str) -> str:
    """A ConfigMap."""
    return documents(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": dict(data)}
    )


def deployment(
    name: str, *, image: str = "example.com/app:1", replicas: int = 1, ready_after: float = 0.0
) -> str:
    """A Deployment; ``ready_after``: seconds that its Pods take to turn Ready on a control plane of tests."""
    labels: JsonObject = {"app": name}
    metadata: JsonObject = {"labels": labels}
    if ready_after:
        metadata["annotations"] = {"pod-ready.stage.kwok.x-k8s.io/delay": f"{ready_after}s"}
    containers: JsonValue = [{"name": "app", "image": image}]
    return documents(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {"metadata": metadata, "spec": {"containers": containers}},
            },
        }
    )

"""The benchmark of delivery: first deploy, change in all, change in one, beside the raw limit in the same run.

The raw limit is an aiohttp loop that server-side-applies the same objects, 20 at a time per cluster: what the API
servers of this machine can take. Raw rounds run before and after ours, so that noise hits both. Times end when the
API servers' watches have shown the last object. The last line is one JSON object.

``python -m tests.bench.deploy [--apps 50]``
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import ssl
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from fleet.codec import yamldoc
from fleet.codec.jsontypes import JsonObject
from fleet.errors import FleetError
from fleet.testing import tools
from fleet.testing.controlplane import ControlPlanes, Missing, Options
from fleet.testing.controlplane.plane import ControlPlane
from fleet.testing.estate import Estate
from fleet.testing.repos import RepoBuilder

CLUSTERS = ("one", "two")
PARALLEL = 20
TIMEOUT = 180.0
PLURALS = {
    "ServiceAccount": ("/api/v1", "serviceaccounts"),
    "ConfigMap": ("/api/v1", "configmaps"),
    "Service": ("/api/v1", "services"),
    "Deployment": ("/apis/apps/v1", "deployments"),
}


def objects(app: str, text: str) -> list[JsonObject]:
    """The four objects of an application; ``text`` is what a change changes."""
    labels = {"app": app}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": app}},
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": app},
            "data": {"text": text, "filler": "x" * 1500},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": app},
            "spec": {"selector": labels, "ports": [{"port": 80}]},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": app},
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels, "annotations": {"text": text}},
                    "spec": {"containers": [{"name": "main", "image": "registry.example.com/x:1"}]},
                },
            },
        },
    ]


@dataclass(slots=True)
class Api:
    """One cluster's API server over aiohttp."""

    plane: ControlPlane
    session: aiohttp.ClientSession

    async def apply(self, namespace: str, body: JsonObject) -> None:
        root, plural = PLURALS[body["kind"]]
        path = f"{root}/namespaces/{namespace}/{plural}/{body['metadata']['name']}"
        async with self.session.patch(
            f"{self.plane.server}{path}?fieldManager=raw&force=true",
            data=json.dumps(body),
            headers={"Content-Type": "application/apply-patch+yaml"},
        ) as answer:
            if answer.status >= 300:
                raise RuntimeError(f"{path}: {answer.status} {await answer.text()}")
            await answer.read()

    async def namespace(self, name: str) -> None:
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        async with self.session.post(f"{self.plane.server}/api/v1/namespaces", json=body) as answer:
            if answer.status not in (201, 409):
                raise RuntimeError(await answer.text())


async def raw_round(apis: Iterable[Api], namespace: str, apps: list[str], text: str) -> float:
    """Apply everything to all clusters at once and return the seconds."""

    async def one(api: Api) -> None:
        slots = asyncio.Semaphore(PARALLEL)

        async def put(body: JsonObject) -> None:
            async with slots:
                await api.apply(namespace, body)

        await asyncio.gather(*(put(body) for app in apps for body in objects(app, text)))

    apis = list(apis)
    for api in apis:
        await api.namespace(namespace)
    started = time.monotonic()
    await asyncio.gather(*(one(api) for api in apis))
    return time.monotonic() - started


@dataclass(slots=True)
class Watcher:
    """Sees what arrives in a namespace of all clusters."""

    apis: list[Api]
    namespace: str
    seen: dict[tuple[str, str, str], str] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        jobs = [
            asyncio.create_task(self._watch(api, kind)) for api in self.apis for kind in PLURALS
        ]
        try:
            yield
        finally:
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)

    async def until(self, is_met: Callable[[Mapping[tuple[str, str, str], str]], bool]) -> float:
        """Wait until what was seen is as expected; returns the time."""
        async with asyncio.timeout(TIMEOUT):
            while not is_met(self.seen):
                self.changed.clear()
                await self.changed.wait()
        return time.monotonic()

    async def _watch(self, api: Api, kind: str) -> None:
        root, plural = PLURALS[kind]
        url = f"{api.plane.server}{root}/namespaces/{self.namespace}/{plural}?watch=true"
        while True:
            async with api.session.get(url) as answer:
                async for line in answer.content:
                    self._note(api.plane.name, kind, json.loads(line)["object"])

    def _note(self, cluster: str, kind: str, body: JsonObject) -> None:
        metadata = body["metadata"]
        text = body.get("data", {}).get("text") or (
            body.get("spec", {}).get("template", {}).get("metadata", {}).get("annotations", {})
        ).get("text", "")
        self.seen[cluster, kind, metadata["name"]] = text
        self.changed.set()


def all_there(apps: list[str], text: str) -> Callable[[Mapping[tuple[str, str, str], str]], bool]:
    """Everything of all applications is in all clusters, with the text."""

    def is_met(seen: Mapping[tuple[str, str, str], str]) -> bool:
        return all(
            seen.get((cluster, kind, app)) == (text if kind in ("ConfigMap", "Deployment") else "")
            for cluster in CLUSTERS
            for app in apps
            for kind in PLURALS
        )

    return is_met


def fleet_files(apps: list[str], texts: Mapping[str, str]) -> dict[str, str]:
    """Write the applications' directories."""
    return {f"apps/{app}/all.yaml": yamldoc.dump_all(objects(app, texts[app])) for app in apps}


def appset(url: str) -> str:
    """An ApplicationSet of all directories on all clusters, and the clusters."""
    clusters = "".join(
        yamldoc.dump(
            {
                "apiVersion": "gitopsfleet.io/v1alpha1",
                "kind": "Cluster",
                "metadata": {"name": name},
                "spec": {},
            }
        )
        + "---\n"
        for name in CLUSTERS
    )
    return clusters + yamldoc.dump(
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "ApplicationSet",
            "metadata": {"name": "apps", "namespace": "argocd"},
            "spec": {
                "goTemplate": True,
                "generators": [
                    {
                        "matrix": {
                            "generators": [
                                {"git": {"repoURL": url, "revision": "main", "directories": [{"path": "apps/*"}]}},
                                {"clusters": {}},
                            ]
                        }
                    }
                ],
                "template": {
                    "metadata": {"name": "{{.path.basename}}-{{.name}}"},
                    "spec": {
                        "project": "default",
                        "source": {"repoURL": url, "targetRevision": "main", "path": "{{.path.path}}"},
                        "destination": {"name": "{{.name}}", "namespace": "ours"},
                        "syncPolicy": {"automated": {"prune": True, "selfHeal": True}},
                    },
                },
            },
        }
    )  # fmt: skip


async def measure(
    planes: list[ControlPlane], estate: Estate, repo: RepoBuilder, count: int
) -> JsonObject:
    """Run all rounds."""
    apps = [f"app-{number:03}" for number in range(count)]
    async with contextlib.AsyncExitStack() as stack:
        apis = [Api(plane, await stack.enter_async_context(_session(plane))) for plane in planes]
        for api in apis:
            await api.namespace("ours")
        watcher = Watcher(apis, "ours")
        await stack.enter_async_context(watcher.watching())

        raw_first = [await raw_round(apis, "raw-1", apps, "1")]
        texts = dict.fromkeys(apps, "1")
        first = await ours(estate, repo, watcher, apps, texts, "1")
        raw_first.append(await raw_round(apis, "raw-2", apps, "1"))
        _say(f"first deploy: raw {raw_first}, ours {first:.2f}")

        raw_change = [await raw_round(apis, "raw-1", apps, "2")]
        texts = dict.fromkeys(apps, "2")
        change = await ours(estate, repo, watcher, apps, texts, "2")
        raw_change.append(await raw_round(apis, "raw-2", apps, "2"))
        _say(f"change in all: raw {raw_change}, ours {change:.2f}")

        ones = []
        for number in range(3):
            texts[apps[number]] = f"one-{number}"
            ones.append(await ours(estate, repo, watcher, [apps[number]], texts, f"one-{number}"))
        _say(f"change in one: {ones}")
    agents = [member.agent for member in estate.members.values()]
    return {
        "first_deploy": _ratio(raw_first, first),
        "change_all": _ratio(raw_change, change),
        "change_one_s": round(sorted(ones)[1], 3),
        "hub": {
            "cpu_s": round(estate.hub.cpu_seconds(), 2),
            "rss_mb": round(estate.hub.rss_mib(), 1),
        },
        "agent": {
            "cpu_s": round(sum(agent.cpu_seconds() for agent in agents), 2),
            "rss_mb": round(max(agent.rss_mib() for agent in agents), 1),
        },
    }


async def ours(  # one round needs all of it
    estate: Estate,
    repo: RepoBuilder,
    watcher: Watcher,
    apps: list[str],
    texts: Mapping[str, str],
    text: str,
) -> float:
    """Commit, hint, and wait until the clusters have it; returns the seconds since the hint."""
    repo.commit(fleet_files(apps, texts))
    started = time.monotonic()
    await asyncio.to_thread(estate.push, repo.url)
    return await watcher.until(all_there(apps, text)) - started


@contextlib.asynccontextmanager
async def _session(plane: ControlPlane) -> AsyncIterator[aiohttp.ClientSession]:
    context = ssl.create_default_context(cafile=str(plane.ca_file))
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=context, limit=0),
        headers={"Authorization": f"Bearer {plane.token}"},
        timeout=aiohttp.ClientTimeout(total=TIMEOUT),
    ) as session:
        yield session


def _ratio(raw: list[float], seconds: float) -> JsonObject:
    limit = sum(raw) / len(raw)
    return {
        "raw_s": round(limit, 3),
        "ours_s": round(seconds, 3),
        "ratio": round(seconds / limit, 2),
    }


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Run the benchmark; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--apps", type=int, default=50)
    chosen = parser.parse_args()
    source = ControlPlanes.locate(build=True)
    if isinstance(source, Missing):
        sys.stderr.write(f"no control planes: {source.reason}\n")
        return 1
    environment = tools.find_tools(build=True).environment()
    with source, tempfile.TemporaryDirectory(prefix="fleet-bench-") as folder:
        planes = list(source.start_all(CLUSTERS, Options(controllers=True)))
        repo = RepoBuilder(Path(folder) / "fleet.git")
        repo.commit({"fleet/fleet.yaml": appset(repo.url), "apps/README.md": "applications"})
        estate = Estate(
            folder=Path(folder),
            repositories=[{"repoURL": repo.url, "revision": "main", "path": "fleet"}],
            environment=environment,
        )
        with estate:
            estate.start_hub()
            for plane in planes:
                estate.add_cluster(plane.name, plane.kubeconfig)
            try:
                result = asyncio.run(measure(planes, estate, repo, chosen.apps))
            except (TimeoutError, FleetError) as error:
                sys.stderr.write(f"failed: {error}\nhub: {estate.hub.tail()}\n")
                return 1
    _say(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())

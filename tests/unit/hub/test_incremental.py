"""A hub that looks only at what may be different comes to what one comes to that is started anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

import pytest

from fleet.codec.jsontypes import JsonObject
from fleet.model.identity import ClusterName, TargetId
from fleet.model.report import ClusterFacts, Health, Ready, Sync, TargetStatus
from hub.state import Pin, Seen
from tests.unit.hub.incremental_bench import CONFIG, RETRY, Hub, Outside, write

APPS, BASE = "https://git.example.com/apps.git", "https://git.example.com/base.git"
OCI = "oci://registry.example.com/charts/web"
CHARTS = "https://charts.example.com"
CLUSTERS = ("hub", "one", "two", "three")
FOLDERS = ("a", "b", "c", "d")
PROJECTS = ("default", "team")
TEXTS = ("x", "y", "large", "bad", "chart")


@dataclass
class Fleet:
    """A fleet that changes at random."""

    rng: Random
    outside: Outside = field(default_factory=Outside)
    documents: dict[str, JsonObject] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    """What happened, for whoever reads a failure."""

    async def start(self) -> None:
        self.outside.charts = {"db": "1", OCI: "1"}
        self.outside.agents = {ClusterName(name): f"uid-{name}" for name in CLUSTERS[:3]}
        for name in CLUSTERS[:3]:
            self.cluster(name)
        for name in ("f", "g", "h"):
            self.application(name)
        self.sets()
        for url in (APPS, BASE):
            self.outside.mirrors.pushed[url] = {
                f"{folder}/cm.yaml": self.rng.choice(TEXTS[:3]) for folder in FOLDERS[:3]
            }
        self.outside.mirrors.pushed[CONFIG] = write(self.documents)
        self.hub = Hub(self.outside)
        await self.hub.restore()
        await self.hub.rest()

    def push(self, url: str, files: dict[str, str]) -> None:
        self.outside.mirrors.pushed[url] = files
        self.hub.poller.hint({url} & self.hub.poller.wanted)

    def edit(self, change: Callable[[], None]) -> None:
        change()
        self.push(CONFIG, write(self.documents))

    # documents

    def cluster(self, name: str) -> None:
        spec: JsonObject = {"management": True} if name == "hub" else {}
        if self.rng.random() < 0.2:
            spec["server"] = f"https://{self.rng.choice('pq')}.example.com"
        self.documents[f"cluster-{name}"] = {
            "apiVersion": "gitopsfleet.io/v1alpha1",
            "kind": "Cluster",
            "metadata": {"name": name, "labels": {"env": self.rng.choice(("dev", "prod"))}},
            "spec": spec,
        }

    def project(self, name: str) -> None:
        rng = self.rng
        self.documents[f"project-{name}"] = {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AppProject",
            "metadata": {"name": name, "namespace": "argocd"},
            "spec": {
                "sourceRepos": rng.choice(
                    (["*"], [APPS, OCI, CHARTS], [APPS], ["*", f"!{CHARTS}"])
                ),
                "destinations": [{"name": rng.choice(("*", "*", "one")), "namespace": "*"}],
                "clusterResourceWhitelist": rng.choice(([], [{"group": "*", "kind": "*"}])),
            },
        }

    def application(self, name: str) -> None:
        rng = self.rng
        source: JsonObject = {"repoURL": rng.choice((APPS, BASE)), "path": rng.choice(FOLDERS)}
        kind = rng.random()
        if kind < 0.15:
            source = {"repoURL": CHARTS, "chart": "db", "targetRevision": "*"}
        elif kind < 0.3:
            source = {"repoURL": OCI, "targetRevision": "*"}
        sources = [source]
        if rng.random() < 0.3:
            sources.append({"repoURL": rng.choice((APPS, f"{BASE[:-4]}")), "ref": "values"})
        annotations: JsonObject = {}
        if rng.random() < 0.5:
            annotations["gitopsfleet.io/depends-on"] = rng.choice(
                ("cluster/one/g", "cluster/two/h?", "h?", "set/apps", "label/tier=x?",
                 "cluster/one/apps-one-a", "cluster/two/f")
            )  # fmt: skip
        self.documents[f"app-{name}"] = {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {
                "name": name, "namespace": "argocd", "annotations": annotations,
                "labels": {"tier": rng.choice("xy")},
            },
            "spec": {
                "project": rng.choice(PROJECTS),
                "sources": sources,
                "destination": rng.choice(
                    ({"name": rng.choice(CLUSTERS)}, {"server": "https://p.example.com"})
                ) | {"namespace": "demo"},
            },
        }  # fmt: skip

    def sets(self) -> None:
        rng = self.rng
        generators: list[JsonObject] = [
            {"clusters": {"selector": {"matchLabels": {"env": rng.choice(("dev", "prod"))}}}},
            {"git": {"repoURL": APPS, "revision": "main",
                     "directories": [{"path": "*"}]}},
        ]  # fmt: skip
        label = rng.choice(("{{.metadata.labels.env}}", "x"))
        self.documents["set-apps"] = {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "ApplicationSet",
            "metadata": {"name": "apps", "namespace": "argocd"},
            "spec": {
                "goTemplate": True,
                "generators": [{"matrix": {"generators": generators}}],
                "template": {
                    "metadata": {
                        "name": "apps-{{.name}}-{{.path.basename}}", "labels": {"tier": label},
                    },
                    "spec": {
                        "project": rng.choice(PROJECTS),
                        "source": {"repoURL": APPS, "path": "{{.path.path}}", "targetRevision": "main"},
                        "destination": {"name": "{{.name}}", "namespace": "demo"},
                    },
                },
            },
        }  # fmt: skip

    def rules(self) -> None:
        self.documents["rules"] = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "argocd-cm", "namespace": "argocd"},
            "data": {
                "resource.customizations.ignoreDifferences.apps_Deployment": "jsonPointers:\n- /spec/"
                + self.rng.choice(("replicas", "paused"))
                + "\n"
            },
        }

    def drop(self) -> None:
        self.documents.pop(self.rng.choice(sorted(self.documents)))

    # what happens

    async def happen(self) -> None:
        rng = self.rng
        name = rng.choice(CLUSTERS)
        events: dict[str, tuple[int, Callable[[], object]]] = {
            "folder": (6, self.folder),
            "cluster": (3, lambda: self.edit(lambda: self.cluster(name))),
            "project": (2, lambda: self.edit(lambda: self.project(rng.choice(PROJECTS)))),
            "application": (5, lambda: self.edit(lambda: self.application(rng.choice("fghi")))),
            "set": (2, lambda: self.edit(self.sets)),
            "rules": (1, lambda: self.edit(self.rules)),
            "drop": (2, lambda: self.edit(self.drop)),
            "chart": (2, self.chart),
            "down": (2, lambda: self.outside.down.add(rng.choice((APPS, BASE, OCI)))),
            "up": (2, self.outside.down.clear),
            "cut": (2, self.cut),
            "report": (6, lambda: self.report(rng.choice((1, 0.5)))),
            "facts": (1, self.facts),
            "agent": (2, lambda: self.agent(ClusterName(name))),
            "full": (1, self.outside.store.fail_next),
            "pin": (1, self.pin),
        }  # fmt: skip
        kind = rng.choices([*events], [weight for weight, _ in events.values()])[0]
        self.said.append(kind)
        events[kind][1]()
        if rng.random() < 0.15:
            await self.approve()

    def folder(self) -> None:
        url, folder = self.rng.choice((APPS, BASE)), self.rng.choice(FOLDERS)
        files = dict(self.outside.mirrors.pushed[url])
        if self.rng.random() < 0.2:
            files.pop(f"{folder}/cm.yaml", None)
        else:
            files[f"{folder}/cm.yaml"] = self.rng.choice(TEXTS)
        if files:
            self.push(url, files)

    def chart(self) -> None:
        name = self.rng.choice(("db", OCI))
        self.outside.charts[name] = str(self.rng.randrange(9))
        self.hub.queues.evaluate()

    def cut(self) -> None:
        """A repository cannot be fetched, or can again, which the poller finds out sooner or later."""
        cut = self.outside.mirrors.cut
        if cut:
            self.hub.poller.hint(cut & self.hub.poller.wanted)
            cut.clear()
        else:
            cut.add(self.rng.choice((APPS, BASE, CONFIG)))

    def report(self, share: float) -> None:
        """Agents say that they have what they were assigned, mostly in health."""
        for cluster in list(self.outside.agents):
            if self.rng.random() > share:
                continue
            record = self.hub.assignments.get(cluster)
            known = self.hub.state.statuses.get(cluster, {})
            whole = {}
            for name, item in record.targets.items() if record else ():
                ready = self.rng.random() < 0.8
                whole[name] = TargetStatus(
                    target=name, sync=Sync.SYNCED, health=Health.HEALTHY, assigned=item.artifact,
                    applied=item.artifact, ready=Ready(ready=ready, message="it is new"),
                )  # fmt: skip
            stays = {
                name: item
                for name, item in known.items()
                if name not in whole and self.rng.random() < 0.5
            }
            self.take(cluster, whole | stays)

    def take(self, cluster: ClusterName, whole: dict[str, TargetStatus]) -> None:
        """Do what the hub does with a report."""
        known = self.hub.state.statuses.get(cluster, {})
        self.hub.state.statuses[cluster] = whole
        changed = {
            name for name in known.keys() | whole.keys() if known.get(name) != whole.get(name)
        }
        for gone in known.keys() - whole.keys():
            needed = self.hub.state.past_needs.pop(TargetId.parse(f"{cluster}/{gone}"), ())
            for name in needed:
                self.hub.joints.released(TargetId.parse(name))
        if changed:
            ids = frozenset(TargetId.parse(f"{cluster}/{name}") for name in changed)
            self.hub.joints.status_changed(cluster, ids)

    def facts(self) -> None:
        cluster = self.rng.choice(sorted(self.outside.agents) or [ClusterName("one")])
        facts = ClusterFacts(uid=f"uid-{cluster}", kube_version=self.rng.choice(("1.34", "1.35")))
        self.hub.state.seen[cluster] = Seen(facts=facts)
        self.hub.joints.facts_changed(cluster)

    def agent(self, cluster: ClusterName) -> None:
        if cluster in self.outside.agents:
            self.outside.agents[cluster] += "+"
        else:
            self.outside.agents[cluster] = f"uid-{cluster}"
        self.hub.joints.joined(cluster)

    def pin(self) -> None:
        state = self.hub.state
        if state.pins and self.rng.random() < 0.7:
            id_ = self.rng.choice(sorted(state.pins))
            del state.pins[id_]
        elif state.assigned:
            id_ = self.rng.choice(sorted(state.assigned))
            state.pins[id_] = Pin(
                digest=state.assigned[id_], deployment=1, at=datetime(2026, 1, 1, tzinfo=UTC)
            )
        else:
            return
        self.hub.joints.pinned(id_)

    async def approve(self) -> None:
        self.outside.store.fail_next(0)
        for hold in list(self.hub.state.holds.values()):
            if self.rng.random() < 0.5:
                await self.hub.records.approve(hold.subject, hold.digest)
                if hold.subject.startswith("app/"):
                    self.hub.joints.rendered(TargetId.parse(hold.subject.removeprefix("app/")))
                else:
                    self.hub.queues.evaluate()

    async def heal(self) -> None:
        """What fails outside fails no more, and was tried again."""
        self.outside.down.clear()
        self.outside.store.fail_next(0)
        if self.outside.mirrors.cut:
            self.cut()
        await self.hub.rest()
        await self.outside.clock.advance(RETRY)
        await self.hub.rest()


async def check(seed: int, events: int) -> None:
    fleet = Fleet(Random(seed))
    await fleet.start()
    for number in range(events):
        await fleet.happen()
        for _ in range(fleet.rng.choice((0, 1, 4, 30))):
            await fleet.hub.step(fleet.rng)
        if number % 8 == 7:
            await fleet.heal()
            other = await fleet.hub.again()
            mine, its = fleet.hub.said(), other.said()
            for key in mine:
                assert mine[key] == its[key], (seed, key, fleet.said)


@pytest.mark.parametrize("seed", [1, 3, 5])
async def test_a_hub_started_anew_comes_to_the_same(seed: int) -> None:
    await check(seed, 40)

"""The story: first deployment in order, a commit, a manual change healed, a removal, the hub killed and back.

Each chapter does what a person would do and then reads the result from the clusters' API servers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise

from fleet.codec.jsontypes import JsonObject
from fleet.demo.facts import Facts
from fleet.demo.observer import Observer
from fleet.demo.table import Screen
from fleet.errors import NotReady
from fleet.testing.controlplane.plane import ControlPlane
from fleet.testing.estate import Estate, wait_until
from fleet.testing.repos import RepoBuilder

WORKLOADS = ("staging", "production")
LABELS = {
    "management": {"role": "management"},
    "staging": {"role": "workload", "env": "staging"},
    "production": {"role": "workload", "env": "production"},
}
LONG = 90.0
SHORT = 30.0


@dataclass(slots=True)
class Story:
    """The chapters, in order."""

    estate: Estate
    repo: RepoBuilder
    planes: Mapping[str, ControlPlane]
    observer: Observer
    screen: Screen
    facts: Facts
    _started: float = field(default_factory=time.monotonic)

    def tell(self) -> None:
        """Tell all of it."""
        self.begin()
        self.first_deployment()
        self.a_commit_arrives()
        self.a_manual_change_is_healed()
        self.an_application_is_removed()
        self.the_hub_is_killed()

    def begin(self) -> None:
        self.screen.say("starting the hub, and joining an agent in each cluster")
        self.estate.start_hub()
        with ThreadPoolExecutor(len(self.planes)) as pool:
            joins = {
                name: pool.submit(self.estate.add_cluster, name, plane.kubeconfig)
                for name, plane in self.planes.items()
            }
            for name, join in joins.items():
                join.result()
                self.screen.note(f"{name}: joined with a one-time token, certificate issued")

    def first_deployment(self) -> None:
        self.screen.say(
            "first deployment: infrastructure before applications, also across clusters"
        )
        wait_until(
            lambda: all(
                self._deployment(cluster, f"shop-{app}", app)
                for cluster in WORKLOADS
                for app in ("payments", "search", "storefront")
            ),
            timeout=LONG,
            what="the first deployment",
        )
        self.estate.wait_good(timeout=LONG)
        for cluster in WORKLOADS:
            self._in_order(
                f"{cluster}: CRD, then controller, then its configuration",
                [(cluster, f"{app}-{cluster}") for app in ("crds", "controller", "settings")],
            )
            self._in_order(
                f"{cluster}: the database on management is ready before payments is created",
                [("management", "database"), (cluster, f"payments-{cluster}")],
            )
        chart = self.observer.object("production", "Deployment", "widgets", "widget-controller")
        label = _at(chart, "metadata", "labels", "environment")
        self.facts.check(
            "the Helm chart got the cluster's label",
            is_true=label == "production",
            found=str(label),
        )
        overlay = self.observer.object("production", "Deployment", "shop-storefront", "storefront")
        replicas = _at(overlay, "spec", "replicas")
        self.facts.check(
            "the kustomize overlay of production counts",
            is_true=replicas == 3,
            found=f"{replicas} replicas",
        )

    def a_commit_arrives(self) -> None:
        self.screen.say("a commit changes one application")
        text = self._read("apps/payments/payments.yaml").replace("hello", "good morning")
        seconds = self._commit_and_wait(
            {"apps/payments/payments.yaml": text},
            lambda: all(self._greeting(cluster) == "good morning" for cluster in WORKLOADS),
        )
        self.facts.check(
            "a commit is live in both clusters", is_true=seconds < SHORT, found=f"{seconds:.2f} s"
        )

    def a_manual_change_is_healed(self) -> None:
        self.screen.say("somebody changes an object by hand")
        seconds = self._heal("production", "payments", "by hand")
        self.facts.check("the change is healed", is_true=seconds < 5, found=f"{seconds:.2f} s")

    def an_application_is_removed(self) -> None:
        self.screen.say("an application leaves git")
        files = {"apps/search/search.yaml": None}
        seconds = self._commit_and_wait(
            files,
            lambda: (
                not any(
                    self._get(cluster, "apps/v1", "shop-search", "deployments", "search")
                    for cluster in WORKLOADS
                )
            ),
        )
        self.facts.check("its objects are gone", is_true=seconds < SHORT, found=f"{seconds:.2f} s")
        kept = all(self._deployment(cluster, "shop-payments", "payments") for cluster in WORKLOADS)
        self.facts.check("its neighbours are untouched", is_true=kept)

    def the_hub_is_killed(self) -> None:
        self.screen.say("the hub is killed; the agents go on")
        self.estate.hub.kill()
        seconds = self._heal("staging", "payments", "while the hub is away")
        self.facts.check(
            "a change is healed without the hub", is_true=seconds < 5, found=f"{seconds:.2f} s"
        )
        self.screen.say("the hub is started again")
        text = self._read("apps/payments/payments.yaml").replace("good morning", "good evening")
        self.repo.commit({"apps/payments/payments.yaml": text}, message="Greet the evening")
        started = time.monotonic()
        self.estate.start_hub()
        self._wait(lambda: all(self._greeting(c) == "good evening" for c in WORKLOADS))
        seconds = time.monotonic() - started
        self.facts.check(
            "a commit made meanwhile is live after the restart",
            is_true=seconds < 2 * SHORT,
            found=f"{seconds:.2f} s",
        )

    # doing

    def _commit_and_wait(
        self, files: Mapping[str, str | None], is_done: Callable[[], bool]
    ) -> float:
        self.repo.commit(files, message="Change the fleet")
        started = time.monotonic()
        self.estate.push(self.repo.url)
        self._wait(is_done)
        return time.monotonic() - started

    def _heal(self, cluster: str, app: str, text: str) -> float:
        before = self._greeting(cluster)
        path = f"/api/v1/namespaces/shop-{app}/configmaps/{app}"
        answer = self.planes[cluster].request(
            "PATCH",
            path,
            {"data": {"greeting": text}},
            content_type="application/merge-patch+json",
        )
        if not answer.is_success():
            raise NotReady(f"{cluster}: {path} could not be changed: {answer.status}")
        started = time.monotonic()
        self._wait(lambda: self._greeting(cluster) == before)
        return time.monotonic() - started

    def _wait(self, is_done: Callable[[], bool]) -> None:
        try:
            wait_until(is_done, timeout=2 * SHORT, what="what the demo expects")
        except NotReady as error:
            self.screen.note(str(error))

    # reading

    def _in_order(self, claim: str, chain: list[tuple[str, str]]) -> None:
        problems, waits = [], []
        for (cluster, app), (next_cluster, next_app) in pairwise(chain):
            created = self.observer.first_created(next_cluster, next_app)
            if created is None:
                problems.append(f"{next_app} was not created")
                continue
            first = self.observer.first_created(cluster, app)
            ready = self.observer.last_ready(cluster, app, before=created)
            if first is None or first > created:
                problems.append(f"{next_app} came before {app}")
            elif ready is not None:
                waits.append(f"{next_app} {created - ready:+.2f} s after {app}")
        self.facts.check(
            claim, is_true=not problems, found="; ".join(problems or waits) or "in order"
        )

    def _read(self, path: str) -> str:
        return self.repo.read(path).decode()

    def _get(
        self, cluster: str, api: str, namespace: str, plural: str, name: str
    ) -> JsonObject | None:
        root = "/api/v1" if api == "v1" else f"/apis/{api}"
        return self.planes[cluster].get(f"{root}/namespaces/{namespace}/{plural}/{name}")

    def _deployment(self, cluster: str, namespace: str, name: str) -> JsonObject | None:
        return self._get(cluster, "apps/v1", namespace, "deployments", name)

    def _greeting(self, cluster: str) -> str:
        found = self._get(cluster, "v1", "shop-payments", "configmaps", "payments")
        return str(_at(found, "data", "greeting"))


def _at(value: JsonObject | None, *path: str) -> object:
    current: object = value
    for key in path:
        current = current.get(key) if isinstance(current, dict) else None
    return current

"""What offline commands take to be in force of an app of apps is what a hub has in force after the same two commits."""

from __future__ import annotations

import random
from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import cast

import pytest

from fleet.argo.children import read_offer, split
from fleet.argo.documents import read_fleet_documents
from fleet.cli.checking import Check, Repositories, check_fleet
from fleet.cli.documents import FleetFiles
from fleet.cli.following import Followed, follow
from fleet.cli.foresight import InForce
from fleet.cli.offers import Offered, Offers
from fleet.codec import yamldoc
from fleet.codec.canonical import digest_value
from fleet.codec.jsontypes import JsonObject
from fleet.model.application import Application
from fleet.model.identity import AppName, TargetId
from fleet.model.target import Target
from tests.unit.hub.children_bench import AUTOMATED, Hub, app, appset, cluster, configmap, project

Manifests = dict[str, list[JsonObject]]

PARENTS = ["a", "b", "c", "d", "e"]
LEAVES = ["x", "y", "z"]
NARROW = project(
    "narrow", namespaceResourceBlacklist=[{"group": "argoproj.io", "kind": "AppProject"}]
)
UNASKED = {"gitopsfleet.io/max-removals": "99"}
MANY = [app(f"stays-{n}", "edge") for n in range(16)]
"""So many that what goes is little of the whole."""


@dataclass
class _Offers:
    """What Applications of a commit render, as the test says."""

    manifests: Manifests

    async def of(
        self, targets: Iterable[Target], _bringing: Set[AppName]
    ) -> dict[TargetId, Offered]:
        return {target.id: self._offered(target) for target in targets}

    def _offered(self, target: Target) -> Offered:
        found = self.manifests.get(target.application.name, [])
        documents, others = split(found)
        return Offered(
            offer=read_offer(
                documents,
                parent=str(target.id),
                namespace=target.application.destination.namespace,
                artifact=digest_value(str(found)),
                others=len(others),
            )
        )


async def offline(
    documents: list[JsonObject], manifests: Manifests, base: InForce | None
) -> Followed:
    clusters = [cluster("hub", management=True), cluster("edge")]
    text = "---\n".join(yamldoc.dump(each) for each in (*clusters, *documents))
    read = yamldoc.load_documents(text, source="apps.yaml", positions=True)
    files = FleetFiles(documents=read, fleet=(read_fleet_documents(read),), broken=())
    check: Check = await check_fleet(files, cast("Repositories", None))  # lists ask nobody
    return await follow(check, cast("Offers", _Offers(manifests)), base)


def some(rng: random.Random, before: Manifests) -> tuple[list[JsonObject], Manifests]:
    """One commit. What depends on who was rendered first is left out: names with two owners, loops, and parents that
    leave or whose policy changes when their manifests do."""
    owned: dict[str, list[JsonObject]] = {name: [configmap("own")] for name in PARENTS}
    documents: list[JsonObject] = []
    for name in PARENTS + LEAVES:
        above = PARENTS[: PARENTS.index(name)] if name in PARENTS else PARENTS
        place = rng.choice([*above, *above, "documents", "nobody"])
        if place != "nobody":
            (documents if place == "documents" else owned[place]).append(_one(name, rng))
    owned[rng.choice(PARENTS)].append(project("brought"))
    there = set[str]()
    rising = list(documents)
    while rising:
        name = rising.pop()["metadata"]["name"]
        there.add(name)
        rising += owned.get(name, ())
    gone = {name: before[name] for name in before.keys() - there}
    return [NARROW, *MANY, *documents], {**owned, **gone}


def _one(name: str, rng: random.Random) -> JsonObject:
    """A parent, a set of one Application, or an Application."""
    if name in PARENTS:
        return app(
            name,
            automated={} if name == "d" else AUTOMATED,
            project=rng.choice(["default", "default", "narrow"]),
            annotations=UNASKED,
        )
    if rng.random() < 0.3:
        made = appset(f"set-{name}", name, on=rng.choice(["edge", "hub"]))
        made["metadata"]["annotations"] = UNASKED
        return made
    place = rng.choice(["edge", "edge", "hub", "ghost"])
    return app(name, place, project=rng.choice(["default", "brought"]))


def described(applications: Iterable[Application]) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {
        item.name: (digest_value(item.document), tuple(item.parents))
        for item in applications
        if not item.name.startswith("stays")
    }


@pytest.mark.parametrize("seed", range(16))
async def test_two_commits_end_as_in_the_hub(seed: int) -> None:
    rng = random.Random(seed)
    hub, base = Hub(), None
    manifests: Manifests = {}
    for _ in range(2):
        documents, manifests = some(rng, manifests)
        await hub.commit(*documents, **manifests)
        if hub.state.holds:
            return  # what the budget holds back comes into force later
        base = (await offline(documents, manifests, base)).in_force
        ours = described(base.applications.values())
        assert ours == described(hub.state.desired.applications.values())

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
from fleet.errors import BadInput, FleetError
from fleet.model.application import Application
from fleet.model.identity import AppName, TargetId
from fleet.model.target import Target
from hub.claims import REMOVALS
from tests.unit.hub.children_bench import AUTOMATED, Hub, app, appset, cluster, configmap, project

Manifests = dict[str, list[JsonObject] | FleetError]

PARENTS = ["a", "b", "c", "d", "e"]
LEAVES = ["x", "y", "z"]
NARROW = project(
    "narrow", namespaceResourceBlacklist=[{"group": "argoproj.io", "kind": "AppProject"}]
)
BROKEN = BadInput("a typo")
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
        if isinstance(found, FleetError):
            return Offered(error=found)
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


def some(rng: random.Random) -> tuple[list[JsonObject], Manifests]:
    """One commit. What depends on who was rendered first is left out: names with two owners, and loops.

    Of what breaks the hub knows the last good manifests, and offline commands do not: with other seeds that is seen.
    """
    owned: dict[str, list[JsonObject]] = {name: [configmap("own")] for name in PARENTS}
    documents: list[JsonObject] = []
    for name in PARENTS + LEAVES:
        above = PARENTS[: PARENTS.index(name)] if name in PARENTS else PARENTS
        place = rng.choice([*above, *above, "documents", "nobody"])
        if place != "nobody":
            (documents if place == "documents" else owned[place]).append(_one(name, rng))
    owned[rng.choice(PARENTS)].append(project("brought"))
    broken = {rng.choice(PARENTS): BROKEN} if rng.random() < 0.5 else {}
    return [NARROW, *MANY, *documents], {**owned, **broken}


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


def is_held(hub: Hub) -> bool:
    """Whether a budget holds anything back, or a document of the fleet repository stays for what does not render."""
    waiting = {
        key
        for subject, hold in hub.state.holds.items()
        if subject.startswith(REMOVALS)
        for key in hold.removed
    }
    applications = hub.state.desired.applications
    return any(not subject.startswith(REMOVALS) for subject in hub.state.holds) or any(
        not item.parents for name, item in applications.items() if name in waiting
    )


@pytest.mark.parametrize("seed", range(16))
async def test_two_commits_end_as_in_the_hub(seed: int) -> None:
    rng = random.Random(seed)
    hub, base = Hub(), None
    for _ in range(2):
        documents, manifests = some(rng)
        await hub.commit(*documents, **manifests)
        if is_held(hub):
            return  # it comes into force later
        base = (await offline(documents, manifests, base)).in_force
        ours = described(base.applications.values())
        assert ours == described(hub.state.desired.applications.values())

"""What left waits for what may bring it and does not render: for nothing else, and not against a person's word."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleet.argo.children import Child
from fleet.claims import Claimant
from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput, Transient
from fleet.model.application import Application, Destination
from fleet.model.cluster import Cluster
from fleet.model.identity import AppName, ClusterName, TargetId
from fleet.model.project import DEFAULT_PROJECT, AppProject, DestinationRule, KindRule
from tests.unit.hub.children_bench import Hub, app, appset, configmap, project

WEB = [app(f"web-{n}", "edge") for n in range(10)]
BROKEN = BadInput("a typo")
HOLD = "removals/hub/b"
HUB = Cluster(name=ClusterName("hub"), server="https://hub.example.com", management=True)


@pytest.fixture
def hub() -> Hub:
    return Hub()


TEAM = project(
    "team",
    destinations=[{"name": "hub", "namespace": "team"}, {"name": "edge", "namespace": "*"}],
    sourceNamespaces=["team"],
)
"""A project of Applications that bring nothing but what lives in their own namespace."""
B = app("b", project="team", namespace="team")


def of_team(name: str) -> JsonObject:
    """An Application of the team, in its namespace."""
    found = app(name, "edge", project="team")
    found["metadata"]["namespace"] = "team"
    return found


async def test_a_broken_chart_stops_nobody_whose_documents_it_may_not_bring(hub: Hub) -> None:
    await hub.commit(TEAM, app("a"), B, WEB[5], a=WEB[:2], b=BROKEN)
    assert await hub.commit(TEAM, app("a"), B, a=WEB[:1]) == ["a", "b", "web-0"]
    assert not hub.problems()


async def test_a_document_of_the_team_waits_for_the_team(hub: Hub) -> None:
    await hub.commit(TEAM, app("a"), B, a=[of_team("web-0"), *WEB[1:3]], b=BROKEN)
    hub.seen.clear()
    assert await hub.commit(a=WEB[1:2]) == ["a", "b", "web-0", "web-1"]
    assert hub.state.holds[HOLD].removed == ("web-0",)
    assert await hub.commit(b=[of_team("web-0")]) == ["a", "b", "web-0", "web-1"]
    assert hub.parents("web-0") == ("b",)
    assert all("web-0" in apps for apps in hub.seen)


@pytest.mark.parametrize("depth", [1, 2])
async def test_what_left_waits_for_what_comes_in_the_same_commit_and_breaks(
    hub: Hub, depth: int
) -> None:
    await hub.commit(app("l0"), WEB[0], WEB[1])
    chain = {f"l{n}": [app(f"l{n + 1}")] for n in range(depth)}
    found = await hub.commit(app("l0"), WEB[1], **chain, **{f"l{depth}": BROKEN})
    assert {"web-0", f"l{depth}"} <= set(found)
    assert hub.state.holds[f"removals/hub/l{depth}"].removed == ("web-0",)
    await hub.commit(**{f"l{depth}": [WEB[2]]})
    assert "web-0" not in hub.apps()


async def test_some_of_what_left_waits_and_the_rest_goes(hub: Hub) -> None:
    no_projects = [{"group": "argoproj.io", "kind": "AppProject"}]
    narrow = project("narrow", namespaceResourceBlacklist=no_projects)
    fixed = [narrow, app("a"), app("b", project="narrow")]
    await hub.commit(*fixed, a=[*WEB[:2], project("mine")], b=BROKEN)
    assert await hub.commit(a=WEB[:1]) == ["a", "b", "web-0", "web-1"]
    assert "mine" not in hub.state.desired.projects
    assert hub.state.holds[HOLD].removed == ("web-1",)


async def test_somebody_who_knows_better_lets_it_go(hub: Hub) -> None:
    before = await hub.commit(app("a"), app("b"), WEB[4], a=WEB[:2], b=BROKEN)
    assert await hub.commit(app("a"), app("b"), a=WEB[:1]) == before
    hold = hub.state.holds[HOLD]
    assert hold.removed == ("web-1", "web-4")
    assert any(f"(web-1, web-4); if it does not: fleet approve {HOLD}" in p for p in hub.problems())
    await hub.records.approve(HOLD, hold.digest)
    await hub.restart()
    assert hub.apps() == ["a", "b", "web-0"], "the approval is durable"
    assert not hub.state.holds
    assert not hub.records.approvals
    await hub.commit(app("a"), app("b"), WEB[4])
    assert "web-4" in await hub.commit(app("a"), app("b")), "it has served"


async def test_a_yes_is_for_what_was_looked_at(hub: Hub) -> None:
    await hub.commit(app("a"), app("b"), a=WEB[:3], b=BROKEN)
    before = await hub.commit(a=WEB[:1])
    await hub.records.approve(HOLD, "another digest")
    assert await hub.settle() == before
    await hub.records.approve(HOLD, hub.state.holds[HOLD].digest)
    assert await hub.commit(a=[configmap("own")]) == ["a", "b", "web-0"]
    assert hub.state.holds[HOLD].removed == ("web-0",)


async def test_an_approved_document_still_needs_the_yes_of_its_budget(hub: Hub) -> None:
    before = await hub.commit(app("a"), app("b"), a=WEB[:6], b=BROKEN)
    assert await hub.commit(a=[configmap("own")]) == before
    assert hub.state.holds.keys() == {"children/a", HOLD}
    await hub.records.approve(HOLD, hub.state.holds[HOLD].digest)
    assert await hub.settle() == before
    assert hub.state.holds.keys() == {"children/a"}
    await hub.records.approve("children/a", hub.state.holds["children/a"].digest)
    assert await hub.settle() == ["a", "b"]


async def test_what_waits_hides_no_removal_from_the_budget_of_the_fleet(hub: Hub) -> None:
    fixed = [TEAM, app("a"), B]
    await hub.commit(*fixed, of_team("web-0"), *WEB[1:], a=[configmap("own")], b=BROKEN)
    before = hub.apps()
    assert await hub.commit(*fixed, WEB[9]) == before
    assert hub.state.holds[HOLD].removed == ("web-0",)
    assert hub.state.holds["fleet"].removed == tuple(f"web-{n}" for n in range(1, 9))
    await hub.records.approve("fleet", hub.state.holds["fleet"].digest)
    assert await hub.settle() == ["a", "b", "web-0", "web-9"]
    assert not hub.records.approvals
    assert await hub.commit(*fixed, WEB[9], b=[configmap("own")]) == ["a", "b", "web-9"]


async def test_the_approval_of_a_set_serves_until_the_last_of_it_went(hub: Hub) -> None:
    fixed = [TEAM, app("a"), B]
    shops = appset("shops", "x", "y")
    await hub.commit(*fixed, shops, a=[configmap("own")], b=BROKEN)
    wide = [app("a"), app("b")]
    assert await hub.commit(*wide) == ["a", "b", "x", "y"]
    assert hub.state.holds.keys() == {"appset/shops"}
    await hub.records.approve("appset/shops", hub.state.holds["appset/shops"].digest)
    assert await hub.settle() == ["a", "b", "x", "y"]
    assert hub.state.holds[HOLD].removed == ("x", "y")
    await hub.restart()
    assert "appset/shops" in hub.records.approvals
    assert await hub.commit(b=[configmap("own")]) == ["a", "b"]
    assert not hub.records.approvals


async def test_a_restart_forgets_no_document_of_what_never_brought_any(hub: Hub) -> None:
    hub.bound = {"hub"}
    await hub.commit(app("a"), app("b"), WEB[5], a=WEB[:2], b=[configmap("own")])
    assigned = dict(hub.state.assigned)
    hub.manifests.of["b"] = Transient("the registry is down")
    hub.start()
    hub.state.assigned.update(assigned)
    for part in (hub.records, hub.accepted, hub.syncs, hub.worlds):
        await part.restore()
    await hub.settle()
    assert await hub.commit(a=WEB[:1]) == ["a", "b", "web-0", "web-5"]


def claimant(**spec: object) -> Claimant:
    wide = {"destinations": (DestinationRule(server="*", namespace="*"),)}
    found = AppProject(name="team", **{**wide, **spec})  # type: ignore[arg-type]  # fields by name
    return Claimant(id=TargetId.parse("hub/b"), cluster=HUB, project=found, namespace="team")


def child(kind: str, namespace: str, project: str = "default") -> Child:
    item = None
    if kind == "Application":
        item = Application(
            name=AppName("x"), namespace=namespace, project=project, sources=(),
            destination=Destination(name="edge"),
        )  # fmt: skip
    return Child(kind=kind, name="x", namespace=namespace, item=item)


THERE = (DestinationRule(server="*", namespace="team"),)


@pytest.mark.parametrize(
    ("one", "left", "expected"),
    [
        pytest.param(claimant(), child("Application", "argocd"), True, id="anything"),
        pytest.param(claimant(), None, True, id="nobody-knows-what-it-was"),
        pytest.param(
            claimant(namespace_kinds_denied=(KindRule(group="argoproj.io", kind="*"),)),
            child("Application", "argocd"),
            False,
            id="no-such-kind",
        ),
        pytest.param(
            claimant(destinations=THERE),
            child("Application", "argocd", "team"),
            True,
            id="it-may-come-to-the-namespace-of-the-parent",
        ),
        pytest.param(
            claimant(destinations=THERE),
            child("Application", "argocd"),
            False,
            id="its-project-does-not-permit-that-namespace",
        ),
        pytest.param(
            claimant(destinations=(DestinationRule(server="*", namespace="other"),)),
            child("Application", "argocd"),
            False,
            id="in-neither-namespace",
        ),
    ],
)
def test_who_may_bring_what(one: Claimant, left: Child | None, *, expected: bool) -> None:
    projects = {
        "team": AppProject(name="team", source_namespaces=("team",)),
        "default": DEFAULT_PROJECT,
    }
    assert one.may_bring(left, projects) is expected


def test_of_a_project_that_is_not_known_everything_may_come() -> None:
    assert replace(claimant(), project=None).may_bring(child("Application", "argocd"), {})

"""App of apps at the hub: what an Application renders for the fleet comes into force, and nothing vanishes by mistake."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput, FleetError, Transient
from fleet.model.identity import AppName, TargetId
from fleet.model.report import Health, Sync, TargetStatus
from fleet.store.port import Change, Kind
from fleet.testing.store import MemoryStore
from hub import childviews
from hub.childsyncs import ChildSyncs
from hub.dismissal import Dismissal
from tests.unit.hub.children_bench import AUTOMATED, Hub, app, appset, configmap, project

MANY = [app(f"web-{n}", "edge") for n in range(6)]
NAMES = sorted(f"web-{n}" for n in range(6))
ROOT = app("root")
HEALTH = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "argocd-cm", "namespace": "argocd"},
    "data": {
        "resource.customizations.health.argoproj.io_Application": 'hs = {}\nhs.status = "Healthy"\nreturn hs\n'
    },
}


@pytest.fixture
def hub() -> Hub:
    return Hub()


async def test_children_become_targets_and_leave_the_artifact(hub: Hub) -> None:
    rendered = [configmap("own"), *MANY[:2]]
    assert await hub.commit(ROOT, root=rendered) == ["root", "web-0", "web-1"]
    assert await hub.rest("hub/root") == ["own"]
    assert hub.parents("web-0") == ("root",)
    assert hub.state.candidates[TargetId.parse("hub/root")].kinds == {"/ConfigMap": 1}
    assert hub.state.desired.certain
    assert not hub.problems()


async def test_on_another_cluster_they_are_ordinary_objects(hub: Hub) -> None:
    assert await hub.commit(app("root", "edge"), root=MANY[:2]) == ["root"]
    assert await hub.rest("edge/root") == ["web-0", "web-1"]


async def test_nothing_is_evaluated_again_for_nothing(hub: Hub) -> None:
    await hub.commit(ROOT, root=MANY)
    before, rows = hub.evaluations, hub.accepted.get("app/root")
    await hub.settle()
    assert hub.evaluations == before + 1
    assert hub.accepted.get("app/root") is rows


async def test_levels_sets_and_projects(hub: Hub) -> None:
    mine = project("mine")
    shops = appset("shops", "shop-a", "shop-b")
    found = await hub.commit(
        ROOT, root=[app("team"), mine], team=[shops, app("web", "edge", project="mine")]
    )
    assert found == ["root", "shop-a", "shop-b", "team", "web"]
    assert hub.parents("shop-a") == ("root", "team")
    assert hub.parents("web") == ("root", "team")
    assert not hub.state.desired.targets[TargetId.parse("edge/web")].held
    assert set(hub.state.desired.sets) == {"shops"}


async def test_six_levels_are_one_too_many(hub: Hub) -> None:
    levels = {f"l{n}": [app(f"l{n + 1}")] for n in range(7)}
    assert await hub.commit(app("l0"), **levels) == [f"l{n}" for n in range(6)]
    assert any("l4 -> l5 -> l6" in problem for problem in hub.problems())


async def test_levels_and_loops_go_through_sets(hub: Hub) -> None:
    levels = {f"l{n}": [appset(f"s{n}", f"l{n + 1}", on="hub")] for n in range(9)}
    assert await hub.commit(app("l0"), **levels) == [f"l{n}" for n in range(6)]
    assert hub.parents("l2") == ("l0", "l1")
    assert any("l4 -> l5" in problem for problem in hub.problems())
    await hub.commit(app("l0"), MANY[0], l1=[app("l0"), MANY[1]])
    assert any("loop: l0 -> l1 -> l0" in problem for problem in hub.problems())


async def test_a_loop_names_its_chain_and_blocks_its_members_alone(hub: Hub) -> None:
    await hub.commit(app("a"), app("c"), a=[app("b")], b=[MANY[0]], c=[MANY[1]])
    found = await hub.commit(b=[app("a"), MANY[2]], c=[MANY[1], MANY[3]])
    assert found == ["a", "b", "c", "web-0", "web-1", "web-3"]
    assert any("loop: a -> b -> a" in problem for problem in hub.problems())
    assert await hub.commit(b=[MANY[2]]) == ["a", "b", "c", "web-1", "web-2", "web-3"]
    assert not hub.problems()


async def test_a_root_in_its_own_folder_brings_the_others(hub: Hub) -> None:
    assert await hub.commit(app("a"), a=[app("a"), *MANY[:2]]) == ["a", "web-0", "web-1"]
    assert hub.parents("a") == ()
    assert await hub.commit(a=[app("a", automated={}), MANY[0]]) == ["a", "web-0"]
    assert await hub.commit(app("top"), top=[app("a")]) == ["a", "top", "web-0"]
    assert hub.parents("web-0") == ("top", "a")
    assert not hub.problems()


# policies


async def test_without_automation_children_come_when_somebody_syncs(hub: Hub) -> None:
    manual = app("root", automated=None)
    assert await hub.commit(manual, root=MANY[:2]) == ["root"]
    choice = hub.state.desired.children[AppName("root")]
    assert choice.pending == ("web-0", "web-1")
    offer = hub.state.offers[TargetId.parse("hub/root")]
    await hub.syncs.ask(AppName("root"), offer.digest, prune=False)
    await hub.restart()
    assert hub.apps() == ["root", "web-0", "web-1"], "the request is durable"
    assert not hub.syncs.open()
    assert await hub.commit(root=[MANY[0], MANY[2]]) == ["root", "web-0", "web-1"]
    choice = hub.state.desired.children[AppName("root")]
    assert (choice.pending, choice.extra) == (("web-2",), ("web-1",))


async def test_a_request_is_for_the_manifests_that_were_there(hub: Hub) -> None:
    await hub.commit(app("root", automated=None), root=MANY[:1])
    offer = hub.state.offers[TargetId.parse("hub/root")]
    hub.manifests.of["root"] = MANY[:2]
    hub.renderings.refresh(TargetId.parse("hub/root"))
    await hub.renderings.reconcile(TargetId.parse("hub/root"))
    await hub.syncs.ask(AppName("root"), offer.digest, prune=False)
    assert await hub.settle() == ["root"]
    assert not hub.syncs.open()


async def test_a_request_to_prune_waits_with_its_parent(hub: Hub) -> None:
    hub.bound = {"hub"}
    needy = app("root", automated={}, annotations={"gitopsfleet.io/depends-on": "db"})
    await hub.commit(needy, app("db"), root=MANY[:2], db=[configmap("db")])
    hub.report("hub/db")
    assert await hub.settle() == ["db", "root", "web-0", "web-1"]
    await hub.commit(root=MANY[:1])
    hub.report("hub/db", Health.DEGRADED)
    offer = hub.state.offers[TargetId.parse("hub/root")]
    await hub.syncs.ask(AppName("root"), offer.digest, prune=True)
    assert await hub.settle() == ["db", "root", "web-0", "web-1"]
    assert hub.syncs.open()
    hub.report("hub/db")
    assert await hub.settle() == ["db", "root", "web-0"]
    assert not hub.syncs.open()


class SlowStore(MemoryStore):
    """A store that takes its time, and in which something happens while the next rows are written."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: list[Callable[[], Awaitable[None]]] = []

    async def commit(self, *changes: Change) -> None:
        while self.meanwhile and any(change.kind is Kind.ROWS for change in changes):
            await self.meanwhile.pop()()
        await super().commit(*changes)
        await asyncio.sleep(0)


async def test_a_request_that_comes_during_an_evaluation_is_kept() -> None:
    store = SlowStore()
    hub = Hub(store=store)
    root = TargetId.parse("hub/root")
    manual = app("root", automated=None)
    await hub.commit(manual, root=[])

    async def somebody_syncs() -> None:
        hub.manifests.of["root"] = MANY[:1]
        await hub.renderings.reconcile(root)
        await hub.syncs.ask(root.app, hub.state.offers[root].digest, prune=False)

    store.meanwhile.append(somebody_syncs)
    assert await hub.commit(manual, MANY[5]) == ["root", "web-0", "web-5"]


@pytest.mark.parametrize("first", ["the new request", "the old one's end"])
async def test_the_end_of_a_request_is_not_that_of_the_next(first: str) -> None:
    store, root = SlowStore(), AppName("root")
    syncs = ChildSyncs(store=store, evaluate=lambda: None)
    await syncs.ask(root, "old", prune=False)
    (old,) = syncs.open().values()
    ask, end = syncs.ask(root, "new", prune=False), syncs.done(root, old)
    async with asyncio.TaskGroup() as both:
        for each in (ask, end) if first == "the new request" else (end, ask):
            both.create_task(each)
    assert syncs.asks(root, "new")
    again = ChildSyncs(store=store, evaluate=lambda: None)
    await again.restore()
    assert again.asks(root, "new")


@pytest.mark.parametrize(
    ("policy", "left"),
    [({"prune": True}, ["root", "web-0"]), ({}, ["root", "web-0", "web-1"])],
    ids=["prune", "keep"],
)
async def test_what_left_goes_only_with_prune(hub: Hub, policy: dict, left: list[str]) -> None:  # type: ignore[type-arg]
    await hub.commit(app("root", automated=policy), root=MANY[:2])
    assert await hub.commit(root=MANY[:1]) == left
    extra = hub.state.desired.children[AppName("root")].extra
    assert extra == (() if policy else ("web-1",))


async def test_a_sync_with_prune_removes_what_left(hub: Hub) -> None:
    await hub.commit(app("root", automated={}), root=MANY[:2])
    await hub.commit(root=MANY[:1])
    offer = hub.state.offers[TargetId.parse("hub/root")]
    await hub.syncs.ask(AppName("root"), offer.digest, prune=True)
    assert await hub.settle() == ["root", "web-0"]
    assert not hub.syncs.open()


async def test_prune_false_on_a_child_keeps_it(hub: Hub) -> None:
    kept = app("kept", "edge", annotations={"argocd.argoproj.io/sync-options": "Prune=false"})
    await hub.commit(ROOT, root=[kept, MANY[0]])
    assert await hub.commit(root=MANY[:1]) == ["kept", "root", "web-0"]


async def test_children_change_with_their_documents(hub: Hub) -> None:
    await hub.commit(ROOT, root=MANY[:1])
    await hub.commit(root=[app("web-0", "edge", namespace="other")])
    child = hub.state.desired.applications[AppName("web-0")]
    assert child.destination.namespace == "other"


# nothing vanishes by mistake


async def test_a_parent_that_fails_keeps_its_children(hub: Hub) -> None:
    before = await hub.commit(ROOT, root=MANY)
    assert await hub.commit(root=BadInput("the chart does not render")) == before
    hub.manifests.down = Transient("the source is down")
    await hub.restart()
    assert hub.apps() == before
    assert hub.state.desired.certain, "what is in force is known"
    hub.manifests.down = None
    assert await hub.commit(root=MANY[:5]) == ["root", *NAMES[:5]]


async def test_a_hub_that_lost_its_state_is_not_certain_before_it_has_rendered(hub: Hub) -> None:
    hub.manifests.down = Transient("the source is down")
    assert await hub.commit(ROOT, root=MANY) == ["root"]
    assert not hub.state.desired.certain
    hub.manifests.down = None
    await hub.settle()
    assert hub.apps() == ["root", *NAMES]
    assert hub.state.desired.certain


@pytest.mark.parametrize("left", [[], MANY[:2], [configmap("x")]], ids=["empty", "few", "others"])
async def test_too_many_removals_are_held_through_a_restart(hub: Hub, left: list) -> None:  # type: ignore[type-arg]
    before = await hub.commit(ROOT, root=MANY)
    assert await hub.commit(root=left) == before
    hold = hub.state.holds["children/root"]
    assert len(hold.removed) == 6 - sum(each in left for each in MANY)
    await hub.restart()
    assert hub.apps() == before
    assert hub.state.holds["children/root"].digest == hold.digest
    await hub.records.approve("children/root", hold.digest)
    await hub.restart()
    assert hub.apps() == sorted(["root", *(v["metadata"]["name"] for v in left if v in MANY)])
    assert not hub.state.holds
    assert not hub.records.approvals


async def test_a_parent_with_one_child_that_renders_nothing_is_held(hub: Hub) -> None:
    await hub.commit(ROOT, root=MANY[:1])
    assert await hub.commit(root=[]) == ["root", "web-0"]
    assert "nothing at all" in hub.state.holds["children/root"].message
    allowed = app("root", automated={**AUTOMATED, "allowEmpty": True})
    assert await hub.commit(allowed) == ["root"]


async def test_a_failure_in_between_changes_nothing(hub: Hub) -> None:
    before = await hub.commit(ROOT, root=MANY)
    await hub.commit(root=[configmap("own")])
    assert await hub.commit(root=BadInput("broken")) == before
    assert hub.state.desired.children[AppName("root")].waits_for.endswith("broken")
    assert await hub.commit(root=[configmap("own")]) == before
    assert hub.state.holds.keys() == {"children/root"}
    assert await hub.commit(root=MANY) == before
    assert not hub.state.holds


async def test_what_was_decided_by_an_older_document_is_decided_again(hub: Hub) -> None:
    manual = app("team", automated=None)
    await hub.commit(app("root", project="late"), root=[manual], team=MANY[:1])
    assert hub.apps() == ["root"]
    await hub.commit(app("root", project="late"), project("late"))
    assert hub.apps() == ["root", "team"], "the project came later"
    assert await hub.commit(root=[app("team")]) == ["root", "team", "web-0"]


async def test_a_held_parent_adopts_nothing_either(hub: Hub) -> None:
    before = await hub.commit(ROOT, root=MANY)
    assert await hub.commit(root=[app("new", "edge")]) == before
    assert hub.state.holds["children/root"].added == ("new",)
    assert await hub.commit(root=[*MANY, app("new", "edge")]) == ["new", *before]


async def test_a_slow_drip_adds_up(hub: Hub) -> None:
    await hub.commit(ROOT, root=MANY)
    assert len(await hub.commit(root=MANY[:4])) == 5
    assert len(await hub.commit(root=MANY[:3])) == 4
    assert len(await hub.commit(root=MANY[:1])) == 4


async def test_a_parent_document_that_is_removed_takes_its_children_after_an_approval(
    hub: Hub,
) -> None:
    await hub.commit(ROOT, app("other"), root=[*MANY, project("mine")])
    assert await hub.commit(app("other")) == ["other", *NAMES]
    hold = hub.state.holds["children/root"]
    assert hold.removed == ("AppProject/mine", *NAMES)
    await hub.restart()
    assert hub.apps() == ["other", *NAMES]
    assert hub.state.holds.keys() == {"children/root"}
    assert "mine" in hub.state.desired.projects
    await hub.records.approve("children/root", hub.state.holds["children/root"].digest)
    assert await hub.settle() == ["other"]
    assert not hub.accepted.parents()


async def test_a_parent_without_finalizer_leaves_its_children_in_force(hub: Hub) -> None:
    await hub.commit(app("root", finalizer=False), app("other"), root=MANY)
    assert await hub.commit(app("other")) == ["other", *NAMES]
    assert not hub.state.holds
    await hub.restart()
    assert hub.apps() == ["other", *NAMES]
    assert await hub.commit(app("other"), MANY[0]) == ["other", *NAMES]
    assert hub.parents("web-0") == (), "the fleet repository takes it over"


async def test_a_chart_that_is_renamed_is_held(hub: Hub) -> None:
    before = await hub.commit(ROOT, root=MANY)
    renamed = [app(f"site-{n}", "edge") for n in range(6)]
    assert await hub.commit(root=renamed) == before
    hold = hub.state.holds["children/root"]
    assert (len(hold.removed), len(hold.added)) == (6, 6)


async def test_the_removed_set_of_a_parent_is_held_as_a_set(hub: Hub) -> None:
    shops = appset("shops", "shop-a", "shop-b")
    before = await hub.commit(ROOT, root=[shops, MANY[0]])
    assert await hub.commit(root=MANY[:1]) == before
    await hub.records.approve("appset/shops", hub.state.holds["appset/shops"].digest)
    assert await hub.settle() == ["root", "web-0"]


@pytest.mark.parametrize("error", [BadInput("a typo"), Transient("the registry is down")])
async def test_what_left_waits_for_a_parent_that_does_not_render(
    hub: Hub, error: FleetError
) -> None:
    before = await hub.commit(MANY[4], app("a"), app("b"), a=MANY[:2], b=MANY[2:3])
    hub.seen.clear()
    assert await hub.commit(app("a"), app("b"), a=MANY[:1], b=error) == before
    assert any("2 that left elsewhere stay until it renders" in text for text in hub.problems())
    assert await hub.commit(b=[MANY[2], MANY[4]]) == ["a", "b", "web-0", "web-2", "web-4"]
    assert hub.parents("web-4") == ("b",)
    assert all("web-4" in apps for apps in hub.seen)


async def test_what_left_goes_when_a_source_is_back_that_has_nothing_new(hub: Hub) -> None:
    before = await hub.commit(app("a"), app("b"), a=MANY[:2], b=MANY[2:3])
    rendered = hub.manifests.of["b"]
    assert await hub.commit(a=MANY[:1], b=Transient("the registry is down")) == before
    hub.manifests.of["b"] = rendered
    await hub.renderings.reconcile(TargetId.parse("hub/b"))
    hub.evaluations = 0
    assert await hub.work() == ["a", "b", "web-0", "web-2"]
    assert hub.evaluations


async def test_a_new_parent_that_does_not_render_yet_loses_nothing_of_the_old_one(
    hub: Hub,
) -> None:
    await hub.commit(app("old"), MANY[5], old=MANY[:1])
    await hub.commit(app("new"), MANY[5], new=BadInput("a typo"))
    assert hub.apps() == ["new", "old", "web-0", "web-5"]
    await hub.restart()
    assert hub.apps() == ["new", "old", "web-0", "web-5"]
    assert await hub.commit(new=MANY[:1]) == ["new", "web-0", "web-5"]
    assert hub.parents("web-0") == ("new",)


async def test_a_parent_that_does_not_render_can_leave_itself(hub: Hub) -> None:
    await hub.commit(app("a"), app("b"), MANY[5], a=MANY[:2], b=BadInput("a typo"))
    assert await hub.commit(app("a"), MANY[5]) == ["a", "web-0", "web-1", "web-5"]
    assert await hub.commit(app("a"), MANY[5], a=MANY[:1]) == ["a", "web-0", "web-5"]


async def test_a_parent_that_did_not_render_and_went_elsewhere_is_waited_for_no_more(
    hub: Hub,
) -> None:
    await hub.commit(app("a"), app("b"), MANY[5], a=MANY[:2], b=BadInput("a typo"))
    assert await hub.commit(app("a"), app("b", "edge")) == ["a", "b", "web-0", "web-1"]


async def test_a_parent_that_does_not_render_holds_back_nothing_but_what_leaves(hub: Hub) -> None:
    manual = app("team", automated=None)
    await hub.commit(ROOT, app("b"), MANY[5], root=[manual], team=MANY[:1], b=BadInput("a typo"))
    assert hub.apps() == ["b", "root", "team", "web-5"]
    found = await hub.commit(ROOT, app("b"), root=[app("team")])
    assert found == ["b", "root", "team", "web-0", "web-5"]


# ownership


async def test_a_document_that_moves_to_another_parent_is_never_gone(hub: Hub) -> None:
    before = await hub.commit(app("a"), app("b"), a=MANY[:2], b=MANY[2:3])
    hub.seen.clear()
    assert await hub.commit(a=MANY[:1], b=MANY[1:3]) == before
    assert hub.parents("web-1") == ("b",)
    assert all(apps == before for apps in hub.seen)
    assert await hub.commit(MANY[2], app("a"), app("b"), b=MANY[1:2]) == before
    assert await hub.commit(app("a"), app("b"), a=[MANY[0], MANY[2]]) == before
    assert hub.parents("web-2") == ("a",), "it came from the fleet repository"
    assert all(apps == before for apps in hub.seen)


async def test_a_set_hands_over_to_a_parent_without_a_gap(hub: Hub) -> None:
    before = await hub.commit(appset("shops", "x", "y", "z"), ROOT, root=[configmap("own")])
    hub.seen.clear()
    assert await hub.commit(appset("shops", "x", "y"), ROOT, root=[app("z", "edge")]) == before
    assert hub.parents("z") == ("root",)
    assert all(apps == before for apps in hub.seen)


@pytest.mark.parametrize("goes", ["p", "above"])
async def test_a_parent_that_is_leaving_takes_nothing_with_it(hub: Hub, goes: str) -> None:
    """What it would adopt meanwhile stays with the owner that does not prune it."""
    quiet, above = app("quiet", automated={}), app("above")
    leaving = app("p") if goes == "p" else above
    shops = appset("shops", "shop")
    await hub.commit(*MANY, quiet, leaving, above=[app("p")], quiet=[shops], p=[])
    hub.seen.clear()
    found = await hub.commit(*MANY, quiet, quiet=[], p=[shops])
    assert found == ["quiet", "shop", *NAMES]
    assert hub.parents("shop") == ("quiet",)


async def test_a_parent_that_comes_back_brings_what_it_renders_meanwhile(hub: Hub) -> None:
    broken = BadInput("a typo")
    await hub.commit(*MANY[2:], app("p"), app("broken"), p=[MANY[0]], broken=broken)
    found = await hub.commit(*MANY[2:], app("broken"), p=MANY[:2])
    assert "p" in found, "it waits for what may bring it"
    assert "web-0" in found
    assert "web-1" not in found
    assert "web-1" in await hub.commit(*MANY[2:], app("p"), app("broken"))


async def test_the_first_owner_keeps_a_name(hub: Hub) -> None:
    await hub.commit(app("b"), b=MANY[:1])
    found = await hub.commit(app("a"), app("b"), MANY[1], a=MANY[:2])
    assert found == ["a", "b", "web-0", "web-1"]
    assert (hub.parents("web-0"), hub.parents("web-1")) == (("b",), ())
    assert any("already belongs to application 'b'" in text for text in hub.problems())
    assert any("already belongs to a document" in text for text in hub.problems())


async def test_a_set_that_makes_a_name_keeps_it(hub: Hub) -> None:
    await hub.commit(appset("shops", "web-0", "x"), ROOT, root=[])
    await hub.commit(root=MANY[:1])
    assert hub.parents("web-0") == ()
    assert any("already belongs to ApplicationSet 'shops'" in text for text in hub.problems())


# rules


async def test_the_project_of_a_parent_judges_the_documents_it_brings(hub: Hub) -> None:
    strict = project(
        "strict",
        namespaceResourceBlacklist=[{"group": "argoproj.io", "kind": "AppProject"}],
        destinations=[{"name": "hub", "namespace": "argocd"}],
    )
    elsewhere = app("elsewhere", "edge")
    elsewhere["metadata"]["namespace"] = "foreign"
    unplaced = app("unplaced", "edge")
    del unplaced["metadata"]["namespace"]
    found = await hub.commit(
        strict, app("root", project="strict"), root=[project("wide"), elsewhere, unplaced]
    )
    assert found == ["root", "unplaced"]
    assert "wide" not in hub.state.desired.projects
    refused = hub.state.desired.children[AppName("root")].refused
    assert refused.keys() == {"AppProject/wide", "elsewhere"}
    assert sum("is not permitted in project 'strict'" in text for text in hub.problems()) == 2


async def test_who_may_not_write_where_argo_cd_is_gains_no_rights_from_another_namespace(
    hub: Hub,
) -> None:
    team = project(
        "team",
        destinations=[{"name": "hub", "namespace": "team"}, {"name": "edge", "namespace": "*"}],
        sourceNamespaces=["team"],
    )
    rendered = [
        project("mine"),
        appset("shops", "shop"),
        app("rich", "edge", project="default"),
        app("own", "edge", project="team"),
    ]
    for document in rendered:
        document["metadata"]["namespace"] = "team"
    root = app("root", project="team", namespace="team")
    assert await hub.commit(team, root, root=rendered) == ["own", "root"]
    assert "mine" not in hub.state.desired.projects
    refused = hub.state.desired.children[AppName("root")].refused
    assert refused.keys() == {"AppProject/mine", "ApplicationSet/shops", "rich"}
    assert "sourceNamespaces" in refused["rich"]
    wide = app("root", namespace="team")
    found = await hub.commit(team, wide)
    assert found == ["own", "rich", "root", "shop"], "it might write anywhere"


@pytest.mark.parametrize(
    "after",
    [
        [app("root", project="strict")],
        [
            project("other", sourceRepos=["https://git.example.com/other.git"]),
            app("root", project="other"),
        ],
    ],
    ids=["project-gone", "another-that-refuses-the-parent"],
)
async def test_a_parent_brings_nothing_while_its_new_rules_refuse_it(
    hub: Hub, after: list[JsonObject]
) -> None:
    strict = project(
        "strict", namespaceResourceBlacklist=[{"group": "argoproj.io", "kind": "AppProject"}]
    )
    await hub.commit(strict, app("root", project="strict"), root=[project("wide")])
    await hub.commit(*after)
    assert "wide" not in hub.state.desired.projects


async def test_a_child_may_define_the_default_project_that_nobody_wrote(hub: Hub) -> None:
    narrow = project("default", namespaceResourceBlacklist=[{"group": "", "kind": "Secret"}])
    await hub.commit(ROOT, root=[narrow])
    assert not hub.problems()
    assert hub.state.desired.projects["default"].namespace_kinds_denied
    await hub.commit(project("default"), ROOT)
    assert not hub.state.desired.projects["default"].namespace_kinds_denied


async def test_a_project_that_a_child_changes_judges_other_parents_at_once(hub: Hub) -> None:
    strict = project("team", namespaceResourceBlacklist=[{"group": "*", "kind": "AppProject"}])
    await hub.commit(ROOT, app("team", project="team"), root=[strict], team=[project("mine")])
    assert "mine" not in hub.state.desired.projects
    await hub.commit(root=[project("team")])
    assert "mine" in hub.state.desired.projects


async def test_the_project_of_a_child_judges_the_child(hub: Hub) -> None:
    narrow = project("narrow", sourceRepos=["https://git.example.com/other.git"])
    await hub.commit(narrow, ROOT, root=[app("web", "edge", project="narrow")])
    assert "not permitted" in hub.state.desired.targets[TargetId.parse("edge/web")].held


async def test_a_document_that_cannot_be_read_keeps_its_last_good_version(hub: Hub) -> None:
    before = await hub.commit(ROOT, root=MANY[:2])
    broken = app("web-1", "edge")
    broken["spec"]["project"] = 7
    assert await hub.commit(root=[MANY[0], broken]) == before
    (problem,) = (item for item in hub.state.desired.problems if item.fatal)
    assert (problem.where.file, problem.where.object) == (
        "rendered by hub/root",
        "Application/web-1",
    )
    assert problem.where.field == "spec.project"


async def test_unknown_fields_are_told(hub: Hub) -> None:
    odd = app("odd", "edge")
    odd["spec"]["retries"] = 3
    assert await hub.commit(ROOT, root=[odd]) == ["odd", "root"]
    assert any("retries" in text for text in hub.problems())


# waiting


async def test_children_do_not_run_ahead_of_their_parents_dependencies(hub: Hub) -> None:
    hub.bound = {"hub", "edge"}
    needy = app("root", annotations={"gitopsfleet.io/depends-on": "db"})
    assert await hub.commit(needy, app("db"), root=MANY[:1], db=[configmap("db")]) == ["db", "root"]
    assert "db" in hub.state.desired.children[AppName("root")].waits_for
    hub.report("hub/db")
    assert await hub.settle() == ["db", "root", "web-0"]
    hub.report("hub/db", Health.DEGRADED)
    assert await hub.commit(root=MANY[:2]) == ["db", "root", "web-0"], "a change waits again"


async def test_the_parents_own_objects_go_first(hub: Hub) -> None:
    hub.bound = {"hub"}
    await hub.commit(ROOT, root=[configmap("own"), MANY[0]])
    assert hub.apps() == ["root", "web-0"]
    hub.is_obeyed = False
    assert await hub.commit(root=[configmap("other"), *MANY[:2]]) == ["root", "web-0"]
    hub.is_obeyed = True
    assert await hub.settle() == ["root", "web-0", "web-1"]


async def test_waves_do_not_wait_without_a_rule(hub: Hub) -> None:
    waves = [app("first", "edge", wave=0), app("second", "edge", wave=1)]
    assert await hub.commit(ROOT, root=waves) == ["first", "root", "second"]


async def test_waves_wait_where_the_fleet_rates_applications(hub: Hub) -> None:
    hub.bound = {"edge"}
    waves = [
        app("first", "edge", wave=-1),
        app("second", "edge", wave=1),
        app("third", "edge", wave=2),
    ]
    assert await hub.commit(HEALTH, ROOT, root=waves) == ["first", "root"]
    assert "wave -1" in hub.state.desired.children[AppName("root")].waits_for
    hub.report("edge/first", Health.PROGRESSING)
    assert await hub.settle() == ["first", "root"]
    hub.report("edge/first")
    assert await hub.settle() == ["first", "root", "second"]
    hub.report("edge/second")
    assert await hub.settle() == ["first", "root", "second", "third"]


# what people see and do


def status_of(hub: Hub) -> Callable[[TargetId], TargetStatus]:
    """What agents report, as it is."""
    return lambda id_: hub.state.status(id_) or TargetStatus(target=id_.app)


def shown(hub: Hub, target: str) -> tuple[Sync, Health, str]:
    """How a parent is shown, and what is said of it."""
    id_, of = TargetId.parse(target), status_of(hub)
    status = childviews.shown(hub.state, id_, of(id_), of)
    return status.sync, status.health, childviews.message(hub.state, id_)


async def test_a_parent_is_shown_as_good_as_what_it_brings(hub: Hub) -> None:
    root = TargetId.parse("hub/root")
    await hub.commit(app("root", automated={}), root=MANY[:2])
    assert shown(hub, "hub/root") == (Sync.SYNCED, Health.HEALTHY, "")
    await hub.commit(root=MANY[:1])
    sync, health, message = shown(hub, "hub/root")
    assert (sync, health) == (Sync.OUT_OF_SYNC, Health.HEALTHY)
    assert message == "1 that it no longer renders stay"
    rows = childviews.rows(hub.state, root, status_of(hub))
    assert [(row.name, row.sync, row.message) for row in rows] == [
        ("web-0", "Synced", ""),
        ("web-1", "OutOfSync", "no longer rendered; it stays"),
    ]
    await hub.commit(app("root", automated=None), root=[*MANY[:2], MANY[2]])
    assert "1 of its documents are not in force yet" in shown(hub, "hub/root")[2]


async def test_a_parent_is_as_healthy_as_its_children_where_applications_are_rated(
    hub: Hub,
) -> None:
    hub.bound = {"edge"}
    await hub.commit(ROOT, root=MANY[:2])
    hub.report("edge/web-0")
    hub.report("edge/web-1", Health.DEGRADED)
    assert shown(hub, "hub/root")[1] is Health.HEALTHY
    await hub.commit(HEALTH, ROOT)
    assert shown(hub, "hub/root")[1] is Health.DEGRADED


async def test_a_child_says_where_it_comes_from(hub: Hub) -> None:
    shops = appset("shops", "shop")
    await hub.commit(ROOT, root=[app("team")], team=[shops, MANY[0]])
    applications = hub.state.desired.applications
    web = childviews.origin(hub.state, applications[AppName("web-0")])
    shop = childviews.origin(hub.state, applications[AppName("shop")])
    assert web == "rendered by application team (root -> team -> web-0)"
    assert (
        shop == "ApplicationSet shops made it, rendered by application team (root -> team -> shop)"
    )


async def test_only_what_nobody_renders_any_more_is_let_go(hub: Hub) -> None:
    dismissal = Dismissal(state=hub.state, accepted=hub.accepted, evaluate=hub.queues.evaluate)
    await hub.commit(app("root", automated={}), root=MANY[:2])
    await hub.commit(root=MANY[:1])
    with pytest.raises(BadInput, match="the manifests of application root ask for it"):
        await dismissal.dismiss("edge~web-0")
    assert await dismissal.dismiss("web-1")
    assert await hub.settle() == ["root", "web-0"]
    await hub.restart()
    assert hub.apps() == ["root", "web-0"]


async def test_only_parents_are_synced_by_the_hub(hub: Hub) -> None:
    parents = hub.evaluator.children.parents
    await hub.commit(app("root", automated=None), MANY[3], root=MANY[:1])
    assert not await parents.sync(TargetId.parse("edge/web-3"), prune=False)
    assert await parents.sync(TargetId.parse("hub/root"), prune=False)
    assert await hub.settle() == ["root", "web-0", "web-3"]

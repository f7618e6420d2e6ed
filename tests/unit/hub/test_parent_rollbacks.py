"""Rollbacks of an app of apps: its documents of that day come back in force, by the rules that hold for all documents."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from fleet.codec.canonical import Digest
from fleet.errors import BadInput, NotReady
from fleet.model.identity import AppName, TargetId
from fleet.model.report import Health, Sync
from fleet.store.port import Kind, Put
from hub import childviews
from hub.rollbacks import Wish
from tests.unit.hub.children_bench import AUTOMATED, Hub, app, configmap
from tests.unit.hub.test_children import shown, status_of

ROOT = TargetId.parse("hub/root")
PARENT = app("root", automated={"prune": True})
BY_HAND = app("root", automated=None)
WEB = [app(f"web-{n}", "edge") for n in range(6)]


@pytest.fixture
def hub() -> Hub:
    return Hub()


def changed(name: str) -> dict[str, object]:
    """Another version of an Application."""
    return app(name, "edge", namespace="other")


def namespace(hub: Hub, name: str) -> str:
    return hub.state.desired.applications[AppName(name)].destination.namespace


def history(hub: Hub) -> list[int]:
    return [item.id for item in hub.history.of(ROOT)]


async def back(hub: Hub, *, to: int = 0, pin: bool = True, prune: bool = False) -> list[str]:
    operation, _ = await hub.rollbacks.roll_back(
        ROOT, Wish(to=to, pin=pin, prune=prune, reason="it broke")
    )
    assert operation is None, "no agent would end it"
    assert not childviews.are_in_force(hub.state, ROOT)
    return await hub.work()


async def test_the_documents_of_that_day_come_back_and_stay(hub: Hub) -> None:
    await hub.commit(PARENT, root=WEB[:3])
    await hub.commit(root=[changed("web-0"), *WEB[1:2], WEB[5]])
    assert history(hub) == [1, 2]
    assert await back(hub) == ["root", "web-0", "web-1", "web-2"]
    assert namespace(hub, "web-0") == "argocd"
    assert [item.initiated_by for item in hub.history.of(ROOT)][-1] == "rollback to 1"
    assert childviews.are_in_force(hub.state, ROOT)
    sync, health, message = shown(hub, "hub/root")
    assert (sync, health) == (Sync.OUT_OF_SYNC, Health.HEALTHY)
    assert "rolled back to deployment 1" in message
    assert "it broke" in message
    # what git says meanwhile waits, through a restart, and when the chart is broken
    await hub.commit(root=[WEB[4]])
    assert hub.apps() == ["root", "web-0", "web-1", "web-2"]
    hub.manifests.of["root"] = BadInput("a typo")
    await hub.restart()
    assert hub.apps() == ["root", "web-0", "web-1", "web-2"]
    # until somebody syncs
    await hub.commit(root=[*WEB[:2], WEB[4]])
    assert await hub.rollbacks.release(ROOT)
    assert await hub.work() == ["root", "web-0", "web-1", "web-4"]
    assert not hub.state.pinned_offers


async def test_what_a_rollback_would_remove_is_counted(hub: Hub) -> None:
    await hub.commit(PARENT, root=WEB[:1])
    await hub.commit(root=WEB)
    before = hub.apps()
    assert await back(hub) == before
    hold = hub.state.holds["children/root"]
    assert hold.removed == tuple(f"web-{n}" for n in range(1, 6))
    await hub.restart()
    await hub.records.approve("children/root", hub.state.holds["children/root"].digest)
    assert await hub.settle() == ["root", "web-0"]


@pytest.mark.parametrize("prune", [False, True])
async def test_a_parent_that_is_synced_by_hand_is_rolled_back_as_in_argo_cd(
    hub: Hub, *, prune: bool
) -> None:
    parents = hub.evaluator.children.parents
    for found in (WEB[:2], [changed("web-0"), *WEB[1:3]]):
        await hub.commit(BY_HAND, root=found)
        await parents.sync(ROOT, prune=False)
        await hub.work()
    assert history(hub) == [1, 2]
    assert hub.history.of(ROOT)[0].initiated_by == "sync"
    left = await back(hub, pin=False, prune=prune)
    assert left == ["root", "web-0", "web-1", *([] if prune else ["web-2"])]
    assert namespace(hub, "web-0") == "argocd"
    rows = childviews.rows(hub.state, ROOT, status_of(hub))
    assert [row.name for row in rows if row.sync == "OutOfSync"] == ([] if prune else ["web-2"])


async def test_automated_sync_refuses_it_unless_it_is_pinned(hub: Hub) -> None:
    await hub.commit(PARENT, root=WEB[:1])
    await hub.commit(root=WEB[:2])
    with pytest.raises(BadInput, match="synced automatically"):
        await back(hub, pin=False)
    with pytest.raises(BadInput, match="at deployment 2 already"):
        await back(hub, to=2)
    assert not hub.state.pins


async def test_a_document_that_somebody_else_has_now_stays_with_him(hub: Hub) -> None:
    await hub.commit(PARENT, app("b"), root=WEB[:2], b=WEB[3:4])
    await hub.commit(root=WEB[:1], b=[WEB[1], WEB[3]])
    assert hub.parents("web-1") == ("b",)
    await back(hub)
    assert hub.parents("web-1") == ("b",)
    assert (
        "already belongs to application 'b'"
        in hub.state.desired.children[ROOT.app].refused["web-1"]
    )


async def test_a_document_on_its_way_to_a_parent_that_is_kept_elsewhere_is_not_lost(
    hub: Hub,
) -> None:
    await hub.commit(PARENT, app("b"), root=WEB[:1], b=WEB[3:5])
    await hub.commit(root=WEB[:2])
    await back(hub)
    assert await hub.commit(root=[*WEB[:2], WEB[3]], b=WEB[4:5]) == [
        "b", "root", "web-0", "web-3", "web-4",
    ]  # fmt: skip
    await hub.rollbacks.release(ROOT)
    assert "web-3" in await hub.work()
    assert hub.parents("web-3") == ("root",)


async def test_its_own_objects_go_first(hub: Hub) -> None:
    hub.bound = {"hub"}
    await hub.commit(PARENT, root=[configmap("one"), WEB[0]])
    hub.report("hub/root")
    await hub.work()
    await hub.commit(root=[configmap("two"), *WEB[:2]])
    hub.report("hub/root")
    await hub.work()
    assert history(hub) == [1, 2]
    hub.is_obeyed = False
    operation, chosen = await hub.rollbacks.roll_back(ROOT, Wish(pin=True))
    assert operation is not None
    assert operation.arguments["artifact"] == chosen.digest
    assert await hub.work() == ["root", "web-0", "web-1"]
    hub.is_obeyed = True
    assert await hub.settle() == ["root", "web-0"]
    hub.report("hub/root")
    await hub.work()
    assert history(hub) == [1, 2, 3]


async def test_a_rollback_ends_when_git_says_the_same(hub: Hub) -> None:
    await hub.commit(PARENT, root=WEB[:1])
    await hub.commit(root=WEB[:2])
    await back(hub)
    assert ROOT in hub.state.pins, "its own objects are the same all the time"
    await hub.commit(root=WEB[:1])
    assert not hub.state.pins


async def test_what_is_not_kept_is_not_gone_back_to(hub: Hub) -> None:
    await hub.commit(PARENT, root=WEB[:1])
    await hub.commit(root=WEB[:2])
    bundle = hub.history.of(ROOT)[0].bundle
    assert {bundle} <= hub.history.named()
    await hub.artifacts.delete(Digest(bundle))
    with pytest.raises(NotReady, match="not kept any more"):
        await back(hub)
    assert not hub.state.pins


async def test_a_bundle_that_is_lost_changes_nothing(hub: Hub) -> None:
    await hub.commit(PARENT, root=WEB[:1])
    await hub.commit(root=WEB[:2])
    before = await back(hub)
    assert hub.state.pins[ROOT].bundle in hub.rollbacks.named()
    await hub.artifacts.delete(Digest(hub.state.pins[ROOT].bundle))
    await hub.restart()
    assert hub.apps() == before
    assert "cannot be read" in hub.state.desired.children[ROOT.app].waits_for


async def test_an_entry_that_says_nothing_of_documents_is_refused(hub: Hub) -> None:
    await hub.commit(PARENT, root=WEB[:1])
    await hub.commit(root=WEB[:2])
    (data,) = (await hub.store.load(Kind.HISTORY)).values()
    record = msgspec.json.decode(data)
    for item in record["deployments"]:
        del item["bundle"]
    await hub.store.commit(Put(Kind.HISTORY, str(ROOT), msgspec.json.encode(record)))
    await hub.restart()
    assert [bool(item.bundle) for item in hub.history.of(ROOT)] == [False, True], (
        "what stands is known"
    )
    with pytest.raises(BadInput, match="does not say which documents it brought") as refused:
        await back(hub, to=1)
    assert "revert the change in git" in refused.value.hint


async def test_a_project_that_forbids_them_now_forbids_them_in_a_rollback(hub: Hub) -> None:
    await hub.commit(PARENT, root=WEB[:2])
    await hub.commit(root=WEB[:1])
    strange = app("root", automated=AUTOMATED, project="gone")
    await hub.commit(strange)
    target = hub.state.desired.targets[ROOT]
    assert replace(target).held
    with pytest.raises(BadInput, match="may not be changed"):
        await back(hub)

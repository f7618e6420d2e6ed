"""Letting go of an Application by name: never on an incomplete picture, and never a trace of what was not there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleet.errors import BadInput, NotReady
from fleet.model.application import Application, Destination
from fleet.model.identity import AppName, ClusterName, TargetId
from fleet.model.target import Target
from fleet.testing.store import MemoryStore
from hub.accepted import Accepted, Rows
from hub.dismissal import Dismissal
from hub.peoplehttp import NotFound
from hub.state import Desired, SetStatus, State

WEB = TargetId(ClusterName("east"), AppName("web"))
APPLICATION = Application(
    name=WEB.app,
    namespace="argocd",
    project="default",
    sources=(),
    destination=Destination(name="east"),
    appset="shop",
    document={"metadata": {"name": "web"}},
)


async def made(*, is_read: bool = True, has_target: bool = True) -> tuple[Dismissal, Accepted]:
    accepted, state = Accepted(MemoryStore()), State()
    rows = {"shop": Rows(applications={WEB.app: APPLICATION})}
    assert await accepted.replace(rows, version=0)
    state.replace_desired(
        Desired(
            applications={WEB.app: APPLICATION},
            targets={WEB: Target(id=WEB, application=APPLICATION)} if has_target else {},
            sets={"shop": SetStatus(name="shop", applications=(WEB.app,), kept=(WEB.app,))},
            is_read=is_read,
            evaluated=True,
        )
    )
    return Dismissal(state=state, accepted=accepted, evaluate=lambda: None), accepted


async def test_what_its_set_does_not_make_any_more_is_let_go() -> None:
    dismissal, accepted = await made()
    assert "web is let go" in await dismissal.dismiss("web")
    assert not accepted.get("shop").applications


async def test_nothing_is_let_go_while_it_is_unknown_who_asks_for_it() -> None:
    """What a repository holds that was not read yet is missing from what a set makes: that is no removal."""
    dismissal, accepted = await made(is_read=False)
    with pytest.raises(NotReady, match="web is not deleted"):
        await dismissal.dismiss("web")
    assert accepted.get("shop").applications


async def test_who_asks_twice_leaves_no_trace() -> None:
    dismissal, accepted = await made()
    await dismissal.dismiss("web")
    await accepted.replace({}, version=accepted.version)  # the set is gone with its last row
    assert "web is let go" in await dismissal.dismiss("web")
    assert accepted.names() == frozenset()


async def test_what_is_kept_and_on_no_cluster_is_let_go_by_its_name() -> None:
    """Its cluster left git, or its destination names none: there is no target to name it by."""
    dismissal, accepted = await made(has_target=False)
    assert "web is let go; it is on no cluster that is known" in await dismissal.dismiss("web")
    assert not accepted.get("shop").applications


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("shop", "there is no application 'shop'"),
        ("east~web", "not on cluster 'east': it has no target, name it alone"),
    ],
)
async def test_a_name_that_means_nothing_is_said(name: str, message: str) -> None:
    dismissal, accepted = await made(has_target=False)
    with pytest.raises(NotFound, match=message):
        await dismissal.dismiss(name)
    assert accepted.get("shop").applications


async def test_one_on_another_cluster_is_not_meant() -> None:
    dismissal, _ = await made()
    with pytest.raises(NotFound, match="it is on east"):
        await dismissal.dismiss("west~web")
    assert "web is let go; its objects stay" in await dismissal.dismiss("east~web")


async def test_what_a_set_makes_is_not_let_go_although_it_has_no_target() -> None:
    dismissal, accepted = await made(has_target=False)
    sets = {"shop": SetStatus(name="shop", applications=(WEB.app,))}
    dismissal.state.replace_desired(replace(dismissal.state.desired, sets=sets))
    with pytest.raises(BadInput, match="ApplicationSet shop makes it"):
        await dismissal.dismiss("web")
    assert accepted.get("shop").applications

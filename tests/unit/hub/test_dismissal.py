"""Letting go of an Application by name: never on an incomplete picture, and never a trace of what was not there."""

from __future__ import annotations

import pytest

from fleet.errors import NotReady
from fleet.model.application import Application, Destination
from fleet.model.identity import AppName, ClusterName, TargetId
from fleet.model.target import Target
from fleet.testing.store import MemoryStore
from hub.accepted import Accepted, Rows
from hub.dismissal import Dismissal
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


async def made(*, certain: bool) -> tuple[Dismissal, Accepted]:
    accepted, state = Accepted(MemoryStore()), State()
    rows = {"shop": Rows(applications={WEB.app: APPLICATION})}
    assert await accepted.replace(rows, version=0)
    state.replace_desired(
        Desired(
            targets={WEB: Target(id=WEB, application=APPLICATION)},
            sets={"shop": SetStatus(name="shop", applications=(WEB.app,), kept=(WEB.app,))},
            certain=certain,
            evaluated=True,
        )
    )
    return Dismissal(state=state, accepted=accepted, evaluate=lambda: None), accepted


async def test_what_its_set_does_not_make_any_more_is_let_go() -> None:
    dismissal, accepted = await made(certain=True)
    assert "web is let go" in await dismissal.dismiss(WEB)
    assert not accepted.get("shop").applications


async def test_nothing_is_let_go_while_it_is_unknown_who_asks_for_it() -> None:
    """What a repository holds that was not read yet is missing from what a set makes: that is no removal."""
    dismissal, accepted = await made(certain=False)
    with pytest.raises(NotReady, match="web is not deleted"):
        await dismissal.dismiss(WEB)
    assert accepted.get("shop").applications


async def test_who_asks_twice_leaves_no_trace() -> None:
    dismissal, accepted = await made(certain=True)
    await dismissal.dismiss(WEB)
    await accepted.replace({}, version=accepted.version)  # the set is gone with its last row
    assert "web is let go" in await dismissal.dismiss(WEB)
    assert accepted.names() == frozenset()

"""Rows that a new version of the hub cannot read: they stay, are said, and nothing is removed because of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta

import msgspec
import pytest

from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput, NotReady
from fleet.store.port import Kind, Put
from hub.accepted import FLEET, PARENT
from hub.dismissal import Dismissal
from tests.unit.hub.evaluate_bench import APP, APPS, CLUSTER, CONFIG, SET, Fleet, directories

CREATE_ONLY = SET.replace(
    "goTemplate: true", "goTemplate: true\n  syncPolicy: {applicationsSync: create-only}"
)
LATER = (
    b'{"document": {"kind": "Application", "metadata": {"name": "a01"}, "spec": {"from": "later"}}}'
)
"""A row as no reader of this version takes it."""


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    made = Fleet()
    made.mirrors.commit(CONFIG, {"clusters.yaml": CLUSTER.format("staging"), "set.yaml": SET})
    made.mirrors.commit(APPS, directories(4))
    yield made
    await made.jq.close()


async def spoil(fleet: Fleet, key: str, data: bytes) -> None:
    """Restart with a record in the store that cannot be read."""
    assert key in await stored(fleet)
    await fleet.store.commit(Put(Kind.ROWS, key, data))
    await fleet.restart()


async def stored(fleet: Fleet) -> Mapping[str, bytes]:
    return await fleet.store.load(Kind.ROWS)


def said(fleet: Fleet) -> dict[str, str]:
    """What is said of unread rows, by object."""
    return {
        problem.where.object: problem.message
        for problem in fleet.state.desired.problems
        if problem.reason == "UnreadableRow"
    }


def dismissal(fleet: Fleet) -> Dismissal:
    return Dismissal(state=fleet.state, accepted=fleet.accepted, evaluate=lambda: None)


@pytest.mark.parametrize(
    "data", [LATER, b"no JSON", b"[]", b"{}"], ids=["later", "broken", "list", "empty"]
)
async def test_an_unread_row_of_a_set_that_fails_stays_and_is_said(
    fleet: Fleet, data: bytes
) -> None:
    await fleet.evaluate()
    await spoil(fleet, "apps\na01", data)
    fleet.mirrors.delete_branch(APPS, "main")
    for _ in range(2):
        assert await fleet.evaluate() == ["staging/a00", "staging/a02", "staging/a03"]
        assert "cannot be read" in fleet.state.desired.refused["a01"], "what it has stays"  # type: ignore[index]
        assert not fleet.state.desired.certain, "absence does not count"
        (message,) = said(fleet).values()
        assert "Application 'a01' of ApplicationSet 'apps'" in message
        assert "fleet app delete a01" in message
        assert (await stored(fleet))["apps\na01"] == data
        await fleet.restart()


async def test_a_set_makes_an_unread_row_anew(fleet: Fleet) -> None:
    before = await fleet.evaluate()
    good = (await stored(fleet))["apps\na01"]
    await spoil(fleet, "apps\na01", LATER)
    assert await fleet.evaluate() == before
    assert said(fleet) == {}
    assert fleet.state.desired.certain
    assert (await stored(fleet))["apps\na01"] == good


async def test_a_policy_that_may_not_change_an_application_does_not_replace_an_unread_one(
    fleet: Fleet,
) -> None:
    fleet.mirrors.commit(
        CONFIG, {"set.yaml": CREATE_ONLY, "clusters.yaml": CLUSTER.format("staging")}
    )
    await fleet.evaluate()
    await spoil(fleet, "apps\na01", LATER)
    assert await fleet.evaluate() == ["staging/a00", "staging/a02", "staging/a03"]
    assert list(said(fleet)) == ["Application/a01"]
    assert (await stored(fleet))["apps\na01"] == LATER


@pytest.mark.parametrize("files", [{"set.yaml": SET}, {}], ids=["not made", "set gone"])
async def test_an_unread_row_that_nothing_makes_any_more_stays_until_it_is_let_go(
    fleet: Fleet, files: dict[str, str]
) -> None:
    fleet.mirrors.commit(APPS, directories(2))
    await fleet.evaluate()
    await spoil(fleet, "apps\na01", LATER)
    fleet.mirrors.commit(APPS, directories(1))
    fleet.mirrors.commit(CONFIG, {"clusters.yaml": CLUSTER.format("staging"), **files})
    await fleet.evaluate()
    assert "a01" in fleet.state.desired.refused
    assert "a01 is let go; what its cluster has of it" in await dismissal(fleet).dismiss("a01")
    await fleet.evaluate()
    assert "a01" not in fleet.state.desired.refused
    assert said(fleet) == {}
    assert "apps\na01" not in await stored(fleet)


async def test_an_unread_row_is_not_let_go_while_its_set_may_make_it(fleet: Fleet) -> None:
    await fleet.evaluate()
    await spoil(fleet, "apps\na01", LATER)
    fleet.mirrors.delete_branch(APPS, "main")
    await fleet.evaluate()
    with pytest.raises(NotReady, match="a01 is not deleted"):
        await dismissal(fleet).dismiss("a01")
    with pytest.raises(BadInput, match="ApplicationSet apps makes it"):
        await dismissal(fleet).dismiss("a00")
    assert (await stored(fleet))["apps\na01"] == LATER


async def test_an_unread_row_counts_in_the_budgets(fleet: Fleet) -> None:
    """Without it three of four would be all of three."""
    await fleet.evaluate()
    await spoil(fleet, "apps\na00", LATER)
    fleet.mirrors.commit(APPS, {"README.md": "nothing"})
    assert await fleet.evaluate() == []
    assert fleet.state.holds == {}
    assert "a00" in fleet.state.desired.refused
    (last,) = fleet.accepted.get("apps").sizes[-1:]
    (whole,) = fleet.accepted.get(FLEET).sizes[-1:]
    assert (last.count, whole.count) == (1, 1)


async def test_an_unread_document_of_its_own_stays_too(fleet: Fleet) -> None:
    files = {"clusters.yaml": CLUSTER.format("staging"), "app.yaml": APP.format("web", "staging")}
    fleet.mirrors.commit(CONFIG, files)
    await fleet.evaluate()
    await spoil(fleet, "\nweb", LATER)
    await fleet.evaluate()
    assert said(fleet) == {}, "its document is there"
    await spoil(fleet, "\nweb", LATER)
    del files["app.yaml"]
    fleet.mirrors.commit(CONFIG, files)
    await fleet.evaluate()
    assert "web" in fleet.state.desired.refused
    assert list(said(fleet)) == ["Application/web"]


async def test_a_record_of_sizes_that_is_unread_lets_nothing_go_unasked_for_a_day(
    fleet: Fleet,
) -> None:
    """The drip of the last day is unknown, so the budget is nothing."""
    before = await fleet.evaluate()
    await spoil(fleet, "apps", b'{"sizes": "many"}')
    fleet.mirrors.commit(APPS, directories(3))
    assert await fleet.evaluate() == before
    assert fleet.state.holds["appset/apps"].removed == ("a03",)
    assert "the record of ApplicationSet 'apps'" in said(fleet)["ApplicationSet 'apps'"]
    fleet.mirrors.commit(APPS, directories(4))
    await fleet.evaluate()
    assert said(fleet) == {}, "counted anew"
    fleet.mirrors.commit(APPS, directories(3))
    assert await fleet.evaluate() == before
    await fleet.clock.advance(timedelta(hours=25))
    assert len(await fleet.evaluate()) == 3


async def test_a_child_set_that_is_unread_keeps_its_rows(fleet: Fleet) -> None:
    """Its document is in the record of its parent, which is written again with what is not understood."""
    await fleet.evaluate()
    document: JsonObject = {
        "kind": "ApplicationSet",
        "metadata": {"name": "apps"},
        "spec": {"from": "later"},
    }
    head = msgspec.json.encode({"appsets": [{"document": document}], "projects": [7]})
    await fleet.store.commit(Put(Kind.ROWS, f"{PARENT}root", head))
    fleet.mirrors.commit(CONFIG, {"clusters.yaml": CLUSTER.format("staging")})
    fleet.mirrors.commit(APPS, directories(0))
    for _ in range(2):
        await fleet.restart()
        assert len(await fleet.evaluate()) == 4
        status = fleet.state.desired.sets["apps"]
        assert (status.reason, status.last_good) == ("UnreadableRow", True)
        assert fleet.state.holds == {}
        assert sorted(said(fleet)) == ["AppProject/?", "ApplicationSet/apps"]
        kept = msgspec.json.decode((await stored(fleet))[f"{PARENT}root"])
        assert [row["document"] for row in kept["appsets"]] == [document]
        assert kept["projects"] == [7]


async def test_a_parent_whose_record_is_unread_may_have_brought_any_set(fleet: Fleet) -> None:
    await fleet.evaluate()
    await fleet.store.commit(Put(Kind.ROWS, f"{PARENT}root", b"no JSON"))
    fleet.mirrors.commit(CONFIG, {"clusters.yaml": CLUSTER.format("staging")})
    await fleet.restart()
    assert len(await fleet.evaluate()) == 4
    assert fleet.state.holds == {}
    assert (await stored(fleet))[f"{PARENT}root"] == b"no JSON"


async def test_a_document_that_was_read_by_another_version_is_not_missing(fleet: Fleet) -> None:
    """The version that wrote the state read this very file: what it said is unknown, and so is what it lacks."""
    files = {"clusters.yaml": CLUSTER.format("staging"), "app.yaml": APP.format("web", "staging")}
    fleet.mirrors.commit(CONFIG, files)
    before = await fleet.evaluate()
    later = {**files, "app.yaml": APP.format("web", "staging") + "  from: later\n  project: 7\n"}
    fleet.mirrors.commit(CONFIG, later)
    commit = await fleet.mirrors.resolve(CONFIG, "main")
    tree = await fleet.mirrors.tree(CONFIG, commit)
    good = {entry.path: entry.object for entry in tree.entries}
    key = fleet.worlds.repos[0].key
    saved = msgspec.json.encode({"commit": commit, "files": good})
    await fleet.store.commit(Put(Kind.FLEET_REPOS, key, saved))
    for _ in range(2):
        await fleet.restart()
        assert await fleet.evaluate() == before
        assert not fleet.state.desired.certain
        files = {p.reason: p.where.file for p in fleet.state.desired.problems}
        assert files["UnreadableFile"].endswith("config.git/app.yaml")
        assert files["InvalidSpec"].endswith("config.git/app.yaml")
    del later["app.yaml"]
    fleet.mirrors.commit(CONFIG, later)
    assert await fleet.evaluate() == [], "git says that it is gone"

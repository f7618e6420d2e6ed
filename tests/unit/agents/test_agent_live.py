"""The live table: answers and watch events come in any order, and the newest word counts."""

from __future__ import annotations

import pytest

from agents.live import LiveTable
from fleet.codec.jsontypes import JsonObject
from fleet.kube.port import Resource
from fleet.model.identity import ObjectRef

RESOURCE = Resource(
    group="", version="v1", kind="ConfigMap", plural="configmaps", namespaced=True,
    verbs=frozenset(("get", "list", "watch")),
)  # fmt: skip
REF = ObjectRef("", "ConfigMap", "shop", "settings")


def at(version: int, **metadata: object) -> JsonObject:
    name: JsonObject = {"name": "settings", "namespace": "shop", "resourceVersion": str(version)}
    annotations = {"gitopsfleet.io/tracking-id": "shop:/ConfigMap:shop/settings"}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {**name, "annotations": annotations, **metadata},
    }


@pytest.fixture
def table() -> LiveTable:
    made = LiveTable()
    made.observe(RESOURCE, at(5))
    return made


def test_an_answer_that_is_overtaken_by_the_news_of_the_deletion_brings_nothing_back(
    table: LiveTable,
) -> None:
    """With foreground propagation the answer shows the object as being deleted, and may come after its end."""
    table.remove(REF, 7)
    table.observe(RESOURCE, at(6, deletionTimestamp="2026-01-01T00:00:00Z"))
    assert table.get(REF) is None


def test_the_news_of_a_deletion_may_come_before_the_creation_was_known() -> None:
    table = LiveTable()
    table.remove(REF, 7)
    table.observe(RESOURCE, at(6))
    assert table.get(REF) is None


def test_an_object_that_is_made_again_is_there(table: LiveTable) -> None:
    table.remove(REF, 7)
    table.observe(RESOURCE, at(8))
    assert table.get(REF) is not None


def test_what_lost_our_label_can_still_be_read_as_it_is(table: LiveTable) -> None:
    table.remove(REF, 7)
    table.observe(RESOURCE, at(7))
    assert table.get(REF) is not None


def test_old_news_changes_nothing(table: LiveTable) -> None:
    table.remove(REF, 4)
    assert table.get(REF) is not None


def test_what_changes_nothing_of_interest_wakes_nobody() -> None:
    """The echo of an own write, another manager's labels, a status that means the same."""
    table, told = LiveTable(), list[str]()
    table.listen(told.append)
    table.observe(RESOURCE, at(5))
    assert told == ["shop"]
    table.observe(RESOURCE, at(5))
    table.observe(RESOURCE, at(6, labels={"somebody": "else"}))
    assert told == ["shop"]
    table.observe(RESOURCE, at(7, deletionTimestamp="2026-01-01T00:00:00Z"))
    assert told == ["shop", "shop"]

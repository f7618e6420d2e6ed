"""The graph around one cluster says of its nodes what the graph of the whole fleet says of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from fleet.model.application import Application, Destination
from fleet.model.identity import ClusterName, TargetId
from fleet.model.target import Edge, Reference, ReferenceKind, Target
from fleet.wire import api
from hub import graphviews
from hub.state import Desired, State


def target(text: str, *needs: str) -> Target:
    id_ = TargetId.parse(text)
    application = Application(
        name=id_.app, namespace="argocd", project="default", sources=(), destination=Destination()
    )
    edges = tuple(
        Edge(
            reference=Reference(kind=ReferenceKind.CLUSTER, name=need, text=need),
            targets=(TargetId.parse(need),),
        )
        for need in needs
    )
    return Target(id=id_, application=application, edges=edges)


def row(_id: TargetId) -> api.AppRow:
    return cast("api.AppRow", SimpleNamespace(sync="Synced", health="Healthy"))


@pytest.fixture
def state() -> State:
    targets = (
        target("one/web", "two/db"),
        target("one/own"),
        target("two/db", "three/disk"),
        target("three/disk"),
        target("three/user", "one/own", "three/disk"),
        target("three/far", "three/user"),
        target("four/x", "four/y"),
        target("four/y", "four/x"),
    )
    state = State()
    state.replace_desired(Desired(targets={item.id: item for item in targets}))
    return state


def test_one_cluster_has_what_touches_it(state: State) -> None:
    whole = graphviews.shown(state, None, row)
    found = graphviews.shown(state, ClusterName("one"), row)
    names = [node.target for node in found.nodes]
    assert names == ["one/own", "one/web", "three/user", "two/db"]
    assert set(found.nodes) <= set(whole.nodes)
    assert {(edge.source, edge.target) for edge in found.edges} == {
        ("one/web", "two/db"),
        ("three/user", "one/own"),
    }
    assert {node.target: node.level for node in found.nodes}["one/web"] == 2
    assert found.cycles == ()


def test_a_cycle_is_shown_where_it_touches(state: State) -> None:
    whole = graphviews.shown(state, None, row)
    assert whole.cycles == (("four/x", "four/y"),)
    found = graphviews.shown(state, ClusterName("four"), row)
    assert found.cycles == whole.cycles
    assert [node.level for node in found.nodes] == [None, None]

"""Edges, cycles and levels of the dependency graph."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet import graph
from fleet.argo.references import parse_references
from fleet.model.application import Application, Destination, Source
from fleet.model.identity import AppName, ClusterName, TargetId
from fleet.model.target import Target


def target(text: str, *, appset: str = "", labels: dict[str, str] | None = None) -> Target:
    id_ = TargetId.parse(text)
    application = Application(
        name=id_.app,
        namespace="argocd",
        project="default",
        sources=(Source(repo_url="https://git.example.com/x.git", path="."),),
        destination=Destination(name=id_.cluster),
        appset=appset,
        labels=labels or {},
    )
    return Target(id=id_, application=application)


def resolve(
    targets: list[Target], depends: dict[str, str], appsets: frozenset[str] = frozenset()
) -> dict[str, Target]:
    found = graph.resolve_edges(
        {item.id: item for item in targets},
        {TargetId.parse(name): parse_references(text) for name, text in depends.items()},
        appsets=appsets,
    )
    return {str(id_): item for id_, item in found.items()}


@pytest.mark.parametrize(
    ("reference", "targets", "blocked", "note"),
    [
        pytest.param("b", ["c1/b"], "", "", id="name"),
        pytest.param("ghost", [], "unknown application 'ghost'", "", id="unknown-name"),
        pytest.param("far", [], "write cluster/c2/far", "", id="name-on-another-cluster"),
        pytest.param("ghost?", [], "", "unknown application", id="optional-unknown"),
        pytest.param("cluster/c2/far", ["c2/far"], "", "", id="other-cluster"),
        pytest.param("cluster/c2/b", [], "on cluster c2", "", id="wrong-cluster"),
        pytest.param("set/s", ["c1/s1", "c1/s2"], "", "", id="set"),
        pytest.param("set/elsewhere", [], "", "no targets on this cluster", id="set-elsewhere"),
        pytest.param("set/ghost", [], "unknown ApplicationSet 'ghost'", "", id="unknown-set"),
        pytest.param("label/tier=infra", ["c1/s1"], "", "", id="label"),
        pytest.param("label/tier=none", [], "has label tier=none", "", id="label-without-match"),
        pytest.param("label/tier=none?", [], "", "optional", id="optional-label"),
    ],
)
def test_a_reference_becomes_an_edge(
    reference: str, targets: list[str], blocked: str, note: str
) -> None:
    known = [
        target("c1/a"),
        target("c1/b"),
        target("c2/far"),
        target("c1/s1", appset="s", labels={"tier": "infra"}),
        target("c1/s2", appset="s"),
    ]
    found = resolve(known, {"c1/a": reference}, frozenset(("s", "elsewhere")))
    (edge,) = found["c1/a"].edges
    assert [str(id_) for id_ in edge.targets] == targets
    assert blocked in edge.blocked
    assert bool(edge.blocked) is bool(blocked)
    assert note in edge.note


@pytest.mark.parametrize(
    ("reference", "other"),
    [
        pytest.param(
            "label/tier=infra", target("c1/b", appset="s", labels={"tier": "apps"}), id="label"
        ),
        pytest.param("set/s", target("c1/b", appset="t", labels={"tier": "infra"}), id="set"),
        pytest.param("b", target("c2/b", appset="s"), id="name"),
    ],
)
def test_edges_that_are_kept_follow_what_they_ask_for(reference: str, other: Target) -> None:
    before = target("c1/b", appset="s", labels={"tier": "infra"})
    dependent, kept = target("c1/a"), graph.KeptEdges()
    references = {dependent.id: parse_references(reference)}
    needed = []
    for item in (before, other):
        targets = {dependent.id: dependent, item.id: item}
        found = graph.resolve_edges(targets, references, appsets=frozenset(("s", "t")), kept=kept)
        needed.append([str(id_) for edge in found[dependent.id].edges for id_ in edge.targets])
    assert needed == [["c1/b"], []]


def test_a_cycle_blocks_its_members_only_and_is_named_in_full() -> None:
    found = resolve(
        [target("c1/a"), target("c2/b"), target("c1/c"), target("c1/user"), target("c1/free")],
        {
            "c1/a": "cluster/c2/b",
            "c2/b": "cluster/c1/c",
            "c1/c": "a",
            "c1/user": "a",
            "c1/free": "",
        },
    )
    text = "dependency cycle: c1/a -> c2/b -> c1/c -> c1/a"
    assert [edge.blocked for edge in found["c1/a"].edges] == [text]
    assert [edge.blocked for edge in found["c2/b"].edges] == [text]
    assert [edge.blocked for edge in found["c1/c"].edges] == [text]
    assert [edge.blocked for edge in found["c1/user"].edges] == [""]
    assert found["c1/free"].edges == ()


def test_a_target_that_needs_itself_is_a_cycle() -> None:
    found = resolve([target("c1/a")], {"c1/a": "a"})
    assert found["c1/a"].edges[0].blocked == "dependency cycle: c1/a -> c1/a"


def test_levels_leave_out_cycles_and_their_users() -> None:
    found = resolve(
        [target(f"c1/{name}") for name in "abcdxy"],
        {"c1/b": "a", "c1/c": "a,b", "c1/x": "y", "c1/y": "x", "c1/d": "x"},
    )
    level = {str(id_): depth for id_, depth in graph.levels(found.values()).items()}
    assert level == {"c1/a": 0, "c1/b": 1, "c1/c": 2}


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=16, unique=True))
def test_a_level_is_one_more_than_the_deepest_need(pairs: list[tuple[int, int]]) -> None:
    needs: dict[str, list[str]] = {f"a{user}": [] for user, _ in pairs}
    for user, number in pairs:
        needs[f"a{user}"].append(f"a{number}")
    found = resolve(
        [target(f"c/a{number}") for number in range(8)],
        {f"c/{name}": ",".join(needed) for name, needed in needs.items()},
    )
    level = graph.levels(found.values())
    for item in found.values():
        needed = [other for edge in item.edges for other in edge.targets]
        if item.id in level:
            assert level[item.id] == max((level[other] + 1 for other in needed), default=0)
        else:
            assert not all(other in level for other in needed)


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=24, unique=True))
def test_without_the_blocked_edges_the_graph_has_no_cycle(pairs: list[tuple[int, int]]) -> None:
    names = [TargetId(ClusterName(f"c{n % 2}"), AppName(f"a{n}")) for n in range(8)]
    depends: dict[str, list[str]] = {}
    for user, needed in pairs:
        other = names[needed]
        depends.setdefault(str(names[user]), []).append(f"cluster/{other.cluster}/{other.app}")
    found = resolve(
        [target(str(name)) for name in names],
        {name: ",".join(needed) for name, needed in depends.items()},
    )
    # Kahn's algorithm over the edges that are not blocked must consume every target
    left = {
        name: {str(t) for edge in item.edges if not edge.blocked for t in edge.targets}
        for name, item in found.items()
    }
    while free := [name for name, needed in left.items() if not needed]:
        for name in free:
            del left[name]
        left = {name: needed - set(free) for name, needed in left.items()}
    assert not left

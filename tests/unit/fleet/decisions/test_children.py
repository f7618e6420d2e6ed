"""Which children are in force: ownership, chains and loops, decided over all parents together."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.argo.children import Child, Offer, read_offer, split
from fleet.children import LEVELS, Choice, Fleet, Parent, choose
from fleet.codec.jsontypes import JsonObject
from fleet.model.identity import AppName


def child(key: str, *, version: str = "1", wave: int = 0, error: str = "") -> Child:
    """A child by its key; the version stands for its document."""
    kind, _, name = key.rpartition("/")
    return Child(
        kind=kind or "Application",
        name=name,
        namespace="argocd",
        digest=f"{key}@{version}",
        wave=wave,
        error=error,
    )


def offer(*keys: str | Child) -> Offer:
    found = [child(key) if isinstance(key, str) else key for key in keys]
    return Offer(children={item.key: item for item in found})


def parent(
    name: str, offers: Iterable[str | Child] | None, has: Iterable[str] = (), **more: Any
) -> Parent:
    """A parent that adopts and prunes, unless something else is said."""
    given = {"adopts": True, "prunes": True, **more}
    return Parent(
        name=AppName(name),
        offer=None if offers is None else offer(*offers),
        in_force={key: child(key) for key in has},
        **given,
    )


def decide(*parents: Parent, **fleet: Any) -> dict[str, Choice]:
    return {str(name): choice for name, choice in choose(parents, Fleet(**fleet)).items()}


def in_force(found: Mapping[str, Choice]) -> dict[str, set[str]]:
    return {name: set(choice.in_force) for name, choice in found.items() if choice.in_force}


@pytest.mark.parametrize(
    ("one", "has", "pending", "extra"),
    [
        (parent("p", ["x"]), {"x"}, (), ()),
        (parent("p", ["x"], adopts=False), set(), ("x",), ()),
        (parent("p", ["x"], ["y"]), {"x"}, (), ()),
        (parent("p", ["x"], ["y"], prunes=False), {"x", "y"}, (), ("y",)),
        (parent("p", ["x"], ["y"], waits_for="a dependency"), {"y"}, ("x",), ("y",)),
        (parent("p", None, ["y"]), {"y"}, (), ()),
        (parent("p", [], ["y"]), set(), (), ()),
        (parent("p", [child("x", version="2")], ["x"], adopts=False), {"x"}, ("x",), ()),
        (parent("p", [child("x", error="odd")], ["x"]), {"x"}, (), ()),
        (parent("p", [child("x", error="odd")]), set(), (), ()),
        (parent("p", ["x"], denied={"x": "no"}), set(), (), ()),
        (parent("p", None, ["y"], is_gone=True), set(), (), ()),
        (parent("p", None, ["y"], is_gone=True, leaves_children=True), {"y"}, (), ("y",)),
    ],
    ids=[
        "adopted", "manual", "replaced", "no-prune", "waiting", "unknown-offer", "empty-offer", "changed-manual",
        "unreadable-stays", "unreadable", "denied", "gone", "gone-outlived",
    ],
)  # fmt: skip
def test_one_parent(
    one: Parent, has: set[str], pending: tuple[str, ...], extra: tuple[str, ...]
) -> None:
    choice = decide(one)["p"]
    assert (set(choice.in_force), choice.pending, choice.extra) == (has, pending, extra)


@pytest.mark.parametrize(
    ("parents", "expected"),
    [
        ((parent("a", [], ["x"]), parent("b", ["x"])), {"b": {"x"}}),
        ((parent("b", [], ["x"]), parent("a", ["x"], adopts=False)), {"b": {"x"}}),
        ((parent("b", ["x"], ["x"]), parent("a", ["x"])), {"b": {"x"}}),
        ((parent("b", None, ["x"]), parent("a", ["x"])), {"b": {"x"}}),
        ((parent("a", ["x"], adopts=False), parent("b", ["x"])), {"b": {"x"}}),
        ((parent("a", [child("x", error="odd")]), parent("b", ["x"])), {"b": {"x"}}),
        ((parent("a", None, ["x"], is_gone=True), parent("b", ["x"])), {"b": {"x"}}),
        ((parent("a", [], ["x"], prunes=False), parent("b", ["x"])), {"b": {"x"}}),
    ],
    ids=[
        "moves", "waits-for-the-new-owner", "first-keeps", "unknown-offer-keeps", "who-adopts-comes-first",
        "unreadable-claims-nothing", "from-one-that-is-gone", "moves-without-prune",
    ],
)  # fmt: skip
def test_two_parents(parents: tuple[Parent, ...], expected: dict[str, set[str]]) -> None:
    assert in_force(decide(*parents)) == expected
    assert in_force(decide(*reversed(parents))) == expected


def test_what_somebody_else_has_is_handed_over() -> None:
    choice = decide(parent("p", ["x", "y"], ["x"]), others={"x": "a document", "y": "a set"})["p"]
    assert not choice.in_force
    assert choice.handed_over == {"x"}
    assert set(choice.refused) == {"x", "y"}


def test_what_leaves_goes_only_when_it_was_seen_leaving_before() -> None:
    first = decide(parent("p", [], ["x"]), confirmed=frozenset())["p"]
    assert list(first.in_force) == ["x"]
    assert first.deferred == first.leaving == {"x"}
    assert not decide(parent("p", [], ["x"]), confirmed=first.leaving)["p"].in_force


RATED = frozenset({"Application", "ApplicationSet"})


@pytest.mark.parametrize(
    ("rated", "expected"),
    [
        (frozenset(), {"a", "ApplicationSet/s", "b"}),
        ({"ApplicationSet"}, {"a", "ApplicationSet/s"}),
        (RATED, {"a"}),
    ],
    ids=["nothing", "sets", "sets-and-applications"],
)
def test_waves_wait_for_the_kinds_that_are_rated(rated: set[str], expected: set[str]) -> None:
    waves = [child("a", wave=0), child("ApplicationSet/s", wave=1), child("b", wave=2)]
    assert set(decide(parent("p", waves), rated=rated)["p"].in_force) == expected
    well = decide(parent("p", waves, expected), rated=rated, healthy=expected)["p"]
    assert set(well.in_force) > expected or not rated


def test_waves_wait_for_health_where_it_is_rated() -> None:
    waves = [
        child("a", wave=0),
        child("b", wave=1),
        child("AppProject/c", wave=2),
        child("d", wave=3),
    ]
    found = decide(parent("p", waves), rated=RATED)["p"]
    assert (list(found.in_force), list(found.awaited)) == (["a"], ["a"])
    found = decide(parent("p", waves, ["a"]), rated=RATED, healthy={"a"})["p"]
    assert (sorted(found.in_force), list(found.awaited)) == (["a", "b"], ["b"])
    found = decide(parent("p", waves, ["a", "b"]), rated=RATED, healthy={"a", "b"})["p"]
    assert set(found.in_force) == {"a", "b", "AppProject/c", "d"}
    found = decide(parent("p", waves, ["a", "b", "AppProject/c", "d"]), rated=RATED, healthy={"b"})[
        "p"
    ]
    assert not found.awaited, "nothing waits when nothing is to change"


@pytest.mark.parametrize(
    ("parents", "loops"),
    [
        (
            (parent("a", ["b"], ["b"]), parent("b", ["a", "c"]), parent("o", ["x"])),
            {"a": "loop: a -> b -> a", "b": "loop: a -> b -> a"},
        ),
        (
            (parent("a", ["b"], ["b"]), parent("b", ["c"], ["c"]), parent("c", ["b"], [])),
            {"b": "loop: b -> c -> b", "c": "loop: b -> c -> b"},
        ),
    ],
    ids=["two", "below-the-root"],
)
def test_loops(parents: tuple[Parent, ...], loops: dict[str, str]) -> None:
    found = decide(*parents, others={"a": "a document", "o": "a document"})
    assert {name: choice.loop for name, choice in found.items() if choice.loop} == loops
    for name in loops:
        before = next(set(each.in_force) for each in parents if each.name == name)
        assert set(found[name].in_force) == before, "the last good stays"
    if "o" in found:
        assert set(found["o"].in_force) == {"x"}


def test_the_document_of_a_parent_in_its_own_folder_belongs_to_whoever_else_has_it() -> None:
    written = decide(parent("a", ["a", "x"]), others={"a": "a document of the fleet"})["a"]
    assert (set(written.in_force), written.refused, written.loop) == ({"x"}, {}, "")
    found = decide(parent("root", ["a"], ["a"]), parent("a", ["a", "x"]))
    assert set(found["root"].in_force) == {"a"}
    assert (set(found["a"].in_force), found["a"].chain) == ({"x"}, ("root", "a"))
    assert not found["a"].refused
    left = decide(parent("root", [], ["a"]), parent("a", ["a", "x"], ["x"]))
    assert not left["root"].in_force, "nobody keeps itself"


def test_a_loop_through_a_set() -> None:
    makes = {"s": frozenset((AppName("b"),))}
    found = decide(
        parent("a", ["ApplicationSet/s"], ["ApplicationSet/s"]),
        parent("b", ["a"]),
        others={"a": "a document"},
        makes=makes,
    )
    assert found["b"].loop == "loop: a -> b -> a"
    assert found["b"].chain == ("a", "b")


def test_of_two_sets_that_make_an_application_the_first_counts() -> None:
    names = [AppName(f"m{n}") for n in range(12)]
    first = [parent(f"p{n:02}", [f"ApplicationSet/s{n:02}"]) for n in range(12)]
    again = [parent(f"q{n:02}", [f"ApplicationSet/t{n:02}"]) for n in range(12)]
    made = {f"{kind}{n:02}": frozenset({name}) for n, name in enumerate(names) for kind in "st"}
    found = decide(*again, *first, *(parent(name, ["x" + name]) for name in names), makes=made)
    assert [found[name].chain for name in names] == [(f"p{n:02}", f"m{n}") for n in range(12)]


def test_levels_end() -> None:
    names = [f"l{n}" for n in range(LEVELS + 2)]
    chain = [
        parent(name, [below], [below] if n < LEVELS - 1 else [])
        for n, (name, below) in enumerate(itertools.pairwise(names))
    ]
    found = decide(*chain, others={"l0": "a document"})
    assert set(found[f"l{LEVELS - 1}"].in_force) == {f"l{LEVELS}"}
    assert not found[f"l{LEVELS}"].in_force
    assert "more than 5 levels" in found[f"l{LEVELS}"].refused[f"l{LEVELS + 1}"]


names = st.sampled_from("abcdef")
keys = st.one_of(names, st.sampled_from(("x", "y", "AppProject/x", "ApplicationSet/s")))


@st.composite
def forests(draw: st.DrawFn) -> list[Parent]:
    free = draw(st.permutations(["a", "b", "c", "d", "e", "f", "x", "y", "AppProject/x"]))
    parents = []
    for name in draw(st.lists(names, unique=True)):
        has = [free.pop() for _ in range(draw(st.integers(0, min(2, len(free)))))]
        offers = draw(st.none() | st.lists(keys, unique=True))
        parents.append(
            parent(
                name, offers, [key for key in has if key != name],
                adopts=draw(st.booleans()), prunes=draw(st.booleans()),
                is_gone=draw(st.booleans()), leaves_children=draw(st.booleans()),
                waits_for=draw(st.sampled_from(("", "something"))),
            )
        )  # fmt: skip
    return parents


@given(forests(), st.sets(names), st.booleans())
def test_every_document_has_one_owner_and_vanishes_only_when_it_may(
    parents: list[Parent], documents: set[str], waits: bool
) -> None:
    fleet: dict[str, Any] = {
        "others": dict.fromkeys(documents, "a document"),
        "makes": {"s": frozenset((AppName("f"),))},
        "healthy": frozenset() if waits else None,
    }
    found = decide(*parents, **fleet)
    assert decide(*reversed(parents), **fleet) == found
    owned = [key for choice in found.values() for key in choice.in_force]
    assert len(owned) == len(set(owned))
    assert not documents & set(owned)
    for each in parents:
        choice = found[each.name]
        lost = each.in_force.keys() - choice.in_force.keys() - choice.handed_over
        if each.offer is None and not each.is_gone:
            assert not lost
        if not each.is_gone:
            assert not lost or (each.prunes and not each.waits_for and not choice.loop)
            assert each.adopts or choice.in_force.keys() <= each.in_force.keys()
        else:
            assert not (lost and (each.leaves_children or each.waits_for))
        offered = {
            key
            for p in parents
            if p.offer and not p.is_gone
            for key in p.offer.children.keys() - {p.name}
        }
        assert not lost & offered
        for key in choice.handed_over - documents:
            assert key in owned


@given(forests())
def test_it_settles(parents: list[Parent]) -> None:
    """What is in force, looked at again, stays as it is."""
    for _ in range(4):
        found = decide(*parents, others={"a": "a document"})
        after = [
            Parent(
                name=each.name, offer=each.offer, in_force=found[each.name].in_force,
                adopts=each.adopts, prunes=each.prunes, is_gone=each.is_gone,
                leaves_children=each.leaves_children, waits_for=each.waits_for,
            )
            for each in parents
        ]  # fmt: skip
        if after == parents:
            return
        parents = after
    raise AssertionError("it goes on changing")


# documents


def document(kind: str, name: str, **metadata: Any) -> JsonObject:
    spec: dict[str, JsonObject] = {
        "Application": {
            "project": "default",
            "source": {"repoURL": "https://git.example.com/x.git", "path": "."},
            "destination": {"name": "edge"},
        },
        "AppProject": {"sourceRepos": ["*"]},
    }
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, **metadata},
        "spec": spec.get(kind, {}),
    }


def read(*documents: JsonObject) -> Offer:
    return read_offer(documents, parent="hub/root", namespace="apps", artifact="sha", others=0)


def test_only_documents_of_the_fleet_are_split_off() -> None:
    rollout = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "r"}}
    mine, secret = document("Application", "web"), {"apiVersion": "v1", "kind": "Secret"}
    assert split([rollout, mine, secret]) == ([mine], [rollout, secret])


def test_a_document_without_a_namespace_lives_where_its_parent_goes() -> None:
    found = read(document("Application", "a"), document("AppProject", "p", namespace="argocd"))
    assert {key: item.namespace for key, item in found.children.items()} == {
        "a": "apps",
        "AppProject/p": "argocd",
    }


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"apiVersion": "argoproj.io/v1beta1"}, "argoproj.io/v1beta1 is not known here"),
        ({"metadata": {"generateName": "a-"}}, "needs a name"),
        ({"spec": {}}, "spec.destination"),
        (
            {"metadata": {"name": "a", "annotations": {"argocd.argoproj.io/hook": "PreSync"}}},
            "a child cannot be a hook",
        ),
        (
            {"metadata": {"name": "a", "annotations": {"argocd.argoproj.io/sync-wave": "first"}}},
            "not a whole number",
        ),
    ],
    ids=["version", "no-name", "shape", "hook", "wave"],
)
def test_what_cannot_be_used_says_so(changed: JsonObject, text: str) -> None:
    found = read({**document("Application", "a"), **changed})
    (only,) = found.children.values()
    assert only.item is None
    assert text in only.error
    assert any(problem.fatal for problem in found.problems)


def test_annotations_decide_about_waves_and_staying() -> None:
    notes = {
        "argocd.argoproj.io/sync-wave": "-3",
        "argocd.argoproj.io/sync-options": "Prune=false, Delete=false",
    }
    (only,) = read(document("Application", "a", annotations=notes)).children.values()
    assert (only.wave, only.is_pruned, only.is_deleted) == (-3, False, False)
    skipped = document("Application", "b", annotations={"argocd.argoproj.io/hook": "Skip"})
    assert not read(skipped).children


def test_equal_manifests_make_equal_offers() -> None:
    found = read(document("Application", "a"), document("Application", "b"))
    assert found == read(document("Application", "a"), document("Application", "b"))
    assert found.digest != read(document("Application", "a")).digest


def test_one_name_in_two_namespaces_is_told() -> None:
    found = read(document("Application", "a"), document("Application", "a", namespace="other"))
    assert found.children["a"].namespace == "apps"
    assert "there twice" in found.problems[0].message

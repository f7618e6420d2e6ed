"""Targets, edges and placement that are remembered from one evaluation to the next are those made from nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fleet import graph
from fleet.model.application import DEPENDS_ON, Application, Destination, Source
from fleet.model.cluster import Cluster
from fleet.model.identity import AppName, ClusterName
from fleet.model.project import DEFAULT_PROJECT, AppProject, DestinationRule
from fleet.model.world import World
from fleet.targets import KeptTargets, Targets, resolve_targets
from hub.placement import Placement

CLUSTERS = ("c1", "c2")
REFERENCES = (
    "", "set/s", "label/tier=infra", "a", "b,c", "set/s", "set/t", "label/tier=infra", "label/tier=none?", "cluster/c2/a",
    "cluster/c1/b", "ghost?", "set/", "c,label/tier=infra",
)  # fmt: skip


def application(
    name: str, cluster: str, appset: str, tier: str, depends: str, version: int
) -> Application:
    return Application(
        name=AppName(name),
        namespace="argocd",
        project="team" if version % 2 else "default",
        sources=(Source(repo_url="https://git.example.com/x.git", path=str(version)),),
        destination=Destination(name=cluster),
        appset=appset,
        labels={"tier": tier, "version": str(version)},
        annotations={DEPENDS_ON: depends},
    )


applications = st.builds(
    application,
    st.sampled_from("abcd"),
    st.sampled_from(("c1", "c1", "c1", "c2", "gone")),
    st.sampled_from(("", "s", "t")),
    st.sampled_from(("infra", "apps")),
    st.sampled_from(REFERENCES),
    st.integers(0, 3),
)
names = st.sampled_from("abcd")
changes_of_one = st.one_of(
    st.tuples(st.just("touch"), names),
    st.tuples(st.just("tier"), names),
    st.tuples(st.just("depend"), st.tuples(names, st.sampled_from(REFERENCES))),
    st.tuples(st.just("adopt"), st.tuples(names, st.sampled_from(("s", "t")))),
)
edits = st.one_of(
    st.tuples(st.just("put"), applications),
    st.tuples(st.just("drop"), st.sampled_from("abcd")),
    changes_of_one,
    changes_of_one,
    st.tuples(st.just("appsets"), st.frozensets(st.sampled_from(("s", "t", "u")))),
    st.tuples(st.just("projects"), st.sampled_from(("c1", "*"))),
    st.tuples(st.just("clusters"), st.integers(0, 2)),
    st.tuples(st.just("nothing"), st.none()),
)


def world(clusters: int = 2, allowed: str = "*") -> World:
    team = AppProject(
        name="team",
        source_repos=("*",),
        destinations=(DestinationRule(name=allowed, namespace="*", server="*"),),
    )
    return World(
        clusters=tuple(
            Cluster(name=ClusterName(name), server=f"https://{name}.example.com")
            for name in CLUSTERS[:clusters]
        ),
        projects={"default": DEFAULT_PROJECT, "team": team},
        implicit_in_cluster=False,
    )


@dataclass
class Fleet:
    """What an evaluation starts from."""

    applications: dict[AppName, Application] = field(default_factory=dict)
    appsets: frozenset[str] = frozenset(("s", "t"))
    world: World = field(default_factory=world)

    def edit(self, what: str, argument: object) -> None:
        match what, argument:
            case "put", Application() as item:
                self.applications = {**self.applications, item.name: item}
            case "drop", str() as name:
                self.applications = {k: v for k, v in self.applications.items() if k != name}
            case "touch", str() as name:
                source = Source(repo_url="https://git.example.com/x.git", path="touched")
                self._change(name, sources=(source,))
            case "tier", str() as name:
                self._change(name, labels={"tier": "infra", "version": "9"})
            case "depend", (str() as name, str() as text):
                self._change(name, annotations={DEPENDS_ON: text})
            case "adopt", (str() as name, str() as appset):
                self._change(name, appset=appset)
            case "appsets", frozenset() as names:
                self.appsets = names
            case "projects", str() as allowed:
                self.world = world(len(self.world.clusters), allowed)
            case "clusters", int() as count:
                self.world = world(count)

    def _change(self, name: str, **fields: Any) -> None:
        old = self.applications.get(AppName(name))
        if old is not None:
            self.applications = {**self.applications, old.name: replace(old, **fields)}


@settings(max_examples=150)
@given(st.lists(applications, min_size=3, max_size=8), st.lists(edits, max_size=12))
def test_what_is_remembered_is_what_is_made_from_nothing(
    items: list[Application], changes: list[tuple[str, object]]
) -> None:
    fleet = Fleet({item.name: item for item in items})
    targets, edges, placement = KeptTargets(), graph.KeptEdges(), Placement()
    for change in [("nothing", None), *changes]:
        fleet.edit(*change)
        found = resolve_targets(fleet.applications, fleet.world, targets)
        resolved = graph.resolve_edges(
            found.targets, found.references, appsets=fleet.appsets, kept=edges
        )
        placement = placement.followed_by(resolved)

        anew = resolve_targets(fleet.applications, fleet.world)
        resolved_anew = graph.resolve_edges(anew.targets, anew.references, appsets=fleet.appsets)
        assert found == anew
        assert list(found.targets) == list(anew.targets), "in the same order"
        assert resolved == resolved_anew
        assert list(resolved) == list(resolved_anew)
        assert placement == Placement().followed_by(resolved_anew)


@given(st.lists(applications, min_size=1, max_size=8))
def test_what_did_not_change_is_the_same_object(items: list[Application]) -> None:
    fleet = {item.name: item for item in items}
    targets, edges = KeptTargets(), graph.KeptEdges()

    def evaluated() -> tuple[Targets, object]:
        found = resolve_targets(dict(fleet), world(), targets)
        return found, graph.resolve_edges(
            found.targets, found.references, appsets=frozenset("st"), kept=edges
        )

    first, second = evaluated(), evaluated()
    assert second[0] is first[0]
    assert second[1] is first[1]

"""The gate of same-cluster dependencies, and removal in the other direction."""

import pytest

from fleet.model.assignment import DependsOn, Held, Hold, ProjectRules, Section
from fleet.model.report import Health, Ready, Sync, TargetStatus
from fleet.sync.gate import dependents, removal_waits_for, satisfied
from fleet.sync.inventory import Inventory

D = "sha256:new"


def section(name: str = "db", artifact: str = D, **fields: object) -> Section:
    return Section(target=name, project=ProjectRules(name="p"), artifact=artifact, **fields)  # type: ignore[arg-type]


def status(
    assigned: str = D,
    applied: str = D,
    sync: Sync = Sync.SYNCED,
    health: Health = Health.HEALTHY,
    ready: Ready | None = None,
) -> TargetStatus:
    return TargetStatus(
        target="db",
        assigned=assigned,
        applied=applied,
        sync=sync,
        health=health,
        ready=ready or Ready(ready=False),
    )


@pytest.mark.parametrize(
    ("dependency", "found", "missing"),
    [
        (section(), status(), ""),
        (section(), None, "db has not reported on its assigned version yet"),
        (
            section(),
            status(assigned="sha256:old", applied="sha256:old"),
            "has not reported on its assigned version",
        ),
        (section(), status(applied="sha256:old"), "db is Synced"),
        (section(), status(sync=Sync.OUT_OF_SYNC), "db is OutOfSync"),
        (section(), status(health=Health.PROGRESSING), "db is Progressing"),
        (section(), status(health=Health.SUSPENDED), "db is Suspended"),
        (None, status(), "db is not in this cluster's assignment"),
        (section(artifact=""), status(assigned="", applied=""), "db has nothing to apply yet"),
        (section(ready_when="x"), status(), "db is not ready: its ready-when is false"),
        (
            section(ready_when="x"),
            status(ready=Ready(ready=False, message="2 of 3")),
            "db is not ready: 2 of 3",
        ),
        (section(ready_when="x"), status(health=Health.DEGRADED, ready=Ready(ready=True)), ""),
        (
            section(ready_when="x"),
            status(assigned="sha256:old", ready=Ready(ready=True)),
            "has not reported on its assigned version",
        ),
        (
            section(held=Held(reason=Hold.DEPENDENCY, message="waits for eu/x")),
            status(),
            "db is held: waits for eu/x",
        ),
        (section(held=Held(reason=Hold.RENDER, message="broken")), status(), ""),
    ],
)
def test_what_satisfies_an_edge(
    dependency: Section | None, found: TargetStatus | None, missing: str
) -> None:
    edge = DependsOn(reference="db", targets=("db",))
    sections = {"db": dependency} if dependency else {}
    done, waiting = satisfied([edge], {"db": found} if found else {}, sections)
    assert done is not bool(missing)
    assert len(waiting) == bool(missing)
    if missing:
        assert waiting[0].startswith("db: ")
        assert missing in waiting[0]


def test_all_targets_of_all_edges_count() -> None:
    edges = [
        DependsOn(reference="set/x", targets=("db", "cache", "queue")),
        DependsOn(reference="nobody", blocked="no application is named nobody"),
        DependsOn(reference="set/empty", note="has no targets here"),
        DependsOn(reference="maybe?"),
    ]
    sections = {name: section(name) for name in ("db", "cache", "queue")}
    found = {"db": status(), "cache": status(health=Health.DEGRADED)}
    assert satisfied(edges, found, sections) == (
        False,
        (
            "set/x: cache is Degraded; queue has not reported on its assigned version yet",
            "nobody: no application is named nobody",
        ),
    )
    assert satisfied(edges[2:], {}, {}) == (True, ())
    assert satisfied([], {}, {}) == (True, ())


def test_dependents_are_found_by_their_edges() -> None:
    sections = {
        "web": section("web", depends_on=(DependsOn(reference="db", targets=("db",)),)),
        "api": section("api", depends_on=(DependsOn(reference="set/x", targets=("cache", "db")),)),
        "db": section(),
    }
    assert dependents("db", sections) == ("api", "web")
    assert dependents("web", sections) == ()


def leaving(**edges: tuple[str, ...]) -> dict[str, Inventory]:
    return {name: Inventory(target=name, cluster_uid="u", edges=to) for name, to in edges.items()}


def test_dependents_are_removed_first() -> None:
    going = leaving(web=("api",), api=("db",), db=())
    assert removal_waits_for("db", going) == ("api",)
    assert removal_waits_for("web", going) == ()
    del going["api"]
    assert removal_waits_for("db", going) == ()


def test_a_circle_does_not_wait_for_itself() -> None:
    going = leaving(a=("b",), b=("a",), outside=("a",), own=("own",))
    assert removal_waits_for("a", going) == ("outside",)
    assert removal_waits_for("own", going) == ()
    del going["outside"]
    assert removal_waits_for("a", going) == ()
    assert removal_waits_for("b", going) == ()

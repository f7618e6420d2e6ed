"""Who may move, as the hub decides it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fleet import moves
from fleet.model.application import Application, Destination, Source
from fleet.model.assignment import Held, Hold
from fleet.model.identity import TargetId
from fleet.model.report import Health, Ready, Sync, TargetStatus
from fleet.model.target import Edge, Reference, ReferenceKind, Target
from fleet.moves import Candidate, Facts, Gate

APP = TargetId.parse("c1/app")
DB = TargetId.parse("c2/db")


def target(*edges: Edge, held: str = "") -> Target:
    application = Application(
        name=APP.app,
        namespace="argocd",
        project="default",
        sources=(Source(repo_url="https://git.example.com/x.git"),),
        destination=Destination(name="c1"),
    )
    return Target(id=APP, application=application, edges=edges, held=held)


def edge(*targets: TargetId, blocked: str = "") -> Edge:
    reference = Reference(kind=ReferenceKind.CLUSTER, name="db", text="cluster/c2/db")
    return Edge(reference=reference, targets=targets, blocked=blocked)


def status(**changes: Any) -> TargetStatus:
    values: dict[str, Any] = {
        "target": "db",
        "sync": Sync.SYNCED,
        "health": Health.HEALTHY,
        "assigned": "d1",
        "applied": "d1",
        "ready": Ready(ready=True),
    }
    return TargetStatus(**{**values, **changes})


FACTS = Facts(
    candidates={APP: Candidate(digest="new")},
    assigned={DB: "d1"},
    pending=frozenset(),
    statuses={DB: status()},
)


def test_without_edges_the_newest_digest_is_assigned() -> None:
    assert moves.decide(target(), FACTS) == moves.Decision(digest="new")


@pytest.mark.parametrize(
    ("facts", "lack"),
    [
        pytest.param(FACTS, "", id="ready"),
        pytest.param(replace(FACTS, assigned={}), "nothing assigned", id="nothing-assigned"),
        pytest.param(replace(FACTS, statuses={}), "not been reported", id="not-reported"),
        pytest.param(
            replace(FACTS, assigned={DB: "d2"}), "not taken up", id="report-is-about-an-older-one"
        ),
        pytest.param(replace(FACTS, pending=frozenset((DB,))), "itself waits", id="waits-itself"),
        pytest.param(
            replace(
                FACTS,
                statuses={DB: status(health=Health.PROGRESSING, ready=Ready(ready=False))},
            ),
            "Synced and Progressing",
            id="progressing",
        ),
        pytest.param(
            replace(FACTS, statuses={DB: status(ready=Ready(ready=False, message="no leader"))}),
            "no leader",
            id="not-ready-by-its-own-words",
        ),
    ],
)
def test_a_change_waits_for_a_dependency_on_another_cluster(facts: Facts, lack: str) -> None:
    decision = moves.decide(target(edge(DB)), facts)
    if not lack:
        assert decision == moves.Decision(digest="new")
        return
    assert decision.digest == ""
    assert decision.held is not None
    assert decision.held.reason is Hold.DEPENDENCY
    assert lack in decision.waiting_for[0]


def test_what_is_assigned_already_never_waits() -> None:
    facts = replace(FACTS, assigned={APP: "new"}, statuses={})
    assert moves.decide(target(edge(DB)), facts) == moves.Decision(digest="new")


def test_same_cluster_edges_are_the_agents() -> None:
    other = TargetId.parse("c1/other")
    assert moves.decide(target(edge(other)), FACTS).digest == "new"


@pytest.mark.parametrize(
    ("subject", "candidate", "over_budget", "reason"),
    [
        pytest.param(
            target(held="hooks"), Candidate(digest="new"), "", Hold.UNSUPPORTED, id="held"
        ),
        pytest.param(target(), Candidate(error="boom"), "", Hold.RENDER, id="render-failed"),
        pytest.param(target(), Candidate(digest="new"), "too much", Hold.BUDGET, id="budget"),
        pytest.param(
            target(edge(blocked="cycle")), Candidate(digest="new"), "", Hold.BLOCKED, id="blocked"
        ),
    ],
)
def test_what_may_not_move_stays_at_its_digest(
    subject: Target, candidate: Candidate, over_budget: str, reason: Hold
) -> None:
    facts = replace(FACTS, candidates={APP: candidate}, assigned={APP: "old", DB: "d1"})
    decision = moves.decide(subject, facts, over_budget=over_budget)
    assert decision.digest == "old"
    assert decision.held is not None
    assert decision.held.reason is reason


def test_a_dependency_leaves_after_its_dependents_on_other_clusters() -> None:
    user = TargetId.parse("c1/user")
    local = TargetId.parse("c2/local")
    nothing: frozenset[TargetId] = frozenset()
    assert not moves.may_leave(DB, [user], nothing, nothing)
    assert moves.may_leave(DB, [user], frozenset((user,)), nothing)
    assert moves.may_leave(DB, [user], nothing, frozenset((user,)))
    assert moves.may_leave(DB, [local], nothing, nothing)


@pytest.mark.parametrize(
    ("gate", "decision"),
    [
        pytest.param(
            Gate(message="step 2"),
            moves.Decision(digest="old", held=Held(reason=Hold.ROLLOUT, message="step 2")),
            id="not its turn",
        ),
        pytest.param(
            Gate(message="step 2", let_go="other"),
            moves.Decision(digest="old", held=Held(reason=Hold.ROLLOUT, message="step 2")),
            id="let go to an artifact that is not the newest any more",
        ),
        pytest.param(
            Gate(message="", let_go="new", automated=True),
            moves.Decision(digest="new", automated=True),
            id="let go, and applied unasked",
        ),
        pytest.param(
            Gate(message="it failed", returned="older"),
            moves.Decision(
                digest="older",
                held=Held(reason=Hold.ROLLOUT, message="it failed"),
                ungated=True,
                automated=True,
            ),
            id="brought back: nothing gates that",
        ),
    ],
)
def test_a_rollout_gates_a_change(gate: Gate, decision: moves.Decision) -> None:
    facts = replace(FACTS, assigned={APP: "old"})
    assert moves.decide(target(), facts, gate=gate) == decision


def test_a_rollout_brings_nothing_back_that_may_not_be_there_as_it_is_written() -> None:
    facts = replace(FACTS, assigned={APP: "old"})
    gate = Gate(message="it failed", returned="older")
    assert moves.decide(target(held="project shop does not permit it"), facts, gate=gate) == (
        moves.Decision(
            digest="old",
            held=Held(reason=Hold.UNSUPPORTED, message="project shop does not permit it"),
        )
    )


def test_a_rollout_holds_nothing_that_does_not_change() -> None:
    facts = replace(FACTS, assigned={APP: "new"})
    assert moves.decide(target(), facts, gate=Gate(message="step 2")) == moves.Decision(
        digest="new"
    )


def test_a_dependency_on_any_cluster_is_an_obstacle() -> None:
    local = TargetId.parse("c1/cache")
    subject = target(edge(DB), edge(local))
    assert moves.lacking(subject, FACTS) == {local: "c1/cache has nothing assigned yet"}
    assert moves.obstacle(subject, FACTS) == "c1/cache has nothing assigned yet"
    assert moves.obstacle(target(edge(DB)), FACTS) == ""
    assert moves.obstacle(target(), FACTS, over_budget="too much") == "too much"

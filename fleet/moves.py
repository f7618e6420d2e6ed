"""Who may move: the digest that each target of a cluster is assigned, and what holds it back.

The hub decides the edges that cross clusters, the agent those inside one. An edge gates only a change of the
dependent's digest (the first one included), never healing, pruning or a return to what it has; a dependency
that turns bad later reverts nothing. A target that may not move stays at its previous digest with the reason.

Pure: facts in, decisions out; `hub.dispatch` fetches the facts and carries the decisions out.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace

from fleet.model.assignment import Held, Hold
from fleet.model.identity import TargetId
from fleet.model.report import TargetStatus
from fleet.model.target import Edge, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What rendering gave for a target: a digest with its objects counted by kind, or why there is none."""

    digest: str = ""
    kinds: Mapping[str, int] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The digest a target is assigned ("" = nothing yet) and why it is not the newest, if so."""

    digest: str
    held: Held | None = None
    waiting_for: tuple[str, ...] = ()
    ungated: bool = False
    """A return to what was there before: no dependency on the cluster holds it back either."""
    automated: bool = False
    """A rollout lets it go: it is applied although its policy leaves that to people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What the rollout of its ApplicationSet says about a target; one that says nothing holds it where it is."""

    message: str
    """Why it may have no other artifact than these."""
    let_go: str = ""
    """The new artifact that it may have."""
    returned: str = ""
    """The earlier one that it was brought back to."""
    kinds: Mapping[str, int] = field(default_factory=dict)
    """Objects by kind of that one."""
    automated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What `decide` may look at, over the whole fleet."""

    candidates: Mapping[TargetId, Candidate]
    assigned: Mapping[TargetId, str]
    """Digest of each target in the assignments as they stand."""
    pending: Container[TargetId]
    """Targets that a dependency holds back at the hub: whatever needs them waits too."""
    statuses: Mapping[TargetId, TargetStatus]


def decide(
    target: Target, facts: Facts, *, over_budget: str = "", gate: Gate | None = None
) -> Decision:
    """Decide one target; ``over_budget`` says what its new artifact would remove too much of, if it does.

    ``gate`` speaks for the rollout of a target whose ApplicationSet has one. What may not be on its cluster as it is
    written does not move at all, not to an earlier artifact either.
    """
    if gate is None:
        return _decided(target, facts, over_budget)
    if gate.returned and not target.held:
        held = Held(reason=Hold.ROLLOUT, message=gate.message)
        return Decision(digest=gate.returned, held=held, ungated=True, automated=True)
    decision = _decided(target, facts, over_budget)
    if decision.digest not in (gate.let_go, facts.assigned.get(target.id, "")):
        decision = Decision(
            digest=facts.assigned.get(target.id, ""),
            held=Held(reason=Hold.ROLLOUT, message=gate.message),
        )
    return replace(decision, automated=gate.automated)


def obstacle(target: Target, facts: Facts, *, over_budget: str = "") -> str:
    """Say why a target could not have its new artifact now, were it let go; empty when it could."""
    decision = _decided(target, facts, over_budget)
    if decision.held is not None:
        return decision.held.message
    return "; ".join(lacking(target, facts).values())


def lacking(target: Target, facts: Facts) -> dict[TargetId, str]:
    """Return the dependencies that are not satisfied, on any cluster, each with what it lacks."""
    needed = {id_ for edge in target.edges for id_ in edge.targets}
    lacks = {id_: unsatisfied(id_, facts) for id_ in sorted(needed)}
    return {id_: lack for id_, lack in lacks.items() if lack}


def _decided(target: Target, facts: Facts, over_budget: str) -> Decision:
    current = facts.assigned.get(target.id, "")
    candidate = facts.candidates.get(target.id)
    if target.held:
        return Decision(digest=current, held=Held(reason=Hold.UNSUPPORTED, message=target.held))
    if candidate is None:
        return Decision(digest=current, held=_held(Hold.RENDER, "not rendered yet", unless=current))
    if candidate.error:
        return Decision(digest=current, held=Held(reason=Hold.RENDER, message=candidate.error))
    if candidate.digest == current:
        return Decision(digest=current)
    if over_budget:
        return Decision(digest=current, held=Held(reason=Hold.BUDGET, message=over_budget))
    blocked = [edge.blocked for edge in target.edges if edge.blocked]
    if blocked:
        return Decision(
            digest=current,
            held=Held(reason=Hold.BLOCKED, message=blocked[0]),
            waiting_for=tuple(blocked),
        )
    waiting = waiting_for(target, facts)
    if waiting:
        message = "; ".join(waiting)
        return Decision(
            digest=current, held=Held(reason=Hold.DEPENDENCY, message=message), waiting_for=waiting
        )
    return Decision(digest=candidate.digest)


def pinned(digest: str, message: str) -> Decision:
    """Keep a target at the artifact that a person brought it back to; nothing gates that."""
    return Decision(digest=digest, held=Held(reason=Hold.PINNED, message=message), ungated=True)


def waiting_for(target: Target, facts: Facts) -> tuple[str, ...]:
    """Name the cross-cluster dependencies that are not satisfied, each with what is missing."""
    missing = []
    for edge in target.edges:
        for dependency in edge.targets:
            if dependency.cluster != target.id.cluster:
                lack = unsatisfied(dependency, facts)
                if lack:
                    missing.append(f"{edge.reference.text}: {lack}")
    return tuple(missing)


def unsatisfied(dependency: TargetId, facts: Facts) -> str:
    """Say what a dependency lacks; empty when it is Synced and Healthy (or ready) at its assigned digest."""
    assigned = facts.assigned.get(dependency, "")
    if dependency in facts.pending:
        return f"{dependency} itself waits for a dependency"
    if not assigned:
        return f"{dependency} has nothing assigned yet"
    status = facts.statuses.get(dependency)
    if status is None:
        return f"{dependency} has not been reported yet"
    if status.assigned != assigned:
        return f"{dependency} has not taken up its new revision"
    if status.ready.ready:
        return ""
    return f"{dependency} is {status.ready.message or describe(status)}"


def describe(status: TargetStatus) -> str:
    """Two words for people: sync and health."""
    return f"{status.sync} and {status.health}"


def may_leave(
    leaving: TargetId,
    users: Iterable[TargetId],
    gone: frozenset[TargetId],
    staying: frozenset[TargetId],
) -> bool:
    """Whether a target that left may be dropped now: every leaving dependent on another cluster is gone.

    A dependent that stays does not hold it: its edge is blocked by then, and says so.
    """
    return all(user.cluster == leaving.cluster or user in gone or user in staying for user in users)


def local_edges(target: Target) -> tuple[Edge, ...]:
    """Edges for the agent: those with targets on the same cluster, and those that are blocked."""
    return tuple(
        edge
        for edge in target.edges
        if edge.blocked
        or any(id_.cluster == target.id.cluster for id_ in edge.targets)
        or edge.note
    )


def _held(reason: Hold, message: str, *, unless: str) -> Held | None:
    return None if unless else Held(reason=reason, message=message)

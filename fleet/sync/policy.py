"""Policy: what may be done to a target now. Argo CD's sync policy, exactly (design decision 2).

| automated | selfHeal | prune | operation    | new digest | drift  | deletes what left |
|-----------|----------|-------|--------------|------------|--------|-------------------|
| no        | any      | any   | none         | shown      | shown  | shown             |
| yes       | no       | no    | none         | applied    | shown  | shown             |
| yes       | yes      | no    | none         | applied    | healed | shown             |
| yes       | any      | yes   | none         | applied    | as above | pruned          |
| any       | any      | any   | sync         | applied    | healed | as if none        |
| any       | any      | any   | sync --prune | applied    | healed | pruned            |

A detached cluster is frozen: what is there is healed if the policy heals, nothing new, nothing deleted.
"""

from __future__ import annotations

from dataclasses import dataclass

from fleet.model.assignment import Operation, Section


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """What the planner may plan."""

    apply_new: bool
    """Bring objects to a digest that was not applied completely yet."""
    heal: bool
    """Bring back what differs although its digest was applied."""
    prune: bool
    """Delete what left a complete newer artifact."""
    allow_empty: bool
    """Also when nothing at all would stay."""


NOTHING = Permission(apply_new=False, heal=False, prune=False, allow_empty=False)


def permission(
    section: Section, operation: Operation | None = None, *, detached: bool = False
) -> Permission:
    """Decide from the target's policy and the operation that is asked for, if any."""
    sync = operation is not None and operation.kind == "sync"
    asked_to_prune = sync and operation is not None and operation.arguments.get("prune") is True
    if detached:
        heal = section.automated and section.self_heal
        return Permission(apply_new=False, heal=heal, prune=False, allow_empty=False)
    return Permission(
        apply_new=section.automated or sync,
        heal=(section.automated and section.self_heal) or sync,
        prune=(section.automated and section.prune) or asked_to_prune,
        allow_empty=section.allow_empty or asked_to_prune,
    )

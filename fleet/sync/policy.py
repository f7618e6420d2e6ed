"""Policy: what may be done to a target now. Argo CD's sync policy, exactly (design decision 2).

| automated | selfHeal | prune | operation    | new digest | drift  | deletes what left |
|-----------|----------|-------|--------------|------------|--------|-------------------|
| no        | any      | any   | none         | shown      | shown  | shown             |
| yes       | no       | no    | none         | applied    | shown  | shown             |
| yes       | yes      | no    | none         | applied    | healed | shown             |
| yes       | any      | yes   | none         | applied    | as above | pruned          |
| any       | any      | any   | sync         | applied    | healed | as if none        |
| any       | any      | any   | sync --prune | applied    | healed | pruned            |

A detached cluster is frozen: what is there is healed if the policy heals, nothing new, nothing deleted. While a sync
window blocks (`fleet.sync.windows`) nothing is written at all. A partial sync gives its permission to the objects
that it names; the others have what they had without it.
"""

from __future__ import annotations

from dataclasses import dataclass

from fleet.model.assignment import Operation, Section
from fleet.model.identity import ObjectRef
from fleet.sync.request import SyncRequest, request_of


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
    request: SyncRequest | None = None
    """A partial sync: all this is about the objects that it covers."""
    otherwise: Permission | None = None
    """What may be done to the others then."""

    def of(self, ref: ObjectRef) -> Permission:
        """What may be done to one object."""
        if self.request is None or self.request.covers(ref):
            return self
        return self.otherwise or NOTHING


NOTHING = Permission(apply_new=False, heal=False, prune=False, allow_empty=False)


def permission(
    section: Section, operation: Operation | None = None, *, detached: bool = False
) -> Permission:
    """Decide from the target's policy and the operation that is asked for, if any; raises BadInput for its arguments."""
    if detached:
        heal = section.automated and section.self_heal
        return Permission(apply_new=False, heal=heal, prune=False, allow_empty=False)
    usual = Permission(
        apply_new=section.automated,
        heal=section.automated and section.self_heal,
        prune=section.automated and section.prune,
        allow_empty=section.allow_empty,
    )
    if operation is None or operation.kind != "sync":
        return usual
    request = request_of(operation)
    return Permission(
        apply_new=True,
        heal=True,
        prune=usual.prune or request.prune,
        allow_empty=usual.allow_empty or request.prune,
        request=request if request.is_partial else None,
        otherwise=usual if request.is_partial else None,
    )

"""How the Applications of a removed set go with ``deletionOrder: Reverse``: one at a time, the last step first."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fleet.model.identity import TargetId
from fleet.model.rollout import Member


def may_go(
    members: Mapping[TargetId, Member], is_present: Callable[[TargetId], bool]
) -> frozenset[TargetId]:
    """Return the one target whose turn it is; nothing when all are gone."""
    order = sorted(members, key=lambda id_: (-members[id_].step, id_))
    first = next((id_ for id_ in order if is_present(id_)), None)
    return frozenset() if first is None else frozenset((first,))

"""Claims: what left somewhere waits while an Application that may bring it does not render, or until somebody says yes.

`fleet.claims` says who may bring what. Each such Application is a hold of its own (``removals/CLUSTER/NAME``) on
exactly the documents that wait for it: whoever knows that it does not bring them approves that, and the other holds
and budgets judge as always. Time alone lets nothing go, for an outage may last longer than any limit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field

from fleet import claims
from fleet.argo.children import Child
from fleet.argo.reading import Problem
from fleet.claims import Claimant
from fleet.codec.canonical import digest_value
from fleet.errors import Where
from fleet.model.identity import TargetId
from fleet.model.project import AppProject
from hub.state import Hold

REMOVALS = "removals/"
"""What the subject of a hold on what left begins with; the target that may bring it follows."""

NAMED = 3
"""Documents that a message names."""


@dataclass(frozen=True, slots=True)
class Waits:
    """What waits for whom, without what somebody said yes to."""

    keys: Mapping[TargetId, frozenset[str]]
    leaving: frozenset[str] = frozenset()
    """Everything that leaves and was not rendered since."""
    approved: frozenset[str] = frozenset()
    """Subjects of approvals that serve as long as their documents leave."""

    def waiting(self) -> frozenset[str]:
        """Name what may not go yet."""
        return frozenset().union(*self.keys.values())

    def letting_go(self) -> Mapping[str, frozenset[TargetId]]:
        """Return by document that leaves the targets that it waits for: with none of them it goes once all is rendered."""
        waiters: dict[str, set[TargetId]] = defaultdict(set)
        for id_, keys in self.keys.items():
            for key in keys:
                waiters[key].add(id_)
        return {key: frozenset(waiters.get(key, ())) for key in self.leaving}

    def holds(self) -> dict[str, Hold]:
        """Return what waits for a yes."""
        return {_subject(id_): _hold(id_, keys) for id_, keys in self.keys.items()}

    def problems(self) -> Iterator[Problem]:
        """Tell what keeps documents that are leaving from going."""
        for id_, keys in sorted(self.keys.items()):
            yield Problem(
                reason="RemovalWaits",
                message=f"{len(keys)} that left elsewhere stay until it renders again, for it may bring them "
                f"({_names(keys)}); if it does not: fleet approve {_subject(id_)}",
                where=Where(file=f"rendered by {id_}", object=f"Application/{id_.app}"),
                fatal=False,
            )


NO_WAITS = Waits({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """Who may bring what left, in one evaluation."""

    claimants: tuple[Claimant, ...] = ()
    projects: Mapping[str, AppProject] = field(default_factory=dict)
    approvals: Mapping[str, str] = field(default_factory=dict)
    documents: Callable[[Set[str]], Mapping[str, Child | None]] = dict.fromkeys
    """Looks up what is in force; None for what cannot be read."""

    def of(self, leaving: Set[str], *, confirmed: Set[str]) -> Waits:
        """Say what of all that leaves waits for whom; ``confirmed`` was rendered since and waits for nobody."""
        fresh = frozenset(leaving - confirmed)
        if not (fresh and self.claimants):
            return Waits({}, fresh)
        found = claims.waits(self.claimants, self.documents(fresh), self.projects, leaving=leaving)
        approved = {
            id_ for id_, keys in found.items() if self.approvals.get(_subject(id_)) == _digest(keys)
        }
        return Waits(
            {id_: keys for id_, keys in found.items() if id_ not in approved},
            fresh,
            frozenset(map(_subject, approved)),
        )


def _subject(id_: TargetId) -> str:
    return f"{REMOVALS}{id_}"


def _digest(keys: Iterable[str]) -> str:
    return digest_value(sorted(keys))


def _names(keys: Set[str]) -> str:
    more = f" and {len(keys) - NAMED} more" if len(keys) > NAMED else ""
    return ", ".join(sorted(keys)[:NAMED]) + more


def _hold(id_: TargetId, keys: frozenset[str]) -> Hold:
    return Hold(
        subject=_subject(id_),
        message=f"{len(keys)} that left elsewhere would go although {id_} does not render and may bring them; "
        "held until it renders, or until it is approved",
        removed=tuple(sorted(keys)),
        digest=_digest(keys),
    )

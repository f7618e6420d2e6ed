"""Claims: which documents that left elsewhere an Application might bring that does not render now.

A document that moves from one Application to another is never gone in between, so what left waits for whoever may be
about to bring it. Who that is follows from the projects (`fleet.children.denial`): a move keeps the document's project,
and its namespace, or takes that of the Application. What names good manifests would have is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace

from fleet.argo.children import Child
from fleet.children import denial
from fleet.model.cluster import Cluster
from fleet.model.identity import TargetId
from fleet.model.project import AppProject


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimant:
    """An Application on the management cluster that does not render."""

    id: TargetId
    cluster: Cluster
    project: AppProject | None
    """None: not known; it may come with any rules."""
    namespace: str
    """Where documents live that name no namespace."""

    def may_bring(self, child: Child | None, projects: Mapping[str, AppProject]) -> bool:
        """Whether it could bring a document that left; None: nobody knows what that was."""
        if self.project is None or child is None:
            return True
        placed = (replace(child, namespace=place) for place in {child.namespace, self.namespace})
        return any(not denial(each, self.project, self.cluster, projects) for each in placed)


def waits(
    claimants: Iterable[Claimant],
    left: Mapping[str, Child | None],
    projects: Mapping[str, AppProject],
    *,
    leaving: Set[str],
) -> dict[TargetId, frozenset[str]]:
    """Say what of ``left`` waits for whom; an Application that is ``leaving`` itself brings nothing."""
    found = {
        claimant.id: frozenset(
            key for key, child in left.items() if claimant.may_bring(child, projects)
        )
        for claimant in claimants
        if claimant.id.app not in leaving
    }
    return {id_: keys for id_, keys in found.items() if keys}

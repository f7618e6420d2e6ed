"""What ``fleet diff -o json`` prints: how a fleet at one revision differs from the fleet at another.

Keys are only ever added. Texts of differences are unified diffs of YAML without file headers; values of Secrets are
not in them.
"""

from __future__ import annotations

from fleet.wire.api import ProblemRow
from fleet.wire.rows import Row


class RevisionRow(Row, frozen=True, kw_only=True):
    revision: str
    """As asked for."""
    commit: str
    """Empty: the working tree."""


class ObjectChange(Row, frozen=True, kw_only=True):
    ref: str
    change: str
    """added, changed or removed."""
    diff: str


class ApplicationChange(Row, frozen=True, kw_only=True):
    cluster: str
    name: str
    set: str
    change: str
    """added, changed or removed."""
    document: str
    """Difference of the Application itself."""
    objects: tuple[ObjectChange, ...]
    """Differences of its rendered manifests."""
    unchecked: str
    """Why manifests were not compared; empty: they were."""
    stays: str
    """Why everything on the cluster stays although the Application goes; empty: it goes too."""
    parents: tuple[str, ...] = ()
    """Applications that bring it (app of apps), the outermost first."""
    remark: str = ""
    """What else somebody has to do before it is so."""


class HeldChange(Row, frozen=True, kw_only=True):
    subject: str
    """What ``fleet approve`` would be given."""
    message: str
    removed: tuple[str, ...]


class FleetDiff(Row, frozen=True, kw_only=True):
    base: RevisionRow
    head: RevisionRow
    applications: tuple[ApplicationChange, ...]
    """Sorted by cluster and name; empty: no differences."""
    held: tuple[HeldChange, ...]
    """What the shrink budget would hold back after a merge."""
    problems: tuple[ProblemRow, ...]
    """What is wrong with documents and manifests at the head."""
    unchecked: tuple[str, ...]
    """What could not be compared, and what would let it be."""

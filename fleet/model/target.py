"""A Target: one Application on one Cluster, with its dependency edges as references and as resolved names."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from fleet.model.application import Application
from fleet.model.identity import ClusterName, TargetId


class ReferenceKind(StrEnum):
    """The four forms of a dependency reference (design decision 9)."""

    NAME = "name"
    SET = "set"
    LABEL = "label"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One entry of ``gitopsfleet.io/depends-on``, as written in ``text``."""

    kind: ReferenceKind
    name: str
    """Application, set, ``KEY=VALUE``, or the application of a ``cluster/CLUSTER/NAME``."""
    cluster: ClusterName | None = None
    optional: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A resolved reference: the targets it stands for, or why it can never be satisfied as things are."""

    reference: Reference
    targets: tuple[TargetId, ...] = ()
    blocked: str = ""
    """Non-empty: an unknown name or set, a label that matches nothing, a cycle; the text says which."""
    note: str = ""
    """For edges that are satisfied without a target: an existing set that has none on this cluster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What the hub decides about: an Application on a Cluster, its edges, and what holds it, if anything."""

    id: TargetId
    application: Application
    edges: tuple[Edge, ...] = ()
    held: str = ""
    """Why it may not change at all (Unsupported field, cycle, project rule); empty when it may."""

"""World: everything a decision may look at, as one immutable snapshot.

What could not be had is in it too, as a value (`Unavailable`), so that a decision can tell an error from an
empty answer. Requests name what a generator needs and the world may not hold yet; they are values, so that
the hub can collect all of them and fetch in parallel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from fleet.codec.jsontypes import JsonObject
from fleet.errors import Where
from fleet.model.answers import AnswerRequest, Rows
from fleet.model.application import Application
from fleet.model.appset import ApplicationSet
from fleet.model.cluster import Cluster
from fleet.model.project import AppProject


class EntryKind(StrEnum):
    """What a git tree entry is."""

    FILE = "file"
    EXECUTABLE = "executable"
    SYMLINK = "symlink"
    DIRECTORY = "directory"
    SUBMODULE = "submodule"


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """A path (no leading slash) of a git tree and the git object id of its content."""

    path: str
    kind: EntryKind
    object: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """The full recursive listing of one commit, sorted by path, directories included."""

    commit: str
    root: str
    """Object id of the root tree."""
    entries: tuple[TreeEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeRequest:
    """Ask for the listing of a revision as written by a user ("" and HEAD: the default branch)."""

    repo_url: str
    revision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobRequest:
    """Ask for a file's bytes by object id: immutable, so a held answer never grows old."""

    repo_url: str
    object: str


class FileGlobs(StrEnum):
    """How the git generator reads the patterns of ``files``."""

    LEGACY = "legacy"
    """As ``git ls-files`` does: ``*`` crosses ``/`` (Argo CD's default)."""
    DOUBLESTAR = "doublestar"
    """``*`` stays in one directory, ``**`` crosses (enable-new-git-file-globbing)."""


SourceRequest: TypeAlias = TreeRequest | BlobRequest | AnswerRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Unavailable:
    """What was asked for could not be had; ``reason`` is a FleetError's."""

    since: datetime
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One snapshot; equal worlds give equal decisions."""

    clusters: tuple[Cluster, ...] = ()
    """Sorted by name."""
    projects: Mapping[str, AppProject] = field(default_factory=dict)
    appsets: Mapping[str, ApplicationSet] = field(default_factory=dict)
    applications: Mapping[str, Application] = field(default_factory=dict)
    """Those written by hand; generated ones are the result of an evaluation."""
    trees: Mapping[TreeRequest, Tree | Unavailable] = field(default_factory=dict)
    blobs: Mapping[BlobRequest, bytes | Unavailable] = field(default_factory=dict)
    answers: Mapping[AnswerRequest, Rows | Unavailable] = field(default_factory=dict)
    resources: tuple[JsonObject, ...] = ()
    """ConfigMaps and documents with a status: what the clusterDecisionResource generator reads."""
    places: tuple[Where, ...] = ()
    """Where the resources are, in their order, as far as that is known."""
    implicit_in_cluster: bool = True
    """Whether the cluster ``in-cluster`` exists although no record stands for it, as in Argo CD. A hub says
    False: there it is the cluster marked ``management``, or none (design decision 3)."""
    file_globs: FileGlobs = FileGlobs.LEGACY
    templated_projects: tuple[str, ...] = ("*",)
    """Patterns of projects that a set's template may choose; Argo CD lets it choose any (security.md row 87)."""

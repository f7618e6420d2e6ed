"""A fleet repo's documents to the model: every problem is a value, and one bad document never stops the others.

What is returned is what can be used. A `Problem` that is fatal names the object (``where.object``) and the file
that it hit, so that whoever keeps the last good version knows what to keep. Documents of other kinds are
counted and ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from fleet.argo.application import API_VERSION as ARGO
from fleet.argo.application import application_from
from fleet.argo.appset import appset_from
from fleet.argo.clusters import API_VERSION as FLEET
from fleet.argo.clusters import cluster_from, is_cluster_secret
from fleet.argo.projects import project_from
from fleet.argo.reading import Problem, Reader
from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.codec.yamldoc import Document
from fleet.errors import Where
from fleet.model.application import Application
from fleet.model.appset import ApplicationSet
from fleet.model.cluster import Cluster
from fleet.model.project import AppProject

__all__ = ["FleetDocuments", "Problem", "read_fleet_documents"]

Item: TypeAlias = Application | ApplicationSet | AppProject | Cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetDocuments:
    """What a fleet repo says, each kind sorted by name."""

    clusters: tuple[Cluster, ...] = ()
    appsets: tuple[ApplicationSet, ...] = ()
    applications: tuple[Application, ...] = ()
    projects: tuple[AppProject, ...] = ()
    resources: tuple[JsonObject, ...] = ()
    """ConfigMaps about kinds and other objects with a status, which the clusterDecisionResource generator reads; and
    Argo CD's own settings, for the rules in them."""
    places: tuple[Where, ...] = ()
    """Where the resources are, in their order."""
    problems: tuple[Problem, ...] = ()
    ignored: int = 0
    """Documents of kinds that mean nothing here."""


@dataclass(slots=True)
class _Sorting:
    """Documents on their way into their kinds."""

    follow_argo: bool = False
    items: list[Item] = field(default_factory=list)
    resources: list[JsonObject] = field(default_factory=list)
    places: list[Where] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    ignored: int = 0


def read_fleet_documents(
    documents: Iterable[Document], *, repo: str = "", follow_argo: bool = False
) -> FleetDocuments:
    """Read documents of a fleet repo; ``repo`` is put before file names where there are several.

    Documents must know their lines (``load_documents(..., positions=True)``) for problems to name them.
    With ``follow_argo`` generators that nobody knows yield nothing, as in Argo CD, instead of being refused.
    Two objects of one name are found by `fleet.argo.assembly`, which sees all files.
    """
    sorting = _Sorting(follow_argo=follow_argo)
    for document in documents:
        for part in _parts(document):
            _read(part, f"{repo}/{part.source}" if repo else part.source, sorting)
    items = sorted(sorting.items, key=lambda item: item.name)
    return FleetDocuments(
        clusters=tuple(item for item in items if isinstance(item, Cluster)),
        appsets=tuple(item for item in items if isinstance(item, ApplicationSet)),
        applications=tuple(item for item in items if isinstance(item, Application)),
        projects=tuple(item for item in items if isinstance(item, AppProject)),
        resources=tuple(sorting.resources),
        places=tuple(sorting.places),
        problems=tuple(sorting.problems),
        ignored=sorting.ignored,
    )


def _parts(document: Document) -> Iterable[Document]:
    """Take a ``kind: List`` apart, as kubectl does."""
    value = document.value
    if not isinstance(value, dict) or value.get("kind") != "List":
        return (document,)
    items = value.get("items")
    if not isinstance(items, list):
        return ()
    return tuple(_part(document, position, item) for position, item in enumerate(items))


def _part(document: Document, position: int, value: JsonValue) -> Document:
    prefix: tuple[str | int, ...] = ("items", position)
    lines = {path[2:]: line for path, line in document._lines.items() if path[:2] == prefix}
    return Document(value, document.source, document.line_of(prefix), lines)


def _read(document: Document, file: str, sorting: _Sorting) -> None:
    value = document.value
    kind = value.get("kind") if isinstance(value, dict) else None
    if not isinstance(kind, str):
        sorting.ignored += 1
        return
    api = value.get("apiVersion")
    group = api.partition("/")[0] if isinstance(api, str) else ""
    if is_cluster_secret(value):
        _take(Reader.of_document(document, file=file), cluster_from, sorting)
        return
    read = _READERS.get((api, kind)) if isinstance(api, str) else None
    reader = Reader.of_document(document, file=file, strict=api == FLEET)
    if read is not None:
        _take(reader, read, sorting)
    elif group in _GROUPS and any(kind == known for _, known in _READERS):
        reader.error(("apiVersion",), f"{kind} of {api} is not known here; write {group}/v1alpha1")
        sorting.problems += reader.problems
    elif group == _GROUPS[1]:
        reader.error(("kind",), f"{FLEET} has no kind {kind}; it has Cluster")
        sorting.problems += reader.problems
    else:
        if _decides(kind, value) or _rules(kind, value):
            sorting.resources.append(value)
            sorting.places.append(Where(file=file, line=document.line))
        sorting.ignored += 1


def _decides(kind: str, value: JsonObject) -> bool:
    """Tell whether a clusterDecisionResource may mean this: an object with a status, or what explains one."""
    data = value.get("data")
    explains = kind == "ConfigMap" and isinstance(data, dict) and "apiVersion" in data
    return explains or isinstance(value.get("status"), dict)


def _rules(kind: str, value: JsonObject) -> bool:
    """Tell whether this is Argo CD's ConfigMap of settings."""
    metadata = value.get("metadata")
    return (
        kind == "ConfigMap" and isinstance(metadata, dict) and metadata.get("name") == "argocd-cm"
    )


_READERS: dict[tuple[str, str], Callable[[Reader], Item | None]] = {
    (ARGO, "Application"): application_from,
    (ARGO, "ApplicationSet"): appset_from,
    (ARGO, "AppProject"): project_from,
    (FLEET, "Cluster"): cluster_from,
}
_GROUPS = (ARGO.partition("/")[0], FLEET.partition("/")[0])


def _take(reader: Reader, read: Callable[[Reader], Item | None], sorting: _Sorting) -> None:
    item = (
        appset_from(reader, follow_argo=True)
        if sorting.follow_argo and read is appset_from
        else read(reader)
    )
    if item is not None:
        sorting.items.append(item)
    sorting.problems += reader.problems

"""Children: Applications, ApplicationSets and AppProjects that an Application renders for the fleet itself.

On the management cluster such documents are not applied, they come back as documents of the fleet ("app of apps").
Here they are told apart from other manifests and read; who owns them and when they come into force is
`fleet.children`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from fleet.argo.application import API_VERSION, DEFAULT_NAMESPACE, application_from
from fleet.argo.appset import appset_from
from fleet.argo.projects import project_from
from fleet.argo.reading import Problem, Reader
from fleet.codec.canonical import digest_value
from fleet.codec.jsontypes import JsonObject
from fleet.errors import Where
from fleet.model.application import Application
from fleet.model.appset import ApplicationSet
from fleet.model.identity import AppName
from fleet.model.project import AppProject

GROUP = API_VERSION.partition("/")[0]
WAVE = "argocd.argoproj.io/sync-wave"
SYNC_OPTIONS = "argocd.argoproj.io/sync-options"
HOOK = "argocd.argoproj.io/hook"
RESOURCE_POLICY = "helm.sh/resource-policy"

Item: TypeAlias = Application | ApplicationSet | AppProject

_READERS: Mapping[str, Callable[[Reader], Item | None]] = {
    "AppProject": project_from,
    "ApplicationSet": appset_from,
    "Application": application_from,
}
RETURNING = frozenset(f"{GROUP}/{kind}" for kind in _READERS)
"""``group/Kind`` of what is not applied on the management cluster but belongs to the hub's own world."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """One document that an Application brings; without an item it cannot be used, and ``error`` says why."""

    kind: str
    name: str
    namespace: str
    item: Item | None = None
    error: str = ""
    digest: str = ""
    """Of the document: what a newer version is compared by."""
    wave: int = 0
    is_pruned: bool = True
    """Whether it goes when its parent no longer renders it (not with Prune=false)."""
    is_deleted: bool = True
    """Whether it goes with its parent (not with Delete=false)."""

    @property
    def key(self) -> str:
        """Its name in the fleet, where kinds do not share names: ``web``, ``ApplicationSet/shops``."""
        return key_of(self.kind, self.name)

    def is_same(self, other: Child | None) -> bool:
        """Whether both are the same version."""
        return other is not None and self.digest == other.digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Everything that one rendering of an Application brings."""

    artifact: str = ""
    """Digest of the whole rendering."""
    digest: str = ""
    """Of the children alone."""
    children: Mapping[str, Child] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    others: int = 0
    """Objects that are no children."""


def key_of(kind: str, name: str) -> str:
    """Name a document of the fleet; Applications by their name alone, as everywhere."""
    return name if kind == "Application" else f"{kind}/{name}"


def split(objects: Iterable[JsonObject]) -> tuple[list[JsonObject], list[JsonObject]]:
    """Tell children from the objects of the cluster, each in their order."""
    children: list[JsonObject] = []
    others: list[JsonObject] = []
    for value in objects:
        group = value["apiVersion"].partition("/")[0]
        (children if f"{group}/{value['kind']}" in RETURNING else others).append(value)
    return children, others


def read_offer(
    documents: Iterable[JsonObject], *, parent: str, namespace: str, artifact: str, others: int
) -> Offer:
    """Read what was rendered for ``parent`` (for messages); ``namespace`` is where documents without one live."""
    children: dict[str, Child] = {}
    problems: list[Problem] = []
    for document in documents:
        if _words(document, HOOK) == {"Skip"}:
            continue
        child = _read(document, parent, namespace, problems)
        if children.setdefault(child.key, child) is not child:
            problems.append(_twice(child, parent))
    return Offer(
        artifact=artifact,
        digest=digest_value({key: child.digest for key, child in children.items()}),
        children=children,
        problems=tuple(problems),
        others=others,
    )


def child_of(item: Item) -> Child:
    """Describe a child that is in force."""
    kind = type(item).__name__
    document = item.document
    options = _words(document, SYNC_OPTIONS)
    keeps = _words(document, RESOURCE_POLICY) == {"keep"}
    return Child(
        kind=kind,
        name=item.name,
        namespace=item.namespace,
        item=item,
        digest=digest_value(document),
        wave=_wave(document),
        is_pruned=not keeps and not options & {"Prune=false", "Prune=confirm"},
        is_deleted=not keeps and not options & {"Delete=false", "Delete=confirm"},
    )


def _read(document: JsonObject, parent: str, namespace: str, problems: list[Problem]) -> Child:
    kind, metadata = document["kind"], document["metadata"]
    name = str(metadata.get("name") or metadata.get("generateName"))
    placed = {
        **document,
        "metadata": {
            **metadata,
            "namespace": metadata.get("namespace") or namespace or DEFAULT_NAMESPACE,
        },
    }
    reader = Reader.of_value(
        placed, where=Where(file=f"rendered by {parent}", object=f"{kind}/{name}")
    )
    item = _item(reader, placed)
    problems += reader.problems
    if item is not None:
        return child_of(item)
    fatal = next(problem for problem in reader.problems if problem.fatal)
    at = f"{fatal.where.field}: " if fatal.where.field else ""
    return Child(
        kind=kind,
        name=name,
        namespace=placed["metadata"]["namespace"],
        error=at + fatal.message,
        digest=digest_value(placed),
        wave=_wave(placed),
    )


def _item(reader: Reader, document: JsonObject) -> Item | None:
    if document["apiVersion"] != API_VERSION:
        word = document["apiVersion"]
        reader.error(("apiVersion",), f"{word} is not known here; write {API_VERSION}")
    if not document["metadata"].get("name"):
        reader.error(("metadata", "generateName"), "a document of the fleet needs a name")
    hooks = ", ".join(sorted(_words(document, HOOK)))
    if hooks:
        reader.error(("metadata", "annotations", HOOK), f"{hooks}: a child cannot be a hook")
    wave = _annotation(document, WAVE) or "0"
    if not re.fullmatch(r"[+-]?[0-9]{1,9}", wave):
        path = ("metadata", "annotations", WAVE)
        reader.error(path, f"sync wave {wave!r} is not a whole number")
    return None if reader.is_refused else _READERS[document["kind"]](reader)


def _twice(child: Child, parent: str) -> Problem:
    return Problem(
        reason="DuplicateName",
        message=f"{child.kind} {child.name} is there twice, in two namespaces; the first counts: "
        "names are unique in the whole fleet",
        where=Where(file=f"rendered by {parent}", object=f"{child.kind}/{child.name}"),
        fatal=False,
    )


def _wave(document: JsonObject) -> int:
    try:
        return int(_annotation(document, WAVE) or "0")
    except ValueError:
        return 0


def _words(document: JsonObject, name: str) -> set[str]:
    return {word.strip() for word in _annotation(document, name).split(",") if word.strip()}


def _annotation(document: JsonObject, name: str) -> str:
    annotations = (document.get("metadata") or {}).get("annotations")
    return str(annotations.get(name, "")) if isinstance(annotations, dict) else ""


def with_parents(application: Application, parents: tuple[AppName, ...]) -> Application:
    """Write into an Application which ones are above it; the same object if it says so already."""
    if application.parents == parents:
        return application
    return replace(application, parents=parents)

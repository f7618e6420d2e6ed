"""The kinds that a server serves: Kubernetes' own from the recorded tables, and those that CRDs add."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from fleet.codec.jsontypes import JsonObject
from fleet.embedded.schema import ANY, Node

Gvk = tuple[str, str, str]

CRUD = (
    "create", "delete", "deletecollection", "get", "list", "patch", "update", "watch",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kind:
    """One kind in one version; a store is shared by all versions of a kind."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = CRUD
    subresources: Mapping[str, JsonObject] = field(default_factory=dict)
    """By name: ``group``, ``version``, ``kind`` and ``verbs`` of each."""
    schema: Node = ANY
    is_custom: bool = False
    columns: tuple[JsonObject, ...] = ()
    """Additional printer columns of a CRD."""
    scale: JsonObject | None = None
    """Where a CRD keeps replicas, for its scale subresource."""
    selectable: tuple[str, ...] = ()
    """Fields that a CRD lets selectors name."""
    document: JsonObject | None = None
    """A CRD's schema as it was written."""

    @property
    def api_version(self) -> str:
        """``group/version``, or the version alone for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def store_key(self) -> tuple[str, str]:
        """Group and plural: what names the store."""
        return self.group, self.plural

    @property
    def has_status(self) -> bool:
        """Whether the status is written apart."""
        return "status" in self.subresources

    @property
    def counts_generation(self) -> bool:
        """Whether the server counts changes of the specification."""
        if self.is_custom:
            return True
        named = (self.group, self.kind)
        return (self.has_status and named not in _UNCOUNTED) or named in _COUNTED


_COUNTED = {("networking.k8s.io", "NetworkPolicy")}
_UNCOUNTED = {
    ("", "Namespace"), ("", "Node"), ("", "Service"), ("", "PersistentVolume"), ("", "PersistentVolumeClaim"),
    ("", "ResourceQuota"), ("autoscaling", "HorizontalPodAutoscaler"), ("certificates.k8s.io", "CertificateSigningRequest"),
    ("apiregistration.k8s.io", "APIService"), ("storage.k8s.io", "VolumeAttachment"), ("resource.k8s.io", "ResourceClaim"),
}  # fmt: skip


class Kinds:
    """The registry; asks for speed are by path, all others are rare."""

    def __init__(self, kinds: Iterable[Kind]) -> None:
        self._by_path: dict[tuple[str, str, str], Kind] = {}
        self._by_gvk: dict[Gvk, Kind] = {}
        self._by_store: dict[tuple[str, str], list[Kind]] = {}
        self.generation = 0
        """Counts changes, so that answers about the whole registry can be kept."""
        for kind in kinds:
            self.add(kind)

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._by_path.values())

    def add(self, kind: Kind) -> None:
        """Serve a kind, or serve it from now on as described here."""
        self.remove(kind)
        self._by_store.setdefault(kind.store_key, []).append(kind)
        self._by_path[(kind.group, kind.version, kind.plural)] = kind
        self._by_gvk[(kind.group, kind.version, kind.kind)] = kind
        self.generation += 1

    def remove(self, kind: Kind) -> None:
        """Serve it no longer."""
        known = self._by_path.get((kind.group, kind.version, kind.plural))
        if known is None:
            return
        self._by_store[kind.store_key].remove(known)
        del self._by_path[(kind.group, kind.version, kind.plural)]
        self._by_gvk.pop((known.group, known.version, known.kind), None)
        self.generation += 1

    def at(self, group: str, version: str, plural: str) -> Kind | None:
        """The kind served below a path."""
        return self._by_path.get((group, version, plural))

    def named(self, group: str, version: str, kind: str) -> Kind | None:
        """The kind of that name."""
        return self._by_gvk.get((group, version, kind))

    def of_store(self, key: tuple[str, str]) -> Kind | None:
        """Any version of the kind that a store belongs to: the first, which is preferred."""
        found = self._by_store.get(key)
        return found[0] if found else None

    def in_group(self, group: str, version: str) -> list[Kind]:
        """The kinds of one group and version, in alphabetical order."""
        found = [kind for kind in self if (kind.group, kind.version) == (group, version)]
        return sorted(found, key=lambda kind: kind.plural)

    def group_versions(self) -> dict[str, list[str]]:
        """Versions by group, preferred first, groups as they came."""
        found: dict[str, list[str]] = {}
        for kind in self:
            versions = found.setdefault(kind.group, [])
            if kind.version not in versions:
                versions.append(kind.version)
        return found


def from_rows(rows: Iterable[JsonObject], schema_of: Mapping[Gvk, Node]) -> list[Kind]:
    """Read recorded discovery: resources, and their subresources as ``resource/subresource``."""
    rows = list(rows)
    subresources: dict[tuple[str, str, str], dict[str, JsonObject]] = {}
    for row in rows:
        plural, slash, name = str(row["name"]).partition("/")
        if slash:
            group, version = row["of"]
            subresources.setdefault((group, version, plural), {})[name] = row
    return [_kind(row, subresources, schema_of) for row in rows if "/" not in str(row["name"])]


def _kind(
    row: JsonObject,
    subresources: Mapping[tuple[str, str, str], dict[str, JsonObject]],
    schema_of: Mapping[Gvk, Node],
) -> Kind:
    group, version = row["of"]
    return Kind(
        group=group,
        version=version,
        kind=row["kind"],
        plural=row["name"],
        namespaced=row["namespaced"],
        singular=row.get("singularName", ""),
        short_names=tuple(row.get("shortNames") or ()),
        categories=tuple(row.get("categories") or ()),
        verbs=tuple(row["verbs"]),
        subresources=subresources.get((group, version, row["name"]), {}),
        schema=schema_of.get((group, version, row["kind"]), ANY),
    )

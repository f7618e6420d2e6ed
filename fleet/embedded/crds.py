"""CustomResourceDefinitions: the kinds they add, and the status that says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fleet.codec.jsontypes import JsonObject
from fleet.embedded.errors import Cause
from fleet.embedded.kinds import CRUD, Kind, Kinds
from fleet.embedded.schema import ANY, Compiler, Node
from fleet.embedded.store import Change, Store

CRDS = ("apiextensions.k8s.io", "customresourcedefinitions")
_STABILITY = {"": 2, "beta": 1, "alpha": 0}


class Definitions:
    """Serves what the CRDs of a store define."""

    def __init__(
        self, store: Store, kinds: Kinds, metadata: Node, clock: Callable[[], str]
    ) -> None:
        self._store = store
        self._kinds = kinds
        self._metadata = metadata
        self._clock = clock
        self._served: dict[str, list[Kind]] = {}
        for definition in store.collection(CRDS).objects.values():
            self._serve(definition["metadata"]["name"], definition)
        store.listeners.append(self._note)

    def _note(self, change: Change) -> None:
        if change.key != CRDS:
            return
        definition = change.after
        name = definition["metadata"]["name"]
        if change.type == "DELETED":
            self._end(name)
            return
        if change.before is None or change.before.get("spec") != definition.get("spec"):
            self._serve(name, definition)
        wanted = self._status(definition)
        if definition.get("status") != wanted:
            self._store.put(CRDS, {**definition, "status": wanted})

    def _serve(self, name: str, definition: JsonObject) -> None:
        new = list(kinds_of(definition, self._metadata))
        for kind in self._served.get(name, ()):
            self._kinds.remove(kind)
        for kind in new:
            self._kinds.add(kind)
        self._served[name] = new

    def _end(self, name: str) -> None:
        """The kind goes, and its objects with it."""
        for kind in self._served.pop(name, []):
            for obj in list(self._store.collection(kind.store_key).objects.values()):
                self._store.remove(kind.store_key, obj)
            self._kinds.remove(kind)

    def _status(self, definition: JsonObject) -> JsonObject:
        spec, status = definition["spec"], definition.get("status") or {}
        names = with_names(spec["names"])
        conditions = status.get("conditions") or [
            _condition("NamesAccepted", "NoConflicts", "no conflicts found", self._clock()),
            _condition(
                "Established",
                "InitialNamesAccepted",
                "the initial names have been accepted",
                self._clock(),
            ),
        ]
        storage = next((v["name"] for v in spec["versions"] if v.get("storage")), "")
        stored = list(status.get("storedVersions") or ())
        if storage and storage not in stored:
            stored.append(storage)
        return {"conditions": conditions, "acceptedNames": names, "storedVersions": stored}


def _condition(kind: str, reason: str, message: str, time: str) -> JsonObject:
    return {
        "type": kind,
        "status": "True",
        "lastTransitionTime": time,
        "reason": reason,
        "message": message,
    }


def with_names(names: JsonObject) -> JsonObject:
    """The names of a kind with those that follow from others."""
    return {
        "listKind": f"{names['kind']}List",
        "singular": str(names["kind"]).lower(),
        **names,
    }


def faults(definition: JsonObject) -> list[Cause]:
    """What is wrong with a definition as a whole."""
    found: list[Cause] = []
    spec, name = definition.get("spec") or {}, definition["metadata"]["name"]
    wanted = f"{(spec.get('names') or {}).get('plural')}.{spec.get('group')}"
    if name != wanted:
        message = f'Invalid value: "{name}": must be spec.names.plural+"."+spec.group'
        found.append(Cause(reason="FieldValueInvalid", field="metadata.name", message=message))
    versions = spec.get("versions") or ()
    if sum(bool(version.get("storage")) for version in versions) != 1:
        message = "Invalid value: must have exactly one version marked as storage version"
        found.append(Cause(reason="FieldValueInvalid", field="spec.versions", message=message))
    for index, version in enumerate(versions):
        if not (version.get("schema") or {}).get("openAPIV3Schema"):
            field = f"spec.versions[{index}].schema.openAPIV3Schema"
            found.append(Cause(reason="FieldValueRequired", field=field, message="Required value"))
    return found


def kinds_of(definition: JsonObject, metadata: Node) -> Iterator[Kind]:
    """The kinds that a definition serves, by priority of their versions."""
    spec = definition["spec"]
    names = with_names(spec["names"])
    versions = sorted(
        spec["versions"], key=lambda version: _priority(version["name"]), reverse=True
    )
    for version in versions:
        if not version.get("served"):
            continue
        subresources = version.get("subresources") or {}
        yield Kind(
            group=spec["group"],
            version=version["name"],
            kind=names["kind"],
            plural=names["plural"],
            namespaced=spec["scope"] == "Namespaced",
            singular=names["singular"],
            short_names=tuple(names.get("shortNames") or ()),
            categories=tuple(names.get("categories") or ()),
            verbs=CRUD,
            subresources={
                name: _subresource(name, spec["group"], version["name"], names["kind"])
                for name in ("status", "scale")
                if name in subresources
            },
            schema=_schema(version, metadata),
            is_custom=True,
            columns=tuple(version.get("additionalPrinterColumns") or ()),
            scale=subresources.get("scale"),
            selectable=tuple(
                str(item["jsonPath"]).strip(".") for item in version.get("selectableFields") or ()
            ),
            document=(version.get("schema") or {}).get("openAPIV3Schema"),
        )


def _subresource(name: str, group: str, version: str, kind: str) -> JsonObject:
    verbs = ["get", "patch", "update"]
    if name == "scale":
        return {"group": "autoscaling", "version": "v1", "kind": "Scale", "verbs": verbs}
    return {"group": group, "version": version, "kind": kind, "verbs": verbs}


def _schema(version: JsonObject, metadata: Node) -> Node:
    document = (version.get("schema") or {}).get("openAPIV3Schema")
    if not document:
        return ANY
    root = Compiler().node(document)
    text = Node(type="string")
    root.fields |= {"apiVersion": text, "kind": text, "metadata": metadata}
    return root


def _priority(name: str) -> tuple[int, int, int, str]:
    """Kubernetes' order of versions: stable before beta before alpha, higher numbers first, other names last."""
    head, _, tail = name.removeprefix("v").partition("beta")
    stage = "beta" if "beta" in name else ""
    if not stage and "alpha" in name:
        head, _, tail = name.removeprefix("v").partition("alpha")
        stage = "alpha"
    if not name.startswith("v") or not head.isdigit() or (stage and not tail.isdigit()):
        return (-1, 0, 0, name)
    return (_STABILITY[stage], int(head), int(tail or 0), "")

"""OpenAPI v3 documents for what is served: the recorded schemas, those of CRDs, and the paths that clients look for.

kubectl asks these documents whether the server validates fields, how to merge, and what to explain; so paths carry the kind and
the parameters of writes, and no more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.embedded.kinds import Kind, Kinds
from fleet.embedded.tables import documented_schemas

_REF = "#/components/schemas/"
_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_WRITES = ("dryRun", "fieldManager", "fieldValidation")
_ACTIONS = (("get", "list", False), ("post", "create", False), ("get", "get", True), ("put", "update", True), ("patch", "patch", True), ("delete", "delete", True))  # fmt: skip


def index(kinds: Kinds) -> JsonObject:
    """``/openapi/v3``: where the document of each group and version is."""
    return {
        "paths": {
            _root(group, version): {
                "serverRelativeURL": f"/openapi/v3/{_root(group, version)}?hash={_mark(kinds, group, version)}"
            }
            for group, versions in kinds.group_versions().items()
            for version in versions
        }
    }


def _root(group: str, version: str) -> str:
    return f"apis/{group}/{version}" if group else f"api/{version}"


def _mark(kinds: Kinds, group: str, version: str) -> str:
    """Changes when a CRD of the group does, so that clients' caches know."""
    text = "\n".join(f"{kind.plural} {kind.document}" for kind in kinds.in_group(group, version))
    return hashlib.sha256(text.encode()).hexdigest()[:32].upper()


def document(kinds: Kinds, group: str, version: str) -> JsonObject | None:
    """The document of one group and version; None where nothing is served there."""
    found = kinds.in_group(group, version)
    if not found:
        return None
    known = documented_schemas()
    names = schema_names(known)
    schemas: JsonObject = {}
    paths: JsonObject = {}
    for kind in found:
        name = names.get((kind.group, kind.version, kind.kind)) or _custom_name(kind)
        if kind.is_custom:
            schemas[name] = _custom(kind)
        schemas[f"{name}List"] = known.get(f"{name}List") or _list_of(name, kind)
        paths |= _paths(kind, name)
        _reach(name, known, schemas)
    for needed in ("DeleteOptions", "Status", "ObjectMeta", "ListMeta"):
        _reach(_META + needed, known, schemas)
    for name in list(schemas):
        for reference in _references(schemas[name]):
            _reach(reference, known, schemas)
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.35.4"},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def schema_names(known: dict[str, JsonObject]) -> dict[tuple[str, str, str], str]:
    """Names of recorded schemas by group, version and kind."""
    return {
        (item["group"], item["version"], item["kind"]): name
        for name, schema in known.items()
        for item in schema.get("x-kubernetes-group-version-kind") or ()
        if name.rpartition(".")[2] == item["kind"]
    }


def _custom_name(kind: Kind) -> str:
    reversed_group = ".".join(reversed(kind.group.split(".")))
    return f"{reversed_group}.{kind.version}.{kind.kind}"


def _custom(kind: Kind) -> JsonObject:
    written = kind.document or {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    metadata = {
        "description": "Standard object's metadata.",
        "allOf": [{"$ref": f"{_REF}{_META}ObjectMeta"}],
    }
    text = {"type": "string"}
    properties = {
        "apiVersion": text,
        "kind": text,
        **(written.get("properties") or {}),
        "metadata": metadata,
    }
    return {**written, "properties": properties, "x-kubernetes-group-version-kind": [_gvk(kind)]}


def _list_of(name: str, kind: Kind) -> JsonObject:
    return {
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"allOf": [{"$ref": f"{_REF}{_META}ListMeta"}]},
            "items": {"type": "array", "items": {"allOf": [{"$ref": _REF + name}]}},
        },
        "x-kubernetes-group-version-kind": [{**_gvk(kind), "kind": f"{kind.kind}List"}],
    }


def _gvk(kind: Kind) -> JsonObject:
    return {"group": kind.group, "version": kind.version, "kind": kind.kind}


def _reach(name: str, known: dict[str, JsonObject], schemas: JsonObject) -> None:
    """Take a recorded schema in, with all that it refers to."""
    waiting = [name]
    while waiting:
        name = waiting.pop()
        if name in schemas or name not in known:
            continue
        schemas[name] = known[name]
        waiting.extend(_references(known[name]))


def _references(value: JsonValue) -> Iterator[str]:
    if isinstance(value, dict):
        reference = value.get("$ref")
        if isinstance(reference, str):
            yield reference.removeprefix(_REF)
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def _paths(kind: Kind, name: str) -> JsonObject:
    base = f"/{_root(kind.group, kind.version)}"
    scope = "/namespaces/{namespace}" if kind.namespaced else ""
    collection = f"{base}{scope}/{kind.plural}"
    found = {collection: dict(_operations(kind, name, named=False))}
    found[f"{collection}/{{name}}"] = dict(_operations(kind, name, named=True))
    if kind.namespaced:
        found[f"{base}/{kind.plural}"] = {"get": _operation(kind, name, "list", ())}
    return found


def _operations(kind: Kind, name: str, *, named: bool) -> Iterator[tuple[str, JsonObject]]:
    for method, action, of_one in _ACTIONS:
        if of_one is named and action in kind.verbs:
            writes = action in ("create", "update", "patch")
            yield method, _operation(kind, name, action, _WRITES if writes else ())


def _operation(kind: Kind, name: str, action: str, parameters: Iterable[str]) -> JsonObject:
    answer = f"{name}List" if action == "list" else name
    listed = [
        {"name": parameter, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
        for parameter in parameters
    ]
    return {
        "operationId": f"{action}{kind.kind}",
        "parameters": listed,
        "responses": {
            "200": {
                "description": "OK",
                "content": {"application/json": {"schema": {"$ref": _REF + answer}}},
            }
        },
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": _gvk(kind),
    }

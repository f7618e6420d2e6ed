"""The recorded tables of the Kubernetes release whose API is served: kinds, schemas, wire messages.

Read once in a process and shared by all servers in it; the texts for ``kubectl explain`` only when somebody asks.
"""

from __future__ import annotations

import functools
import lzma
from dataclasses import dataclass
from importlib import resources

from fleet.codec import canonical
from fleet.codec.jsontypes import JsonObject
from fleet.embedded.kinds import Gvk, Kind, from_rows
from fleet.embedded.schema import Compiler, Node

_META = "io.k8s.apimachinery.pkg.apis.meta.v1."


@dataclass(frozen=True, slots=True)
class Tables:
    """What one release serves."""

    version: str
    kinds: tuple[Kind, ...]
    messages: JsonObject
    """Field tables of Protocol Buffers messages by full name."""
    metadata: Node
    """ObjectMeta, which custom resources share."""
    by_gvk: dict[Gvk, Node]


@functools.cache
def tables() -> Tables:
    """The tables, decoded."""
    raw = _read("kinds.json.xz")
    schemas: dict[str, JsonObject] = raw["schemas"]
    compiler = Compiler(schemas)
    by_gvk = {
        (item["group"], item["version"], item["kind"]): compiler.node(
            {"$ref": f"#/components/schemas/{name}"}
        )
        for name, schema in schemas.items()
        for item in schema.get("x-kubernetes-group-version-kind") or ()
        if name.rpartition(".")[2] == item["kind"]
    }
    return Tables(
        version=raw["version"],
        kinds=tuple(from_rows(raw["kinds"], by_gvk)),
        messages=raw["messages"],
        metadata=compiler.node({"$ref": f"#/components/schemas/{_META}ObjectMeta"}),
        by_gvk=by_gvk,
    )


@functools.cache
def documented_schemas() -> dict[str, JsonObject]:
    """The schemas by name with their descriptions."""
    found: dict[str, JsonObject] = _read("openapi.json.xz")["schemas"]
    return found


def _read(name: str) -> JsonObject:
    data = resources.files("fleet.embedded").joinpath("data", name).read_bytes()
    value: JsonObject = canonical.decode(lzma.decompress(data))
    return value

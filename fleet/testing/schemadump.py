"""``python -m fleet.testing.schemadump``: takes the API's schemas from a real kube-apiserver into ``fleet/embedded/data``.

Three sources, all of the release that ``tests/controlplane`` pins: discovery and OpenAPI v3 of the running server, and the
``generated.proto`` files of its Go modules, because kubectl and helm send built-in kinds as Protocol Buffers. Written are
``kinds.json.xz``, which every embedded server reads (no descriptions), and ``openapi.json.xz``, which is read when somebody asks
for documentation.
"""

from __future__ import annotations

import lzma
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.testing.controlplane import Binaries, ControlPlane, ControlPlanes, Missing
from fleet.testing.gobuild import go

_ROOT = Path(__file__).resolve().parents[2]
_DATA = _ROOT / "fleet" / "embedded" / "data"
_MODULES = (
    "k8s.io/api",
    "k8s.io/apimachinery",
    "k8s.io/apiextensions-apiserver",
    "k8s.io/kube-aggregator",
)
_MESSAGE = re.compile(r"^message (\w+) \{(.*?)^\}", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(
    r"^  (optional|repeated|map<string, ([\w.]+)>) ?([\w.]*) (\w+) = (\d+);", re.MULTILINE
)
_STRUCT = re.compile(r"^type (\w+) struct \{(.*?)^\}", re.MULTILINE | re.DOTALL)
_PLAIN = re.compile(r"^\t\w+\s+[A-Za-z][\w.]*\s+`json:\"(\w+),omitempty\"", re.MULTILINE)
_SCALARS = {"string", "bytes", "bool", "int32", "int64", "double", "float", "uint32", "uint64"}


def main() -> None:
    """Start a control plane, read it, write the files."""
    binaries = Binaries.locate(build=True)
    if isinstance(binaries, Missing):
        sys.exit(binaries.reason)
    with ControlPlanes(binaries) as planes:
        plane = planes.start("schemas")
        version = str((plane.get("/version") or {})["gitVersion"])
        kinds = list(_kinds(plane))
        schemas = _schemas(plane)
    folders = [_folder(module) for module in _MODULES]
    messages = dict(_messages(schemas, folders))
    bare = _with_omitted(_bare(schemas), folders)
    _write(
        "kinds.json.xz",
        {"version": version, "kinds": kinds, "schemas": bare, "messages": messages},
    )
    _write("openapi.json.xz", {"version": version, "schemas": schemas})


def _write(name: str, value: JsonValue) -> None:
    data = lzma.compress(msgspec.json.encode(value, order="sorted"), preset=9 | lzma.PRESET_EXTREME)
    (_DATA / name).write_bytes(data)
    sys.stdout.write(f"{name}: {len(data)} bytes\n")


def _kinds(plane: ControlPlane) -> Iterator[JsonObject]:
    """Every resource and subresource as the group's list names it, preferred versions first."""
    for version in (plane.get("/api") or {})["versions"]:
        yield from _listed(plane, "", version, f"/api/{version}")
    for group in (plane.get("/apis") or {})["groups"]:
        preferred = group["preferredVersion"]["version"]
        versions = [item["version"] for item in group["versions"]]
        for version in sorted(versions, key=lambda name: name != preferred):
            yield from _listed(plane, group["name"], version, f"/apis/{group['name']}/{version}")


def _listed(plane: ControlPlane, group: str, version: str, path: str) -> Iterator[JsonObject]:
    for resource in (plane.get(path) or {})["resources"]:
        kept = {key: value for key, value in resource.items() if key != "storageVersionHash"}
        yield {**kept, "of": [group, version]}


def _schemas(plane: ControlPlane) -> JsonObject:
    found: JsonObject = {}
    for path, entry in (plane.get("/openapi/v3") or {})["paths"].items():
        if path.startswith(("api/", "apis/")) and path.count("/") in (1, 2):
            document = plane.get(entry["serverRelativeURL"]) or {}
            found.update((document.get("components") or {}).get("schemas") or {})
    return found


def _bare(value: JsonValue) -> JsonValue:
    """Without the descriptions."""
    if isinstance(value, dict):
        return {
            key: _bare(item)
            for key, item in value.items()
            if not (key == "description" and isinstance(item, str))
        }
    return [_bare(item) for item in value] if isinstance(value, list) else value


def _folder(module: str) -> Path:
    """Where a module of the pinned release is on this machine."""
    place = _ROOT / "tests" / "controlplane"
    return Path(go("list", "-m", "-f", "{{.Dir}}", module, folder=place).strip())


def _with_omitted(schemas: JsonObject, folders: Iterable[Path]) -> JsonObject:
    """Mark the fields that Go leaves out of JSON when they are zero: no pointers, and ``omitempty``."""
    for folder in folders:
        for file in sorted(folder.rglob("types*.go")):
            path = ".".join(file.parent.relative_to(folder).parts)
            module = folder.name.partition("@")[0].replace("-", "_")
            for struct, body in _STRUCT.findall(file.read_text()):
                name = f"io.k8s.{module}.{path}.{struct}"
                schema = schemas.get(name) or schemas.get(name.replace("_", "-"))
                if schema is not None:
                    zero = sorted(set(_PLAIN.findall(body)) & set(_scalars(schema)))
                    if zero:
                        schema["x-omit-zero"] = zero
    return schemas


def _scalars(schema: JsonObject) -> Iterator[str]:
    for name, field in (schema.get("properties") or {}).items():
        if field.get("type") in ("string", "integer", "boolean", "number"):
            yield name


def _messages(schemas: JsonObject, folders: Iterable[Path]) -> Iterator[tuple[str, JsonObject]]:
    """Field tables by message name: number -> [name, type, cardinality]; ``inline`` fields have no name of their own in JSON."""
    texts: dict[str, tuple[str, str]] = {}
    for folder in folders:
        for file in sorted(folder.rglob("generated.proto")):
            text = file.read_text()
            found = re.search(r"^package ([\w.]+);", text, re.MULTILINE)
            if found and not re.search(r"v\d+(alpha|beta)\d+$", found[1]):
                for name, body in _MESSAGE.findall(text):
                    texts[f"{found[1]}.{name}"] = (found[1], body)
    for name, (package, body) in sorted(texts.items()):
        yield name, _message(name, package, body, schemas)


def _message(name: str, package: str, body: str, schemas: JsonObject) -> JsonObject:
    schema = schemas.get(f"io.{name}") or schemas.get(_openapi_name(name)) or {}
    fields: JsonObject = {}
    for label, map_value, plain, field, number in _FIELD.findall(body):
        kind = map_value or plain
        full = (
            kind if kind in _SCALARS else kind[1:] if kind.startswith(".") else f"{package}.{kind}"
        )
        cardinality = "map" if map_value else "list" if label == "repeated" else "one"
        known = schema.get("properties")
        if (
            known is not None
            and field not in known
            and full not in _SCALARS
            and cardinality == "one"
        ):
            cardinality = "inline"
        fields[number] = [field, full, cardinality]
    return fields


def _openapi_name(name: str) -> str:
    """``k8s.io.api.core.v1.Pod`` -> ``io.k8s.api.core.v1.Pod``."""
    return re.sub(r"^k8s\.io\.", "io.k8s.", name)


if __name__ == "__main__":
    main()

"""Reads a kustomization file and names the files that it refers to. Pure.

Every field of kustomize 5 that names a file or a directory is here; what starts a program, needs a network or
renders a chart is refused. A reference carries the line it stands on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from fleet.codec import yamldoc
from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.errors import BadInput, Denied, Unsupported, Where

_REMOTE = re.compile(
    r"^(?:[a-z][a-z0-9+.-]*://|git::|gh:|git@|[\w.-]+@[\w.-]+:|(?:www\.)?github\.com[/:]|org-\d+@)"
    r"|[?&](?:ref|version|timeout|submodules)=|//",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Reference:
    """A path as written, where it is written, and what it may be."""

    path: str
    where: Where
    may_be_directory: bool = False
    is_plugin: bool = False
    """A generator's, transformer's or validator's configuration, which may name files itself."""


@dataclass(frozen=True, slots=True)
class Kustomization:
    """A parsed kustomization file."""

    value: JsonObject
    references: tuple[Reference, ...]


def read(text: bytes, file: str) -> Kustomization:
    """Parse a kustomization and name what it refers to; raises BadInput, Denied and Unsupported."""
    documents = yamldoc.load_documents(text, source=file, positions=True)
    if not documents:
        return Kustomization({}, ())
    if len(documents) > 1 or not isinstance(documents[0].value, dict):
        raise BadInput("a kustomization is one mapping", where=Where(file=file, line=1))
    reader = _Reader(documents[0], file)
    reader.refuse_programs()
    return Kustomization(documents[0].value, tuple(reader.references()))


def plugin_references(text: str | bytes, file: str, line: int = 0) -> Iterator[Reference]:
    """Name the files in a generator's or transformer's configuration."""
    for document in yamldoc.load_documents(text, source=file):
        value = document.value
        where = Where(file=file, line=line or document.line)
        if not isinstance(value, dict):
            continue
        refuse_program(value, where)
        for path in _paths_inside(value):
            yield Reference(path, where)


def is_remote(path: str) -> bool:
    """Whether kustomize would take it for an address (after finding no such file)."""
    return _REMOTE.search(path) is not None


def refuse_remote(reference: Reference) -> Denied:
    """The error for a base that is not in the repository."""
    return Denied(
        f"remote resource {reference.path[:200]!r} is not allowed",
        where=reference.where,
        hint="copy it into the repository, or use a second source",
    )


def refuse_program(config: JsonObject, where: Where) -> None:
    """Fail for a plugin configuration that starts a program or renders a chart."""
    annotations = (config.get("metadata") or {}).get("annotations") or {}
    kind = str(config.get("kind", ""))
    version = str(config.get("apiVersion", ""))
    if any(str(name).startswith("config.kubernetes.io/function") for name in annotations) or any(
        str(name).startswith("config.k8s.io/function") for name in annotations
    ):
        raise Denied(f"{kind or 'a function'} would start a program", where=where)
    if kind == "HelmChartInflationGenerator":
        raise Unsupported("charts inside a kustomization are not supported", where=where)
    if (
        kind not in ("Kustomization", "Component")
        and version not in ("builtin", "")
        and _is_plugin(kind)
    ):
        raise Denied(f"{version}/{kind} is a plugin that would start a program", where=where)


def _is_plugin(kind: str) -> bool:
    return kind.endswith(("Generator", "Transformer", "Validator", "Plugin"))


class _Reader:
    def __init__(self, document: yamldoc.Document, file: str) -> None:
        self.document = document
        self.value: JsonObject = document.value
        self.file = file

    def where(self, *path: str | int) -> Where:
        field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
        return Where(file=self.file, line=self.document.line_of(path), field=field.lstrip("."))

    def refuse_programs(self) -> None:
        for name in ("helmCharts", "helmChartInflationGenerator"):
            if self.value.get(name):
                raise Unsupported(
                    "charts inside a kustomization are not supported",
                    where=self.where(name),
                    hint="make the chart a source of its own",
                )

    def items(self, name: str) -> Iterator[tuple[int, JsonValue]]:
        value = self.value.get(name)
        if value is None:
            return
        if not isinstance(value, list):
            raise BadInput("must be a list", where=self.where(name))
        yield from enumerate(value)

    def references(self) -> Iterator[Reference]:
        for name in ("resources", "bases", "components"):
            yield from self.strings(name, may_be_directory=True)
        for name in ("crds", "configurations"):
            yield from self.strings(name)
        yield from self.plugins()
        yield from self.patches()
        yield from self.generators()
        openapi = self.value.get("openapi")
        if isinstance(openapi, dict) and isinstance(openapi.get("path"), str):
            yield Reference(openapi["path"], self.where("openapi", "path"))

    def strings(self, name: str, *, may_be_directory: bool = False) -> Iterator[Reference]:
        for index, item in self.items(name):
            if not isinstance(item, str):
                raise BadInput("must be a path", where=self.where(name, index))
            yield Reference(item, self.where(name, index), may_be_directory=may_be_directory)

    def plugins(self) -> Iterator[Reference]:
        for name in ("generators", "transformers", "validators"):
            for index, item in self.items(name):
                where = self.where(name, index)
                if not isinstance(item, str):
                    raise BadInput("must be a path or inline YAML", where=where)
                if "\n" in item:
                    yield from plugin_references(item, self.file, where.line)
                else:
                    yield Reference(item, where, may_be_directory=True, is_plugin=True)

    def patches(self) -> Iterator[Reference]:
        for name in ("patches", "patchesJson6902", "replacements"):
            for index, item in self.items(name):
                if isinstance(item, dict) and isinstance(item.get("path"), str):
                    yield Reference(item["path"], self.where(name, index, "path"))
        for index, item in self.items("patchesStrategicMerge"):
            if isinstance(item, str) and "\n" not in item:
                yield Reference(item, self.where("patchesStrategicMerge", index))

    def generators(self) -> Iterator[Reference]:
        for name in ("configMapGenerator", "secretGenerator"):
            for index, item in self.items(name):
                if isinstance(item, dict):
                    for path, *field in _generator_files(item):
                        yield Reference(path, self.where(name, index, *field))


def _generator_files(item: JsonObject) -> Iterator[tuple[str, ...]]:
    for field in ("files", "envs"):
        for entry in item.get(field) or ():
            if isinstance(entry, str):
                yield (
                    (entry.partition("=")[2] if field == "files" and "=" in entry else entry),
                    field,
                )
    if isinstance(item.get("env"), str):
        yield item["env"], "env"


def _paths_inside(config: JsonObject) -> Iterator[str]:
    """Paths in a built-in plugin's configuration: its fields are named as in a kustomization."""
    for path, *_ in _generator_files(config):
        yield path
    if isinstance(config.get("path"), str):
        yield config["path"]
    for entry in config.get("paths") or ():
        if isinstance(entry, str) and "\n" not in entry:
            yield entry
    for entry in config.get("replacements") or ():
        if isinstance(entry, dict) and isinstance(entry.get("path"), str):
            yield entry["path"]

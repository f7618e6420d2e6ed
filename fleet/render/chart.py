"""What a chart is made of, and what its templates can see. Pure.

Helm itself loads a chart's metadata, values, schema, templates, CRDs and subcharts; every other file reaches the
output only by ``.Files``. Cluster capabilities, release name and namespace reach it only where a template (or,
through ``tpl``, a value) spells their name. A word that appears nowhere cannot be asked for, so it stays out of
the closure; a word in a comment brings it in, which costs a render and no correctness.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fleet.codec import yamldoc
from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput, Where
from fleet.render.archive import read_chart

_METADATA = frozenset((
    "Chart.yaml", "Chart.lock", "requirements.yaml", "requirements.lock", "values.yaml",
    "values.schema.json", ".helmignore",
))  # fmt: skip
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_HARMLESS = re.compile(rb"\bRelease\.(?:Name|Service|IsInstall|IsUpgrade|Revision)\b")


def own_part(path: str) -> str:
    """The path inside the innermost subchart: ``charts/a/charts/b/templates/x`` -> ``templates/x``."""
    parts = path.split("/")
    while len(parts) > 2 and parts[0] == "charts":
        parts = parts[2:]
    return "/".join(parts)


def is_essential(path: str) -> bool:
    """Whether helm loads this file of a chart for more than ``.Files``."""
    own = own_part(path)
    return own in _METADATA or own.startswith(("templates/", "crds/", "charts/"))


def is_scanned(path: str) -> bool:
    """Whether this file of a chart can name what its output depends on."""
    own = own_part(path)
    return (
        own in ("Chart.yaml", "values.yaml", "requirements.yaml", "Chart.lock", "requirements.lock")
        or own.startswith("templates/")
        or (own.startswith("charts/") and own.endswith(".tgz"))
    )


@dataclass(frozen=True, slots=True)
class Mentions:
    """What a chart can see beyond its values."""

    files: bool
    kube_version: bool
    api_versions: bool
    release_name: bool
    release_namespace: bool


def mentions(texts: Mapping[str, bytes], values: Iterable[bytes]) -> Mentions:
    """Look for the words; ``texts`` are the chart's scanned files, ``values`` what is laid over them."""
    templates: list[bytes] = []
    metadata: list[bytes] = []
    defaults: list[bytes] = []
    for path, text in unpacked(texts).items():
        own = own_part(path)
        kind = metadata if own == "Chart.yaml" else defaults if own == "values.yaml" else templates
        kind.append(text)
    if any(b"tpl" in text for text in templates):
        templates += [*defaults, *values]
    asks_cluster = any(b"Capabilities" in text or b"lookup" in text for text in templates)
    names = [text for text in templates if b"Release" in text]
    return Mentions(
        files=any(b"Files" in text for text in templates),
        kube_version=asks_cluster or any(b"kubeVersion" in text for text in metadata),
        api_versions=asks_cluster
        and any(b"APIVersions" in text or b"lookup" in text for text in templates),
        release_name=bool(names),
        release_namespace=any(b"Release" in _HARMLESS.sub(b"", text) for text in names),
    )


def unpacked(texts: Mapping[str, bytes]) -> dict[str, bytes]:
    """Open vendored ``charts/*.tgz``, so that all templates are in sight."""
    result: dict[str, bytes] = {}
    for path, text in texts.items():
        if not path.endswith(".tgz"):
            result[path] = text
            continue
        folder = path.removesuffix(".tgz")
        inner = {name: content for name, content in read_chart(text).items() if is_scanned(name)}
        result.update({f"{folder}/{name}": content for name, content in unpacked(inner).items()})
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """A chart that a chart wants to have beside it."""

    name: str
    version: str
    repository: str
    locked: str = ""
    """The version that Chart.lock names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What matters of a Chart.yaml."""

    name: str
    missing: tuple[Dependency, ...]
    """Dependencies that are not in ``charts/``."""


def metadata(texts: Mapping[str, bytes], file: str) -> Metadata:
    """Read a chart's own metadata; ``file`` is its Chart.yaml for messages. Raises BadInput."""
    chart = _mapping(texts, "Chart.yaml", file)
    name = chart.get("name")
    if not isinstance(name, str) or not _NAME.match(name):
        raise BadInput(f"chart name {name!r} is not allowed", where=Where(file=file, field="name"))
    listed = chart.get("dependencies")
    if listed is None:
        listed = _mapping(texts, "requirements.yaml", file).get("dependencies")
    present = {subchart_name(path, text) for path, text in texts.items()}
    locked = _locked(texts, file)
    wanted = [_dependency(each, file, locked) for each in listed or ()]
    return Metadata(name=name, missing=tuple(d for d in wanted if d.name not in present))


def subchart_name(path: str, text: bytes) -> str:
    """The name of the subchart that a file of ``charts/`` belongs to, empty for every other file."""
    parts = path.split("/")
    if parts[0] != "charts":
        return ""
    if len(parts) == 2 and path.endswith(".tgz"):
        text = read_chart(text).get("Chart.yaml", b"")
    elif len(parts) != 3 or parts[2] != "Chart.yaml":
        return ""
    value = yamldoc.load_one(text, source=path)
    return str(value.get("name", "")) if isinstance(value, dict) else ""


def _dependency(value: object, file: str, locked: Mapping[str, str]) -> Dependency:
    where = Where(file=file, field="dependencies")
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise BadInput("a dependency needs a name", where=where)
    name = value["name"]
    if not _NAME.match(name):
        raise BadInput(f"dependency name {name!r} is not allowed", where=where)
    return Dependency(
        name=name,
        version=str(value.get("version") or ""),
        repository=str(value.get("repository") or ""),
        locked=locked.get(name, ""),
    )


def _locked(texts: Mapping[str, bytes], file: str) -> dict[str, str]:
    for name in ("Chart.lock", "requirements.lock"):
        listed = _mapping(texts, name, file).get("dependencies") or ()
        versions = {
            str(e.get("name")): str(e.get("version")) for e in listed if isinstance(e, dict)
        }
        if versions:
            return versions
    return {}


def _mapping(texts: Mapping[str, bytes], name: str, chart_file: str) -> JsonObject:
    file = chart_file.removesuffix("Chart.yaml") + name
    value = yamldoc.load_one(texts.get(name, b""), source=file)
    if value is None:
        value = {}
    if not isinstance(value, dict):
        raise BadInput("must be a mapping", where=Where(file=file, line=1))
    return value

"""Turns texts of manifests into Kubernetes objects. Pure; the texts are not trusted.

Lists are expanded, what a cluster adds to an exported object is taken off, and a document that is no object is
refused with its file and line. In a plain directory a file that does not look like manifests at all is left
alone, as Argo CD does, and says so in a warning.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from fleet.codec import canonical, yamldoc
from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.errors import BadInput, Where
from fleet.model.application import Warning  # noqa: A004  # the field's word

_SKIP_MARK = b"+argocd:skip-file-rendering"
_SIGNS = (b"apiVersion:", b"kind:", b"metadata:")
_SOURCE = re.compile(rb"^# Source: (?P<path>\S+)$", re.MULTILINE)
_OF_A_CLUSTER = frozenset((
    "creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid",
))  # fmt: skip
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One file of manifests, or the output of a tool."""

    file: str
    """For messages; empty for a tool's output."""
    content: bytes
    lenient: bool = False
    """A file of a plain directory, which may hold something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An object and where it was written."""

    value: JsonObject
    where: Where


def read_texts(texts: Iterable[Text], warnings: list[Warning]) -> Iterator[Found]:
    """Read all objects in order; adds to ``warnings``; raises BadInput with file and line."""
    for text in texts:
        if text.lenient and _SKIP_MARK in text.content:
            continue
        try:
            found = list(_read(text))
        except BadInput as error:
            if not text.lenient or _looks_like_manifests(text.content):
                raise
            warnings.append(_ignored(text.file, str(error.message)))
            continue
        yield from found


def _read(text: Text) -> Iterator[Found]:
    if text.file.endswith(".json"):
        try:
            documents: Iterable[tuple[JsonValue, int]] = [(canonical.decode(text.content), 1)]
        except BadInput as error:
            raise error.at(file=text.file) from error.__cause__
    else:
        parsed = yamldoc.load_documents(text.content, source=text.file)
        documents = [(document.value, document.line) for document in parsed]
    templates = [] if text.file else _templates(text.content)
    for value, line in documents:
        if value is None or value == {}:
            continue
        where = Where(file=text.file, line=line) if text.file else _template(templates, line)
        yield from _objects(value, where)


def _templates(output: bytes) -> list[tuple[int, str]]:
    """Where helm says which template the next lines are from: (line, path), sorted."""
    found = []
    line, end = 1, 0
    for match in _SOURCE.finditer(output):
        line += output.count(b"\n", end, match.start())
        end = match.start()
        found.append((line, match["path"].decode("utf-8", "replace")))
    return found


def _template(templates: list[tuple[int, str]], line: int) -> Where:
    before = bisect_left(templates, (line, ""))
    return Where(file=templates[before - 1][1]) if before else Where()


def _objects(value: JsonValue, where: Where) -> Iterator[Found]:
    if not isinstance(value, dict):
        raise BadInput(f"is a {type(value).__name__}, not a Kubernetes object", where=where)
    kind, version = value.get("kind"), value.get("apiVersion")
    for field, word in (("apiVersion", version), ("kind", kind)):
        if not isinstance(word, str) or not word:
            raise BadInput(f"document has no {field}", where=where)
    assert isinstance(kind, str)
    if kind.endswith("List") and isinstance(value.get("items"), list):
        for item in value["items"]:
            yield from _objects(_list_item(item, value, kind), where)
        return
    yield Found(value=_cleaned(value, where), where=where)


def _list_item(item: JsonValue, around: JsonObject, kind: str) -> JsonValue:
    """Items of a typed list may leave out what the list says."""
    if not isinstance(item, dict) or kind == "List" or item.get("kind"):
        return item
    return {"apiVersion": around["apiVersion"], **item, "kind": kind.removesuffix("List")}


def _cleaned(value: JsonObject, where: Where) -> JsonObject:
    metadata = value.get("metadata")
    named = f"{value['kind']}"
    if not isinstance(metadata, dict):
        raise BadInput(f"{named} has no metadata", where=where)
    name = metadata.get("name") or metadata.get("generateName")
    if not isinstance(name, str) or not name:
        raise BadInput(f"{named} has no metadata.name", where=where)
    namespace = metadata.get("namespace")
    if namespace is not None and not isinstance(namespace, str):
        raise BadInput(f"{named} {name}: metadata.namespace is not a string", where=where)
    kept = {key: item for key, item in metadata.items() if key not in _OF_A_CLUSTER}
    for field in ("labels", "annotations"):
        _clean_strings(kept, field, f"{named} {name}", where)
    result = {**value, "metadata": kept}
    if not result.get("status", True):
        del result["status"]
    return result


def _clean_strings(metadata: JsonObject, field: str, named: str, where: Where) -> None:
    strings = metadata.get(field)
    if strings is None or strings == {}:
        metadata.pop(field, None)
        return
    if not isinstance(strings, dict):
        raise BadInput(f"{named}: metadata.{field} is not a mapping", where=where)
    for key, text in strings.items():
        if not isinstance(text, str):
            raise BadInput(
                f"{named}: metadata.{field}.{key} is not a string",
                where=where,
                hint="put it in quotes",
            )
    if _LAST_APPLIED in strings:
        left = {key: text for key, text in strings.items() if key != _LAST_APPLIED}
        metadata[field] = left
        if not left:
            del metadata[field]


def _looks_like_manifests(content: bytes) -> bool:
    return all(sign in content for sign in _SIGNS) or all(
        sign.replace(b":", b'"') in content for sign in _SIGNS
    )


def _ignored(file: str, why: str) -> Warning:
    return Warning(
        reason="FileIgnored", message=f"holds no manifests: {why}", where=Where(file=file)
    )

"""How the environments of a fleet repo differ, and which versions one has that another lacks. Pure.

Three ways are known: folders or files that are named by the environment (``apps/web/staging``, ``values-staging.yaml``);
documents that say an environment's revision (Applications, elements of an ApplicationSet's list); branches that are
named by it. In all of them only versions move by themselves: replicas, host names and sizes are an environment's own.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from fleet.cli.scalars import Path
from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.codec.yamldoc import Document
from fleet.errors import BadInput

REVISION_KEYS = frozenset(
    (
        *("targetRevision", "revision", "version", "chartVersion", "appVersion", "branch"),
        *("tag", "newTag", "imageTag", "digest", "image"),
    )
)
"""Fields of documents and list elements that say which version runs."""
VERSION_KEYS = REVISION_KEYS | {"newName"}
"""The same in files of an environment: what is promoted of them."""
_IMAGE = re.compile(r"=|@|:(?!.*/)")
"""What ends the name of an image: a new name, a digest, a tag (the port of a registry does not)."""
_EXTENSIONS = re.compile(r"\.(ya?ml|json|tmpl|env|properties)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is promoted from where to where."""

    app: str
    source: str
    target: str
    folder: str = ""
    """Only files below it, and all of them: the application needs not be in their paths."""

    def swap(self, text: str) -> str:
        """Write the target's name where the source's is a word of its own."""
        return _word(self.source).sub(lambda _: self.target, text)

    def names_source(self, text: str) -> bool:
        """Whether the source's name is a word of a text."""
        return bool(_word(self.source).search(text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One value of one document that takes over another value."""

    file: str
    index: int
    path: Path
    old: JsonValue
    new: JsonValue


@dataclass(slots=True, kw_only=True)
class Moves:
    """What was found."""

    moves: list[Move] = field(default_factory=list)
    matched: int = 0
    """Places of both environments that belong together, equal ones too."""
    branches: set[tuple[str, str]] = field(default_factory=set)
    """Branches of source and target that are named by their environments: what moves is files, not the names."""
    notes: list[str] = field(default_factory=list)


def file_pairs(paths: Collection[str], asked: Asked) -> dict[str, str]:
    """Return the files of the source environment and what they are called in the target, whether that is there or not."""
    return {
        path: asked.swap(path)
        for path in sorted(paths)
        if asked.names_source(path) and _belongs(path, asked)
    }


def app_files(paths: Collection[str], asked: Asked) -> set[str]:
    """Return the application's files on a branch that is an environment."""
    return {path for path in paths if _belongs(path, asked)}


def _belongs(path: str, asked: Asked) -> bool:
    if asked.folder:
        return path.startswith(f"{asked.folder.strip('/')}/")
    return any(_is_app(segment, asked) for segment in path.split("/"))


def _is_app(text: str, asked: Asked) -> bool:
    """Whether a name is the application's, the environment left out: ``web``, ``web-staging``, ``staging.web.yaml``."""
    stem = _EXTENSIONS.sub("", text)
    bare = _word(asked.source).sub("", _word(asked.target).sub("", stem))
    return asked.app in (text, stem, re.sub(r"[-_.]{2,}", "-", bare).strip("-_."))


def file_moves(
    source: Iterable[Document], target: Iterable[Document], file: str, found: Moves
) -> None:
    """Find the versions that two files of the same kind have and do not share."""
    for index, (ours, theirs) in enumerate(zip(source, target, strict=False)):
        for path, new, old in _versions(ours.value, theirs.value, (), found, file):
            found.matched += 1
            if new != old:
                found.moves.append(Move(file=file, index=index, path=path, old=old, new=new))


def _versions(
    ours: JsonValue, theirs: JsonValue, path: Path, found: Moves, file: str
) -> Iterator[tuple[Path, JsonValue, JsonValue]]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in ours:
            if key in VERSION_KEYS and _is_scalar(ours[key]):
                if key in theirs and _is_scalar(theirs[key]):
                    yield (*path, key), ours[key], theirs[key]
            elif key in theirs:
                yield from _versions(ours[key], theirs[key], (*path, key), found, file)
    elif isinstance(ours, list) and isinstance(theirs, list):
        for item in ours:
            at = _same(item, theirs)
            if at is not None:
                yield from _versions(item, theirs[at], (*path, at), found, file)
            elif isinstance(item, dict) and VERSION_KEYS & item.keys():
                found.notes.append(
                    f"{file} has no entry for {item.get('name', 'one of the source')}"
                )


def _same(item: JsonValue, others: list[JsonValue]) -> int | None:
    """Find the entry of the same name."""
    if not isinstance(item, dict) or "name" not in item:
        return None
    fitting = [
        at
        for at, other in enumerate(others)
        if isinstance(other, dict) and other.get("name") == item["name"]
    ]
    return fitting[0] if len(fitting) == 1 else None


def _is_scalar(value: JsonValue) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


# documents


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a document says the revisions of one environment."""

    file: str
    index: int
    revisions: Mapping[tuple[str, ...], tuple[Path, JsonValue]]
    """By what they are revisions of."""


def document_moves(files: Mapping[str, Iterable[Document]], asked: Asked, found: Moves) -> None:
    """Find the revisions that Applications and list elements of both environments say; raises BadInput where several
    of the source disagree."""
    sources: dict[tuple[str, ...], set[JsonValue]] = {}
    targets: list[_Place] = []
    for file, documents in sorted(files.items()):
        for index, document in enumerate(documents):
            for environment, place in _places(file, index, document.value, asked):
                if environment == asked.target:
                    targets.append(place)
                    continue
                for key, (_, value) in place.revisions.items():
                    sources.setdefault(key, set()).add(value)
    for place in targets:
        for key, (path, old) in place.revisions.items():
            values = sources.get(key, set())
            if len(values) > 1:
                listed = ", ".join(sorted(str(item) for item in values))
                raise BadInput(
                    f"{asked.source} has {asked.app} at several revisions: {listed}",
                    hint="cannot tell which of them is meant",
                )
            for new in values:
                found.matched += 1
                move = Move(file=place.file, index=place.index, path=path, old=old, new=new)
                if new != old and asked.swap(str(new)) == str(old):
                    found.branches.add((str(new), str(old)))
                elif new != old and move not in found.moves:
                    found.moves.append(move)


def _places(file: str, index: int, value: JsonValue, asked: Asked) -> Iterator[tuple[str, _Place]]:
    if not isinstance(value, dict) or not str(value.get("apiVersion")).startswith("argoproj.io/"):
        return
    if value.get("kind") == "Application":
        environment = _environment(value, asked)
        if environment:
            revisions = dict(_application_revisions(value))
            yield environment, _Place(file=file, index=index, revisions=revisions)
    elif value.get("kind") == "ApplicationSet":
        whole = _is_app(_name(value), asked)
        generators = _mapping(value.get("spec")).get("generators")
        for path, element in _elements(generators, ("spec", "generators")):
            texts = {item for item in element.values() if isinstance(item, str)}
            if not whole and not any(_is_app(item, asked) for item in texts):
                continue
            environment = next((e for e in (asked.source, asked.target) if e in texts), "")
            if environment:
                revisions = {
                    ("ApplicationSet", _name(value), key): ((*path, key), element[key])
                    for key in sorted(REVISION_KEYS & element.keys())
                    if _is_scalar(element[key])
                }
                yield environment, _Place(file=file, index=index, revisions=revisions)


def _environment(application: JsonObject, asked: Asked) -> str:
    """Return the environment of one of the application's documents: by its destination, a label, or its name."""
    name = _name(application)
    if not _is_app(name, asked):
        return ""
    metadata = _mapping(application.get("metadata"))
    destination = _mapping(_mapping(application.get("spec")).get("destination"))
    said = [destination.get("name"), *_mapping(metadata.get("labels")).values()]
    for environment in (asked.source, asked.target):
        if environment in said or _word(environment).search(name):
            return environment
    return ""


def _application_revisions(
    application: JsonObject,
) -> Iterator[tuple[tuple[str, ...], tuple[Path, JsonValue]]]:
    spec = _mapping(application.get("spec"))
    single = [(("spec", "source"), spec.get("source"))]
    several = [
        (("spec", "sources", at), item) for at, item in enumerate(_list(spec.get("sources")))
    ]
    for path, source in (*single, *several):
        if isinstance(source, dict):
            key = ("Application", str(source.get("repoURL")), str(source.get("chart", "")))
            for name, place in _source_versions(source, path):
                yield (*key, str(source.get("ref", "")), *name), place


def _source_versions(
    source: JsonObject, path: Path
) -> Iterator[tuple[tuple[str, ...], tuple[Path, JsonValue]]]:
    """Find the versions that one source says: its revision, those among helm's parameters and values, images."""
    if _is_scalar(source.get("targetRevision")):
        yield (), ((*path, "targetRevision"), source["targetRevision"])
    helm, kustomize = _mapping(source.get("helm")), _mapping(source.get("kustomize"))
    for at, item in enumerate(_list(helm.get("parameters"))):
        name = str(_mapping(item).get("name", ""))
        if name.rpartition(".")[2] in REVISION_KEYS and _is_scalar(item.get("value")):
            place = (*path, "helm", "parameters", at, "value")
            yield ("parameter", name), (place, item["value"])
    for inner, value in _values(helm.get("valuesObject"), ()):
        yield ("value", *map(str, inner)), ((*path, "helm", "valuesObject", *inner), value)
    for at, image in enumerate(_list(kustomize.get("images"))):
        if isinstance(image, str):
            yield ("image", _IMAGE.split(image)[0]), ((*path, "kustomize", "images", at), image)


def _values(value: JsonValue, path: Path) -> Iterator[tuple[Path, JsonValue]]:
    """Find the versions among the values of a chart."""
    for key, item in value.items() if isinstance(value, dict) else ():
        if key in VERSION_KEYS and _is_scalar(item):
            yield (*path, key), item
        else:
            yield from _values(item, (*path, key))


def _elements(value: JsonValue, path: Path) -> Iterator[tuple[Path, JsonObject]]:
    """Find the elements of all list generators, nested ones too."""
    if isinstance(value, list):
        for at, item in enumerate(value):
            yield from _elements(item, (*path, at))
    elif isinstance(value, dict):
        elements = _mapping(value.get("list")).get("elements")
        for at, element in enumerate(_list(elements)):
            if isinstance(element, dict):
                yield (*path, "list", "elements", at), element
        for kind in ("matrix", "merge"):
            if isinstance(value.get(kind), dict):
                inner = value[kind].get("generators")
                yield from _elements(inner, (*path, kind, "generators"))


def _name(document: JsonObject) -> str:
    return str(_mapping(document.get("metadata")).get("name", ""))


def _mapping(value: JsonValue) -> JsonObject:
    """Take what nobody has validated for what it should be, or for nothing."""
    return value if isinstance(value, dict) else {}


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []


def _word(text: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9]){re.escape(text)}(?![A-Za-z0-9])")

"""In which form an answer is wanted: whole objects, their metadata alone, or a table for people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fleet.codec.jsontypes import JsonObject
from fleet.embedded.kinds import Kind
from fleet.embedded.table import table

_META = "meta.k8s.io/v1"


@dataclass(frozen=True, slots=True)
class Form:
    """One form of answer."""

    name: str = ""
    """Empty = as it is, ``Table``, ``PartialObjectMetadata`` or ``PartialObjectMetadataList``."""
    include: str = "Metadata"
    """What a table row carries of its object: None, Metadata or Object."""

    @property
    def is_partial(self) -> bool:
        """Whether only metadata is wanted."""
        return self.name.startswith("PartialObjectMetadata")


def form_of(accept: str, include: str = "") -> Form:
    """The first acceptable form of an Accept header."""
    for item in accept.split(","):
        media, *parameters = (part.strip() for part in item.split(";"))
        found = dict(part.split("=", 1) for part in parameters if "=" in part)
        name = found.get("as", "")
        if not name and media in ("application/json", "*/*", "application/yaml"):
            return Form()
        known = name in ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")
        is_meta = found.get("g") == "meta.k8s.io" and found.get("v") in ("v1", "v1beta1")
        if known and media == "application/json" and is_meta:
            return Form(name, include or "Metadata")
    return Form()


def shown(obj: JsonObject, kind: Kind) -> JsonObject:
    """An object in the version that was asked for."""
    return {**obj, "kind": kind.kind, "apiVersion": kind.api_version}


def partial(obj: JsonObject) -> JsonObject:
    """An object's metadata as an object of its own."""
    return {"kind": "PartialObjectMetadata", "apiVersion": _META, "metadata": obj["metadata"]}


def one(obj: JsonObject, kind: Kind, form: Form) -> JsonObject:
    """One object in a form."""
    if form.is_partial:
        return partial(obj)
    if form.name == "Table":
        version = obj["metadata"].get("resourceVersion", "")
        return table([obj], kind, include=form.include, metadata={"resourceVersion": version})
    return shown(obj, kind)


def many(items: Iterable[JsonObject], kind: Kind, form: Form, metadata: JsonObject) -> JsonObject:
    """A list in a form."""
    if form.name == "Table":
        return table(items, kind, include=form.include, metadata=metadata)
    if form.is_partial:
        return {
            "kind": "PartialObjectMetadataList",
            "apiVersion": _META,
            "metadata": metadata,
            "items": [partial(obj) for obj in items],
        }
    if kind.is_custom:
        listed = [shown(obj, kind) for obj in items]
    else:
        # items of typed lists carry no kind of their own
        listed = [
            {key: value for key, value in obj.items() if key not in ("kind", "apiVersion")}
            for obj in items
        ]
    return {
        "kind": f"{kind.kind}List",
        "apiVersion": kind.api_version,
        "metadata": metadata,
        "items": listed,
    }


def event(kind_of_event: str, obj: JsonObject, kind: Kind, form: Form) -> JsonObject:
    """A watch event in a form."""
    return {"type": kind_of_event, "object": one(obj, kind, form)}


def bookmark(version: int, kind: Kind, form: Form, *, ends_initial: bool = False) -> JsonObject:
    """The event that only says how far the stream has come."""
    metadata: JsonObject = {"resourceVersion": str(version)}
    if ends_initial:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    if form.is_partial:
        obj: JsonObject = {
            "kind": "PartialObjectMetadata",
            "apiVersion": _META,
            "metadata": metadata,
        }
    elif form.name == "Table":
        obj = table([], kind, include=form.include, metadata=metadata)
    else:
        obj = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata}
    return {"type": "BOOKMARK", "object": obj}

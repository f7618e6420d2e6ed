"""Artifact: rendered objects as canonical bytes, without anything of a cluster or of tracking. Pure.

Objects stay in the order in which they were rendered; keys are sorted. The same objects give the same bytes on
every machine, so equal renders of several targets are one artifact.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from fleet.codec import canonical
from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput, Corrupt, Where
from fleet.model.application import Warning  # noqa: A004  # the field's word
from fleet.model.identity import ObjectRef
from fleet.render.manifests import Found, Text, read_texts


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much one artifact may hold."""

    objects: int
    object_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """An artifact's bytes and what is in it."""

    data: bytes
    objects: int
    kinds: Mapping[str, int]
    warnings: tuple[Warning, ...] = ()


def build(texts: Iterable[Text], bounds: Bounds) -> Built:
    """Read texts and make their artifact; raises BadInput naming file, line and object."""
    warnings: list[Warning] = []
    return _built(read_texts(texts, warnings), bounds, warnings)


def combine(artifacts: Iterable[bytes], bounds: Bounds) -> Built:
    """Join the artifacts of several sources: of the same object the last one wins."""
    found = (Found(value=value, where=Where()) for data in artifacts for value in decode(data))
    return _built(found, bounds, [])


def decode(data: bytes) -> tuple[JsonObject, ...]:
    """Read an artifact's objects; raises Corrupt for bytes that are none."""
    try:
        value = canonical.decode(data)
        return tuple(value["objects"])
    except (BadInput, KeyError, TypeError) as error:
        raise Corrupt("bytes are not an artifact") from error


def encode(objects: Iterable[JsonObject]) -> bytes:
    """Write objects of an artifact as one of their own, in their order."""
    return _joined(canonical.canonical_bytes(value) for value in objects)


def reference(value: JsonObject) -> ObjectRef:
    """Name an object, its namespace as written; ``generateName`` counts as a name of its own."""
    metadata = value["metadata"]
    group, slash, _ = value["apiVersion"].partition("/")
    name = metadata.get("name") or metadata.get("generateName", "")
    return ObjectRef(group if slash else "", value["kind"], metadata.get("namespace") or "", name)


def _built(found: Iterable[Found], bounds: Bounds, warnings: list[Warning]) -> Built:
    objects: dict[ObjectRef | int, bytes] = {}
    kinds: Counter[str] = Counter()
    seen: Counter[ObjectRef] = Counter()
    for number, each in enumerate(found):
        if number >= bounds.objects:
            raise BadInput(f"more than {bounds.objects} objects", where=each.where)
        ref = reference(each.value)
        key: ObjectRef | int = ref if each.value["metadata"].get("name") else number
        seen[ref] += isinstance(key, ObjectRef)
        if objects.pop(key, None) is None:
            kinds[f"{ref.group}/{ref.kind}"] += 1
        objects[key] = _encoded(each, ref, bounds)
    warnings += [_repeated(ref, count) for ref, count in sorted(seen.items()) if count > 1]
    return Built(
        data=_joined(objects.values()),
        objects=len(objects),
        kinds=dict(sorted(kinds.items())),
        warnings=tuple(warnings),
    )


def _joined(objects: Iterable[bytes]) -> bytes:
    return b'{"objects":[' + b",".join(objects) + b"]}"


def _encoded(found: Found, ref: ObjectRef, bounds: Bounds) -> bytes:
    try:
        data = canonical.canonical_bytes(found.value)
    except (BadInput, msgspec.MsgspecError, RecursionError) as error:
        raise BadInput(f"{ref} cannot be written as JSON: {error}", where=found.where) from error
    if len(data) > bounds.object_size:
        raise BadInput(
            f"object too large: {ref} has {len(data)} bytes, an API server takes "
            f"{bounds.object_size} at most",
            where=found.where,
        )
    return data


def _repeated(ref: ObjectRef, count: int) -> Warning:
    return Warning(
        reason="RepeatedResourceWarning",
        message=f"{ref} appears {count} times; the last one is used",
    )

"""An Application as the API server gives it back: empty members vanish, and so do source options that say nothing.

Two Applications that mean the same get the same document, however they were written.
Source: conformance cases, and the JSON tags of Argo CD's types.
"""

from __future__ import annotations

from fleet.argo.fields import APPLICATION
from fleet.argo.shapes import Items, Record, Shape
from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.model.project import DEFAULT_PROJECT

# Kustomize fields that do not keep the block alive on their own.
_KUSTOMIZE_MODIFIERS = frozenset(
    (
        "forceCommonLabels",
        "forceCommonAnnotations",
        "commonAnnotationsEnvsubst",
        "labelWithoutSelector",
        "labelIncludeTemplates",
    )
)


def normalize_application(document: JsonObject) -> JsonObject:
    """Return the normal form of an Application that has the right types; nothing is changed in place."""
    result: JsonObject = normalize(document, APPLICATION)
    spec = result["spec"]
    if not spec.get("project"):
        spec["project"] = DEFAULT_PROJECT.name
    result["spec"] = finish_spec(spec)
    return result


def normalize(value: JsonValue, shape: Shape) -> JsonValue:
    """Drop what Kubernetes does not print: empty texts, zeros, empty lists and maps of optional fields."""
    if isinstance(shape, Record):
        result = {}
        for name, item in value.items():
            field = shape.fields[name]
            normal = normalize(item, field.shape)
            if field.keep or not vanishes(normal, field.shape):
                result[name] = normal
        return result
    if isinstance(shape, Items):
        return [normalize(item, shape.item) for item in value]
    return value


def vanishes(value: JsonValue, shape: Shape) -> bool:
    """Tell whether an optional field with this value is not printed; records are, for an empty one says something."""
    return not value and not isinstance(shape, Record)


def finish_spec(spec: JsonObject) -> JsonObject:
    """Drop blocks that say nothing; changes and returns the spec.

    ``source`` stays beside ``sources``, although nobody reads it then: so does Argo CD.
    """
    if spec.get("syncPolicy") == {}:
        del spec["syncPolicy"]
    if spec.get("sources"):
        spec["sources"] = [finish_source(source) for source in spec["sources"]]
    elif "source" in spec:
        spec["source"] = finish_source(spec["source"])
    return spec


def finish_source(source: JsonObject) -> JsonObject:
    """Return the source without kustomize, helm and directory blocks that say nothing."""
    idle = [
        name
        for name in ("helm", "kustomize", "directory")
        if name in source and _is_idle(name, source[name])
    ]
    if not idle:
        return source
    return {name: item for name, item in source.items() if name not in idle}


def _is_idle(name: str, block: JsonObject) -> bool:
    if name == "kustomize":
        return _KUSTOMIZE_MODIFIERS.issuperset(block)
    if name == "directory" and not block.get("jsonnet", True):
        return not set(block) - {"jsonnet"}
    return not block

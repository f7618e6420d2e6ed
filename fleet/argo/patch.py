"""``templatePatch``: a strategic merge over an Application, with the Application's merge keys.

Maps merge, null removes, lists are replaced; only ``metadata.finalizers`` is a list that merges, the patch's
entries first. ``$patch: replace|delete`` works in maps. Free JSON (helm.valuesObject) merges one level deep:
below that Argo CD fails, and so do we. Source: argo.md section 3, k8s.io/apimachinery strategicpatch.
"""

from __future__ import annotations

from fleet.argo.fields import APPLICATION, PATCH
from fleet.argo.normalize import finish_spec, normalize
from fleet.argo.shapes import (
    Anything,
    FindingKind,
    Flag,
    Items,
    Record,
    Shape,
    Table,
    Text,
    Whole,
    WholeOrText,
    check,
)
from fleet.codec.canonical import decode
from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.codec.yamldoc import load_one
from fleet.errors import BadInput

_DIRECTIVE = "$patch"
_DELETE_FROM = "$deleteFromPrimitiveList/"
_MERGED_LIST = ("metadata", "finalizers")


def parse_patch(text: str) -> JsonObject:
    """Read a filled patch and judge its types; raises BadInput. A text that holds nothing changes nothing."""
    if text.lstrip().startswith("{"):
        try:
            value = decode(text)
        except BadInput as error:
            raise BadInput(f"invalid templatePatch: {error.message}") from error
    else:
        try:
            value = load_one(text)
        except BadInput as error:
            raise BadInput(f"error while converting template to json: {error}") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadInput("invalid templatePatch: it must be an object")
    checked = check(value, PATCH, nulls=True)
    for finding in checked.findings:
        if finding.kind is FindingKind.WRONG:
            raise BadInput(f"invalid templatePatch: {finding.field} {finding.message}")
    result: JsonObject = checked.value
    return result


def apply_patch(document: JsonObject, patch: JsonObject) -> JsonObject:
    """Return the patched Application in normal form; project and namespace stay; nothing is changed in place."""
    merged = _merge(document, patch, APPLICATION, ())
    result: JsonObject = normalize(
        _whole(check(merged, APPLICATION).value, APPLICATION), APPLICATION
    )
    metadata = result.setdefault("metadata", {})
    metadata["namespace"] = document["metadata"]["namespace"]
    metadata.setdefault("name", "")
    spec = result.setdefault("spec", {})
    spec["project"] = document["spec"].get("project", "")
    spec.setdefault("destination", {})
    result["spec"] = finish_spec(spec)
    return result


def _whole(value: JsonValue, shape: Shape) -> JsonValue:
    """Give fields that must be there, and that the patch left out or took away, Go's zero, as decoding it does."""
    if isinstance(shape, Record):
        known = {name: _whole(item, shape.fields[name].shape) for name, item in value.items()}
        zeros = {
            name: _zero(field.shape)
            for name, field in shape.fields.items()
            if field.required and name not in value
        }
        return known | zeros
    if isinstance(shape, Items):
        return [_whole(item, shape.item) for item in value]
    return value


def _zero(shape: Shape) -> JsonValue:
    match shape:
        case Text():
            return ""
        case Flag():
            return False
        case Items():
            return []
        case Record():
            return _whole({}, shape)
        case Table() | Anything():
            return {}
        case Whole() | WholeOrText():
            return 0


def _merge(
    original: JsonObject, patch: JsonObject, shape: Shape, path: tuple[str, ...]
) -> JsonObject:
    directive = patch.get(_DIRECTIVE) if not isinstance(shape, Table) else None
    if directive == "replace":
        replaced: JsonObject = _plain(patch)
        return replaced
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise BadInput(f"error while applying templatePatch: unknown {_DIRECTIVE} {directive!r}")
    result = dict(original)
    for key, item in patch.items():
        if key.startswith(_DELETE_FROM):
            name = key.removeprefix(_DELETE_FROM)
            result[name] = [kept for kept in result.get(name) or () if kept not in (item or ())]
        elif key.startswith("$"):
            continue
        elif item is None:
            result.pop(key, None)
        elif key not in result:
            result[key] = _plain(item)
        else:
            result[key] = _member(result[key], item, shape, (*path, key))
    return result


def _member(
    original: JsonValue, patch: JsonValue, shape: Shape, path: tuple[str, ...]
) -> JsonValue:
    both_maps = isinstance(original, dict) and isinstance(patch, dict)
    both_lists = isinstance(original, list) and isinstance(patch, list)
    if isinstance(shape, Anything) and (both_maps or both_lists):
        raise BadInput(
            f"error while applying templatePatch: {'.'.join(path)} cannot be merged into free JSON",
            hint="write the whole value in the patch, or in the template",
        )
    if both_maps:
        inner = shape.fields[path[-1]].shape if isinstance(shape, Record) else _item(shape)
        return _merge(original, patch, inner, path)
    if both_lists and path == _MERGED_LIST:
        return _merged_list(original, patch)
    return _plain(patch)


def _item(shape: Shape) -> Shape:
    return shape.item if isinstance(shape, (Table, Items)) else shape


def _plain(value: JsonValue) -> JsonValue:
    """Take directives and the nulls of maps out of a value that had nothing to merge with."""
    if isinstance(value, dict):
        return {
            key: _plain(item)
            for key, item in value.items()
            if item is not None and not key.startswith("$")
        }
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _merged_list(original: list[str], patch: list[str]) -> list[str]:
    """Unite two lists: the patch's order, and in it those that only the original has, where that order allows."""
    wanted = list(dict.fromkeys(patch))
    others = [item for item in dict.fromkeys(original) if item not in wanted]
    place = {item: index for index, item in enumerate(original)}
    merged: list[str] = []
    while others and wanted:
        known = place.get(wanted[0])
        first = others if known is not None and place[others[0]] < known else wanted
        merged.append(first.pop(0))
    return merged + others + wanted

"""The three patch types that change an object that exists: JSON patch, merge patch, strategic merge patch."""

from __future__ import annotations

from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.embedded.errors import Refusal, bad_request
from fleet.embedded.schema import ANY, Node

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
_MOST_OPERATIONS = 10_000


def merge_patch(target: JsonValue, patch: JsonValue) -> JsonValue:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


# -- RFC 6902 ---------------------------------------------------------------------------------


def json_patch(target: JsonValue, operations: JsonValue) -> JsonValue:
    """RFC 6902; raises the refusal of an operation that does not fit."""
    if not isinstance(operations, list) or len(operations) > _MOST_OPERATIONS:
        raise bad_request("a JSON patch is a list of at most 10000 operations")
    for operation in operations:
        if not isinstance(operation, dict):
            raise bad_request("an operation of a JSON patch is an object")
        target = _operate(target, operation)
    return target


def _operate(target: JsonValue, operation: JsonObject) -> JsonValue:
    path = _pointer(operation.get("path"))
    match operation.get("op"):
        case "add":
            return _set(target, path, operation.get("value"), add=True)
        case "replace":
            _get(target, path)
            return _set(target, path, operation.get("value"), add=False)
        case "remove":
            return _remove(target, path)
        case "test":
            if _get(target, path) != operation.get("value"):
                raise _misfit(f"testing value /{'/'.join(path)} failed")
            return target
        case "move":
            source = _pointer(operation.get("from"))
            value = _get(target, source)
            return _set(_remove(target, source), path, value, add=True)
        case "copy":
            value = _get(target, _pointer(operation.get("from")))
            return _set(target, path, value, add=True)
        case other:
            raise bad_request(f"Unexpected kind: {other}")


def _pointer(text: JsonValue) -> list[str]:
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise bad_request("a path of a JSON patch starts with a slash")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _get(target: JsonValue, path: list[str]) -> JsonValue:
    for part in path:
        if isinstance(target, dict) and part in target:
            target = target[part]
        elif isinstance(target, list) and part.isdigit() and int(part) < len(target):
            target = target[int(part)]
        else:
            raise _misfit(f"there is nothing at /{'/'.join(path)}")
    return target


def _set(target: JsonValue, path: list[str], value: JsonValue, *, add: bool) -> JsonValue:
    if not path:
        return value
    head, rest = path[0], path[1:]
    if isinstance(target, dict):
        if rest and head not in target:
            raise _misfit(f"there is no {head} to go into")
        return {**target, head: _set(target.get(head), rest, value, add=add)}
    if isinstance(target, list):
        index = len(target) if head == "-" else _index(head, len(target) + (add and not rest))
        if rest:
            return [
                *target[:index],
                _set(target[index], rest, value, add=add),
                *target[index + 1 :],
            ]
        return [*target[:index], value, *target[index if add else index + 1 :]]
    raise _misfit(f"there is no {head} to go into")


def _remove(target: JsonValue, path: list[str]) -> JsonValue:
    _get(target, path)
    if not path:
        return None
    head, rest = path[0], path[1:]
    if isinstance(target, dict):
        if rest:
            return {**target, head: _remove(target[head], rest)}
        return {key: item for key, item in target.items() if key != head}
    index = int(head)
    inner = [_remove(target[index], rest)] if rest else []
    return [*target[:index], *inner, *target[index + 1 :]]


def _index(text: str, length: int) -> int:
    if not text.isdigit() or int(text) >= length:
        raise _misfit(f"index {text} is out of bounds")
    return int(text)


def _misfit(why: str) -> Refusal:
    return Refusal(
        422, "Invalid", f"the server rejected our request due to an error in our request: {why}"
    )


# -- strategic merge --------------------------------------------------------------------------


def strategic_patch(target: JsonValue, patch: JsonValue, node: Node) -> JsonValue:
    """Merge with the schema's patch strategies and the directives ``$patch``, ``$retainKeys``, ``$setElementOrder``."""
    if not isinstance(patch, dict):
        return patch
    if patch.get("$patch") == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    if patch.get("$patch") == "delete":
        return {}
    result = dict(target) if isinstance(target, dict) else {}
    if isinstance(patch.get("$retainKeys"), list):
        result = {key: value for key, value in result.items() if key in patch["$retainKeys"]}
    for key, value in patch.items():
        if not key.startswith("$"):
            _merge_field(result, key, value, node.child(key) or ANY)
    for key, value in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            name = key.partition("/")[2]
            result[name] = [item for item in result.get(name) or () if item not in value]
        elif key.startswith("$setElementOrder/"):
            name = key.partition("/")[2]
            _reorder(result, name, value, node.child(name) or ANY)
    return result


def _merge_field(result: JsonObject, key: str, value: JsonValue, node: Node) -> None:
    if value is None:
        result.pop(key, None)
    elif isinstance(value, dict):
        known = result.get(key)
        result[key] = strategic_patch(known if isinstance(known, dict) else {}, value, node)
    elif isinstance(value, list) and "merge" in node.patch_strategy:
        known = result.get(key)
        result[key] = _merge_list(known if isinstance(known, list) else [], value, node)
    else:
        result[key] = value


def _merge_list(known: list[JsonValue], patch: list[JsonValue], node: Node) -> list[JsonValue]:
    if any(isinstance(item, dict) and item.get("$patch") == "replace" for item in patch):
        return [item for item in patch if not (isinstance(item, dict) and "$patch" in item)]
    if not node.patch_key:
        return [*known, *(item for item in patch if item not in known)]
    result = list(known)
    for item in patch:
        name = item.get(node.patch_key) if isinstance(item, dict) else None
        index = next((i for i, old in enumerate(result) if old.get(node.patch_key) == name), None)
        if isinstance(item, dict) and item.get("$patch") == "delete":
            if index is not None:
                del result[index]
        elif index is None:
            result.append(strategic_patch({}, item, node.items or ANY))
        else:
            result[index] = strategic_patch(result[index], item, node.items or ANY)
    return result


def _reorder(result: JsonObject, name: str, order: JsonValue, node: Node) -> None:
    items = result.get(name)
    if not isinstance(items, list) or not isinstance(order, list):
        return

    def place(item: JsonValue) -> JsonValue:
        return item.get(node.patch_key) if isinstance(item, dict) and node.patch_key else item

    wanted = [place(item) for item in order]
    listed = sorted(
        (item for item in items if place(item) in wanted),
        key=lambda item: wanted.index(place(item)),
    )
    result[name] = listed + [item for item in items if place(item) not in wanted]

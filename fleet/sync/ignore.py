"""Ignore rules: what of an object does not count as a difference (``ignoreDifferences``).

A rule names fields by JSON pointers, by jq path expressions, or by the managers that own them. The first and the last
are taken out here; jq runs in a child process and is the agent's business (`agents.ignoring`). Whoever compares takes
the same out of both sides; with ``RespectIgnoreDifferences`` live values stay (`keep_live`), else what git says is
still sent whenever the object is applied, as in Argo CD. Source: argo.md 2.6.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fleet.argo.globs import matches_glob
from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.model.assignment import IgnoreRule
from fleet.model.identity import ObjectRef
from fleet.sync import fieldset
from fleet.sync.fieldset import FieldTree
from fleet.sync.lists import member_name, merge_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """What is ignored of one object, from all rules that name it."""

    pointers: tuple[str, ...] = ()
    expressions: tuple[str, ...] = ()
    """jq path expressions."""
    managers: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.pointers or self.expressions or self.managers)

    @property
    def is_static(self) -> bool:
        """Whether the manifest alone tells what is ignored: no other process and no live object is needed."""
        return not (self.expressions or self.managers)


NOTHING = Ignored()


def ignored_of(rules: Sequence[IgnoreRule], ref: ObjectRef) -> Ignored:
    """Collect the rules for one object; group and kind are globs, an empty name or namespace is any."""
    found = [rule for rule in rules if _names(rule, ref)]
    if not found:
        return NOTHING
    return Ignored(
        pointers=_unique(item for rule in found for item in rule.json_pointers),
        expressions=tuple(dict.fromkeys(item for rule in found for item in rule.jq_expressions)),
        managers=_unique(item for rule in found for item in rule.managers),
    )


def strip(body: JsonObject, ignored: Ignored, owned: FieldTree | None = None) -> JsonObject:
    """Return the object without what pointers name and managers own; a path that is not there is fine.

    ``owned`` is what the managers own of the live object (`fieldset.owned_by`).
    """
    result = body
    # Backwards, so that removing a list member does not move those that later pointers name.
    for pointer in sorted(ignored.pointers, key=_pointer_order, reverse=True):
        steps = _steps(pointer)
        if steps:
            result = _without(result, steps)
    return fieldset.without(result, owned) if owned else result


def tidied(before: JsonObject, after: JsonObject) -> JsonObject:
    """Drop the containers that taking something out has emptied: the other side may never have had them."""
    result: JsonObject = _tidied(before, after)
    return result


def keep_live(
    desired: JsonObject, stripped: JsonObject, live: JsonObject, rest: JsonObject, ours: FieldTree
) -> JsonObject:
    """Return the desired object with the live values of what is ignored (``RespectIgnoreDifferences``).

    ``stripped`` and ``rest`` are the desired and the live object without what is ignored; ``ours`` is what we own of
    the live one. A value that git does not mention is taken only if it is ours: leaving it out would delete it, and
    asking for what others own would take it from them.
    """
    found = _restored(_Place(desired, stripped, live, rest), ours)
    result: JsonObject = {} if found is _ABSENT else found
    return result


def _names(rule: IgnoreRule, ref: ObjectRef) -> bool:
    return (
        rule.name in ("", ref.name)
        and rule.namespace in ("", ref.namespace)
        and matches_glob(rule.group, ref.group)
        and matches_glob(rule.kind, ref.kind)
    )


def _unique(items: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(items)))


def _steps(pointer: str) -> tuple[str, ...]:
    if not pointer.startswith("/"):
        return ()
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/"))


def _pointer_order(pointer: str) -> tuple[tuple[int, str], ...]:
    return tuple((int(step) if step.isdecimal() else -1, step) for step in _steps(pointer))


def _without(value: JsonValue, steps: tuple[str, ...]) -> JsonValue:
    head, rest = steps[0], steps[1:]
    if isinstance(value, dict) and head in value:
        if not rest:
            return {key: item for key, item in value.items() if key != head}
        return {**value, head: _without(value[head], rest)}
    if isinstance(value, list) and head.isdecimal() and int(head) < len(value):
        place = int(head)
        middle = [_without(value[place], rest)] if rest else []
        return [*value[:place], *middle, *value[place + 1 :]]
    return value


def _tidied(before: JsonValue, after: JsonValue) -> JsonValue:
    if before is after or not isinstance(before, dict) or not isinstance(after, dict):
        return after
    result = {}
    for key, value in after.items():
        clean = _tidied(before[key], value) if key in before else value
        if clean in ({}, []) and before.get(key) not in ({}, []):
            continue
        result[key] = clean
    return result


_ABSENT: JsonValue = object()


@dataclass(frozen=True, slots=True)
class _Place:
    """One place of the object on both sides; each value may be absent."""

    asked: JsonValue
    wanted: JsonValue
    """Of ``asked``, what is not ignored."""
    live: JsonValue
    rest: JsonValue
    """Of ``live``, what is not ignored."""

    def below(self, key: str) -> _Place:
        return _Place(*(_member(value, key) for value in self._values()))

    def tidy(self) -> JsonValue:
        """What is wanted; absent if nothing is left of it."""
        clean = _tidied(self.asked, self.wanted)
        return _ABSENT if clean == {} and self.asked != {} else clean

    def lists(self) -> tuple[list[JsonValue], ...]:
        return tuple(value if isinstance(value, list) else [] for value in self._values())

    def are(self, sort: type) -> bool:
        """Whether what is there is of this type, on at least one side of each pair."""
        pairs = ((self.asked, self.wanted), (self.live, self.rest))
        return all(any(isinstance(value, sort) for value in pair) for pair in pairs)

    def _values(self) -> tuple[JsonValue, ...]:
        return self.asked, self.wanted, self.live, self.rest


def _member(value: JsonValue, key: str) -> JsonValue:
    return value.get(key, _ABSENT) if isinstance(value, dict) else _ABSENT


def _restored(at: _Place, ours: FieldTree | None) -> JsonValue:
    """Take the live value where it is ignored, the wanted one everywhere else."""
    if at.live is _ABSENT:
        return at.tidy()
    if at.rest is _ABSENT:
        return at.live if at.asked is not _ABSENT or ours is not None else _ABSENT
    if isinstance(at.live, dict) and isinstance(at.rest, dict) and not _is_other(at.asked, dict):
        return _restored_map(at, ours or {})
    if at.wanted is _ABSENT:
        return at.live if at.asked is not _ABSENT else _ABSENT
    return _restored_list(at, ours or {}) if at.are(list) else at.tidy()


def _is_other(value: JsonValue, sort: type) -> bool:
    return value is not _ABSENT and not isinstance(value, sort)


def _restored_map(at: _Place, ours: FieldTree) -> JsonValue:
    wanted = at.wanted if isinstance(at.wanted, dict) else {}
    found = {}
    for key in dict.fromkeys([*wanted, *at.live]):
        value = _restored(at.below(key), fieldset.step_below(ours, key))
        if value is not _ABSENT:
            found[key] = value
    is_emptied = not found and (at.wanted is _ABSENT or at.asked != {})
    return _ABSENT if is_emptied else found


def _restored_list(at: _Place, ours: FieldTree) -> JsonValue:
    asked, wanted, live, rest = at.lists()
    if asked == wanted and live == rest:
        return wanted
    keys = merge_key([*asked, *wanted, *live, *rest])
    if keys:
        return _restored_items(at, keys, ours)
    if len(asked) == len(wanted) == len(live) == len(rest):
        places = zip(asked, wanted, live, rest, strict=True)
        return [_restored(_Place(*values), None) for values in places]
    return live if wanted == rest else [*wanted, *(item for item in live if item not in rest)]


def _restored_items(at: _Place, keys: tuple[str, ...], ours: FieldTree) -> JsonValue:
    sides = [{member_name(item, keys): item for item in side} for side in at.lists()]
    found = []
    for name in dict.fromkeys([*sides[1], *sides[2]]):
        place = _Place(*(side.get(name, _ABSENT) for side in sides))
        if place.asked is _ABSENT and place.rest is not _ABSENT:
            continue  # another's item, even if something in it is ignored
        value = _restored(place, fieldset.item_below(ours, place.live))
        if value is not _ABSENT:
            found.append(value)
    return found

"""Ignore rules for all applications, as Argo CD's ConfigMap ``argocd-cm`` has them. Pure.

Read are ``resource.customizations.ignoreDifferences.GROUP_KIND`` (and ``.all``), the older ``resource.customizations``
with one map of all kinds, and ``resource.compareoptions``. Whoever makes sections puts the rules behind an
application's own. Everything else of that ConfigMap is somebody else's. Source: argo.md 2.6.

A key that cannot be read spoils no other. A rule that is missing would have somebody's field put back, so what was in
force of the kinds that the key names stays; where nothing is known of earlier rules, these kinds are not compared.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from fleet.codec import yamldoc
from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.errors import BadInput, Where
from fleet.model.assignment import IgnoreRule

_RULES = "resource.customizations.ignoreDifferences."
_OLDER = "resource.customizations"
_OPTIONS = "resource.compareoptions"
_FIELDS = {
    "jsonPointers": "json_pointers",
    "jqPathExpressions": "jq_expressions",
    "managedFieldsManagers": "managers",
}
_AGGREGATED = IgnoreRule(
    group="rbac.authorization.k8s.io",
    kind="ClusterRole",
    jq_expressions=("if .aggregationRule then .rules else empty end",),
)
_AGGREGATED_KIND = frozenset(((_AGGREGATED.group, _AGGREGATED.kind),))
_ALL_KINDS = frozenset((("*", "*"),))
_EVERYTHING = (
    '.[(keys - ["apiVersion", "kind", "metadata"])[]], .metadata.labels, .metadata.annotations'
)
_STATUS_IS_IGNORED = ("", "all", "crd")


_Kinds = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalRules:
    """What the ConfigMap says about differences."""

    rules: tuple[IgnoreRule, ...] = ()
    warnings: tuple[str, ...] = ()
    """What it says that is not followed."""
    problems: tuple[BadInput, ...] = ()
    """One for each key that cannot be read; the field names it."""


def global_rules(data: Mapping[str, str], before: Iterable[IgnoreRule] | None = ()) -> GlobalRules:
    """Read the data of ``argocd-cm``; ``before`` is what is in force, None where nothing is known of that."""
    return _read(data).with_kept(before)


def key_problems(data: Mapping[str, str]) -> list[BadInput]:
    """Say which keys cannot be read, before anything is in force: for a check of documents."""
    return [error for error, _ in _read(data).problems]


def _read(data: Mapping[str, str]) -> _Reading:
    reading = _Reading()
    for key, text in sorted(data.items()):
        if key.startswith(_RULES):
            place = key.removeprefix(_RULES)
            reading.read(key, _kinds_named(place, "_"), partial(_new_form, place, key, text))
    for place, value in sorted(reading.older(data.get(_OLDER, "")).items()):
        reading.read(_OLDER, _kinds_named(place, "/"), partial(_entry, place, value))
    options = data.get(_OPTIONS, "")
    reading.read(_OPTIONS, _AGGREGATED_KIND, partial(_options, options))
    return reading


def _kinds_named(place: str, separator: str) -> _Kinds:
    """The group and kind that a key is about; none where it names none, as no rule of it was ever in force."""
    try:
        return frozenset((_group_kind(place, "", separator),))
    except BadInput:
        return frozenset()


@dataclass(slots=True)
class _Reading:
    """What was read so far, key by key."""

    rules: list[IgnoreRule] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    problems: list[tuple[BadInput, _Kinds | None]] = field(default_factory=list)
    """Each with the kinds of which a rule is missing; None: any."""

    def read(self, key: str, kinds: _Kinds, read: Callable[[list[str]], IgnoreRule | None]) -> None:
        """Read one rule; a failure is noted with its key."""
        try:
            rule = read(self.warnings)
        except BadInput as error:
            self._note(key, error, kinds)
        else:
            self.rules += [rule] if rule else []

    def older(self, text: str) -> JsonObject:
        """Read the one map of the older form; where it is none a rule of any kind may be missing."""
        try:
            return _mapping(text, _OLDER)
        except BadInput as error:
            self._note(_OLDER, error, None)
            return {}

    def _note(self, key: str, error: BadInput, kinds: _Kinds | None) -> None:
        where = Where(object="ConfigMap/argocd-cm", field=f"data.{key}")
        self.problems.append((BadInput(error.message, where=where), kinds))

    def with_kept(self, before: Iterable[IgnoreRule] | None) -> GlobalRules:
        """Add what stays in force in the place of what cannot be read."""
        known = tuple(before or ())
        rules, problems = list(self.rules), []
        for error, kinds in self.problems:
            kept = [rule for rule in known if kinds is None or (rule.group, rule.kind) in kinds]
            if before is None:
                kept = [_uncompared(*kind) for kind in sorted(kinds or _ALL_KINDS)]
            rules += [rule for rule in kept if rule not in rules]
            problems.append(
                BadInput(f"{error.message}; {_instead(kept, before, kinds)}", where=error.where)
            )
        return GlobalRules(
            rules=tuple(rules), warnings=tuple(self.warnings), problems=tuple(problems)
        )


def _instead(
    kept: Collection[IgnoreRule], before: Iterable[IgnoreRule] | None, kinds: _Kinds | None
) -> str:
    """Say what holds until a key is mended."""
    what = ", ".join(sorted(f"{group}/{kind}".lstrip("/") for group, kind in kinds or ()))
    what = what.replace("*/*", "any kind") or "any kind"
    if before is None:
        return (
            f"until it is mended objects of {what} are not compared, for no earlier rule is known"
        )
    if kept:
        return f"until it is mended the rules for {what} that were in force before stay"
    return "it had no rule in force, so nothing else changes"


def _uncompared(group: str, kind: str) -> IgnoreRule:
    """Leave everything that an object says as it is live, but for what it is."""
    return IgnoreRule(group=group, kind=kind, jq_expressions=(_EVERYTHING,))


def _new_form(place: str, key: str, text: str, warnings: list[str]) -> IgnoreRule | None:
    return _rule(*_group_kind(place, key, "_"), _mapping(text, key), key, warnings)


def _entry(place: str, value: JsonValue, warnings: list[str]) -> IgnoreRule | None:
    """One kind of the older form."""
    key = f"{_OLDER}: {place}"
    said = value.get("ignoreDifferences") if isinstance(value, dict) else None
    if said is None:
        return None
    fields = _mapping(said, key) if isinstance(said, str) else said
    if not isinstance(fields, dict):
        raise _bad(key, "ignoreDifferences is no map")
    return _rule(*_group_kind(place, key, "/"), fields, key, warnings)


def _options(text: str, warnings: list[str]) -> IgnoreRule | None:
    options = _mapping(text, _OPTIONS)
    status = options.get("ignoreResourceStatusField", "")
    if status not in _STATUS_IS_IGNORED:
        warnings.append(
            f"{_OPTIONS}: ignoreResourceStatusField {status!r} is not followed: a status is never compared"
        )
    return _AGGREGATED if options.get("ignoreAggregatedRoles") is True else None


def _group_kind(place: str, key: str, separator: str) -> tuple[str, str]:
    if place in ("all", "*", "*/*"):
        return "*", "*"
    group, found, kind = place.rpartition(separator)
    if not kind or (found and separator in group):
        raise _bad(key, f"it names no kind: write GROUP{separator}KIND, or KIND of the core group")
    return group, kind


def _rule(
    group: str, kind: str, fields: JsonObject, key: str, warnings: list[str]
) -> IgnoreRule | None:
    words: dict[str, tuple[str, ...]] = {}
    for name, value in fields.items():
        if name not in _FIELDS:
            warnings.append(f"{key}: unknown field {name}")
        else:
            words[_FIELDS[name]] = _texts(value, f"{key}: {name}")
    if not any(words.values()):
        return None
    return IgnoreRule(
        group=group,
        kind=kind,
        json_pointers=words.get("json_pointers", ()),
        jq_expressions=words.get("jq_expressions", ()),
        managers=words.get("managers", ()),
    )


def _texts(value: JsonValue, key: str) -> tuple[str, ...]:
    items = value if isinstance(value, list) else [] if value is None else None
    if items is None or not all(isinstance(item, str) for item in items):
        raise _bad(key, "it is no list of texts")
    return tuple(items)


def _mapping(text: str, key: str) -> JsonObject:
    if not text.strip():
        return {}
    try:
        value = yamldoc.load_one(text, source=f"argocd-cm {key}")
    except BadInput as error:
        raise _bad(key, error.message) from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _bad(key, "it is no map")
    return value


def _bad(key: str, reason: str) -> BadInput:
    return BadInput(f"{key} cannot be used: {reason}", where=Where(object="ConfigMap/argocd-cm"))

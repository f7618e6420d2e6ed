"""Ignore rules for all applications, as Argo CD's ConfigMap ``argocd-cm`` has them. Pure.

Read are ``resource.customizations.ignoreDifferences.GROUP_KIND`` (and ``.all``), the older ``resource.customizations``
with one map of all kinds, and ``resource.compareoptions``. Whoever makes sections puts the rules behind an
application's own. Everything else of that ConfigMap is somebody else's. Source: argo.md 2.6.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

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
_STATUS_IS_IGNORED = ("", "all", "crd")


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalRules:
    """What the ConfigMap says about differences."""

    rules: tuple[IgnoreRule, ...] = ()
    warnings: tuple[str, ...] = ()
    """What it says that is not followed."""


def global_rules(data: Mapping[str, str]) -> GlobalRules:
    """Read the data of ``argocd-cm``; raises BadInput that names the key."""
    rules: list[IgnoreRule] = []
    warnings: list[str] = []
    for key, text in sorted(data.items()):
        if key.startswith(_RULES):
            place = key.removeprefix(_RULES)
            found = _rule(*_group_kind(place, key, "_"), _mapping(text, key), key, warnings)
            rules += [found] if found else []
    rules += _older(data.get(_OLDER, ""), warnings)
    options = _mapping(data.get(_OPTIONS, ""), _OPTIONS)
    if options.get("ignoreAggregatedRoles") is True:
        rules.append(_AGGREGATED)
    status = options.get("ignoreResourceStatusField", "")
    if status not in _STATUS_IS_IGNORED:
        warnings.append(
            f"{_OPTIONS}: ignoreResourceStatusField {status!r} is not followed: a status is never compared"
        )
    return GlobalRules(rules=tuple(rules), warnings=tuple(warnings))


def _older(text: str, warnings: list[str]) -> Iterator[IgnoreRule]:
    for place, value in sorted(_mapping(text, _OLDER).items()):
        key = f"{_OLDER}: {place}"
        said = value.get("ignoreDifferences") if isinstance(value, dict) else None
        if said is None:
            continue
        fields = _mapping(said, key) if isinstance(said, str) else said
        if not isinstance(fields, dict):
            raise _bad(key, "ignoreDifferences is no map")
        found = _rule(*_group_kind(place, key, "/"), fields, key, warnings)
        if found:
            yield found


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

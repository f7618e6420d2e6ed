"""Reads the users' health rules from a ConfigMap.

Argo CD's keys work unchanged: ``resource.customizations.health.<group>_<Kind>`` with a Lua script, and the older
``resource.customizations`` with all in one YAML text. ``gitopsfleet.health.<group>_<Kind>`` holds a CEL expression
instead. A kind of the core group stands alone (``Pod``); ``*`` is a wildcard. Scripts are not run here: they run in
a process that can be killed (`fleet.judge`).
"""

from __future__ import annotations

from dataclasses import dataclass

from fleet.codec import yamldoc
from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.errors import BadInput, Where
from fleet.health.assess import kind_of
from fleet.health.fields import at, map_at, text_at
from fleet.model.healthrules import HealthRule, HealthRules, Language

CONFIG_MAP = "argocd-cm"
"""The name under which Argo CD, and so the hub, looks for them."""
MAX_LENGTH = {Language.LUA: 64 * 1024, Language.CEL: 4096}
"""Characters of a rule; the parser of CEL recurses."""
_LUA = "resource.customizations.health."
_CEL = "gitopsfleet.health."
_OLD = "resource.customizations"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRules:
    """What a ConfigMap says: the rules that can be used, and what is wrong with others."""

    rules: HealthRules
    problems: tuple[BadInput, ...] = ()


def rules_of(config_map: JsonObject, *, file: str = "") -> ReadRules:
    """Read the rules of a ConfigMap; a key that cannot be used becomes a problem that names it."""
    name = text_at(config_map, "metadata", "name")
    where = Where(object=f"ConfigMap {name}" if name else "ConfigMap", file=file)
    found: dict[tuple[str, str], HealthRule] = {}
    problems: list[BadInput] = []
    # In this order the older key comes before those of the newer form, which replace what it says.
    for key, value in sorted(map_at(config_map, "data").items()):
        try:
            for rule in _rules_in(key, value):
                _put(found, rule)
        except BadInput as error:
            error.at(object=where.object, file=where.file, field=f"data.{key}")
            problems.append(error)
    rules = tuple(found[key] for key in sorted(found))
    return ReadRules(rules=HealthRules(rules=rules), problems=tuple(problems))


def has_rules(config_map: JsonObject) -> bool:
    """Whether an object is a ConfigMap with health rules, whatever its name."""
    keys = map_at(config_map, "data")
    return kind_of(config_map) == ("", "ConfigMap") and any(
        key == _OLD or key.startswith((_LUA, _CEL)) for key in keys
    )


def _rules_in(key: str, value: JsonValue) -> list[HealthRule]:
    """The rules of one key; none for keys that are about something else."""
    if key == _OLD:
        return _old_rules(value)
    for prefix, language in ((_LUA, Language.LUA), (_CEL, Language.CEL)):
        if key.startswith(prefix):
            return [_rule(_kind_in_key(key.removeprefix(prefix)), value, language, key)]
    return []


def _old_rules(text: JsonValue) -> list[HealthRule]:
    if not isinstance(text, str):
        raise BadInput("is no text")
    try:
        kinds = yamldoc.load_one(text)
    except BadInput as error:
        # Its line is one of this text, not of the file.
        raise BadInput(f"line {error.where.line}: {error.message}") from error
    if kinds is not None and not isinstance(kinds, dict):
        raise BadInput("is no map from group/Kind to customizations")
    return [
        _rule(_kind_in_path(name), script, Language.LUA, f"{_OLD}: {name}")
        for name, customization in (kinds or {}).items()
        if (script := at(customization, "health.lua")) is not None
    ]


def _rule(kind: tuple[str, str], text: JsonValue, language: Language, source: str) -> HealthRule:
    if not isinstance(text, str) or not text.strip():
        raise BadInput(f"{source} holds no {language.value} text")
    if len(text) > MAX_LENGTH[language]:
        raise BadInput(f"is longer than {MAX_LENGTH[language]} characters")
    return HealthRule(group=kind[0], kind=kind[1], language=language, text=text, source=source)


def _put(found: dict[tuple[str, str], HealthRule], rule: HealthRule) -> None:
    before = found.get((rule.group, rule.kind))
    if before is not None and before.language is not rule.language:
        raise BadInput(
            f"{before.source} is about the same kind", hint="give a kind one rule, Lua or CEL"
        )
    found[rule.group, rule.kind] = rule


def _kind_in_key(text: str) -> tuple[str, str]:
    parts = text.split("_")
    if len(parts) > 2 or not parts[-1]:
        raise BadInput("does not end in <group>_<Kind>", hint="like apps_Deployment, or Pod")
    return (parts[0], parts[1]) if len(parts) == 2 else ("", parts[0])


def _kind_in_path(text: str) -> tuple[str, str]:
    group, _, kind = text.rpartition("/")
    if not kind or "/" in group:
        raise BadInput(f"{text} is no group/Kind", hint="like apps/Deployment, or Pod")
    return group, kind

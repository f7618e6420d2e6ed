"""What scmProvider and pullRequest have in common: which forge is meant, and patterns over its names."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import re2

from fleet.codec.jsontypes import JsonObject
from fleet.generators.params import GeneratorError
from fleet.model.answers import Forge, SecretRef

DEFAULT_EVERY = 1800
LEAST_EVERY = 30
"""Seconds; asking a forge more often than this only meets its rate limit."""


class Pattern(Protocol):
    """A compiled expression."""

    def search(self, text: str) -> object | None: ...


@functools.lru_cache(maxsize=64)
def _compiled(text: str) -> Pattern:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 4 * 1024 * 1024
    compiled: Pattern = re2.compile(text, options)
    return compiled


def pattern(config: JsonObject, field: str) -> Pattern | None:
    """Compile a filter's expression; None where the filter says nothing. Raises GeneratorError."""
    text = config.get(field)
    if text is None:
        return None
    try:
        return _compiled(text)
    except re2.error as error:
        name = field[0].upper() + field[1:]
        reason = error.args[0] if error.args else ""
        shown = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise GeneratorError(f'error compiling {name} regexp "{text}": {shown}') from error


def any_matches(expression: Pattern | None, texts: Iterable[str]) -> bool:
    """Tell whether a filter holds for one of these."""
    return expression is None or any(expression.search(text) for text in texts)


@dataclass(frozen=True, slots=True)
class Names:
    """Under which names a provider's configuration has what makes a forge."""

    owner: str
    secret: str = "tokenRef"  # noqa: S105 - a field's name
    project: str = ""


def provider_of(config: JsonObject, known: Mapping[str, Names]) -> tuple[str, JsonObject]:
    """Return the provider that a generator names, the first in Argo CD's order; raises GeneratorError."""
    for name in known:
        settings = config.get(name)
        if settings is not None:
            if settings.get("appSecretName"):
                raise GeneratorError(
                    "appSecretName is not supported: the hub does not sign in as a GitHub App",
                    hint="use tokenRef",
                )
            return name, settings
    raise GeneratorError("no SCM provider implementation configured")


def forge_of(provider: str, settings: JsonObject, names: Names, config: JsonObject) -> Forge:
    """Return the forge of a provider's settings; raises GeneratorError."""
    user, secret = _credentials(settings, names.secret)
    return Forge(
        provider=provider,
        api=settings.get("api", "").rstrip("/"),
        owner=settings.get(names.owner, "") if names.owner else "",
        project=settings.get(names.project, "") if names.project else "",
        user=user,
        secret=secret,
        every=interval(config),
    )


def interval(config: JsonObject) -> int:
    """Return the seconds after which a generator's answer grows old."""
    seconds = config.get("requeueAfterSeconds") or DEFAULT_EVERY
    return max(LEAST_EVERY, int(seconds))


def _credentials(settings: JsonObject, field: str) -> tuple[str, SecretRef | None]:
    basic, bearer = settings.get("basicAuth"), settings.get("bearerToken")
    if basic is not None:
        return basic.get("username", ""), secret_ref(basic.get("passwordRef"))
    if bearer is not None:
        return "", secret_ref(bearer.get("tokenRef"))
    return settings.get("user", ""), secret_ref(settings.get(field))


def secret_ref(raw: JsonObject | None) -> SecretRef | None:
    """Read a reference to a key of a Secret."""
    if not raw:
        return None
    return SecretRef(name=raw.get("secretName", ""), key=raw.get("key", ""))

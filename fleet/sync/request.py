"""What a sync was asked to be like: the arguments of an operation, checked.

Arguments come from people through the hub; what cannot be understood fails the operation before anything is done.
A partial sync is about some objects only: it runs no hooks, deletes nothing that was not named, and says nothing
about the artifact as a whole. Source: argo.md 2.4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fleet.errors import BadInput
from fleet.model.assignment import Operation
from fleet.model.identity import ObjectRef

_FLAGS = frozenset(("prune", "dryRun", "force", "replace", "automated"))
_STRATEGIES = ("hook", "apply")
_HINT = "write group/Kind:namespace/name, like apps/Deployment:shop/web or /ConfigMap:shop/settings"

Value = str | bool | int | list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRequest:
    """One sync as it was asked for."""

    prune: bool = False
    dry_run: bool = False
    automated: bool = False
    """Started by the hub, not by a person."""
    hooks: bool = True
    """Whether hooks run; those of a partial sync never do."""
    resources: tuple[ObjectRef, ...] = ()
    """The objects it is about; none named: all. One without a namespace stands for any."""
    options: tuple[str, ...] = ()
    retry_limit: int | None = None

    @property
    def is_partial(self) -> bool:
        """Whether it is about some objects only."""
        return bool(self.resources)

    def covers(self, ref: ObjectRef) -> bool:
        """Tell whether it is about an object."""
        return not self.resources or any(_fits(wanted, ref) for wanted in self.resources)


EVERYTHING = SyncRequest()


def request_of(operation: Operation | None) -> SyncRequest:
    """Read the arguments of a sync; raises BadInput with the one that is wrong."""
    if operation is None:
        return EVERYTHING
    asked = operation.arguments
    for name in _FLAGS & asked.keys():
        if not isinstance(asked[name], bool):
            raise _wrong(name, "must be true or false")
    resources = tuple(_resource(text) for text in _texts(asked, "resources"))
    return SyncRequest(
        prune=asked.get("prune") is True,
        dry_run=asked.get("dryRun") is True,
        automated=asked.get("automated") is True,
        hooks=_strategy(asked.get("strategy", "hook")) == "hook" and not resources,
        resources=resources,
        options=tuple(_option(text) for text in _texts(asked, "options")),
        retry_limit=_limit(asked.get("retryLimit")),
    )


def _texts(asked: Mapping[str, Value], name: str) -> list[str]:
    value = asked.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _wrong(name, "must be a list of texts")
    return value


def _resource(text: str) -> ObjectRef:
    kind, colon, name = text.partition(":")
    try:
        return ObjectRef.parse(text if "/" in name else f"{kind}{colon}/{name}")
    except BadInput as error:
        raise BadInput(f"resources: {text!r} names no object", hint=_HINT) from error


def _option(text: str) -> str:
    from fleet.argo.shapes import nearest  # an agent that is never asked does not pay for them
    from fleet.argo.support import OPTIONS

    name, equals, _ = text.partition("=")
    if not equals:
        raise _wrong("options", f"{text!r} is no sync option: write Name=value")
    if name.strip() not in OPTIONS:
        raise _wrong("options", f"unknown sync option {text!r}{nearest(name, tuple(OPTIONS))}")
    return text


def _strategy(value: Value) -> str:
    if value not in _STRATEGIES:
        raise _wrong("strategy", f"must be one of {', '.join(_STRATEGIES)}, not {value!r}")
    return str(value)


def _limit(value: Value | None) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong("retryLimit", "must be a whole number")
    return value


def _wrong(name: str, problem: str) -> BadInput:
    return BadInput(f"{name}: {problem}", hint="ask for the sync again")


def _fits(wanted: ObjectRef, ref: ObjectRef) -> bool:
    return (wanted.group, wanted.kind, wanted.name) == (
        ref.group,
        ref.kind,
        ref.name,
    ) and wanted.namespace in ("", ref.namespace)

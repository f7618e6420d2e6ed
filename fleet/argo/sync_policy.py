"""``spec.syncPolicy`` and ``spec.ignoreDifferences`` of an Application: how it is synced and what is not compared.

Giving types never fails; what a value says wrongly is told by `problems`, which whoever admits an Application asks.
Defaults are Argo CD's, among them the one that surprises: a ``retry`` without a ``limit`` never retries.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from fleet.argo.durations import parse_go_duration
from fleet.argo.names import key_problem, value_problem
from fleet.argo.shapes import Path
from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput
from fleet.model.application import (
    Automated,
    IgnoreDifference,
    NamespaceMetadata,
    Retry,
    SyncPolicy,
)

_NOTHING: JsonObject = {}
_DURATIONS = ("duration", "maxDuration")


def sync_policy(policy: JsonObject) -> SyncPolicy:
    """Read ``spec.syncPolicy``; automated with ``enabled: false`` is none."""
    retry, metadata = policy.get("retry"), policy.get("managedNamespaceMetadata")
    return SyncPolicy(
        automated=_automated(policy.get("automated")),
        options=tuple(policy.get("syncOptions") or ()),
        retry=_retry(retry) if retry is not None else None,
        namespace_metadata=_namespace_metadata(metadata) if metadata is not None else None,
    )


def ignore_differences(items: Iterable[JsonObject]) -> tuple[IgnoreDifference, ...]:
    """Read ``spec.ignoreDifferences``."""
    return tuple(
        IgnoreDifference(
            group=item.get("group", ""),
            kind=item["kind"],
            name=item.get("name", ""),
            namespace=item.get("namespace", ""),
            json_pointers=tuple(item.get("jsonPointers", ())),
            jq_expressions=tuple(item.get("jqPathExpressions", ())),
            managers=tuple(item.get("managedFieldsManagers", ())),
        )
        for item in items
    )


def judge_differences(rules: Iterable[IgnoreDifference]) -> Iterator[str]:
    """Yield a warning for each pointer of a rule that can name nothing."""
    for position, rule in enumerate(rules):
        for pointer in rule.json_pointers:
            if not pointer.startswith("/"):
                place = f"spec.ignoreDifferences[{position}].jsonPointers"
                yield f"{place}: {pointer!r} names nothing, a JSON pointer starts with /"


def problems(policy: JsonObject) -> Iterator[tuple[Path, str]]:
    """Yield (path below ``spec.syncPolicy``, what is wrong) for values that cannot be used."""
    backoff = (policy.get("retry") or _NOTHING).get("backoff") or _NOTHING
    for name in _DURATIONS:
        try:
            _seconds(backoff.get(name, ""), timedelta())
        except BadInput as error:
            yield ("retry", "backoff", name), f"{error.message} ({error.hint})"
    if backoff.get("factor", 1) < 1:
        yield ("retry", "backoff", "factor"), "must be at least 1"
    metadata = policy.get("managedNamespaceMetadata") or _NOTHING
    for key, value in (metadata.get("labels") or _NOTHING).items():
        if problem := key_problem(key) or value_problem(value):
            yield ("managedNamespaceMetadata", "labels"), problem
    for key in metadata.get("annotations") or _NOTHING:
        if problem := key_problem(key.lower()):
            yield ("managedNamespaceMetadata", "annotations"), problem


def _automated(block: JsonObject | None) -> Automated | None:
    if block is None or block.get("enabled") is False:
        return None
    return Automated(
        prune=block.get("prune", False),
        self_heal=block.get("selfHeal", False),
        allow_empty=block.get("allowEmpty", False),
    )


def _retry(block: JsonObject) -> Retry:
    backoff = block.get("backoff") or _NOTHING
    usual = Retry()
    return Retry(
        limit=int(block.get("limit", 0)),
        wait=_usable(backoff.get("duration", ""), usual.wait),
        factor=int(backoff.get("factor", usual.factor)),
        max_wait=_usable(backoff.get("maxDuration", ""), usual.max_wait),
        refresh=block.get("refresh", False),
    )


def _namespace_metadata(block: JsonObject) -> NamespaceMetadata:
    return NamespaceMetadata(
        labels=block.get("labels") or {}, annotations=block.get("annotations") or {}
    )


def _usable(text: str, usual: timedelta) -> timedelta:
    try:
        return _seconds(text, usual)
    except BadInput:
        return usual  # `problems` names it, and nothing is made of such an Application


def _seconds(text: str, usual: timedelta) -> timedelta:
    return parse_go_duration(text, plain_seconds=True) if text else usual

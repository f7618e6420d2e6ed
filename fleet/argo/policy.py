"""What becomes of the Applications that a set made before: its policies, preserved fields, ignored differences.

The write is Argo CD's: a JSON merge patch between the live and the generated object, from both of which the
ignored fields were taken first, so that those stay as they are live and lists are replaced whole. jq expressions can
only be evaluated outside: `open_trims` says on what, and `merge_existing` takes the answers.
Source: argo.md 1.6, conformance topics "policy" and "preserved".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from operator import attrgetter

from fleet.argo.application import ApplicationBuilder
from fleet.argo.normalize import normalize_application
from fleet.argo.reading import NO_REMARKS
from fleet.codec.equality import same
from fleet.codec.identity import has_same_keys, renewed
from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.model.application import Application
from fleet.model.appset import ApplicationSet
from fleet.model.identity import AppName

_PRESERVED_ANNOTATIONS = (
    "notified.notifications.argoproj.io",
    "argocd.argoproj.io/refresh",
    "argocd.argoproj.io/hydrate",
)
_PRESERVED_FINALIZERS = (
    "pre-delete-finalizer.argocd.argoproj.io",
    "post-delete-finalizer.argocd.argoproj.io",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trim:
    """An existing Application and what a set wants of it, to be compared without the fields that it ignores."""

    live: JsonObject
    wanted: JsonObject
    expressions: tuple[str, ...] = ()
    """jq path expressions that still have to be deleted from both."""


_NO_TRIMS: Mapping[str, Trim] = {}


def open_trims(
    generated: Iterable[Application], existing: Iterable[Application], appset: ApplicationSet
) -> dict[str, Trim]:
    """Return by name the comparisons that wait for a jq evaluation."""
    if not appset.applications_sync.may_update or not any(
        item.jq_expressions for item in appset.ignored_fields
    ):
        return {}
    live = {application.name: application for application in existing}
    pairs = ((new, live[new.name]) for new in generated if new.name in live)
    trims = {
        new.name: _trim(_wanted(new, old, appset), new, old, appset)
        for new, old in pairs
        if not _is_same(new, old)
    }
    return {name: trim for name, trim in trims.items() if trim.expressions}


def merge_existing(
    generated: Iterable[Application],
    existing: Iterable[Application],
    appset: ApplicationSet,
    *,
    withheld: Iterable[str] = (),
    trims: Mapping[str, Trim] = _NO_TRIMS,
) -> tuple[Application, ...]:
    """Return the Applications after the set was applied, sorted by name.

    ``withheld`` names generated ones that an error keeps back: existing ones of these names stay. For a set that
    failed nothing changes at all; do not call this then. ``trims`` answers `open_trims`.
    """
    live, after = _by_name(existing), _by_name(generated)
    others = renewed(after, live)
    gone = () if has_same_keys(after, live, others) else live.keys() - after.keys()
    for name in others:
        application, old = after[name], live.get(name)
        if old is None:
            continue
        if _is_same(application, old) or not appset.applications_sync.may_update:
            after[name] = old
        else:
            after[name] = _updated(application, old, appset, trims)
    kept_back = set(withheld) if appset.applications_sync.may_delete else gone
    after |= {name: live[name] for name in gone if name in kept_back}
    return tuple(map(after.__getitem__, sorted(after)))


def _by_name(applications: Iterable[Application]) -> dict[AppName, Application]:
    items = tuple(applications)
    return dict(zip(map(attrgetter("name"), items), items, strict=True))


def _is_same(new: Application, old: Application) -> bool:
    """Compare what was read and what it was read from; the rest of an Application follows from its document."""
    return new == old and same(new.document, old.document)


def _updated(
    new: Application, old: Application, appset: ApplicationSet, trims: Mapping[str, Trim]
) -> Application:
    wanted = _wanted(new, old, appset)
    trim = trims.get(new.name) or _trim(wanted, new, old, appset)
    if trim.expressions:
        raise ValueError(f"{new.name}: the jq expressions of its set have not been evaluated")
    if trim.wanted is not wanted:
        wanted = _apply(old.document, _difference(trim.live, trim.wanted))
    builder = ApplicationBuilder(where=new.where, appset=new.appset)
    updated = builder.build(normalize_application(wanted), NO_REMARKS, row=new.row)
    return replace(updated, warnings=new.warnings, unsupported=new.unsupported)


def _wanted(new: Application, old: Application, appset: ApplicationSet) -> JsonObject:
    return {**new.document, "metadata": _metadata(new.document, old.document, appset)}


def _trim(wanted: JsonObject, new: Application, old: Application, appset: ApplicationSet) -> Trim:
    ignored = [item for item in appset.ignored_fields if item.name in ("", new.name)]
    pointers = [pointer for item in ignored for pointer in item.json_pointers]
    return Trim(
        live=_without(old.document, pointers),
        wanted=_without(wanted, pointers),
        expressions=tuple(text for item in ignored for text in item.jq_expressions),
    )


def _metadata(new: JsonObject, old: JsonObject, appset: ApplicationSet) -> JsonObject:
    metadata = dict(new["metadata"])
    live = old["metadata"]
    annotations = (*appset.preserved_annotations, *_PRESERVED_ANNOTATIONS)
    for field, names in (("annotations", annotations), ("labels", appset.preserved_labels)):
        found = live.get(field, {})
        preserved = {name: found[name] for name in names if name in found}
        if preserved:
            metadata[field] = {**metadata.get(field, {}), **preserved}
    finalizers = [
        finalizer
        for finalizer in live.get("finalizers", ())
        if finalizer.startswith(_PRESERVED_FINALIZERS)
    ]
    if finalizers:
        metadata["finalizers"] = [*metadata.get("finalizers", ()), *finalizers]
    return metadata


def _without(document: JsonObject, pointers: Iterable[str]) -> JsonObject:
    for pointer in pointers:
        parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
        if parts:
            document = _removed(document, parts)
    return document


def _removed(value: JsonValue, parts: list[str]) -> JsonValue:
    head, *rest = parts
    if isinstance(value, dict) and head in value:
        if not rest:
            return {key: item for key, item in value.items() if key != head}
        return {**value, head: _removed(value[head], rest)}
    if isinstance(value, list) and head.isdigit() and int(head) < len(value):
        position = int(head)
        middle = [_removed(value[position], rest)] if rest else []
        return [*value[:position], *middle, *value[position + 1 :]]
    return value


def _difference(old: JsonObject, new: JsonObject) -> JsonObject:
    """The JSON merge patch (RFC 7386) that makes the new object of the old one."""
    patch: JsonObject = {key: None for key in old if key not in new}
    for key, item in new.items():
        if key not in old:
            patch[key] = item
        elif isinstance(item, dict) and isinstance(old[key], dict):
            inner = _difference(old[key], item)
            if inner:
                patch[key] = inner
        elif not same(item, old[key]):
            patch[key] = item
    return patch


def _apply(document: JsonObject, patch: JsonObject) -> JsonObject:
    result = dict(document)
    for key, item in patch.items():
        if item is None:
            result.pop(key, None)
        elif isinstance(item, dict) and isinstance(result.get(key), dict):
            result[key] = _apply(result[key], item)
        else:
            result[key] = item
    return result

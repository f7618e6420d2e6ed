"""Who owns what after a write: server-side apply with its conflicts, and updates that take fields over.

Pure: objects and claims in, objects and claims out. Schema rules are in `fieldsets`.
"""

from __future__ import annotations

from dataclasses import dataclass

from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.embedded import fieldsets, managed
from fleet.embedded.errors import Cause, apply_conflict
from fleet.embedded.fieldsets import FieldSet
from fleet.embedded.managed import Claim, Claims, Manager
from fleet.embedded.schema import Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Apply:
    """One server-side apply."""

    manager: Manager
    api_version: str
    force: bool
    now: str
    within: str = ""
    """``status`` where only the status may be claimed, ``!status`` where all but it may."""


def applied(
    live: JsonObject, body: JsonObject, node: Node, request: Apply
) -> tuple[JsonObject, Claims]:
    """The object after an apply, and the claims; raises the conflict with other managers."""
    claims = managed.read_claims(live)
    mine = fieldsets.user_part(body)
    claimed = _allowed(fieldsets.owned(mine, node), request.within)
    before = claims.get(request.manager)
    current = fieldsets.user_part(live)
    after = fieldsets.merged(current, mine, node)
    now_owned = {**claims, request.manager: _claim(claimed, request)}
    if before is not None and before.fields - claimed:
        after = _pruned(after, before.fields, now_owned, node)
    difference = fieldsets.compare(current, after, node)
    taken = frozenset(difference.modified | difference.added)
    clashes = {
        manager: claim.fields & taken
        for manager, claim in claims.items()
        if manager != request.manager and claim.fields & taken
    }
    if clashes and not request.force:
        raise apply_conflict(_causes(clashes, claims))
    lost = frozenset(difference.removed).union(*clashes.values())
    now_owned = managed.reduced(now_owned, lost, but=request.manager)
    if before is not None and before.fields == claimed and after == current:
        now_owned[request.manager] = before
    return _whole(live, after), now_owned


def updated(
    before: JsonObject, after: JsonObject, node: Node, manager: Manager, now: str
) -> Claims:
    """The claims after a create, update or patch: what changed belongs to its writer."""
    claims = managed.read_claims(after)
    difference = fieldsets.compare(fieldsets.user_part(before), fieldsets.user_part(after), node)
    changed = frozenset(difference.modified | difference.added)
    removed = frozenset(difference.removed)
    if not changed and not removed:
        return claims
    own = claims.get(manager)
    fields = ((own.fields if own else fieldsets.EMPTY) - removed) | changed
    fields = frozenset(path for path in fields if path != ("f:metadata",))
    claims = managed.reduced(claims, changed | removed, but=manager)
    if own is None or own.fields != fields:
        claims[manager] = Claim(fields=fields, time=now, api_version=manager.api_version)
    return claims


def with_claims(obj: JsonObject, claims: Claims) -> JsonObject:
    """The object with its managedFields written."""
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    entries = managed.written(claims)
    if entries:
        metadata["managedFields"] = entries
    return {**obj, "metadata": metadata}


def _claim(fields: FieldSet, request: Apply) -> Claim:
    return Claim(fields=fields, time=request.now, api_version=request.api_version)


def _allowed(fields: FieldSet, within: str) -> FieldSet:
    if not within:
        return fields
    inside = within == "status"
    return frozenset(path for path in fields if (path[0] == "f:status") is inside)


def _pruned(merged: JsonObject, before: FieldSet, claims: Claims, node: Node) -> JsonObject:
    """Without what the applier owned, no longer claims, and nobody else does.

    In three steps as structured-merge-diff does it, whose results for values that become empty depend on them: all that was
    owned goes; what has an owner comes back; what was never the applier's comes back.
    """

    def members(value: JsonValue) -> FieldSet:
        return fieldsets.with_parents(fieldsets.owned(value or {}, node), node)

    last = fieldsets.with_parents(before, node)
    present = members(merged)
    owned = fieldsets.EMPTY.union(*(claim.fields for claim in claims.values()))
    held = fieldsets.with_parents(owned, node)
    pruned = fieldsets.without(merged, last, node)
    pruned = fieldsets.without(merged, present - members(pruned) - held, node)
    after: JsonObject = fieldsets.without(merged, (present - members(pruned)) & last, node) or {}
    return after


def _whole(live: JsonObject, after: JsonObject) -> JsonObject:
    """Put back what no manager owns."""
    held = {
        key: value for key, value in live["metadata"].items() if not fieldsets.is_user_field(key)
    }
    head: JsonObject = {key: live[key] for key in ("apiVersion", "kind") if key in live}
    metadata = {**(after.get("metadata") or {}), **held}
    return {**head, **after, "metadata": metadata}


def _causes(clashes: dict[Manager, FieldSet], claims: Claims) -> list[Cause]:
    return [
        Cause(
            reason="FieldManagerConflict",
            field=fieldsets.shown(path),
            message=f"conflict with {_named(manager, claims[manager])}",
        )
        for manager, fields in sorted(clashes.items(), key=lambda item: item[0].name)
        for path in sorted(fields)
    ]


def _named(manager: Manager, claim: Claim) -> str:
    text = f'"{manager.name}"'
    if manager.subresource:
        text += f' with subresource "{manager.subresource}"'
    if manager.is_applier():
        return text
    return f"{text} using {claim.api_version}" + (f" at {claim.time}" if claim.time else "")

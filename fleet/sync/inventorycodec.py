"""Inventories as texts of bounded size, for ConfigMaps or files, and back.

A small inventory is one shard, replaced in place. A large one is several, named by revision: the new set is written
completely before the old one is removed. So a reader may find two sets, one of them in part; it takes the newest
complete one and adds every object that only the other names, because forgetting an object would orphan it while
remembering one that is gone costs a lookup.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import msgspec

from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput, Corrupt
from fleet.model.identity import ObjectRef
from fleet.sync import recordcodec
from fleet.sync.hooks import DeletePolicy
from fleet.sync.inventory import Entry, HookEntry, Inventory
from fleet.sync.manifest import Protection

SHARD_LIMIT = 512 * 1024
FORMAT = 1

_Row = tuple[str, int, str, str, str, bool | int]
"""Object, wave, digest of its body, fields, UID, and flags; the oldest form has a truth value, which is the first."""
_KEEP, _PRUNE_LAST = 1, 2
_PRUNING, _DELETION = 4, 16
"""The places of two bits each, for what protects the object."""
_PROTECTIONS = tuple(Protection)

_HookRow = tuple[str, str, int]
"""Object, delete policies, and flags."""
_HELD, _UNWANTED, _UNANSWERED = 1, 2, 4


class _Shard(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    format: int = FORMAT
    target: str
    cluster_uid: str
    revision: int
    shard: int
    shards: int
    deletion: str = "orphan"
    general: str = ""
    approved: str = ""
    edges: tuple[str, ...] = ()
    applied: str = ""
    confirmed: bool = True
    operation: JsonObject | None = None
    answer: JsonObject | None = None
    hooks: tuple[_HookRow, ...] = ()
    farewell: str = ""
    objects: tuple[_Row, ...] = ()


def encode(inventory: Inventory, name: str, *, limit: int = SHARD_LIMIT) -> dict[str, str]:
    """Return the texts to store, by name; names stored under ``name`` that are not among them are stale."""
    rows = [_row(entry) for entry in inventory.entries.values()]
    head = _Shard(
        target=inventory.target,
        cluster_uid=inventory.cluster_uid,
        revision=inventory.revision,
        shard=0,
        shards=1,
        deletion=inventory.deletion,
        general=inventory.general.value,
        approved=inventory.approved,
        edges=inventory.edges,
        applied=inventory.applied,
        confirmed=inventory.confirmed,
        operation=recordcodec.encode(inventory.operation),
        answer=recordcodec.encode(inventory.answer),
        hooks=tuple(_hook_row(entry) for entry in inventory.hooks.values()),
        farewell=inventory.farewell,
    )
    parts = list(_parts(rows, max(limit - len(msgspec.json.encode(head)) - 512, limit // 8)))
    head = msgspec.structs.replace(head, shards=len(parts))
    texts = {}
    for number, part in enumerate(parts):
        shard = msgspec.structs.replace(head, shard=number, objects=tuple(part))
        if number:
            shard = msgspec.structs.replace(
                shard, hooks=(), farewell="", operation=None, answer=None
            )
        key = name if len(parts) == 1 else f"{name}.{inventory.revision}.{number}"
        texts[key] = msgspec.json.encode(shard).decode()
    return texts


def decode(texts: Iterable[str]) -> Inventory:
    """Read the shards found for one target; raises Corrupt where no complete set is among them."""
    shards = [_read(text) for text in texts]
    revisions: dict[int, list[_Shard]] = {}
    for shard in shards:
        revisions.setdefault(shard.revision, []).append(shard)
    whole = [revision for revision, found in revisions.items() if _is_complete(found)]
    if not whole:
        raise Corrupt("inventory is incomplete: parts of it are missing")
    newest = revisions[max(whole)]
    if len({(shard.target, shard.cluster_uid) for shard in shards}) > 1:
        raise Corrupt("inventory mixes parts of different targets or clusters")
    entries = {entry.ref: entry for shard in newest for entry in map(_entry, shard.objects)}
    for shard in shards:
        for entry in map(_entry, shard.objects):
            # What only another set knows may or may not exist: keep it, but claim nothing about it.
            entries.setdefault(entry.ref, replace(entry, body="", fields=""))
    return _inventory(min(newest, key=lambda shard: shard.shard), entries)


def _inventory(head: _Shard, entries: Mapping[ObjectRef, Entry]) -> Inventory:
    hooks = (_hook_entry(row) for row in head.hooks)
    return Inventory(
        target=head.target,
        cluster_uid=head.cluster_uid,
        deletion=head.deletion,
        general=_protection(head.general),
        approved=head.approved,
        edges=head.edges,
        applied=head.applied,
        entries=dict(sorted(entries.items())),
        hooks={entry.ref: entry for entry in hooks},
        farewell=head.farewell,
        operation=recordcodec.decode(head.operation),
        answer=recordcodec.decode(head.answer),
        confirmed=head.confirmed,
        revision=head.revision,
    )


def _read(text: str) -> _Shard:
    try:
        shard = msgspec.json.decode(text, type=_Shard)
    except msgspec.MsgspecError as error:
        raise Corrupt(f"inventory cannot be read: {error}") from error
    if shard.format != FORMAT:
        raise Corrupt(f"inventory has format {shard.format}, this program knows {FORMAT}")
    return shard


def _is_complete(shards: list[_Shard]) -> bool:
    return {shard.shard for shard in shards} == set(range(shards[0].shards))


def _row(entry: Entry) -> _Row:
    flags = _KEEP * entry.keep + _PRUNE_LAST * entry.prune_last
    flags += _PRUNING * _PROTECTIONS.index(entry.pruning)
    flags += _DELETION * _PROTECTIONS.index(entry.deletion)
    return str(entry.ref), entry.wave, entry.body, entry.fields, entry.uid, flags


def _entry(row: _Row) -> Entry:
    ref, wave, body, fields, uid, flags = row
    try:
        return Entry(
            ref=ObjectRef.parse(ref),
            wave=wave,
            body=body,
            fields=fields,
            uid=uid,
            keep=bool(flags & _KEEP),
            pruning=_PROTECTIONS[flags // _PRUNING % len(_PROTECTIONS)],
            deletion=_PROTECTIONS[flags // _DELETION % len(_PROTECTIONS)],
            prune_last=bool(flags & _PRUNE_LAST),
        )
    except BadInput as error:
        raise Corrupt(f"inventory holds an object that cannot be read: {error.message}") from error


def _protection(word: str) -> Protection:
    try:
        return Protection(word)
    except ValueError:
        return Protection.KEEP  # a newer agent's word: nothing is deleted on a guess


def _hook_row(entry: HookEntry) -> _HookRow:
    flags = _HELD * entry.held + _UNWANTED * entry.unwanted + _UNANSWERED * entry.unanswered
    return str(entry.ref), ",".join(sorted(entry.policies)), flags


def _hook_entry(row: _HookRow) -> HookEntry:
    ref, policies, flags = row
    try:
        return HookEntry(
            ref=ObjectRef.parse(ref),
            policies=frozenset(DeletePolicy(word) for word in policies.split(",") if word),
            held=bool(flags & _HELD),
            unwanted=bool(flags & _UNWANTED),
            unanswered=bool(flags & _UNANSWERED),
        )
    except (BadInput, ValueError) as error:
        raise Corrupt(f"inventory holds a hook that cannot be read: {ref}") from error


def _parts(rows: list[_Row], limit: int) -> Iterator[list[_Row]]:
    part: list[_Row] = []
    size = 0
    for row in rows:
        cost = sum(len(str(field).encode()) + 3 for field in row) + 4
        if part and size + cost > limit:
            yield part
            part, size = [], 0
        part.append(row)
        size += cost
    yield part

"""Inventories as texts of bounded size, for ConfigMaps or files, and back.

A small inventory is one shard, replaced in place. A large one is several, named by revision: the new set is written
completely before the old one is removed. So a reader may find two sets, one of them in part; it takes the newest
complete one and adds every object that only the other names, because forgetting an object would orphan it while
remembering one that is gone costs a lookup.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from fleet.errors import BadInput, Corrupt
from fleet.model.identity import ObjectRef
from fleet.sync.inventory import Entry, Inventory, OperationRecord

SHARD_LIMIT = 512 * 1024
FORMAT = 1

_Row = tuple[str, int, str, str, str, bool]


class _Shard(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    format: int = FORMAT
    target: str
    cluster_uid: str
    revision: int
    shard: int
    shards: int
    deletion: str = "orphan"
    edges: tuple[str, ...] = ()
    applied: str = ""
    confirmed: bool = True
    operation: dict[str, Any] | None = None
    objects: tuple[_Row, ...] = ()


def encode(inventory: Inventory, name: str, *, limit: int = SHARD_LIMIT) -> dict[str, str]:
    """Return the texts to store, by name; names stored under ``name`` that are not among them are stale."""
    rows = [_row(entry) for entry in inventory.entries.values()]
    parts = list(_parts(rows, limit - 4096 - sum(len(edge) + 3 for edge in inventory.edges)))
    operation = inventory.operation
    head = _Shard(
        target=inventory.target,
        cluster_uid=inventory.cluster_uid,
        revision=inventory.revision,
        shard=0,
        shards=len(parts),
        deletion=inventory.deletion,
        edges=inventory.edges,
        applied=inventory.applied,
        confirmed=inventory.confirmed,
        operation=None
        if operation is None
        else {
            "id": operation.id,
            "phase": operation.phase,
            "wave": operation.wave,
            "message": operation.message,
        },
    )
    texts = {}
    for number, part in enumerate(parts):
        shard = msgspec.structs.replace(head, shard=number, objects=tuple(part))
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
    return _inventory(newest[0], entries)


def _inventory(head: _Shard, entries: Mapping[ObjectRef, Entry]) -> Inventory:
    operation = head.operation
    try:
        record = OperationRecord(**operation) if operation else None
    except TypeError as error:
        raise Corrupt("inventory holds an operation that cannot be read") from error
    return Inventory(
        target=head.target,
        cluster_uid=head.cluster_uid,
        deletion=head.deletion,
        edges=head.edges,
        applied=head.applied,
        entries=dict(sorted(entries.items())),
        operation=record,
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
    return str(entry.ref), entry.wave, entry.body, entry.fields, entry.uid, entry.keep


def _entry(row: _Row) -> Entry:
    ref, wave, body, fields, uid, keep = row
    try:
        return Entry(
            ref=ObjectRef.parse(ref), wave=wave, body=body, fields=fields, uid=uid, keep=keep
        )
    except BadInput as error:
        raise Corrupt(f"inventory holds an object that cannot be read: {error.message}") from error


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

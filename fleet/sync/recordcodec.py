"""Operation records as they lie in an inventory; what an older agent wrote is read, too.

The fields are those of `OperationRecord`, what is as usual left out. A hook is a row, and two words differ.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace

import msgspec

from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput, Corrupt
from fleet.model.identity import ObjectRef
from fleet.sync.phases import HookState, SyncPhase
from fleet.sync.record import HookRun, OperationRecord

_HookRow = tuple[SyncPhase, str, HookState, str]
_WORDS = {"stage": "phase", "phase": "sync_phase"}
"""What is called otherwise on disk: ``phase`` is older there than hooks."""
_HOOKS = "hooks"


def encode(record: OperationRecord | None) -> JsonObject | None:
    """Write a record."""
    if record is None:
        return None
    found = {field.name: (getattr(record, field.name), field.default) for field in fields(record)}
    text = {_WORDS.get(k, k): value for k, (value, usual) in found.items() if value != usual}
    if record.hooks:
        text[_HOOKS] = tuple(_row(run) for run in record.hooks)
    return text


def decode(text: JsonObject | None) -> OperationRecord | None:
    """Read a record; raises Corrupt."""
    if text is None:
        return None
    found = {name: text[word] for name in _names() if (word := _WORDS.get(name, name)) in text}
    try:
        rows = msgspec.convert(found.pop(_HOOKS, ()), tuple[_HookRow, ...])
        record = msgspec.convert(found, OperationRecord)
    except msgspec.ValidationError as error:
        raise Corrupt(f"inventory holds an operation that cannot be read: {error}") from error
    return replace(record, hooks=tuple(map(_run, rows)))


def _names() -> Iterable[str]:
    return (field.name for field in fields(OperationRecord))


def _row(run: HookRun) -> _HookRow:
    return run.phase, str(run.ref), run.state, run.message


def _run(row: _HookRow) -> HookRun:
    phase, ref, state, message = row
    try:
        return HookRun(phase=phase, ref=ObjectRef.parse(ref), state=state, message=message)
    except BadInput as error:
        raise Corrupt(f"inventory holds a hook that cannot be read: {error.message}") from error

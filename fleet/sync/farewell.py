"""Farewell: the hooks that run when an application leaves, as text for its inventory.

When the section is gone nobody else has them: the hub does not render what is not there, and artifacts are a cache.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from fleet.codec import canonical
from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput, Corrupt
from fleet.model.identity import ObjectRef
from fleet.sync.hooks import DeletePolicy, Hook
from fleet.sync.phases import SyncPhase

LIMIT = 128 * 1024
PHASES = frozenset((SyncPhase.PRE_DELETE, SyncPhase.POST_DELETE))


class _Text(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    ref: str
    api_version: str
    body: JsonObject
    wave: int = 0
    phases: tuple[SyncPhase, ...] = ()
    policies: tuple[DeletePolicy, ...] = ()
    generated: bool = False


def is_farewell(hook: Hook) -> bool:
    """Whether a hook runs when its application leaves."""
    return not PHASES.isdisjoint(hook.phases)


def encode(hooks: Iterable[Hook]) -> str:
    """Write those of the hooks that run at the end; the empty text for none. Raises BadInput for too much."""
    texts = [
        _Text(
            ref=str(hook.ref),
            api_version=hook.api_version,
            body=hook.body,
            wave=hook.wave,
            phases=tuple(phase for phase in hook.phases if phase in PHASES),
            policies=tuple(sorted(hook.policies)),
            generated=hook.generated,
        )
        for hook in hooks
        if is_farewell(hook)
    ]
    if not texts:
        return ""
    text = canonical.canonical_bytes(msgspec.to_builtins(texts)).decode()
    if len(text) > LIMIT:
        raise BadInput(
            f"its PreDelete and PostDelete hooks are {len(text) // 1024} KiB; at most {LIMIT // 1024} KiB can be kept "
            "until the application leaves"
        )
    return text


def decode(text: str) -> tuple[Hook, ...]:
    """Read them again; raises Corrupt."""
    if not text:
        return ()
    try:
        found = msgspec.json.decode(text, type=tuple[_Text, ...])
        return tuple(
            Hook(
                ref=ObjectRef.parse(item.ref),
                api_version=item.api_version,
                body=item.body,
                wave=item.wave,
                phases=item.phases,
                policies=frozenset(item.policies),
                generated=item.generated,
            )
            for item in found
        )
    except (msgspec.MsgspecError, BadInput) as error:
        raise Corrupt("inventory holds hooks for the end that cannot be read") from error

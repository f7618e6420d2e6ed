"""The position on record: the highest assignment ever accepted, of one hub and one cluster. Nothing older counts."""

from __future__ import annotations

import msgspec

from agents.identity import Identity
from fleet.codec.canonical import Digest
from fleet.errors import BadInput
from fleet.wire.heads import Position


class _Record(msgspec.Struct, frozen=True):
    cluster_uid: str
    epoch: int
    generation: int
    digest: str
    hub: str = ""


def encode(position: Position, identity: Identity) -> str:
    """Write it down for this hub and cluster."""
    record = _Record(identity.cluster_uid, *position, hub=identity.hub)
    return msgspec.json.encode(record).decode()


def decode(text: str, identity: Identity) -> Position | None:
    """Read it; None where it is of another cluster or hub, which counts anew. Raises BadInput."""
    try:
        record = msgspec.json.decode(text, type=_Record)
    except msgspec.MsgspecError as error:
        raise BadInput(
            "the record of the last assignment cannot be read",
            hint="remove the agent's state and join again",
        ) from error
    if record.cluster_uid != identity.cluster_uid or record.hub not in ("", identity.hub):
        return None
    return record.epoch, record.generation, Digest(record.digest)

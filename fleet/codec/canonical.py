"""Canonical bytes and digests: same value, same bytes, same name.

Everything that is addressed by content (artifacts, assignment sections, reports) goes through here: JSON with
sorted keys, whole floats written as integers (as Kubernetes does), NaN and infinities refused.
"""

from __future__ import annotations

import hashlib
import math
from typing import NewType

import msgspec

from fleet.codec.jsontypes import JsonValue
from fleet.errors import BadInput, Corrupt

Digest = NewType("Digest", str)
"""``sha256:`` and 64 lower-case hex digits."""

_ENCODER = msgspec.json.Encoder(order="deterministic")


def canonical_bytes(value: JsonValue) -> bytes:
    """Encode a JSON value; raises BadInput for what JSON cannot hold (NaN, infinities, other types)."""
    try:
        return _ENCODER.encode(_normal(value))
    except (TypeError, RecursionError, msgspec.MsgspecError) as error:
        raise BadInput(f"not a JSON value: {error}") from error


def digest_bytes(data: bytes) -> Digest:
    """Name bytes by their SHA-256."""
    return Digest(f"sha256:{hashlib.sha256(data).hexdigest()}")


def digest_value(value: JsonValue) -> Digest:
    """Name a JSON value by the digest of its canonical bytes."""
    return digest_bytes(canonical_bytes(value))


def verify(data: bytes, expected: Digest) -> bytes:
    """Return the bytes if they are what the digest names; raises Corrupt otherwise."""
    found = digest_bytes(data)
    if found != expected:
        raise Corrupt(f"content does not match its digest: expected {expected}, found {found}")
    return data


def parse_digest(text: str) -> Digest:
    """Check the form of a digest that came from outside; raises BadInput."""
    algorithm, _, value = text.partition(":")
    if algorithm != "sha256" or len(value) != 64 or set(value) - set("0123456789abcdef"):
        raise BadInput(f"not a sha256 digest: {text[:80]!r}")
    return Digest(text)


def decode(data: bytes | str) -> JsonValue:
    """Decode JSON text; raises BadInput."""
    try:
        return msgspec.json.decode(data)
    except (RecursionError, UnicodeDecodeError, msgspec.MsgspecError) as error:
        raise BadInput(f"not valid JSON: {error}") from error


def _normal(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {key: _normal(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_normal(item) for item in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise BadInput("not a JSON value: NaN and infinities have no form in JSON")
        return int(value) if value.is_integer() and abs(value) < 2**63 else value
    return value

"""Rules of a cluster (`ClusterRules`): fetched by the digest that a head names, like a section."""

from __future__ import annotations

import functools

from fleet.codec.canonical import Digest, digest_bytes, verify
from fleet.errors import BadInput, Corrupt
from fleet.model.assignment import ClusterRules
from fleet.wire import codec

NO_RULES = ClusterRules()


@functools.lru_cache(maxsize=2)
def encode_rules(rules: ClusterRules) -> tuple[str, bytes]:
    """Return the digest and the bytes of rules; empty ones have neither.

    The last ones are remembered: every dispatch of every cluster asks about the same rules.
    """
    if rules == NO_RULES:
        return "", b""
    data = codec.encode(rules)
    return digest_bytes(data), data


def decode_rules(data: bytes, digest: Digest) -> ClusterRules:
    """Read rules that a verified head named; raises Corrupt for other bytes."""
    try:
        return codec.decode(verify(data, digest), ClusterRules)
    except BadInput as error:
        raise Corrupt(f"rules {digest} cannot be read: {error.message}") from error

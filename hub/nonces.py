"""Nonces for renewal by proof: sealed by the hub, good for a minute, nothing to remember.

Replaying a whole renewal within that minute gains nothing: it gives the same certificate for the same new key.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from datetime import UTC, datetime, timedelta

from fleet.wire.errors import Unauthenticated

LIFE = timedelta(seconds=60)

_STAMP = 24


def make(secret: bytes, now: datetime) -> str:
    """Return something to sign."""
    stamp = int(now.timestamp()).to_bytes(8, "big") + secrets.token_bytes(_STAMP - 8)
    return base64.urlsafe_b64encode(stamp + _seal(secret, stamp)).decode()


def check(nonce: str, secret: bytes, now: datetime) -> None:
    """Raise Unauthenticated for what this hub did not make within the last minute."""
    try:
        raw = base64.b64decode(nonce, b"-_", validate=True)
    except (ValueError, binascii.Error) as error:
        raise Unauthenticated("not a nonce of this hub") from error
    stamp, seal = raw[:_STAMP], raw[_STAMP:]
    if len(stamp) != _STAMP or not hmac.compare_digest(seal, _seal(secret, stamp)):
        raise Unauthenticated("not a nonce of this hub")
    made = datetime.fromtimestamp(int.from_bytes(stamp[:8], "big"), UTC)
    if not timedelta(seconds=-1) <= now - made <= LIFE:
        raise Unauthenticated("the nonce has expired")


def _seal(secret: bytes, stamp: bytes) -> bytes:
    return hmac.digest(secret, stamp, "sha256")

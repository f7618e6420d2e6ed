"""The join token: what an admin hands to a new cluster's agent.

It proves the agent to the hub (a one-time secret) and the hub to the agent (the SHA-256 of the hub CA's public
key), so nobody has to trust a first contact. The hub keeps only the hash of the secret. The text form is
``fleetjoin.`` and base64url of version, id, secret and pin.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field

from fleet.errors import BadInput

_PREFIX = "fleetjoin."
_VERSION = 1
_ID, _SECRET, _PIN = 8, 32, 32


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinToken:
    """A token; the secret is left out of ``repr``."""

    id: str
    """16 hex digits; may be shown."""
    secret: str = field(repr=False)
    """64 hex digits."""
    ca_pin: str
    """SHA-256 of the hub CA's public key (DER SubjectPublicKeyInfo), 64 hex digits."""

    @classmethod
    def create(cls, ca_pin: str) -> JoinToken:
        """Make a token with a fresh 256-bit secret."""
        return cls(id=secrets.token_hex(_ID), secret=secrets.token_hex(_SECRET), ca_pin=ca_pin)

    @classmethod
    def parse(cls, text: str) -> JoinToken:
        """Read the text form; raises BadInput without repeating the text."""
        encoded = text.strip().removeprefix(_PREFIX)
        try:
            data = base64.b64decode(encoded + "=" * (-len(encoded) % 4), b"-_", validate=True)
        except (ValueError, binascii.Error) as error:
            raise _invalid() from error
        if not text.strip().startswith(_PREFIX) or len(data) != 1 + _ID + _SECRET + _PIN:
            raise _invalid()
        if data[0] != _VERSION:
            raise BadInput(f"join token of version {data[0]} is not known", hint="update the agent")
        return cls(
            id=data[1 : 1 + _ID].hex(),
            secret=data[1 + _ID : 1 + _ID + _SECRET].hex(),
            ca_pin=data[-_PIN:].hex(),
        )

    def text(self) -> str:
        """Return the form people copy."""
        data = bytes([_VERSION]) + bytes.fromhex(self.id + self.secret + self.ca_pin)
        return _PREFIX + base64.urlsafe_b64encode(data).decode().rstrip("=")

    def hash(self) -> str:
        """Return what the hub stores; a random 256-bit secret needs no slow hash."""
        return hash_secret(self.secret)

    def matches(self, stored_hash: str) -> bool:
        """Compare with a stored hash in constant time."""
        return hmac.compare_digest(self.hash(), stored_hash)


def hash_secret(secret: str) -> str:
    """Hash a token's secret."""
    return hashlib.sha256(f"fleetjoin:{secret}".encode()).hexdigest()


def _invalid() -> BadInput:
    return BadInput(
        "not a join token, or not all of it",
        hint="fleet cluster add prints it; copy the whole line",
    )

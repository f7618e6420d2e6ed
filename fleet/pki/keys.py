"""Ed25519 keys: who signs assignments, and whom an agent believes.

What is signed is a context string, a zero byte and the payload, so that a signature made for one purpose is
worth nothing for another. Imported by the agent, so nothing here touches x509.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from fleet.errors import BadInput, Corrupt, Denied
from fleet.model.assignment import Signature
from fleet.pki.files import read_private, write_private

_PREFIX = "ed25519-seed:"


def key_id(public: bytes) -> str:
    """Name a key: the first 16 hex digits of the SHA-256 of its raw public bytes."""
    return hashlib.sha256(public).hexdigest()[:16]


class SigningKey:
    """A private key. Its text never appears in ``repr`` or messages."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        raw = key.public_key().public_bytes_raw()
        self.id = key_id(raw)
        self.public = base64.b64encode(raw).decode()
        """The public half as assignments carry it: base64 of the raw 32 bytes."""

    def __repr__(self) -> str:
        return f"SigningKey({self.id})"

    @classmethod
    def generate(cls) -> SigningKey:
        """Make a new key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_text(cls, text: str) -> SigningKey:
        """Read what `to_text` wrote; raises BadInput."""
        try:
            if not text.startswith(_PREFIX):
                raise ValueError("no prefix")
            seed = base64.b64decode(text.removeprefix(_PREFIX).strip(), validate=True)
            return cls(Ed25519PrivateKey.from_private_bytes(seed))
        except (ValueError, binascii.Error) as error:
            raise BadInput("not an Ed25519 signing key") from error

    def to_text(self) -> str:
        """Return the private key as one line of text."""
        return _PREFIX + base64.b64encode(self._key.private_bytes_raw()).decode() + "\n"

    @classmethod
    def load(cls, path: Path) -> SigningKey:
        """Read a key file; raises BadInput, NotReady where there is none."""
        try:
            return cls.from_text(read_private(path).decode("ascii"))
        except (UnicodeDecodeError, BadInput) as error:
            raise BadInput(f"{path.name} does not hold an Ed25519 signing key") from error

    def save(self, path: Path) -> None:
        """Write the key file, mode 0600, durably."""
        write_private(path, self.to_text().encode())

    def sign(self, context: str, payload: bytes) -> Signature:
        """Sign the payload for one purpose."""
        signature = self._key.sign(_message(context, payload))
        return Signature(key=self.id, signature=base64.b64encode(signature).decode())


@dataclass(frozen=True, slots=True)
class VerifyKeys:
    """The set of public keys somebody trusts."""

    _keys: Mapping[str, Ed25519PublicKey]

    @classmethod
    def of(cls, texts: Iterable[str]) -> VerifyKeys:
        """Read base64 public keys; raises BadInput."""
        keys: dict[str, Ed25519PublicKey] = {}
        for text in texts:
            try:
                raw = base64.b64decode(text, validate=True)
                keys[key_id(raw)] = Ed25519PublicKey.from_public_bytes(raw)
            except (ValueError, binascii.Error) as error:
                raise BadInput("not a base64 Ed25519 public key") from error
        return cls(keys)

    def __iter__(self) -> Iterator[str]:
        """Go through the ids of the keys, sorted."""
        return iter(sorted(self._keys))

    def __len__(self) -> int:
        return len(self._keys)

    def texts(self) -> tuple[str, ...]:
        """Return the keys in the form `of` reads, sorted by id."""
        return tuple(
            base64.b64encode(self._keys[name].public_bytes_raw()).decode() for name in self
        )

    def verify(self, context: str, payload: bytes, signatures: Iterable[Signature]) -> str:
        """Return the id of a trusted key that signed.

        Raises Denied where no trusted key signed, Corrupt where one did and its signature does not match.
        """
        broken: str | None = None
        for signature in signatures:
            key = self._keys.get(signature.key)
            if key is None:
                continue
            try:
                key.verify(
                    base64.b64decode(signature.signature, validate=True), _message(context, payload)
                )
                return signature.key
            except (InvalidSignature, ValueError):
                broken = signature.key
        if broken is not None:
            raise Corrupt(f"the signature by key {broken} does not match the content")
        raise Denied(
            "not signed by a trusted key",
            hint="the hub's signing key changed without notice, or this is another hub",
        )


def _message(context: str, payload: bytes) -> bytes:
    if "\0" in context:
        raise BadInput("a signature's context holds a zero byte")
    return context.encode() + b"\0" + payload

"""Sections of an assignment: their bytes and the digest that a head names them by.

The hub's bytes are what counts: an agent checks and keeps them as they came, so fields that it does not know
yet do not change a digest.
"""

from __future__ import annotations

from fleet.codec.canonical import Digest, digest_bytes, verify
from fleet.errors import BadInput, Corrupt
from fleet.model.assignment import Section
from fleet.wire import codec


def encode_section(section: Section) -> bytes:
    """Return the bytes of a section: same section, same bytes."""
    return codec.encode(section)


def section_digest(section: Section) -> Digest:
    """Name a section by its bytes."""
    return digest_bytes(encode_section(section))


def decode_section(data: bytes, digest: Digest, *, target: str) -> Section:
    """Read a section that a verified head named; raises Corrupt for other bytes or another target."""
    try:
        section = codec.decode(verify(data, digest), Section)
    except BadInput as error:
        raise Corrupt(f"section {digest} cannot be read: {error.message}") from error
    if section.target != target:
        raise Corrupt(f"section {digest} is about {section.target}, the assignment says {target}")
    return section

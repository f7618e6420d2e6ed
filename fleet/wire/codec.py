"""Wire types to bytes and back: msgspec JSON, gzip, and limits that hold before anything is parsed.

Unknown fields are ignored (the other side may be one minor version ahead); wrong types, bytes beyond the limit
and broken compression are BadInput.
"""

from __future__ import annotations

import gzip
import zlib
from typing import TypeVar

import msgspec

from fleet.errors import BadInput

T = TypeVar("T")

MESSAGE_LIMIT = 16 * 1024 * 1024
"""Bytes of one message, uncompressed."""

BLOB_LIMIT = 64 * 1024 * 1024
"""Bytes of one artifact, uncompressed."""

GZIP_FROM = 1024
"""Below this many bytes compression costs more than it saves."""

_ENCODER = msgspec.json.Encoder(order="deterministic")
_LEVEL = 1


def encode(value: msgspec.Struct) -> bytes:
    """Write a wire type: the same value gives the same bytes."""
    return _ENCODER.encode(value)


def decode(data: bytes, kind: type[T], *, limit: int = MESSAGE_LIMIT) -> T:
    """Read a wire type; raises BadInput."""
    check_size(len(data), limit)
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"not a valid {kind.__name__}: {error}") from error


def check_size(size: int, limit: int) -> None:
    """Raise BadInput for more bytes than the limit."""
    if size > limit:
        raise BadInput(f"message of {size} bytes is over the limit of {limit}")


def compress(data: bytes) -> bytes:
    """Return the bytes as gzip, the same for the same input."""
    return gzip.compress(data, compresslevel=_LEVEL, mtime=0)


def decompress(data: bytes, *, limit: int = MESSAGE_LIMIT) -> bytes:
    """Undo gzip; stops at the limit (a few bytes can claim to be gigabytes); raises BadInput."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        result = unpacker.decompress(data, limit + 1)
    except zlib.error as error:
        raise BadInput("not valid gzip data") from error
    if len(result) > limit:
        raise BadInput(f"message is over the limit of {limit} bytes after decompression")
    if not unpacker.eof or unpacker.unused_data:
        raise BadInput("gzip data is cut short or followed by something else")
    return result

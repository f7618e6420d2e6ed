"""Many blobs in one answer: the body of ``POST /v1/fetch``.

One frame per digest asked for, in that order: 32 bytes of digest, one byte (1 = content follows, 0 = not to be
had), four bytes of length (big endian), the content. The hub may stop early to keep an answer small; what is
missing at the end is asked for again. Content is checked against its digest while reading.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fleet.codec.canonical import Digest, verify
from fleet.errors import BadInput
from fleet.wire.codec import BLOB_LIMIT

MAX_DIGESTS = 1000
"""In one request."""

_HEADER = 37


@dataclass(frozen=True, slots=True)
class Frame:
    """One digest and its content; None: not there, or not for this cluster."""

    digest: Digest
    data: bytes | None


def encode_frame(digest: Digest, data: bytes | None) -> bytes:
    """Write one frame."""
    content = data or b""
    found = b"\0" if data is None else b"\1"
    raw = bytes.fromhex(digest.removeprefix("sha256:"))
    return raw + found + len(content).to_bytes(4, "big") + content


class FrameReader:
    """Takes bytes as they come and yields the frames that are complete."""

    def __init__(self, *, limit: int = BLOB_LIMIT) -> None:
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Add bytes; raises BadInput for a frame over the limit, Corrupt for content that does not match."""
        self._buffer += data
        while (frame := self._next()) is not None:
            yield frame

    def finish(self) -> None:
        """Say that no more will come; raises BadInput in the middle of a frame."""
        if self._buffer:
            raise BadInput("the answer ends in the middle of a blob")

    def _next(self) -> Frame | None:
        if len(self._buffer) < _HEADER:
            return None
        digest = Digest(f"sha256:{self._buffer[:32].hex()}")
        size = int.from_bytes(self._buffer[33:_HEADER], "big")
        if size > self._limit:
            raise BadInput(f"blob of {size} bytes is over the limit of {self._limit}")
        if len(self._buffer) < _HEADER + size:
            return None
        found = self._buffer[32] == 1
        content = bytes(self._buffer[_HEADER : _HEADER + size])
        del self._buffer[: _HEADER + size]
        return Frame(digest, verify(content, digest) if found else None)


def read_frames(data: bytes) -> tuple[Frame, ...]:
    """Read a whole answer."""
    reader = FrameReader()
    frames = tuple(reader.feed(data))
    reader.finish()
    return frames

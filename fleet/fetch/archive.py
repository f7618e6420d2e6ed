"""Reads a ``.tgz`` member by member into memory, within limits; nothing is ever extracted to a disk here.

security.md rows 11-16, 40, 41: links, devices, absolute and climbing names, set-id modes, sparse files, bombs. The whole
archive is refused for one such member, before any content is used.
"""

from __future__ import annotations

import io
import re
import stat
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from fleet.errors import BadInput, Denied

_CHUNK = 64 * 1024
_BAD_NAME = re.compile(r"[\x00-\x1f\x7f\\:]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveLimits:
    """Bounds on what an archive unpacks to."""

    files: int = 10_000
    file_bytes: int = 16 * 1024 * 1024
    total_bytes: int = 128 * 1024 * 1024
    name_length: int = 1024


DEFAULT_LIMITS = ArchiveLimits()


def read_tgz(data: bytes, limits: ArchiveLimits = DEFAULT_LIMITS) -> dict[str, bytes]:
    """Unpack into path to content, sorted by path; raises Denied for a hostile archive, BadInput for a bad one."""
    return dict(sorted(iterate_tgz(data, limits)))


def iterate_tgz(data: bytes, limits: ArchiveLimits = DEFAULT_LIMITS) -> Iterator[tuple[str, bytes]]:
    """Yield files one by one; the caller must not use them before the end is reached without an error."""
    seen: set[str] = set()
    left = limits.total_bytes
    try:
        with tarfile.open(fileobj=_Inflated(data, limits), mode="r|") as archive:
            for count, member in enumerate(archive, 1):
                if count > limits.files:
                    raise BadInput(f"archive holds more than {limits.files} members")
                path = _checked(member, limits)
                if member.isdir():
                    continue
                if path in seen:
                    raise Denied(f"archive holds {path!r} twice")
                seen.add(path)
                left -= member.size
                if member.size > limits.file_bytes or left < 0:
                    raise BadInput(f"archive unpacks to more than is allowed, at {path!r}")
                content = archive.extractfile(member)
                yield path, content.read() if content else b""
    except (tarfile.TarError, zlib.error, EOFError, ValueError, OverflowError) as error:
        raise BadInput(f"not a readable .tgz archive: {error}") from error


def _checked(member: tarfile.TarInfo, limits: ArchiveLimits) -> str:
    shown = repr(member.name[:200])
    if not (member.isreg() or member.isdir()) or member.issparse():
        raise Denied(f"archive member {shown} is a link or a special file")
    if member.mode & (stat.S_ISUID | stat.S_ISGID):
        raise Denied(f"archive member {shown} has a set-id mode")
    name = member.name.removeprefix("./").rstrip("/")
    segments = name.split("/")
    if member.isdir() and name in ("", "."):
        return ""
    if (
        len(name) > limits.name_length
        or _BAD_NAME.search(name)
        or any(segment in ("", ".", "..") for segment in segments)
        or not name.isprintable()
    ):
        raise Denied(f"archive member {shown} has an unsafe name")
    return name


class _Inflated(io.RawIOBase):
    """The decompressed bytes of a gzip file, one piece at a time, up to a limit."""

    def __init__(self, data: bytes, limits: ArchiveLimits) -> None:
        self._data = memoryview(data)
        self._inflate = zlib.decompressobj(wbits=31)
        # Headers and padding of the members come on top of their content.
        self._left = limits.total_bytes + limits.files * 2048 + 20 * 1024
        self._tail = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes; tar's stream reader always names one."""
        size = size if size > 0 else _CHUNK
        pieces: list[bytes] = []
        wanted = size
        while wanted > 0 and not self._inflate.eof:
            source = self._tail or bytes(self._data[:_CHUNK])
            if not self._tail:
                self._data = self._data[_CHUNK:]
            piece = self._inflate.decompress(source, wanted)
            self._tail = self._inflate.unconsumed_tail
            if not piece and not source:
                raise EOFError("it ends too early")
            pieces.append(piece)
            wanted -= len(piece)
            self._left -= len(piece)
            if self._left < 0:
                raise BadInput("archive unpacks to more than is allowed")
        return b"".join(pieces)

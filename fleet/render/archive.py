"""Reads a chart archive in memory, member by member. Nothing is ever unpacked by name onto a disk.

Refused as a whole: links, devices, absolute paths, dot segments, setuid files, more bytes or members than the
limits, several top folders. The archive's own top folder is dropped: a chart's name decides no path here.
"""

from __future__ import annotations

import io
import posixpath
import tarfile
import zlib
from collections.abc import Iterator

from fleet.errors import BadInput, Where

MAX_BYTES = 100 * 1024 * 1024
MAX_MEMBERS = 20_000
_CHUNK = 64 * 1024


def read_chart(
    data: bytes, *, max_bytes: int = MAX_BYTES, max_members: int = MAX_MEMBERS
) -> dict[str, bytes]:
    """Return path -> content of a ``.tgz`` chart; raises BadInput for anything that is not one."""
    tar = _inflate(data, max_bytes)
    files: dict[str, bytes] = {}
    tops: set[str] = set()
    try:
        with tarfile.open(fileobj=io.BytesIO(tar), mode="r:") as archive:
            for count, member in enumerate(archive):
                if count >= max_members:
                    raise BadInput(f"chart archive has more than {max_members} members")
                top, path = _checked_path(member)
                if member.isdir() or not path:
                    continue
                tops.add(top)
                content = archive.extractfile(member)
                assert content is not None
                files[path] = content.read()
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise BadInput(f"chart archive cannot be read: {error}") from error
    if len(tops) != 1 or "Chart.yaml" not in files:
        raise BadInput("chart archive does not hold exactly one chart")
    return files


def _checked_path(member: tarfile.TarInfo) -> tuple[str, str]:
    name = member.name
    where = Where(file=name[:200])
    if not (member.isreg() or member.isdir()):
        raise BadInput("chart archive holds a link or a device", where=where)
    if member.mode & 0o6000:
        raise BadInput("chart archive holds a setuid file", where=where)
    parts = name.rstrip("/").split("/")
    if parts[0] == "." and len(parts) > 1:
        parts = parts[1:]
    is_odd = any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts)
    if name.startswith("/") or (is_odd and name.rstrip("/") != "."):
        raise BadInput("chart archive holds a path that leaves it", where=where)
    return parts[0], posixpath.join("", *parts[1:])


def _inflate(data: bytes, limit: int) -> bytes:
    """Unzip with a bound on the result, whatever sizes the file claims."""
    out = bytearray()
    for piece in _pieces(data):
        out += piece
        if len(out) > limit:
            raise BadInput(f"chart archive is larger than {limit} bytes unpacked")
    return bytes(out)


def _pieces(data: bytes) -> Iterator[bytes]:
    rest = data
    try:
        while rest[:2] == b"\x1f\x8b":
            unzip = zlib.decompressobj(wbits=31)
            pending = rest
            while pending and not unzip.eof:
                yield unzip.decompress(pending, _CHUNK)
                pending = unzip.unconsumed_tail
            if not unzip.eof:
                raise BadInput("chart archive is cut off")
            rest = unzip.unused_data
    except zlib.error as error:
        raise BadInput(f"chart archive is not gzip: {error}") from error
    if rest is data:
        raise BadInput("chart archive is not gzip")

"""Sprig's base64 and base32. What cannot be decoded gives Go's error text as the *result*, as in sprig."""

from __future__ import annotations

import base64
import re

from fleet.templating.functions import Table
from fleet.templating.values import GoValue, Meter, from_bytes, to_bytes

BASE = Table()
_ALPHABET64 = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
_ALPHABET32 = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
_PADDING = ord("=")
_IMPOSSIBLE32 = (1, 3, 6)
_GOOD64 = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")

BASE.add("b64enc", "string -> string", lambda text: base64.b64encode(to_bytes(text)).decode())


class _Corrupt(Exception):
    """The input is wrong at this offset."""

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.offset = offset


@BASE.define("b32enc", "string -> string", meter=True)
def _b32enc(meter: Meter, text: str) -> GoValue:
    meter.spend_on(text)
    return base64.b32encode(to_bytes(text)).decode()


@BASE.define("b64dec", "string -> string", meter=True)
def _b64dec(meter: Meter, text: str) -> GoValue:
    raw = to_bytes(text)
    if _GOOD64.fullmatch(raw):
        return from_bytes(base64.b64decode(raw))
    meter.spend(len(text))  # finding the place of the fault is slow
    try:
        return from_bytes(base64.b64decode(_checked64(raw)))
    except _Corrupt as error:
        return f"illegal base64 data at input byte {error.offset}"


@BASE.define("b32dec", "string -> string", meter=True)
def _b32dec(meter: Meter, text: str) -> GoValue:
    meter.spend_on(text)
    raw = to_bytes(text).replace(b"\r", b"").replace(b"\n", b"")
    try:
        return from_bytes(base64.b32decode(_checked32(raw)))
    except _Corrupt as error:
        return f"illegal base32 data at input byte {error.offset}"


def _checked64(raw: bytes) -> bytes:
    """Return the input without line ends; raises _Corrupt with the offset that Go names."""
    kept = [(offset, byte) for offset, byte in enumerate(raw) if byte not in b"\r\n"]
    for index, (offset, byte) in enumerate(kept):
        if byte in _ALPHABET64:
            continue
        place = index % 4
        if byte != _PADDING or place < 2:
            raise _Corrupt(offset)
        rest = kept[index + 1 :]
        if place == 2:
            if not rest:
                raise _Corrupt(len(raw))
            if rest[0][1] != _PADDING:
                raise _Corrupt(rest[0][0] - 1)
            rest = rest[1:]
        if rest:
            raise _Corrupt(rest[0][0])
        return bytes(byte for _, byte in kept)
    if len(kept) % 4:
        raise _Corrupt(len(raw) - len(kept) % 4)
    return bytes(byte for _, byte in kept)


def _checked32(raw: bytes) -> bytes:
    """Return the input; raises _Corrupt with the offset that Go names."""
    for index, byte in enumerate(raw):
        place, left = index % 8, len(raw) - index - 1
        if byte == _PADDING and place >= 2 and left < 8:
            _check_padding32(raw, index, place)
            return raw
        if byte not in _ALPHABET32:
            raise _Corrupt(index)
    if len(raw) % 8:
        raise _Corrupt(len(raw) - len(raw) % 8)
    return raw


def _check_padding32(raw: bytes, index: int, place: int) -> None:
    rest = raw[index + 1 :]
    if len(rest) + place < 7:
        raise _Corrupt(len(raw))
    for offset, byte in enumerate(rest[: 7 - place]):
        if byte != _PADDING:
            raise _Corrupt(index + offset)
    if place in _IMPOSSIBLE32 or len(rest) > 7 - place:
        raise _Corrupt(index)

"""Sprig's random functions. Each rendering gives another text: an Application made with one is new at every evaluation."""

from __future__ import annotations

import base64
import random
import secrets
import string
import uuid

from fleet.templating.errors import GoError, LimitError
from fleet.templating.functions import Table
from fleet.templating.values import MAX_TEXT, GoValue

RANDOM = Table()
_SOURCE = random.SystemRandom()
_ASCII = "".join(map(chr, range(32, 127)))


def _text(alphabet: str, count: int) -> str:
    if count < 0:
        return ""
    if count > MAX_TEXT:
        raise LimitError(f"a text is longer than {MAX_TEXT} characters")
    return "".join(secrets.choice(alphabet) for _ in range(count))


RANDOM.add(
    "randAlphaNum", "int -> string", lambda n: _text(string.ascii_letters + string.digits, n)
)
RANDOM.add("randAlpha", "int -> string", lambda n: _text(string.ascii_letters, n))
RANDOM.add("randNumeric", "int -> string", lambda n: _text(string.digits, n))
RANDOM.add("randAscii", "int -> string", lambda n: _text(_ASCII, n))
RANDOM.add("uuidv4", "-> string", lambda: str(uuid.uuid4()))
RANDOM.add("shuffle", "string -> string", lambda text: "".join(_SOURCE.sample(text, len(text))))


@RANDOM.define("randInt", "int int -> int")
def _rand_int(low: int, high: int) -> GoValue:
    if high <= low:
        raise GoError("invalid argument to Intn")
    return _SOURCE.randrange(low, high)


@RANDOM.define("randBytes", "int -> string")
def _rand_bytes(count: int) -> GoValue:
    if not 0 <= count <= MAX_TEXT:
        raise GoError("runtime error: makeslice: len out of range")
    return base64.b64encode(secrets.token_bytes(count)).decode()

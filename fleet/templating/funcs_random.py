"""Sprig's random functions. Each rendering gives another text: an Application made with one is new at every evaluation."""

from __future__ import annotations

import base64
import random
import secrets
import string
import uuid

from fleet.templating.errors import GoError
from fleet.templating.functions import Table
from fleet.templating.values import MAX_TEXT, GoValue, Meter

RANDOM = Table()
_SOURCE = random.SystemRandom()


def _text(meter: Meter, alphabet: str, count: int) -> str:
    meter.spend(max(count, 0))
    return "".join(secrets.choice(alphabet) for _ in range(count))


def _add_text(name: str, alphabet: str) -> None:
    def body(meter: Meter, count: int) -> GoValue:
        return _text(meter, alphabet, count)

    RANDOM.add(name, "int -> string", body, meter=True)


_add_text("randAlphaNum", string.ascii_letters + string.digits)
_add_text("randAlpha", string.ascii_letters)
_add_text("randNumeric", string.digits)
_add_text("randAscii", "".join(map(chr, range(32, 127))))
RANDOM.add("uuidv4", "-> string", lambda: str(uuid.uuid4()))


@RANDOM.define("shuffle", "string -> string", meter=True)
def _shuffle(meter: Meter, text: str) -> GoValue:
    meter.spend(len(text))
    return "".join(_SOURCE.sample(text, len(text)))


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

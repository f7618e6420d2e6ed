"""Sprig's JSON and checksums.

What makes keys and certificates is refused: it is random, slow, and secrets do not belong into templates.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import zlib
from collections.abc import Callable, Iterable

from fleet.codec import canonical
from fleet.errors import BadInput
from fleet.templating.errors import GoError, LimitError
from fleet.templating.functions import Table
from fleet.templating.printing import json_float, limited
from fleet.templating.values import (
    INTEGERS,
    MAX_DEPTH,
    NILS,
    UNSIGNED,
    GoObject,
    GoValue,
    Meter,
    clean,
    from_bytes,
    is_float,
    is_raw_byte,
    number,
    to_bytes,
    type_name,
)

ENCODE = Table()

# -- hashes

ENCODE.add("sha1sum", "string -> string", lambda text: hashlib.sha1(to_bytes(text)).hexdigest())  # noqa: S324  # a name that templates use, not a protection
ENCODE.add("sha256sum", "string -> string", lambda text: hashlib.sha256(to_bytes(text)).hexdigest())
ENCODE.add("sha512sum", "string -> string", lambda text: hashlib.sha512(to_bytes(text)).hexdigest())
ENCODE.add("adler32sum", "string -> string", lambda text: str(zlib.adler32(to_bytes(text))))


def _refusing(name: str) -> Callable[..., GoValue]:
    def refuse(*_values: GoValue) -> GoValue:
        raise GoError(f"{name} is not available: templates cannot make keys or encrypt")

    return refuse


REFUSED = (
    *("bcrypt", "htpasswd", "encryptAES", "decryptAES", "genPrivateKey", "buildCustomCert"),
    *("genCA", "genCAWithKey", "genSelfSignedCert", "genSelfSignedCertWithKey"),
    *("genSignedCert", "genSignedCertWithKey"),
)
"""Functions of sprig that are refused."""

for _name in REFUSED:
    ENCODE.add(_name, "any... -> any", _refusing(_name))


_SEED = b"com.lyndir.masterpassword"
_VOWELS, _CONSONANTS = "aeiou", "bcdfghjklmnpqrstvwxyz"
_LETTERS = _VOWELS.upper() + _VOWELS + _CONSONANTS.upper() + _CONSONANTS
_PASSWORD_CHARACTERS = {
    "V": _VOWELS.upper(),
    "C": _CONSONANTS.upper(),
    "v": _VOWELS,
    "c": _CONSONANTS,
    "A": _VOWELS.upper() + _CONSONANTS.upper(),
    "a": _LETTERS,
    "n": "0123456789",
    "o": "@&%?,=[]_:-+*$#!'^~;()/.",
    "x": _LETTERS + "0123456789!@#$%^&*()",
}
_PASSWORD_FORMS = {
    "maximum": "anoxxxxxxxxxxxxxxxxx axxxxxxxxxxxxxxxxxno",
    "long": (
        "CvcvnoCvcvCvcv CvcvCvcvnoCvcv CvcvCvcvCvcvno CvccnoCvcvCvcv CvccCvcvnoCvcv CvccCvcvCvcvno "
        "CvcvnoCvccCvcv CvcvCvccnoCvcv CvcvCvccCvcvno CvcvnoCvcvCvcc CvcvCvcvnoCvcc CvcvCvcvCvccno "
        "CvccnoCvccCvcv CvccCvccnoCvcv CvccCvccCvcvno CvcvnoCvccCvcc CvcvCvccnoCvcc CvcvCvccCvccno "
        "CvccnoCvcvCvcc CvccCvcvnoCvcc CvccCvcvCvccno"
    ),
    "medium": "CvcnoCvc CvcCvcno",
    "short": "Cvcn",
    "basic": "aaanaaan aannaaan aaannaaa",
    "pin": "nnnn",
}
_WHOLE = 19
"""Digits of a whole number that has room in 64 bits; sign or not, a float is written the same way then."""
_PASSWORD_COST = 100_000


@ENCODE.define("derivePassword", "uint32 string string string string -> string", meter=True)
def _derive_password(
    meter: Meter, counter: int, kind: str, password: str, user: str, site: str
) -> GoValue:
    if kind not in _PASSWORD_FORMS:
        return f"cannot find password template {kind}"
    meter.spend(_PASSWORD_COST)
    salt = _SEED + _sized(user)
    key = hashlib.scrypt(to_bytes(password), salt=salt, n=32768, r=8, p=2, maxmem=1 << 27, dklen=64)
    message = _SEED + _sized(site) + counter.to_bytes(4, "big")
    seed = hmac.new(key, message, hashlib.sha256).digest()
    forms = _PASSWORD_FORMS[kind].split()
    characters = (_PASSWORD_CHARACTERS[form] for form in forms[seed[0] % len(forms)])
    return "".join(
        choice[byte % len(choice)] for choice, byte in zip(characters, seed[1:], strict=False)
    )


def _sized(text: str) -> bytes:
    raw = to_bytes(text)
    return len(raw).to_bytes(4, "big") + raw


# -- JSON


def from_json(text: str) -> GoValue:
    """Read JSON; raises GoError."""
    try:
        return canonical.decode(text if text.isascii() else clean(text))
    except BadInput as error:
        raise GoError(error.message.removeprefix("not valid JSON: ")) from error


@ENCODE.define("mustFromJson", "string -> any", meter=True)
def _must_from_json(meter: Meter, text: str) -> GoValue:
    meter.spend(len(text) >> 3)  # three characters can be a list of eighty bytes
    return from_json(text)


@ENCODE.define("fromJson", "string -> any", meter=True)
def _from_json(meter: Meter, text: str) -> GoValue:
    try:
        return _must_from_json(meter, text)
    except GoError:
        return None


class _Writer:
    """Writes JSON as Go's encoder does."""

    def __init__(self, meter: Meter, *, indent: bool = False, escape: bool = True) -> None:
        self._meter = meter
        self._indent = indent
        self._escape = escape

    def text(self, value: GoValue, depth: int = 0) -> str:
        if depth > MAX_DEPTH:
            raise LimitError(f"a value is nested deeper than {MAX_DEPTH} levels")
        self._meter.spend(1)
        kind = type(value)
        if kind is str:
            return self._charged(value)
        if kind in NILS:
            return "null"
        if kind is bool:
            return "true" if value else "false"
        if is_float(value):
            return _json_number(number(value))
        if kind in INTEGERS or kind in UNSIGNED:
            return int.__repr__(value)
        return self._composite(value, depth)

    def _composite(self, value: GoValue, depth: int) -> str:
        if isinstance(value, dict):
            colon = ": " if self._indent else ":"
            members = (
                f"{self._charged(key)}{colon}{self.text(value[key], depth + 1)}"
                for key in sorted(value)
            )
            return self._block("{", members, "}", depth)
        if isinstance(value, list):
            return self._block("[", (self.text(item, depth + 1) for item in value), "]", depth)
        if isinstance(value, GoObject):
            return self.string(value.json())
        raise GoError(f"json: unsupported type: {type_name(value)}")

    def _block(self, opening: str, items: Iterable[str], closing: str, depth: int) -> str:
        if not self._indent:
            return limited(f"{opening}{','.join(items)}{closing}", self._meter)
        pad = "\n" + "  " * depth
        body = f",{pad}  ".join(items)
        text = f"{opening}{pad}  {body}{pad}{closing}" if body else f"{opening}{closing}"
        return limited(text, self._meter)

    def _charged(self, value: str) -> str:
        """Write a text and pay for it: many places of a list may hold one long text."""
        text = self.string(value)
        self._meter.spend(len(text) >> 6)
        if not text.isascii():
            self._meter.spend_on(text)
        return text

    def string(self, value: str) -> str:
        text = json.dumps(value, ensure_ascii=False)
        if not text.isascii():
            text = from_bytes(to_bytes(text))
            text = "".join("\\ufffd" if is_raw_byte(char) else char for char in text)
        if self._escape:
            text = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
        return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _json_number(value: float) -> str:
    if not math.isfinite(value):
        raise GoError("json: unsupported value: infinite or not a number")
    return json_float(value)


def _add_json(name: str, must: str, *, indent: bool = False, escape: bool = True) -> None:
    def strict(meter: Meter, value: GoValue) -> GoValue:
        return _Writer(meter, indent=indent, escape=escape).text(value)

    def lenient(meter: Meter, value: GoValue) -> GoValue:
        try:
            return strict(meter, value)
        except GoError:
            return ""

    ENCODE.add(must, "any -> string", strict, meter=True)
    ENCODE.add(name, "any -> string", lenient if escape else strict, meter=True)


_add_json("toJson", "mustToJson")
_add_json("toPrettyJson", "mustToPrettyJson", indent=True)
_add_json("toRawJson", "mustToRawJson", escape=False)


def plain(value: GoValue, meter: Meter, depth: int = 0) -> GoValue:
    """Return a value as JSON that other libraries understand, without Go's types; raises GoError."""
    if depth > MAX_DEPTH:
        raise LimitError(f"a value is nested deeper than {MAX_DEPTH} levels")
    meter.spend(1)
    if type(value) in NILS:
        return None
    if isinstance(value, dict):
        return {clean(key): plain(item, meter, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item, meter, depth + 1) for item in value]
    if type(value) is str:
        return clean(value)
    if is_float(value):
        text = _json_number(number(value))
        return float(text) if set(text) & set(".e") or len(text) > _WHOLE else int(text)
    if type(value) in INTEGERS or type(value) in UNSIGNED:
        return int(value)
    if isinstance(value, complex):
        raise GoError(f"json: unsupported type: {type_name(value)}")
    return value.json() if isinstance(value, GoObject) else value

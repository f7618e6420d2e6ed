"""The one function that takes secrets out of text: for error messages, logs, and everything shown.

Whoever makes text out of a URL, a header or a tool's output passes it through `redact`. It removes what is
recognisable by form: user information in URLs (percent-encoded too), bearer and basic credentials, values of
parameters named like secrets, well-known token shapes, private keys. It is the last wall, not the first: code
must not put secrets into text at all. Pure, never raises, linear in the length of the text.
"""

from __future__ import annotations

import re

MASK = "***"
_TOO_LONG = 1_000_000

_NAMED = r"(?:password|passwd|secret|token|api[_-]?key|access[_-]?key|signature|sig)"
_VALUE = r"(?!\s|\*\*\*)[^\s&\"',;<>]+"

_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    # a password with a slash, which is no valid URL but is written all the same
    (re.compile(r"(?<=://)[^\s/?#\"'<>@:]{1,256}:(?!\d{1,5}/)[^\s\"'<>]{1,512}@"), f"{MASK}@"),
    # scheme://user:password@host, up to the last @ before the host ends
    (re.compile(r"(?<=://)[^\s/?#\"'<>]*@"), f"{MASK}@"),
    (re.compile(r"(?i)(?<=%3a%2f%2f)(?:(?!%2f)[^\s/?#&\"'<>])*(?:%40|@)"), f"{MASK}@"),
    (re.compile(r"(?i)\b(bearer|basic|negotiate)(\s+)[A-Za-z0-9+/=._~-]{8,}"), rf"\1\2{MASK}"),
    (
        re.compile(
            r"(?i)((?:authorization|x-api-key|private-token|x-gitlab-token|x-amz-security-token)"
            rf"[\"']?\s{{0,4}}[=:]\s{{0,4}}[\"']?)(?!bearer|basic|negotiate){_VALUE}"
        ),
        rf"\1{MASK}",
    ),
    # password=…, "token": "…"; not "token: …", which is prose
    (re.compile(rf"(?i)({_NAMED}=[\"']?){_VALUE}"), rf"\1{MASK}"),
    (re.compile(rf"(?i)({_NAMED}[\"']\s{{0,4}}:\s{{0,4}}[\"']){_VALUE}"), rf"\1{MASK}"),
    (re.compile(rf"(?i)(passw(?:or)?d:\s{{0,4}}){_VALUE}"), rf"\1{MASK}"),
    (
        re.compile(
            r"\b(?:gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_[A-Za-z0-9_]{20,255}|"
            r"gl(?:pat|dt|rt|ft)-[A-Za-z0-9_-]{16,255}|xox[abprs]-[A-Za-z0-9-]{10,255}|AKIA[0-9A-Z]{16}|"
            r"AGE-SECRET-KEY-1[0-9A-Z]{20,255}|"
            r"eyJ[A-Za-z0-9_-]{8,2000}\.[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]{0,1000})"
        ),
        MASK,
    ),
    (
        re.compile(
            r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)",
            re.DOTALL,
        ),
        MASK,
    ),
)


def redact(text: str) -> str:
    """Return the text with everything that has the form of a secret masked."""
    text = text[:_TOO_LONG]
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def one_line(text: str, limit: int = 300) -> str:
    """Redact, drop control and bidirectional characters, join lines, and cut: text of a foreign program."""
    clean = "".join(character if character.isprintable() else " " for character in redact(text))
    words = " ".join(clean.split())
    return words if len(words) <= limit else f"{words[: limit - 1]}…"

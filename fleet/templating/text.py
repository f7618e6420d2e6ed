"""Go's view of characters: white space, upper and lower case one character at a time.

Python's own methods know special casing (``ß`` to ``SS``, the final sigma), Go's do not.
"""

from __future__ import annotations

import unicodedata

SPACES = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
_SPACES = frozenset(SPACES)


def is_space(char: str) -> bool:
    """Tell whether a character is white space."""
    return char in _SPACES


def fields(text: str) -> list[str]:
    """Split around white space."""
    return "".join(" " if char in _SPACES else char for char in text).split(" ")


def to_upper(char: str) -> str:
    """Return the upper case of one character."""
    upper = char.upper()
    return upper if len(upper) == 1 else char


def to_lower(char: str) -> str:
    """Return the lower case of one character."""
    lower = char.lower()
    return lower if len(lower) == 1 else lower[0]


def to_title(char: str) -> str:
    """Return the title case of one character."""
    title = char.title()
    return title if len(title) == 1 else char


def upper(text: str) -> str:
    """Return a text in upper case."""
    return text.upper() if text.isascii() else "".join(map(to_upper, text))


def lower(text: str) -> str:
    """Return a text in lower case."""
    return text.lower() if text.isascii() else "".join(map(to_lower, text))


def is_upper(char: str) -> bool:
    """Tell whether a character is an upper-case letter."""
    return unicodedata.category(char) == "Lu"


def is_lower(char: str) -> bool:
    """Tell whether a character is a lower-case letter."""
    return unicodedata.category(char) == "Ll"


def is_title(char: str) -> bool:
    """Tell whether a character is a title-case letter."""
    return unicodedata.category(char) == "Lt"


def is_letter(char: str) -> bool:
    """Tell whether a character is a letter."""
    return unicodedata.category(char)[0] == "L"


def is_number(char: str) -> bool:
    """Tell whether a character is a number."""
    return unicodedata.category(char)[0] == "N"


def is_punctuation(char: str) -> bool:
    """Tell whether a character is punctuation."""
    return unicodedata.category(char)[0] == "P"

"""Go's path.Match and gobwas' globs."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fleet.argo.globs import glob, matches_glob, matches_path, path_match
from fleet.generators.fileglobs import doublestar, wildmatch

# From Go's path/match_test.go, the documented behaviour of path.Match.
GO = [
    ("abc", "abc", True),
    ("*", "abc", True),
    ("*c", "abc", True),
    ("a*", "a", True),
    ("a*", "ab/c", False),
    ("a*/b", "abc/b", True),
    ("a*/b", "a/c/b", False),
    ("a*b*c*d*e*/f", "axbxcxdxe/f", True),
    ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", False),
    ("a*b?c*x", "abxbbxdbxebxczzx", True),
    ("a*b?c*x", "abxbbxdbxebxczzy", False),
    ("ab[c]", "abc", True),
    ("ab[b-d]", "abc", True),
    ("ab[e-g]", "abc", False),
    ("ab[^c]", "abc", False),
    ("ab[^e-g]", "abc", True),
    ("a\\*b", "a*b", True),
    ("a\\*b", "ab", False),
    ("a?b", "a☺b", True),
    ("a[^a]b", "a☺b", True),
    ("a???b", "a☺b", False),
    ("[a-ζ]*", "α", True),
    ("*[a-ζ]", "A", False),
    ("a?b", "a/b", False),
    ("a*b", "a/b", False),
    ("[\\]a]", "]", True),
    ("[\\-]", "-", True),
    ("[x\\-]", "x", True),
    ("[x\\-]", "z", False),
    ("*x", "xxx", True),
    ("apps/**", "apps/a", True),
    ("apps/**", "apps/a/b", False),
    ("[b-a]", "a", False),
    ("x[^b-a]", "xa", True),
]

MALFORMED = ["[]a]", "[-]", "[x-]", "[-x]", "a[", "a[b", "\\", "[a-b-c]", "[", "[^", "[^bc"]


@pytest.mark.parametrize(("pattern", "text", "expected"), GO)
def test_path_match(pattern: str, text: str, expected: bool) -> None:
    assert matches_path(pattern, text) is expected


@pytest.mark.parametrize("pattern", MALFORMED)
def test_malformed_patterns_match_nothing(pattern: str) -> None:
    assert path_match(pattern) is None
    assert not matches_path(pattern, "a")


@pytest.mark.parametrize(
    ("pattern", "text", "separator", "expected"),
    [
        ("*", "a/b/c", "/", True),
        ("https://git.example.com/*", "https://git.example.com/a", "/", True),
        ("https://git.example.com/*", "https://git.example.com/a/b", "/", False),
        ("https://git.example.com/**", "https://git.example.com/a/b", "/", True),
        ("https://*.example.com/a", "https://git.example.com/a", "/", True),
        ("team-*", "team-a/b", "", True),
        ("{a,b}-x", "b-x", "", True),
        ("{a,b}-x", "c-x", "", False),
        ("[a-c]x", "bx", "", True),
        ("[!a-c]x", "bx", "", False),
        ("[abc]x", "cx", "", True),
        ("a?c", "abc", "", True),
        ("a?c", "a/c", "/", False),
        ("a\\*c", "a*c", "", True),
        ("a{b", "a{b", "", False),
        ("a[b", "a[b", "", False),
        ("a.c", "abc", "", False),
    ],
)
def test_glob(pattern: str, text: str, separator: str, expected: bool) -> None:
    assert matches_glob(pattern, text, separator) is expected


@pytest.mark.parametrize(
    "compiled",
    [
        path_match("*a" * 30 + "b"),
        glob("*a" * 30 + "b"),
        glob("*a" * 30 + "b", "/"),
        wildmatch("*a" * 30 + "b"),
        doublestar("**/" + "*a" * 30 + "b"),
    ],
    ids=["path", "glob", "glob with separator", "git", "doublestar"],
)
def test_many_stars_do_not_take_forever(compiled: re.Pattern[str]) -> None:
    assert compiled.fullmatch("a" * 250) is None
    assert compiled.fullmatch("a" * 250 + "b") is not None


def fits(pattern: str, text: str) -> bool:
    """Go's path.Match for patterns of letters, ``/`` and ``*`` only, by trying everything."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return fits(pattern[1:], text) or (text[:1] not in ("", "/") and fits(pattern, text[1:]))
    return text[:1] == pattern[0] and fits(pattern[1:], text[1:])


@given(st.text("ab/*", max_size=8), st.text("ab/", max_size=8))
def test_stars_find_what_trying_everything_finds(pattern: str, text: str) -> None:
    assume("//" not in pattern)
    assert matches_path(pattern, text) is fits(pattern, text)


@given(st.text(max_size=12), st.text(max_size=12))
def test_any_pattern_has_an_answer(pattern: str, text: str) -> None:
    assert matches_path(pattern, text) in (True, False)
    assert matches_glob(pattern, text, "/") in (True, False)


@given(st.text(alphabet=st.characters(blacklist_characters="*?[]{}\\,"), min_size=1, max_size=12))
def test_a_text_without_special_characters_matches_itself_only(text: str) -> None:
    assert matches_path(text, text)
    assert matches_glob(text, text)
    assert not matches_path(text, text + "x")
    assert not matches_glob(text, text + "x")

"""Version ranges against the documented behaviour of Masterminds/semver 3.4."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import BadInput
from fleet.model.semver import Constraint, Version, highest, is_constraint, is_version

# range -> versions inside | versions outside
RANGES = [
    ("*", "0.0.1 1.2.3 v9", "1.0.0-rc1"),
    ("x", "0.0.1 1.2.3", "1.0.0-rc1"),
    ("1.2.3", "1.2.3 v1.2.3 1.2.3+build", "1.2.4 1.2.3-rc1"),
    ("=1.2", "1.2.0 1.2.9", "1.3.0 1.1.9"),
    ("1", "1.0.0 1.9.9", "2.0.0 0.9.0"),
    ("1.x", "1.0.0 1.9.9", "2.0.0"),
    ("1.2.*", "1.2.0 1.2.7", "1.3.0 1.2.8-rc1"),
    ("v1.2.x", "1.2.0 v1.2.7", "1.3.0"),
    ("!=1.2.3", "1.2.4 2.0.0", "1.2.3"),
    ("!=4.x", "5.1.0 3.9.0", "4.0.0 4.1.2"),
    ("!=4.1", "4.2.0 5.1.0", "4.1.0 4.1.9"),
    (">1.2.3", "1.2.4 2.0.0", "1.2.3 1.0.0"),
    (">11", "12.0.0", "11.0.0 11.1.0"),
    (">11.1", "11.2.0 12.0.0", "11.1.0 11.1.1"),
    ("<2", "1.9.9", "2.0.0"),
    ("<=11", "11.0.0 11.9.9 10.2.0", "12.0.0"),
    ("<=11.1", "11.1.9 11.0.0", "11.2.0"),
    ("=<1.2.3", "1.2.3", "1.2.4"),
    ("=>1.2.3", "1.2.3 1.2.4", "1.2.2"),
    ("~1.2.3", "1.2.3 1.2.9", "1.3.0 1.2.2 2.2.3"),
    ("~>1.2", "1.2.0 1.2.9", "1.3.0"),
    ("~1", "1.0.0 1.9.0", "2.0.0"),
    ("^1.2.3", "1.2.3 1.9.0", "2.0.0 1.2.2"),
    ("^0.2.3", "0.2.3 0.2.9", "0.3.0 0.2.2 1.2.3"),
    ("^0.0.3", "0.0.3", "0.0.4 0.1.0"),
    ("^0.0", "0.0.0 0.0.9", "0.1.0"),
    ("^0", "0.0.0 0.9.9", "1.0.0"),
    (">=1.0 <2.0", "1.0.0 1.9.9", "2.0.0 0.9.0"),
    (">= 1.0, < 2.0, != 1.5.0", "1.4.0", "1.5.0 2.0.0"),
    ("1.2 - 1.4.5", "1.2.0 1.4.5", "1.4.6 1.1.9"),
    ("<1 || >=3", "0.9.0 3.0.0", "1.0.0 2.9.0"),
    (">=1.0.0-0", "1.3.0-rc1 1.0.0 1.0.0-0", "0.9.0"),
    (">=1.0.0-0 <2.0.0", "1.3.0-rc1 1.0.0", "2.0.0 2.1.0-rc1"),
    ("~1.2.3-beta.2", "1.2.3-beta.3 1.2.3", "1.2.3-beta.1 1.3.0"),
    ("^1.2.3-alpha || 3", "1.2.3-beta 3.1.0", "3.1.0-rc1"),
    (">0.0.0-0", "0.0.1-alpha 7.0.0", "0.0.0-0"),
]


@pytest.mark.parametrize(("text", "inside", "outside"), RANGES, ids=[row[0] for row in RANGES])
def test_a_range_holds_exactly_its_versions(text: str, inside: str, outside: str) -> None:
    constraint = Constraint.parse(text)
    asked = {
        version: constraint.matches(Version.parse(version))
        for version in (inside + " " + outside).split()
    }
    assert [version for version, held in asked.items() if held] == inside.split()


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "main",
        "feature/1.2",
        "1.2.3.4",
        ">",
        "1.2,",
        "||",
        "1 ||",
        ">1.0<2.0",
        "1.2.3-",
        "xx",
        "1x",
        "1" * 30,
    ],
)
def test_a_text_that_is_no_range_is_refused(text: str) -> None:
    assert not is_constraint(text)
    with pytest.raises(BadInput):
        Constraint.parse(text)


def test_versions_are_ordered_as_semver_2_says() -> None:
    ordered = "1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0 1.0.1"
    versions = [Version.parse(text) for text in ordered.split()]
    upside_down = versions[::-1]
    assert sorted(upside_down) == versions
    assert Version.parse("1.0.0+a") == Version.parse("v1+b")


def test_the_highest_skips_what_is_no_version() -> None:
    tags = ["v1.2.0", "1.2.10", "1.2.9", "release", "1.3.0-rc1", "2.0.0"]
    assert highest(Constraint.parse("1.2.x"), tags) == "1.2.10"
    assert highest(Constraint.parse("3.x"), tags) == ""
    assert highest(Constraint.parse("*"), ["v1.0.0", "1.0.0"]) == "1.0.0"


@given(st.text(alphabet="0123456789.xX*v=<>~^!|, -+ab", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        constraint = Constraint.parse(text)
    except BadInput:
        assert not is_version(text)
        return
    assert constraint.matches(Version.parse("1.2.3")) in (True, False)

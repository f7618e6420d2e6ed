"""The two glob dialects."""

from __future__ import annotations

import pytest

from fleet.errors import BadInput
from fleet.render import globs


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("*.yaml", "a.yaml", True),
        ("*.yaml", "deep/a.yaml", True),
        ("{*.yml,*.yaml}", "a.yml", True),
        ("{config.json,env-usw2/*}", "env-usw2/x.yaml", True),
        ("{config.json,env-usw2/*}", "env/x.yaml", False),
        ("?.yaml", "ab.yaml", False),
        ("[ab].yaml", "b.yaml", True),
        ("[!ab].yaml", "b.yaml", False),
        ("[a-c].yaml", "b.yaml", True),
        (r"\*.yaml", "*.yaml", True),
        (r"\*.yaml", "a.yaml", False),
        ("a.yaml", "axyaml", False),
        ("a", "ab", False),
        ("**/x.yaml", "a/b/x.yaml", True),
    ],
)
def test_include_pattern_crosses_slashes(pattern: str, path: str, *, fits: bool) -> None:
    assert globs.matches_any_depth(pattern, path) is fits


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("values/*.yaml", "values/a.yaml", True),
        ("values/*.yaml", "values/deep/a.yaml", False),
        ("values/**/*.yaml", "values/a.yaml", True),
        ("values/**/*.yaml", "values/x/y/a.yaml", True),
        ("**/a.yaml", "a.yaml", True),
        ("values/**", "values/x/y", True),
        ("v?lues/[ab].yaml", "values/a.yaml", True),
        ("v?x", "v/x", False),
        ("{a,b}/x", "b/x", True),
        ("a**b/x", "aXb/x", True),
        ("a**b/x", "a/b/x", False),
    ],
)
def test_value_file_pattern_stays_in_its_segment(pattern: str, path: str, *, fits: bool) -> None:
    assert globs.matches_segments(pattern, path) is fits


@pytest.mark.parametrize("pattern", ["[a", "{a,b", "a\\", "[]"])
def test_malformed_pattern_is_named(pattern: str) -> None:
    with pytest.raises(BadInput, match="malformed pattern"):
        globs.matches_any_depth(pattern, "a")

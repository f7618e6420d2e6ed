"""Selectors that cannot be read, and those of fields."""

from __future__ import annotations

import pytest

from fleet.embedded.errors import Refusal
from fleet.embedded.selectors import parse_fields, parse_labels, selects, selects_fields


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("", True),
        ("a=1", True),
        ("a==1,b", True),
        ("a in (1, 2)", True),
        ("a notin (1)", False),
        ("!c", True),
        ("!a", False),
        ("c!=1", True),
        ("n>3", True),
        ("n<3", False),
        ("a.b/c=x", True),
        ("a=", False),
    ],
)
def test_labels(text: str, taken: bool) -> None:
    labels = {"a": "1", "b": "", "n": "5", "a.b/c": "x"}
    assert selects(parse_labels(text), labels) is taken


@pytest.mark.parametrize("text", ["a=b=c", "=", "a in", "(a)", "a,,b", "a b"])
def test_labels_refused(text: str) -> None:
    with pytest.raises(Refusal):
        parse_labels(text)


@pytest.mark.parametrize(
    ("text", "taken"),
    [("metadata.name=x", True), ("metadata.name!=x", False), ("status.phase=", True), ("spec.on=true", True)],
)  # fmt: skip
def test_fields(text: str, taken: bool) -> None:
    obj = {"metadata": {"name": "x"}, "spec": {"on": True}}
    assert selects_fields(parse_fields(text), obj) is taken


def test_fields_refused() -> None:
    with pytest.raises(Refusal):
        parse_fields("metadata.name")

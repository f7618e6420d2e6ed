"""``gitopsfleet.io/depends-on``."""

from __future__ import annotations

import pytest

from fleet.argo.references import parse_references
from fleet.errors import BadInput
from fleet.model.identity import ClusterName
from fleet.model.target import Reference, ReferenceKind


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("base", Reference(kind=ReferenceKind.NAME, name="base", text="base")),
        ("base?", Reference(kind=ReferenceKind.NAME, name="base", optional=True, text="base?")),
        ("set/infra", Reference(kind=ReferenceKind.SET, name="infra", text="set/infra")),
        (
            "label/team=blue",
            Reference(kind=ReferenceKind.LABEL, name="team=blue", text="label/team=blue"),
        ),
        (
            "label/example.com/tier=",
            Reference(
                kind=ReferenceKind.LABEL, name="example.com/tier=", text="label/example.com/tier="
            ),
        ),
        (
            "cluster/mgmt/vault?",
            Reference(
                kind=ReferenceKind.CLUSTER,
                name="vault",
                cluster=ClusterName("mgmt"),
                optional=True,
                text="cluster/mgmt/vault?",
            ),
        ),
    ],
)
def test_one_reference(text: str, expected: Reference) -> None:
    assert parse_references(text) == (expected,)


def test_many_references_in_their_order_doubles_once() -> None:
    found = parse_references(" b, a\n\n set/x ,,b\n")
    assert [reference.text for reference in found] == ["b", "a", "set/x"]


def test_nothing() -> None:
    assert parse_references(" \n,") == ()


@pytest.mark.parametrize(
    "text",
    [
        "Upper",
        "sets/x",
        "set/",
        "cluster/alpha",
        "cluster//x",
        "cluster/a/b/c",
        "label/team",
        "label/=x",
        "label/a=b c",
        "?",
        "a b",
        "/x",
    ],
)
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(BadInput, match=r"in gitopsfleet.io/depends-on"):
        parse_references(f"base, {text}")

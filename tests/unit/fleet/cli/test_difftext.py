"""An application's differences as text."""

from __future__ import annotations

import pytest
from click import unstyle

from fleet.cli.difftext import app_lines, app_summary
from fleet.wire.appdiff import AppDiff, ObjectDiff, ObjectNote

CHANGED = ObjectDiff(
    ref="apps/Deployment:shop/web",
    change="changed",
    paths=("spec.replicas", "spec.template.spec.containers[name=app].image"),
    diff="@@ -1 +1 @@\n-replicas: 2\n+replicas: 1\n",
)
ADDED = ObjectDiff(ref="/ConfigMap:shop/new", change="added", diff="+a: b\n", predicted=False)
REMOVED = ObjectDiff(
    ref="/ConfigMap:shop/old", change="removed", note="it stays until a sync that prunes"
)


def diff(*objects: ObjectDiff, problems: tuple[ObjectNote, ...] = ()) -> AppDiff:
    return AppDiff(target="web", artifact="sha256:0", objects=objects, problems=problems)


def text(found: AppDiff) -> list[str]:
    return [unstyle(line) for line in app_lines(found)]


def test_objects_first_then_their_differences() -> None:
    assert text(diff(CHANGED, ADDED, REMOVED)) == [
        "~ apps/Deployment:shop/web  changed: spec.replicas, spec.template.spec.containers[name=app].image",
        "+ /ConfigMap:shop/new  added",
        "- /ConfigMap:shop/old  removed: it stays until a sync that prunes",
        "",
        "=== apps/Deployment:shop/web changed",
        "@@ -1 +1 @@",
        "-replicas: 2",
        "+replicas: 1",
        "",
        "=== /ConfigMap:shop/new added",
        "+a: b",
    ]


def test_many_fields_are_counted_and_a_guess_is_called_one() -> None:
    item = ObjectDiff(
        ref="/A:b/c",
        change="changed",
        paths=tuple(f"data.k{number}" for number in range(9)),
        predicted=False,
    )
    (line,) = text(diff(item))
    assert line == (
        "~ /A:b/c  changed: data.k0, data.k1, data.k2, data.k3, 5 more; compared without the API server"
    )


def test_what_could_not_be_compared_is_said_and_control_characters_are_not() -> None:
    note = ObjectNote(ref="/A:b/c", reason="InvalidSpec", message="jq \x1b[31mred")
    (line,) = text(diff(problems=(note,)))
    assert line.startswith("! /A:b/c  InvalidSpec: jq")
    assert "\x1b" not in line


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (diff(), "no differences"),
        (diff(CHANGED, ADDED, ADDED), "objects: 2 added, 1 changed"),
        (
            diff(REMOVED, problems=(ObjectNote(ref="r", reason="x", message="y"),)),
            "objects: 1 removed, 1 not compared",
        ),
    ],
    ids=["none", "some", "not compared"],
)
def test_summary(found: AppDiff, expected: str) -> None:
    assert app_summary(found) == expected

"""Changing one value of a YAML text: nothing else moves, and what cannot be done so is refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.cli.scalars import Path, dotted, scalar_at, set_scalar
from fleet.codec import yamldoc
from fleet.codec.jsontypes import JsonValue
from fleet.errors import BadInput


@pytest.mark.parametrize(
    ("text", "path", "value", "expected"),
    [
        pytest.param("a: {tag: v1, x: tag}\n", ("a", "tag"), "v2", "a: {tag: v2, x: tag}\n", id="flow"),
        pytest.param("tag: v1\nb:\n  tag: v1\n", ("b", "tag"), "v2", "tag: v1\nb:\n  tag: v2\n", id="inner"),
        pytest.param("- {tag: 'v1'}\n- {tag: 'v1'} # tag: v1\n", (1, "tag"), "v2",
                     "- {tag: 'v1'}\n- {tag: 'v2'} # tag: v1\n", id="quoted"),
        pytest.param("l: [{tag: v1}, {tag: v1}]\n", ("l", 1, "tag"), "v2", "l: [{tag: v1}, {tag: v2}]\n", id="line"),
        pytest.param('{"tag": "v1"}', ("tag",), "v2", '{"tag": "v2"}', id="json"),
        pytest.param("tag: 1.20 # pinned\n", ("tag",), "v2", "tag: v2 # pinned\n", id="number"),
        pytest.param("tag: v1\n", ("tag",), "1.30", 'tag: "1.30"\n', id="needs-quotes"),
        pytest.param("tag: v1\n", ("tag",), 1.3, "tag: 1.3\n", id="to-a-number"),
        pytest.param("new-tag: v1\ntag: v1\n", ("tag",), "v2", "new-tag: v1\ntag: v2\n", id="longer-key"),
        pytest.param("tag: v1\r\nz: 1\r\n", ("tag",), "v2", "tag: v2\r\nz: 1\r\n", id="line-ends"),
    ],
)  # fmt: skip
def test_one_value_changes(text: str, path: Path, value: JsonValue, expected: str) -> None:
    assert set_scalar(text, "f.yaml", 0, path, value) == expected


@pytest.mark.parametrize(
    ("text", "path"),
    [
        pytest.param("tag: |\n  v1\n", ("tag",), id="block"),
        pytest.param("x: &a {tag: v1}\nz: *a\n", ("x", "tag"), id="anchor"),
        pytest.param("x: &a {tag: v1}\nz: *a\n", ("z", "tag"), id="alias"),
        pytest.param("tag: &t v1\n", ("tag",), id="named"),
    ],
)
def test_what_would_change_more_is_refused(text: str, path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be changed without writing the file anew"):
        set_scalar(text, "f.yaml", 0, path, "v2")


def test_the_document_that_is_meant_changes() -> None:
    assert (
        set_scalar("tag: v1\n---\ntag: v1\n", "f", 1, ("tag",), "v2") == "tag: v1\n---\ntag: v2\n"
    )


def test_a_path_is_written_as_people_write_it() -> None:
    assert dotted(("spec", "sources", 0, "targetRevision")) == "spec.sources[0].targetRevision"


WORDS = st.text(alphabet="ab1.-_ :#'\"{}[],&*!\\ü", max_size=8)
TREES = st.recursive(
    WORDS | st.integers(-9, 99),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=8,
)


def leaves(value: JsonValue, path: Path = ()) -> Iterator[Path]:
    match value:
        case dict():
            for key, item in value.items():
                yield from leaves(item, (*path, key))
        case list():
            for at, item in enumerate(value):
                yield from leaves(item, (*path, at))
        case _ if path and isinstance(path[-1], str):
            yield path


@given(TREES, WORDS, st.data())
def test_the_result_is_the_old_value_with_one_field_changed(
    tree: JsonValue, new: str, data: st.DataObject
) -> None:
    paths = list(leaves(tree))
    if not paths:
        return
    path = data.draw(st.sampled_from(paths))
    text = yamldoc.dump(tree)
    try:
        changed = set_scalar(text, "f.yaml", 0, path, new)
    except BadInput:
        return
    (document,) = yamldoc.load_documents(changed)
    assert scalar_at(document.value, path) == new
    others = [other for other in paths if other != path]
    assert all(scalar_at(document.value, o) == scalar_at(tree, o) for o in others)

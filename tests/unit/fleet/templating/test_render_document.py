"""Documents: every text and every key is rendered, everything else stays."""

from __future__ import annotations

import pytest

from fleet.codec.jsontypes import JsonValue
from fleet.templating.document import render_document
from fleet.templating.errors import TemplateError


def test_texts_and_keys_at_any_depth() -> None:
    document = {"a": ["b", {"c": "d", "e": [1, None, True, 2.5]}], "f": ""}
    rendered = render_document(document, str.upper)
    assert rendered == {"A": ["B", {"C": "D", "E": [1, None, True, 2.5]}], "F": ""}
    assert document["f"] == "", "the document is not changed"


def test_later_key_wins() -> None:
    assert render_document({"a": 1, "A": 2}, str.upper) == {"A": 2}


def test_endless_nesting_is_refused() -> None:
    document: JsonValue = "x"
    for _ in range(5000):
        document = [document]
    with pytest.raises(TemplateError, match="nested deeper"):
        render_document(document, str)

"""The compatibility page says what was measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance import page


def test_the_page_is_what_the_cases_and_the_differences_give(shared_dir: Path) -> None:
    names = page.cases(shared_dir)
    assert set(page.TOPICS) == {name.partition("/")[0] for name in names}
    made = page.section(names, page.differences())
    assert page.page(page.PAGE.read_text(), made) == page.PAGE.read_text(), (
        "python -m tests.conformance.page"
    )
    assert (
        f"recorded behaviour of Argo CD 3.6: {len(names)} ApplicationSets" in page.PAGE.read_text()
    )


def test_differences_are_counted_and_told_with_their_reasons() -> None:
    names = ["list/a", "list/b", "list/c", "merge/a"]
    text = page.section(names, {"list/b": "order is random there"})
    assert "| `list` | 3 | 2 | 1 |" in text
    assert "| `merge` | 1 | 1 | 0 |" in text
    assert "| **all** | 4 | 3 | 1 |" in text
    assert "- `list/b`: order is random there" in text
    assert "None is different." not in text
    assert "None is different." in page.section(names, {})


def test_a_page_without_the_place_is_refused() -> None:
    with pytest.raises(ValueError, match="no place"):
        page.page("# Argo CD compatibility\n", "")

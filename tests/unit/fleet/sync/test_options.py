"""What a manifest's annotations ask of the sync."""

import pytest

from fleet.codec.jsontypes import JsonObject
from fleet.sync.options import is_pruned_last


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", False),
        ("PruneLast=true", True),
        ("Validate=false, PruneLast=true", True),
        ("PruneLast=false", False),
        ("Prune=false", False),
    ],
)
def test_what_is_pruned_last(options: str, expected: bool) -> None:
    body: JsonObject = {
        "kind": "Job",
        "metadata": {"annotations": {"argocd.argoproj.io/sync-options": options}},
    }
    assert is_pruned_last(body) is expected


def test_missing_metadata_asks_for_nothing() -> None:
    assert not is_pruned_last({"kind": "X", "metadata": None})

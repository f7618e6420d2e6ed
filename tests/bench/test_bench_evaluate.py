"""The benchmark of evaluation runs to its end on a small fleet, and says what it promises to say."""

from __future__ import annotations

import json
from unittest import mock

import pytest

from tests.bench import evaluate


def test_it_says_every_time(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["evaluate", "--clusters", "5", "--directories", "3", "--rounds", "2"]
    with mock.patch("sys.argv", arguments):
        evaluate.main()
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert found["size"] == "5 clusters x 3 directories"
    for kind in ("directories", "files"):
        assert set(found[kind]) == {
            "from_nothing",
            "one_directory_touched",
            "one_directory_touched_worst",
            "one_directory_touched_cpu",
            "one_directory_added",
        }
        assert all(seconds >= 0 for seconds in found[kind].values())
        assert set(found[f"hub_{kind}"]) == {
            "from_nothing",
            "from_nothing_blocked",
            "one_directory_touched",
            "one_directory_touched_worst",
            "one_directory_touched_blocked",
        }

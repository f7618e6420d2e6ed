"""The benchmark runs to its end with three applications, and its last line says what it promises to say."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.codec.jsontypes import JsonValue
from fleet.testing.controlplane import ClusterSource
from fleet.testing.tools import Tools

ROOT = Path(__file__).resolve().parents[2]
SHAPE = {
    "first_deploy": {"raw_s", "ours_s", "ratio"},
    "change_all": {"raw_s", "ours_s", "ratio"},
    "change_one_s": set(),
    "hub": {"cpu_s", "rss_mb"},
    "agent": {"cpu_s", "rss_mb"},
}


@pytest.mark.slow
def test_the_bench_measures_everything(control_planes: ClusterSource, tools: Tools) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.deploy", "--apps", "3"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    found = {key: set(value) if isinstance(value, dict) else set() for key, value in result.items()}
    assert found == SHAPE
    numbers = dict(leaves(result))
    assert all(math.isfinite(number) and number > 0 for number in numbers.values()), numbers


def leaves(value: JsonValue, path: str = "") -> Iterator[tuple[str, float]]:
    """Every number, by where it is; anything else counts as no number."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}")
    else:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        yield path, float(value) if is_number else math.nan

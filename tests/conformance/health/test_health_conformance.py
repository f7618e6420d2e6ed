"""Argo CD's health fixtures: how many objects get Argo CD's answer from general rules.

The floor below is the score that was reached; a change may raise it and never lower it. No rule knows a case.
"""

import json
from collections import Counter
from pathlib import Path

import pytest

from fleet.codec.jsontypes import JsonObject
from fleet.health.assess import assess

FLOOR = 0.705


@pytest.fixture(scope="module")
def cases(shared_dir: Path) -> list[JsonObject]:
    text = (shared_dir / "conformance" / "health" / "cases.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def answer(case: JsonObject) -> str | None:
    found = assess(case["object"])
    return found.status.value if found else None


def test_score(cases: list[JsonObject]) -> None:
    wrong = Counter(
        (case["status"], answer(case)) for case in cases if answer(case) != case["status"]
    )
    score = 1 - wrong.total() / len(cases)
    print(f"health: {len(cases) - wrong.total()} of {len(cases)} as Argo CD ({score:.1%})")
    for (expected, given), count in wrong.most_common():
        print(f"  {count:4} expected {expected}, got {given}")
    assert score >= FLOOR


def test_built_in_kinds_are_all_right(cases: list[JsonObject]) -> None:
    found = [
        case for case in cases if case["group"] in ("", "apps", "batch", "policy", "autoscaling")
    ]
    assert found
    assert {
        case["case"]: (answer(case), case["status"])
        for case in found
        if answer(case) != case["status"]
    } == {}

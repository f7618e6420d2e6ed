"""Argo CD's health fixtures, through the rules that the agents use.

No rule knows a case; what differs on purpose is listed in ``differences.yaml`` with its reason. The floors may be
raised, never lowered: one for all rules, one for the general rules alone, which judge the kinds that nobody has listed.
"""

import json
from collections import Counter
from pathlib import Path

import pytest

from fleet.codec import yamldoc
from fleet.codec.jsontypes import JsonObject
from fleet.health.assess import assess
from fleet.health.generic import generic
from fleet.health.result import HealthResult

FLOOR = 0.99
GENERAL_FLOOR = 0.70
BUILT_IN = ("", "apps", "batch", "policy", "autoscaling")


@pytest.fixture(scope="module")
def cases(shared_dir: Path) -> list[JsonObject]:
    text = (shared_dir / "conformance" / "health" / "cases.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def differences() -> JsonObject:
    text = Path(__file__).with_name("differences.yaml").read_text()
    found: JsonObject = yamldoc.load_one(text)
    return found


def word(found: HealthResult | None) -> str | None:
    return found.status.value if found else None


def answer(case: JsonObject) -> str | None:
    return word(assess(case["object"]))


def name_of(case: JsonObject) -> str:
    return f"{case['group']}/{case['kind']}/{case['case']}"


def test_score(cases: list[JsonObject]) -> None:
    wrong = Counter(
        (case["status"], answer(case)) for case in cases if answer(case) != case["status"]
    )
    score = 1 - wrong.total() / len(cases)
    print(f"health: {len(cases) - wrong.total()} of {len(cases)} as Argo CD ({score:.1%})")
    assert score >= FLOOR


def test_only_the_listed_cases_differ(cases: list[JsonObject], differences: JsonObject) -> None:
    assert {name_of(case): answer(case) for case in cases if answer(case) != case["status"]} == {
        name: difference["status"] for name, difference in differences.items()
    }
    assert all(difference["reason"] for difference in differences.values())


def test_general_rules_alone(cases: list[JsonObject]) -> None:
    """What an unknown kind gets: the same objects, judged as if nothing were known of their kinds."""
    custom = [
        case
        for case in cases
        if case["group"] not in BUILT_IN and "deletionTimestamp" not in str(case["object"])
    ]
    right = sum(
        # Silence counts as done where nothing is known of a kind, so it cannot be on its way.
        word(found := generic(case["object"])) == case["status"]
        or (found is None and not (case["object"].get("status") or {}).get("conditions"))
        for case in custom
    )
    assert right / len(custom) >= GENERAL_FLOOR


def test_built_in_kinds_are_all_right(cases: list[JsonObject]) -> None:
    found = [case for case in cases if case["group"] in BUILT_IN]
    assert found
    assert {
        case["case"]: (answer(case), case["status"])
        for case in found
        if answer(case) != case["status"]
    } == {}

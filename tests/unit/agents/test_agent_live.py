"""The live table: answers and watch events come in any order, and the newest word counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from agents.live import LiveTable
from agents.rating import Ratings
from fleet.codec.jsontypes import JsonObject
from fleet.errors import FleetError, Transient
from fleet.health.result import HealthResult
from fleet.kube.port import Resource
from fleet.model.healthrules import HealthRule, HealthRules, Language
from fleet.model.identity import ObjectRef
from fleet.model.report import Health
from fleet.testing.clock import FakeClock

RESOURCE = Resource(
    group="", version="v1", kind="ConfigMap", plural="configmaps", namespaced=True,
    verbs=frozenset(("get", "list", "watch")),
)  # fmt: skip
REF = ObjectRef("", "ConfigMap", "shop", "settings")


def at(version: int, **metadata: object) -> JsonObject:
    name: JsonObject = {"name": "settings", "namespace": "shop", "resourceVersion": str(version)}
    annotations = {"gitopsfleet.io/tracking-id": "shop:/ConfigMap:shop/settings"}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {**name, "annotations": annotations, **metadata},
    }


@pytest.fixture
def table() -> LiveTable:
    made = LiveTable()
    made.observe(RESOURCE, at(5))
    return made


def test_an_answer_that_is_overtaken_by_the_news_of_the_deletion_brings_nothing_back(
    table: LiveTable,
) -> None:
    """With foreground propagation the answer shows the object as being deleted, and may come after its end."""
    table.remove(REF, 7)
    table.observe(RESOURCE, at(6, deletionTimestamp="2026-01-01T00:00:00Z"))
    assert table.get(REF) is None


def test_the_news_of_a_deletion_may_come_before_the_creation_was_known() -> None:
    table = LiveTable()
    table.remove(REF, 7)
    table.observe(RESOURCE, at(6))
    assert table.get(REF) is None


def test_an_object_that_is_made_again_is_there(table: LiveTable) -> None:
    table.remove(REF, 7)
    table.observe(RESOURCE, at(8))
    assert table.get(REF) is not None


def test_what_lost_our_label_can_still_be_read_as_it_is(table: LiveTable) -> None:
    table.remove(REF, 7)
    table.observe(RESOURCE, at(7))
    assert table.get(REF) is not None


def test_old_news_changes_nothing(table: LiveTable) -> None:
    table.remove(REF, 4)
    assert table.get(REF) is not None


def test_what_changes_nothing_of_interest_wakes_nobody() -> None:
    """The echo of an own write, another manager's labels, a status that means the same."""
    table, told = LiveTable(), list[str]()
    table.listen(told.append)
    table.observe(RESOURCE, at(5))
    assert told == ["shop"]
    table.observe(RESOURCE, at(5))
    table.observe(RESOURCE, at(6, labels={"somebody": "else"}))
    assert told == ["shop"]
    table.observe(RESOURCE, at(7, deletionTimestamp="2026-01-01T00:00:00Z"))
    assert told == ["shop", "shop"]


# rating by rules of the fleet's own

RULES = HealthRules(
    rules=(
        HealthRule(group="", kind="ConfigMap", language=Language.LUA, text="...", source="test"),
    )
)


class SlowJudge:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[JsonObject] = []
        self.answers: asyncio.Queue[HealthResult | FleetError] = asyncio.Queue()

    async def judge(
        self, rules: HealthRules, objects: Sequence[JsonObject]
    ) -> list[HealthResult | None]:
        assert rules == RULES
        self.asked += objects
        answer = await self.answers.get()
        if isinstance(answer, FleetError):
            raise answer
        return [answer for _ in objects]


@pytest.fixture
async def judge(table: LiveTable) -> AsyncIterator[SlowJudge]:
    made = SlowJudge()
    task = asyncio.create_task(Ratings(made, table, FakeClock()).run())
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def health(table: LiveTable) -> Health | None:
    found = table.health([REF])[REF]
    return found.status if found else None


async def test_objects_of_a_ruled_kind_are_seen_whole_again_and_rated(
    table: LiveTable, judge: SlowJudge
) -> None:
    told: list[str] = []
    table.listen(told.append)
    assert not table.needs_whole("", "ConfigMap")
    assert table.use(RULES) == {("", "ConfigMap")}
    assert table.needs_whole("", "ConfigMap")
    assert health(table) is None, "until it is rated it stays as it was"
    table.observe(RESOURCE, at(5))
    await settle()
    await judge.answers.put(HealthResult(Health.DEGRADED, "bad"))
    await settle()
    assert health(table) is Health.DEGRADED
    assert told == ["shop"]
    assert table.use(HealthRules()) == {("", "ConfigMap")}


async def test_a_new_object_is_progressing_until_it_is_rated(
    table: LiveTable, judge: SlowJudge
) -> None:
    table.use(RULES)
    table.remove(REF, 6)
    table.observe(RESOURCE, at(7))
    assert health(table) is Health.PROGRESSING
    await settle()
    await judge.answers.put(HealthResult(Health.HEALTHY))
    await settle()
    assert health(table) is Health.HEALTHY


async def test_an_answer_about_an_older_object_counts_for_nothing(
    table: LiveTable, judge: SlowJudge
) -> None:
    table.use(RULES)
    table.observe(RESOURCE, at(6))
    await settle()
    table.observe(RESOURCE, at(7))
    await judge.answers.put(HealthResult(Health.DEGRADED, "old"))
    await settle()
    assert health(table) is None
    await judge.answers.put(HealthResult(Health.HEALTHY))
    await settle()
    assert health(table) is Health.HEALTHY


async def test_what_could_not_be_rated_is_asked_again(table: LiveTable) -> None:
    judge, clock = SlowJudge(), FakeClock()
    task = asyncio.create_task(Ratings(judge, table, clock).run())
    table.use(RULES)
    table.observe(RESOURCE, at(6))
    await judge.answers.put(Transient("it does not run"))
    await settle()
    await judge.answers.put(HealthResult(Health.HEALTHY))
    await clock.advance(5)
    await settle()
    assert health(table) is Health.HEALTHY
    assert len(judge.asked) == 2
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_an_answer_by_a_rule_that_is_no_more_counts_for_nothing(
    table: LiveTable, judge: SlowJudge
) -> None:
    table.use(RULES)
    table.observe(RESOURCE, at(6))
    await settle()
    table.use(HealthRules())
    table.observe(RESOURCE, at(6))  # the list that is taken for that
    await judge.answers.put(HealthResult(Health.DEGRADED, "by the old rule"))
    await settle()
    assert health(table) is None


async def test_a_rule_for_another_kind_takes_no_answer_away(
    table: LiveTable, judge: SlowJudge
) -> None:
    table.use(RULES)
    table.observe(RESOURCE, at(6))
    await settle()
    other = HealthRule(group="", kind="Pod", language=Language.LUA, text="...", source="pods")
    assert table.use(HealthRules(rules=(*RULES.rules, other))) == set()
    await judge.answers.put(HealthResult(Health.DEGRADED, "it broke"))
    await settle()
    assert health(table) is Health.DEGRADED


@pytest.mark.parametrize(
    ("seen", "written", "expected"),
    [
        pytest.param(at(7), True, Health.PROGRESSING, id="our-write"),
        pytest.param(at(6), True, Health.HEALTHY, id="a-write-that-changed-nothing"),
        pytest.param(at(7, generation=2), False, Health.PROGRESSING, id="another-spec"),
        pytest.param(at(7, uid="another"), False, Health.PROGRESSING, id="another-object"),
        pytest.param(at(7), False, Health.HEALTHY, id="a-status"),
    ],
)
async def test_an_old_rating_says_nothing_of_what_was_applied(
    table: LiveTable, judge: SlowJudge, seen: JsonObject, written: bool, expected: Health
) -> None:
    table.use(RULES)
    table.observe(RESOURCE, at(6))
    await judge.answers.put(HealthResult(Health.HEALTHY))
    await settle()
    assert health(table) is Health.HEALTHY
    table.observe(RESOURCE, seen, written=written)
    assert health(table) is expected

"""What forges and plugins said: asked in the background, waited for a moment, never empty for a failure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from fleet.errors import Denied, Transient
from fleet.model.answers import (
    AnswerRequest,
    BranchesRequest,
    Forge,
    PluginRequest,
    PullRequestsRequest,
    RepositoriesRequest,
    Rows,
)
from fleet.model.world import Unavailable
from fleet.testing.clock import FakeClock
from hub.answers import Answers

ONE = PluginRequest(config="one", appset="a", parameters=b"{}", every=600)
TWO = PluginRequest(config="two", appset="a", parameters=b"{}", every=60)


@dataclass
class Forges:
    """Says what a test says, when a test says so."""

    says: dict[AnswerRequest, Rows | Exception] = field(default_factory=dict)
    asked: list[AnswerRequest] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: AnswerRequest) -> Rows:
        self.asked.append(request)
        await self.gate.wait()
        said = self.says[request]
        if isinstance(said, Exception):
            raise said
        return said


@dataclass
class Desk:
    """The part under test with its surroundings."""

    forges: Forges = field(default_factory=Forges)
    clock: FakeClock = field(default_factory=FakeClock)
    woken: int = 0

    def __post_init__(self) -> None:
        self.forges.gate.set()
        self.answers = Answers(
            forges=self.forges, clock=self.clock, changed=self.wake, patience=0.01
        )

    def wake(self) -> None:
        self.woken += 1

    async def look(self, request: PluginRequest = ONE) -> Rows | Unavailable:
        found = (await self.answers.look([request]))[request]
        await self.clock.settle()
        return found


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    made = Desk()
    yield made
    await made.answers.close()


async def test_a_quick_first_answer_is_waited_for(desk: Desk) -> None:
    desk.forges.says[ONE] = ({"a": 1},)
    assert await desk.look() == ({"a": 1},)
    assert await desk.look() == ({"a": 1},)
    assert desk.forges.asked == [ONE]
    assert desk.woken == 0


async def test_a_slow_first_answer_is_unavailable_until_it_is_there(desk: Desk) -> None:
    desk.forges.says[ONE] = ({"a": 1},)
    desk.forges.gate.clear()
    first = await desk.look()
    assert isinstance(first, Unavailable)
    assert (first.reason, first.message) == (
        "NotReady",
        "plugin 'one': no answer yet, the question is under way",
    )
    desk.forges.gate.set()
    await desk.clock.settle()
    assert desk.woken == 1
    assert await desk.look() == ({"a": 1},)
    assert desk.forges.asked == [ONE]


async def test_nobody_waits_twice_for_the_same_question(desk: Desk) -> None:
    desk.forges.gate.clear()
    await desk.look()
    desk.answers.patience = 60
    async with asyncio.timeout(1):
        assert isinstance(await desk.look(), Unavailable)
    assert desk.forges.asked == [ONE]


async def test_an_old_answer_is_used_until_the_new_one_is_there(desk: Desk) -> None:
    desk.forges.says[ONE] = ({"a": 1},)
    await desk.look()
    assert desk.answers.next_due() == 600
    await desk.clock.advance(601)
    desk.forges.says[ONE] = ({"a": 2},)
    assert await desk.look() == ({"a": 1},)
    assert desk.woken == 1
    assert await desk.look() == ({"a": 2},)
    await desk.clock.advance(601)
    await desk.look()
    assert (desk.woken, len(desk.forges.asked)) == (1, 3)  # the same again wakes nobody


async def test_a_failure_is_said_and_tried_again_later_each_time(desk: Desk) -> None:
    desk.forges.says[ONE] = Transient("page 2 fails")
    first = await desk.look()
    assert isinstance(first, Unavailable)
    assert (first.reason, first.message) == ("Unavailable", "page 2 fails")
    waits = [desk.answers.next_due()]
    await desk.clock.advance(16)
    again = await desk.look()
    assert isinstance(again, Unavailable)
    assert again.since == first.since
    waits.append(desk.answers.next_due())
    assert waits == [15, 30]
    assert desk.woken == 0


async def test_a_failure_after_an_answer_is_no_old_answer(desk: Desk) -> None:
    desk.forges.says[ONE] = ({"a": 1},)
    await desk.look()
    await desk.clock.advance(601)
    desk.forges.says[ONE] = Denied("no longer")
    await desk.look()
    assert desk.woken == 1
    found = await desk.look()
    assert isinstance(found, Unavailable)
    assert found.reason == "Denied"


async def test_it_waits_as_long_as_the_other_side_asks(desk: Desk) -> None:
    desk.forges.says[ONE] = Transient("limit", retry_after=3600)
    await desk.look()
    assert desk.answers.next_due() == 3600


async def test_a_short_interval_is_kept_also_by_failures(desk: Desk) -> None:
    desk.forges.says[TWO] = Transient("down")
    for _ in range(5):
        await desk.look(TWO)
        await desk.clock.advance(desk.answers.next_due() or 0)
    await desk.look(TWO)
    assert desk.answers.next_due() == 60


async def test_a_bug_is_a_failure_of_its_answer(desk: Desk) -> None:
    desk.forges.says = {ONE: ZeroDivisionError("x"), TWO: ({"b": 1},)}
    found = await desk.answers.look([ONE, TWO])
    bug = found[ONE]
    assert isinstance(bug, Unavailable)
    assert bug.message == "a bug, please report it: ZeroDivisionError"
    assert found[TWO] == ({"b": 1},)


async def test_what_nobody_needs_is_forgotten(desk: Desk) -> None:
    desk.forges.says = {ONE: (), TWO: ()}
    await desk.answers.look([ONE, TWO])
    desk.answers.keep([TWO])
    await desk.answers.look([ONE, TWO])
    assert desk.forges.asked == [ONE, TWO, ONE]


async def test_a_question_under_way_stops_when_nobody_needs_it(desk: Desk) -> None:
    desk.forges.says[ONE] = ()
    desk.forges.gate.clear()
    await desk.look()
    desk.answers.keep([])
    await desk.clock.settle()
    desk.forges.gate.set()
    await desk.clock.settle()
    assert desk.answers.next_due() is None
    assert desk.woken == 0


async def test_news_make_a_plugin_old(desk: Desk) -> None:
    desk.forges.says[ONE] = ({"a": 1},)
    await desk.look()
    desk.answers.news([])
    assert desk.woken == 1
    desk.forges.says[ONE] = ({"a": 2},)
    await desk.look()
    assert await desk.look() == ({"a": 2},)


async def test_news_do_not_shorten_the_wait_after_a_failure(desk: Desk) -> None:
    desk.forges.says[ONE] = Transient("limit", retry_after=3600)
    await desk.look()
    desk.answers.news(["https://x/acme/web"])
    assert (desk.woken, desk.answers.next_due()) == (0, 3600)


FORGE = Forge(provider="github", owner="acme")


@pytest.mark.parametrize(
    ("request_", "urls", "asked"),
    [
        (PullRequestsRequest(forge=FORGE, repository="Web"), ["https://x/acme/web.git"], 2),
        (PullRequestsRequest(forge=FORGE, repository="web"), ["git@x:acme/web"], 2),
        (PullRequestsRequest(forge=FORGE, repository="web"), ["https://x/acme/api.git"], 1),
        (PullRequestsRequest(forge=FORGE, repository="acme/web"), ["https://x/acme/web/"], 2),
        (PullRequestsRequest(forge=FORGE, repository="42"), ["https://x/acme/web"], 2),
        (PullRequestsRequest(forge=FORGE, repository="42"), [], 1),
        (BranchesRequest(forge=FORGE, organization="acme", repository="web", id="1"), ["https://x/acme/web"], 2),
        (RepositoriesRequest(forge=FORGE), ["https://x/acme/web"], 1),
    ],
)  # fmt: skip
async def test_news_of_a_repository(
    desk: Desk, request_: AnswerRequest, urls: list[str], asked: int
) -> None:
    desk.forges.says[request_] = ()
    await desk.answers.look([request_])
    desk.answers.news(urls)
    assert desk.woken == asked - 1
    await desk.answers.look([request_])
    await desk.clock.settle()
    assert len(desk.forges.asked) == asked

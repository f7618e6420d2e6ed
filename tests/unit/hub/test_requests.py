"""Interactive reads in the hub, without HTTP: who sees which, how parts are handed over, and what ends a read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from fleet.errors import FleetError, NotReady, Transient
from fleet.model.identity import AppName, ClusterName, TargetId
from fleet.testing.clock import FakeClock
from fleet.wire.requests import (
    FOLLOW_SECONDS,
    MAX_ANSWER,
    MAX_READS,
    READ_SECONDS,
    LogArguments,
    NoArguments,
    ReadKind,
)
from hub.requests import (
    ANNOUNCE_SECONDS,
    BEGIN_SECONDS,
    FETCH_SECONDS,
    GRACE_SECONDS,
    MAX_OPEN,
    SILENCE_SECONDS,
    Exchange,
    HungUp,
    Phase,
    Requests,
)

A, B = ClusterName("a"), ClusterName("b")
SHOP = TargetId(A, AppName("shop"))
PATIENCE = 5.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def woken() -> list[ClusterName]:
    return []


@pytest.fixture
def requests(clock: FakeClock, woken: list[ClusterName]) -> Requests:
    made = Requests(clock)
    made.listen(woken.append)
    return made


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def ask(opened: ExitStack, requests: Requests, target: TargetId = SHOP) -> Exchange:
    return opened.enter_context(requests.ask(target, ReadKind.EVENTS, NoArguments()))


async def answering(exchange: Exchange, *parts: bytes) -> None:
    async with asyncio.timeout(None) as scope:
        with exchange.answering(scope):
            for part in parts:
                await exchange.send(part)


async def received(exchange: Exchange) -> list[bytes]:
    found: list[bytes] = []
    while (part := await exchange.receive(PATIENCE)) is not None:
        found.append(part)
    return found


# who sees what


def test_only_its_own_cluster_sees_a_read(
    requests: Requests, opened: ExitStack, woken: list[ClusterName]
) -> None:
    exchange = ask(opened, requests)
    assert woken == [A]
    assert requests.has_news(A)
    assert not requests.has_news(B)
    assert (requests.announce(B), requests.fetch(B)) == (0, ())
    assert requests.answered(B, exchange.request.id) is None
    assert requests.answered(A, "guessed") is None
    (seen,) = requests.fetch(A)
    assert (seen.id, seen.target, seen.kind) == (exchange.request.id, "shop", "events")
    assert requests.answered(A, seen.id) is exchange


def test_ids_cannot_be_guessed(requests: Requests, opened: ExitStack) -> None:
    ids = {ask(opened, requests).request.id for _ in range(MAX_READS)}
    assert len(ids) == MAX_READS
    assert min(len(text) for text in ids) >= 32


async def test_a_poll_is_told_once_and_again_only_where_nothing_was_fetched(
    requests: Requests, opened: ExitStack, clock: FakeClock, woken: list[ClusterName]
) -> None:
    exchange = ask(opened, requests)
    assert requests.announce(A) == 1
    assert not requests.has_news(A), "an agent that does not fetch would poll without pause"
    requests.remind(exchange)
    assert woken == [A]
    await clock.advance(ANNOUNCE_SECONDS)
    requests.remind(exchange)
    assert woken == [A, A]
    assert requests.has_news(A)
    requests.fetch(A)
    await clock.advance(ANNOUNCE_SECONDS)
    requests.remind(exchange)
    assert woken == [A, A]
    assert requests.announce(A) == 0


def test_a_fetch_whose_answer_got_lost_is_repeated(requests: Requests, opened: ExitStack) -> None:
    ask(opened, requests)
    assert requests.fetch(A) == requests.fetch(A)


async def test_an_answer_is_taken_once(requests: Requests, opened: ExitStack) -> None:
    exchange = ask(opened, requests)
    (seen,) = requests.fetch(A)
    await answering(exchange)
    assert requests.answered(A, seen.id) is None
    assert requests.fetch(A) == ()


def test_what_is_over_is_forgotten(requests: Requests) -> None:
    with requests.ask(SHOP, ReadKind.EVENTS, NoArguments()) as exchange:
        pass
    assert requests.fetch(A) == ()
    assert requests.answered(A, exchange.request.id) is None


@pytest.mark.parametrize(
    ("arguments", "seconds"),
    [
        pytest.param(LogArguments(), READ_SECONDS, id="read"),
        pytest.param(LogArguments(follow=True), FOLLOW_SECONDS, id="follow"),
    ],
)
async def test_the_agent_is_told_how_much_time_is_left(
    requests: Requests, clock: FakeClock, arguments: LogArguments, seconds: float
) -> None:
    with requests.ask(SHOP, ReadKind.LOGS, arguments):
        await clock.advance(2)
        (seen,) = requests.fetch(A)
        assert seen.seconds == seconds - 2


# limits


def test_one_cluster_has_so_many_reads_at_a_time(requests: Requests, opened: ExitStack) -> None:
    for _ in range(MAX_READS):
        ask(opened, requests)
    with pytest.raises(Transient, match="4 reads of cluster a are under way"):
        ask(opened, requests)
    ask(opened, requests, TargetId(B, AppName("shop")))
    opened.close()
    ask(opened, requests)


def test_all_clusters_together_have_so_many(requests: Requests, opened: ExitStack) -> None:
    for number in range(MAX_OPEN):
        ask(opened, requests, TargetId(ClusterName(f"c{number}"), AppName("shop")))
    with pytest.raises(Transient, match=f"{MAX_OPEN} reads are under way"):
        ask(opened, requests)


async def test_an_answer_may_not_be_endless(requests: Requests, opened: ExitStack) -> None:
    exchange = ask(opened, requests)
    megabyte = b"x" * 2**20
    sending = asyncio.create_task(answering(exchange, *[megabyte] * (MAX_ANSWER // 2**20 + 1)))
    sizes: list[int] = []

    async def drain() -> None:
        while (part := await exchange.receive(PATIENCE)) is not None:
            sizes.append(len(part))

    with pytest.raises(FleetError, match=r"over 256 MiB.*--tail"):
        await drain()
    with pytest.raises((HungUp, TimeoutError)):
        await sending
    assert sum(sizes) == MAX_ANSWER


# handing over


async def test_parts_come_in_order_and_then_the_end(requests: Requests, opened: ExitStack) -> None:
    exchange = ask(opened, requests)
    sending = asyncio.create_task(answering(exchange, b"one", b"two", b"three"))
    assert await received(exchange) == [b"one", b"two", b"three"]
    await sending


async def test_a_sender_waits_for_the_receiver(
    requests: Requests, opened: ExitStack, clock: FakeClock
) -> None:
    exchange = ask(opened, requests)
    sent = 0

    async def send() -> None:
        nonlocal sent
        async with asyncio.timeout(None) as scope:
            with exchange.answering(scope):
                for _ in range(100):
                    await exchange.send(b"part")
                    sent += 1

    sending = asyncio.create_task(send())
    await clock.settle()
    assert sent == 1
    assert await exchange.receive(PATIENCE) == b"part"
    await clock.settle()
    assert sent == 2
    sending.cancel()
    await asyncio.wait({sending})


async def test_nothing_in_time_is_nothing_and_no_end(requests: Requests, opened: ExitStack) -> None:
    assert await ask(opened, requests).receive(0.01) == b""


async def test_a_person_who_leaves_ends_the_sender_also_while_it_is_silent(
    requests: Requests, clock: FakeClock
) -> None:
    with requests.ask(SHOP, ReadKind.EVENTS, NoArguments()) as exchange:

        async def silent() -> None:
            async with asyncio.timeout(None) as scope:
                with exchange.answering(scope):
                    await asyncio.Event().wait()

        sending = asyncio.create_task(silent())
        await clock.settle()
        assert not sending.done()
    with pytest.raises(TimeoutError):
        await sending


async def test_a_sender_that_breaks_off_is_no_end(requests: Requests, opened: ExitStack) -> None:
    exchange = ask(opened, requests)
    sending = asyncio.create_task(answering(exchange, b"one", b"two", b"three"))
    assert await exchange.receive(PATIENCE) == b"one"
    sending.cancel()
    await asyncio.wait({sending})
    with pytest.raises(Transient, match="broke off"):
        await received(exchange)


async def test_a_refusal_is_told(requests: Requests, opened: ExitStack) -> None:
    exchange = ask(opened, requests)
    requests.fetch(A)
    exchange.fail(NotReady("no"))
    with pytest.raises(NotReady, match="no"):
        await exchange.receive(PATIENCE)


@pytest.mark.parametrize(
    ("end", "message"),
    [
        pytest.param(lambda requests: requests.close(), "hub is stopping", id="the hub stops"),
        pytest.param(lambda requests: requests.forget(A), "replaced or revoked", id="revoked"),
    ],
)
async def test_everybody_is_told_when_the_hub_ends_a_read(
    requests: Requests, opened: ExitStack, end: object, message: str
) -> None:
    assert callable(end)
    exchange = ask(opened, requests)
    other = ask(opened, requests, TargetId(B, AppName("shop")))
    sending = asyncio.create_task(answering(exchange, b"one", b"two", b"three"))
    assert await exchange.receive(PATIENCE) == b"one"
    end(requests)
    with pytest.raises(Transient, match=message):
        await received(exchange)
    with pytest.raises((HungUp, TimeoutError)):
        await sending
    assert (other.phase is Phase.ENDED) is (message == "hub is stopping")


def test_a_hub_that_stops_takes_no_more(requests: Requests, opened: ExitStack) -> None:
    requests.close()
    with pytest.raises(Transient, match="stopping"):
        ask(opened, requests)


# how long


@pytest.mark.parametrize(
    ("phase", "seconds", "message"),
    [
        pytest.param(Phase.WAITING, FETCH_SECONDS, "did not take the request", id="not fetched"),
        pytest.param(Phase.FETCHED, BEGIN_SECONDS, "gave no answer", id="not begun"),
        pytest.param(Phase.ANSWERING, SILENCE_SECONDS, "fell silent", id="silent"),
    ],
)
async def test_each_phase_has_its_time(
    requests: Requests,
    opened: ExitStack,
    clock: FakeClock,
    phase: Phase,
    seconds: float,
    message: str,
) -> None:
    exchange = ask(opened, requests)
    exchange._enter(phase)
    await clock.advance(seconds)
    assert exchange.overdue() is None
    await clock.advance(0.1)
    assert message in str(exchange.overdue())


async def test_signs_of_life_do_not_make_it_last_for_ever(
    requests: Requests, opened: ExitStack, clock: FakeClock
) -> None:
    exchange = ask(opened, requests)
    exchange._enter(Phase.ANSWERING)
    for _ in range(int((READ_SECONDS + GRACE_SECONDS) / 10)):
        await clock.advance(10)
        await exchange.send(b"\n")
        await exchange.receive(PATIENCE)
        assert exchange.overdue() is None
    await clock.advance(10)
    assert "longer than 120 s" in str(exchange.overdue())


async def test_what_has_ended_is_never_overdue(
    requests: Requests, opened: ExitStack, clock: FakeClock
) -> None:
    exchange = ask(opened, requests)
    exchange.finish()
    await clock.advance(10_000)
    assert exchange.overdue() is None

"""Parked polls and the token bucket, on a clock of our own."""

from __future__ import annotations

import asyncio

import pytest

from fleet.errors import BadInput
from fleet.model.identity import ClusterName
from fleet.testing.clock import FakeClock
from hub.listener import TokenBucket, parse_address
from hub.sessions import SILENCE, SecondAgent, Sessions

A, B = ClusterName("a"), ClusterName("b")


class Transport(asyncio.BaseTransport):
    closed = False

    def is_closing(self) -> bool:
        return self.closed


async def poll(
    sessions: Sessions, cluster: ClusterName, instance: str, transport: Transport
) -> str:
    sessions.admit(cluster, instance)
    try:
        async with asyncio.timeout(3600) as scope:
            with sessions.parked(cluster, instance, transport, scope):
                await asyncio.Event().wait()
    except TimeoutError:
        return "cut"
    return "never"


async def parked(
    sessions: Sessions, cluster: ClusterName, instance: str, transport: Transport | None = None
) -> asyncio.Task[str]:
    task = asyncio.create_task(poll(sessions, cluster, instance, transport or Transport()))
    await asyncio.sleep(0)
    return task


async def stopped(*tasks: asyncio.Task[str]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_cutting_ends_one_clusters_polls() -> None:
    sessions = Sessions(FakeClock())
    one, other = await parked(sessions, A, ""), await parked(sessions, B, "")
    sessions.cut(A)

    assert await one == "cut"
    assert not other.done()
    sessions.cut_all()
    assert await other == "cut"
    sessions.cut_all()


async def test_a_reconnect_ends_the_poll_it_replaces() -> None:
    sessions = Sessions(FakeClock())
    old = await parked(sessions, A, "one")
    new = await parked(sessions, A, "one")

    assert await old == "cut"
    assert not new.done()
    await stopped(new)


async def test_a_second_process_is_refused_while_the_first_is_heard_of() -> None:
    clock = FakeClock()
    sessions = Sessions(clock)
    first = await parked(sessions, A, "one")
    with pytest.raises(SecondAgent, match="cluster a"):
        sessions.admit(A, "two")
    sessions.admit(A, "one")
    sessions.admit(B, "two")
    await stopped(first)
    with pytest.raises(SecondAgent):
        sessions.admit(A, "two")  # between two polls it still holds the cluster
    await clock.advance(SILENCE + 1)
    sessions.admit(A, "two")


async def test_a_closed_connection_holds_nothing() -> None:
    sessions = Sessions(FakeClock())
    transport = Transport()
    first = await parked(sessions, A, "one", transport)
    transport.closed = True
    sessions.admit(A, "two")
    await stopped(first)


async def test_a_forgotten_cluster_is_free_for_the_next() -> None:
    sessions = Sessions(FakeClock())
    first = await parked(sessions, A, "one")
    sessions.forget(A)

    assert await first == "cut"
    sessions.admit(A, "two")


async def test_the_bucket_lets_a_burst_through_and_then_the_rate() -> None:
    clock = FakeClock()
    bucket = TokenBucket(100, clock)
    passed = 0

    async def storm() -> None:
        nonlocal passed
        while True:
            await bucket.take()
            passed += 1

    task = asyncio.create_task(storm())
    await clock.settle()
    assert passed == 25
    await clock.advance(1)
    assert 120 <= passed <= 126
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    passed = 0
    await clock.advance(3600)
    task = asyncio.create_task(storm())
    await clock.settle()
    assert passed == 25, "time without anybody makes no more than a burst"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8443", ("127.0.0.1", 8443)),
        (":8443", ("", 8443)),
        ("[::1]:0", ("::1", 0)),
        ("hub:1", ("hub", 1)),
    ],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "8443", "host:", "host:x", "host:70000", "host:-1"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(BadInput, match="HOST:PORT"):
        parse_address(text)

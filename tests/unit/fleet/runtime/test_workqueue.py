"""WorkQueue: coalescing, exclusivity, deadlines."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.runtime.queue import QueueClosed, WorkQueue
from fleet.testing.clock import FakeClock


def make() -> tuple[FakeClock, WorkQueue[str]]:
    clock = FakeClock()
    return clock, WorkQueue(clock)


async def test_keys_come_in_order_and_only_once() -> None:
    _, queue = make()
    for key in "abab":
        queue.add(key)
    assert [await queue.get(), await queue.get()] == ["a", "b"]
    assert len(queue) == 0


async def test_a_key_is_due_while_only_a_worker_is_missing() -> None:
    clock, queue = make()
    queue.add("now")
    queue.add_after("soon", 5)
    assert (queue.is_due("now"), queue.is_due("soon"), queue.is_due("never")) == (
        True,
        False,
        False,
    )
    await clock.advance(5)
    assert queue.is_due("soon")
    assert await queue.get() == "now"
    assert not queue.is_due("now")
    queue.add("now")
    assert queue.is_due("now"), "it comes back when the worker is done"


async def test_many_keys_at_once_are_like_one_after_the_other() -> None:
    clock, queue = make()
    queue.add("held")
    assert await queue.get() == "held"
    queue.add_after("soon", 5)
    queue.add("first")
    waiting = asyncio.create_task(queue.get())
    await clock.settle()
    assert waiting.result() == "first"
    others = [asyncio.create_task(queue.get()) for _ in range(3)]
    await clock.settle()
    queue.add_all(["soon", "a", "held", "a"])
    await clock.settle()
    assert [task.result() for task in others[:2]] == ["soon", "a"]
    assert not others[2].done()
    queue.done("held")
    await clock.settle()
    assert others[2].result() == "held"
    assert len(queue) == 0


async def test_a_key_under_work_comes_back_after_done() -> None:
    clock, queue = make()
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    queue.add("a")
    second = asyncio.create_task(queue.get())
    await clock.settle()
    assert not second.done()
    queue.done("a")
    assert await second == "a"
    queue.done("a")
    assert len(queue) == 0


async def test_done_without_a_new_add_does_not_repeat() -> None:
    clock, queue = make()
    queue.add("a")
    queue.done(await queue.get())
    waiting = asyncio.create_task(queue.get())
    await clock.advance(3600)
    assert not waiting.done()
    waiting.cancel()


@pytest.mark.parametrize(
    ("delays", "expected"),
    [((5,), 5), ((5, 9), 5), ((9, 5), 5), ((9, 0), 0)],
    ids=["one", "later is ignored", "earlier wins", "now wins"],
)
async def test_the_earliest_deadline_wins(delays: tuple[int, ...], expected: int) -> None:
    clock, queue = make()
    for delay in delays:
        queue.add_after("a", delay)
    taken = asyncio.create_task(queue.get())
    if expected:
        await clock.advance(expected - 0.001)
        assert not taken.done()
    await clock.advance(0.001)
    assert taken.done()
    queue.done("a")
    again = asyncio.create_task(queue.get())
    await clock.advance(100)
    assert not again.done()
    again.cancel()


async def test_a_waiter_notices_an_earlier_deadline_than_the_one_it_sleeps_for() -> None:
    clock, queue = make()
    queue.add_after("late", 100)
    taken = asyncio.create_task(queue.get())
    await clock.settle()
    queue.add_after("soon", 1)
    await clock.advance(1)
    assert taken.done()
    assert taken.result() == "soon"


async def test_an_idle_worker_takes_over_the_deadline_of_a_busy_one() -> None:
    clock, queue = make()
    first = asyncio.create_task(queue.get())
    second = asyncio.create_task(queue.get())
    await clock.settle()
    queue.add_after("soon", 5)  # wakes one of the two, which sleeps towards it
    await clock.settle()
    queue.add("now")
    await clock.settle()
    assert first.done() != second.done()
    await clock.advance(5)
    assert {first.result(), second.result()} == {"now", "soon"}


async def test_a_cancelled_waiter_passes_its_wake_up_on() -> None:
    clock, queue = make()
    first = asyncio.create_task(queue.get())
    second = asyncio.create_task(queue.get())
    await clock.settle()
    queue.add("a")
    first.cancel()
    await clock.settle()
    assert first.cancelled()
    assert second.done()


async def test_a_cancelled_waiter_passes_its_deadline_on() -> None:
    clock, queue = make()
    first = asyncio.create_task(queue.get())
    second = asyncio.create_task(queue.get())
    await clock.settle()
    queue.add_after("a", 5)  # the first one watches the deadline now
    await clock.settle()
    first.cancel()
    await clock.advance(5)
    assert second.done()


async def test_close_ends_all_waiters() -> None:
    clock, queue = make()
    waiting = [asyncio.create_task(queue.get()) for _ in range(3)]
    await clock.settle()
    queue.add_after("a", 5)
    queue.close()
    await clock.settle()
    for task in waiting:
        assert isinstance(task.exception(), QueueClosed)
    with pytest.raises(QueueClosed):
        await queue.get()


async def test_memory_is_bounded_by_the_number_of_keys() -> None:
    _, queue = make()
    for number in range(10_000, 0, -1):
        queue.add_after("a", number)
    assert len(queue) == 1
    assert len(queue._heap) < 100


Step = tuple[str, str, int]
_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "all", "after", "advance", "done"]),
        st.sampled_from("abc"),
        st.integers(0, 5),
    ),
    max_size=25,
)


@settings(max_examples=40, deadline=None)
@given(_STEPS)
def test_never_two_workers_with_one_key_and_nothing_is_lost(steps: list[Step]) -> None:
    async def run() -> None:
        clock, queue = make()
        held: list[str] = []
        wanted: set[str] = set()

        async def worker() -> None:
            while True:
                key = await queue.get()
                assert key not in held
                held.append(key)
                wanted.discard(key)

        workers = [asyncio.create_task(worker()) for _ in range(2)]
        for action, key, number in steps:
            if action == "advance":
                await clock.advance(number)
            elif action == "done" and key in held:
                held.remove(key)
                queue.done(key)
            elif action == "add":
                wanted.add(key)
                queue.add(key)
            elif action == "all":
                wanted |= set("abc"[:number])
                queue.add_all("abc"[:number])
            elif action == "after":
                wanted.add(key)
                queue.add_after(key, number)
            await clock.settle()
        for _ in range(4):
            await clock.advance(10)
            for key in list(held):
                held.remove(key)
                queue.done(key)
        await clock.advance(10)
        assert not wanted
        for task in workers:
            assert not task.done()
            task.cancel()

    asyncio.run(run())

"""What waits between a read and the hub: little, alive while nothing comes, and always with an end."""

from __future__ import annotations

import asyncio

from agents.requests import Outbox
from fleet.errors import NotReady, Transient
from fleet.testing.clock import FakeClock
from fleet.wire.requests import End, Failure, Frame, Note, decode_frame, encode_frame

LINE = encode_frame(Note(message="x" * 1000))


async def drained(outbox: Outbox) -> list[Frame]:
    data = b"".join([part async for part in outbox.parts()])
    return [decode_frame(line) for line in data.splitlines() if line]


async def test_lines_and_the_end() -> None:
    outbox = Outbox()
    await outbox.put(LINE)
    outbox.finish()
    assert await drained(outbox) == [decode_frame(LINE), End()]


async def test_a_source_waits_for_the_connection() -> None:
    outbox, clock, put = Outbox(), FakeClock(), 0

    async def source() -> None:
        nonlocal put
        for _ in range(1000):
            await outbox.put(LINE)
            put += 1
        outbox.finish()

    task = asyncio.create_task(source())
    await clock.settle()
    assert 60 < put < 70
    assert len(await drained(outbox)) == 1001
    await task


async def test_many_small_lines_travel_together() -> None:
    outbox = Outbox()
    for _ in range(50):
        await outbox.put(b"{}\n")
    outbox.finish()
    assert len([part async for part in outbox.parts()]) == 1


async def test_a_failure_before_anything_is_a_refusal() -> None:
    outbox = Outbox()
    outbox.fail(NotReady("no"))
    assert outbox.begun.is_set()
    assert str(outbox.refusal) == "no"


async def test_a_failure_later_is_the_last_line() -> None:
    outbox = Outbox()
    await outbox.put(LINE)
    outbox.fail(Transient("it broke", hint="ask again"))
    assert outbox.refusal is None
    assert await drained(outbox) == [
        decode_frame(LINE),
        Failure(reason="Unavailable", message="it broke (ask again)"),
    ]


async def test_what_is_complete_stays_complete() -> None:
    outbox = Outbox()
    outbox.finish()
    outbox.fail(NotReady("too late"))
    assert await drained(outbox) == [End()]


async def test_silence_has_a_pulse() -> None:
    outbox = Outbox(pulse=0.01)
    parts = outbox.parts()
    assert [await anext(parts), await anext(parts)] == [b"\n", b"\n"]
    outbox.finish()
    assert decode_frame(await anext(parts)) == End()
    assert [part async for part in parts] == []

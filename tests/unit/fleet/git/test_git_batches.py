"""Reads that are asked for together share a process, and a refused one is nobody else's problem."""

from __future__ import annotations

import asyncio

import pytest

from fleet.errors import BadInput
from fleet.git.batches import Batches


class Reader:
    """Answers when it is let; refuses what is called bad."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.gate = asyncio.Event()

    async def __call__(self, names: list[str]) -> dict[str, bytes]:
        self.calls.append(names)
        await self.gate.wait()
        if "bad" in names:
            raise BadInput("too large")
        return {name: name.encode() for name in names}


async def test_who_comes_during_a_read_shares_the_next() -> None:
    reader = Reader()
    batches = Batches(reader)
    first = asyncio.create_task(batches.read(["a"]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    rest = [asyncio.create_task(batches.read(names)) for names in (["b", "c"], ["c"], ["d"])]
    await asyncio.sleep(0)
    reader.gate.set()
    assert await first == {"a": b"a"}
    assert await asyncio.gather(*rest) == [{"b": b"b", "c": b"c"}, {"c": b"c"}, {"d": b"d"}]
    assert reader.calls == [["a"], ["b", "c", "d"]]


async def test_a_refused_file_hits_only_who_asked_for_it() -> None:
    reader = Reader()
    batches = Batches(reader)
    tasks = [asyncio.create_task(batches.read([name])) for name in ("a", "bad", "b")]
    await asyncio.sleep(0)
    reader.gate.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert found[0] == {"a": b"a"}
    assert isinstance(found[1], BadInput)
    assert found[2] == {"b": b"b"}


async def test_a_cancelled_waiter_holds_nobody_up() -> None:
    reader = Reader()
    batches = Batches(reader)
    first, second = (asyncio.create_task(batches.read([name])) for name in ("a", "b"))
    await asyncio.sleep(0)
    first.cancel()
    reader.gate.set()
    assert await second == {"b": b"b"}
    assert await batches.read(["c"]) == {"c": b"c"}


async def test_an_unexpected_error_reaches_everyone_and_reading_goes_on() -> None:
    async def fails(_names: list[str]) -> dict[str, bytes]:
        await asyncio.sleep(0)
        raise ValueError("a bug")

    batches = Batches(fails)
    found = await asyncio.gather(batches.read(["a"]), batches.read(["b"]), return_exceptions=True)
    assert [type(item) for item in found] == [ValueError, ValueError]
    with pytest.raises(ValueError, match="a bug"):
        await batches.read(["c"])

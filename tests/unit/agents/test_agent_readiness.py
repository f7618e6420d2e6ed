"""``ready-when`` at work: what an expression may cost, and that it cannot say what is in a Secret."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from agents.readiness import Readiness
from fleet.codec.jsontypes import JsonObject
from fleet.model.report import Ready, TargetStatus
from fleet.runtime.clock import SystemClock

STATUS = TargetStatus(target="web")
SECRET: JsonObject = {"apiVersion": "v1", "kind": "Secret", "data": {"password": "aHVudGVyMg=="}}


@pytest.fixture
async def readiness() -> AsyncIterator[Readiness]:
    made = Readiness(SystemClock())
    task = asyncio.create_task(made.run())
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_an_error_does_not_quote_a_secret(readiness: Readiness) -> None:
    found = await readiness.judge("{'a': true}[objects[0].data.password]", [SECRET], STATUS)
    assert not found.ready
    assert "no such key" in found.message
    assert "aHVudGVyMg" not in found.message


async def test_an_expression_sees_which_keys_a_secret_has(readiness: Readiness) -> None:
    text = "objects.exists(o, o.kind == 'Secret' && has(o.data.password))"
    assert await readiness.judge(text, [SECRET], STATUS) == Ready(ready=True)


async def test_an_expression_cannot_take_the_memory_of_the_agent(readiness: Readiness) -> None:
    large: JsonObject = {"text": "x" * 1_000_000, "list": [str(n) for n in range(400)]}
    expression = "size(objects[0].list.map(a, objects[0].text + a)) > 0"
    found = await readiness.judge(expression, [large], STATUS)
    assert not found.ready
    assert "memory" in found.message
    assert await readiness.judge("true", [], STATUS) == Ready(ready=True)

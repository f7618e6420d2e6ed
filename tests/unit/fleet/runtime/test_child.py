"""A child that answers, one that is late, one that dies."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.runtime.child import Child, ChildEnded
from fleet.runtime.clock import SystemClock

QUESTION = b'{"id": 7, "expression": "true", "objects": [], "app": {"sync": "", "health": "", "digest": ""}}'


async def test_answers_line_by_line_and_starts_again_after_its_end() -> None:
    child = Child(SystemClock(), "fleet.health.readyworker", deadline=60)
    try:
        for _ in range(2):
            assert b'"id":7' in await child.ask(QUESTION)
            assert b'"id":7' in await child.ask(QUESTION)
            await child.close()
    finally:
        await child.close()


async def test_a_late_answer_is_not_waited_for() -> None:
    child = Child(SystemClock(), "fleet.health.readyworker", deadline=0.001)
    with pytest.raises(TimeoutError):
        await child.ask(QUESTION)


async def test_a_child_that_ends_tells_its_status() -> None:
    child = Child(SystemClock(), "fleet.no_such_module", deadline=60)
    with pytest.raises(ChildEnded) as caught:
        await child.ask(QUESTION)
    assert caught.value.status == 1


async def test_an_answer_without_an_end_is_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "babbler.py").write_text("while True: print('x' * 4096, end='')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("fleet.runtime.child._LINE_LIMIT", 64 * 1024)
    child = Child(SystemClock(), "babbler", deadline=60)
    with pytest.raises(ChildEnded):
        await child.ask(QUESTION)

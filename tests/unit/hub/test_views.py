"""Long lists are made in slices: whoever else waits for the event loop gets a turn in between."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from fleet.model.identity import AppName, ClusterName
from fleet.model.report import TargetStatus
from hub.state import State
from hub.views import AT_ONCE, Views


async def test_a_long_list_lets_others_run() -> None:
    state = State()
    names = [AppName(f"app-{number:04}") for number in range(5 * AT_ONCE)]
    state.statuses[ClusterName("one")] = {name: TargetStatus(target=name) for name in names}
    nobody = cast("Any", SimpleNamespace())
    views = Views(
        state=state,
        rollup=cast(
            "Any",
            SimpleNamespace(
                shown=lambda id_: TargetStatus(target=id_.app), age=lambda _cluster: None
            ),
        ),
        dispatcher=cast(
            "Any", SimpleNamespace(operations=SimpleNamespace(is_asked=lambda _id: False))
        ),
        records=nobody,
        renderings=nobody,
        worlds=nobody,
        poller=nobody,
        rollouts=nobody,
    )
    turns = 0
    listing = asyncio.create_task(views.apps())
    while not listing.done():
        await asyncio.sleep(0)
        turns += 1
    assert [row.name for row in listing.result().items] == names
    assert turns >= 5

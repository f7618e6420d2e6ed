"""What waits is woken, by an event or in its time, and nothing turns in circles meanwhile."""

from __future__ import annotations

from typing import Any

from fleet.errors import BadInput, Denied
from fleet.model.assignment import RetryPolicy


async def test_a_retry_that_may_not_begin_does_not_turn_in_circles(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(make.config_map("a"))
    spoke.cluster.fail("apply", "/ConfigMap:default/a", BadInput("no"), times=99)
    section = make.section("app", digest, retry=RetryPolicy(limit=3, wait=5.0))
    spoke.assign(section)
    await spoke.until(lambda: "no" in spoke.status("app").message)
    await spoke.idle()
    spoke.assign(section, detached=True)
    await spoke.idle()
    runs = 0
    sync = spoke.core.engine._sync.sync

    async def counted(*given: Any) -> Any:
        nonlocal runs
        runs += 1
        return await sync(*given)

    spoke.core.engine._sync.sync = counted
    await spoke.clock.advance(60)
    await spoke.idle()
    assert runs < 20


async def test_a_refused_deletion_of_what_leaves_is_tried_again(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(make.config_map("a"))
    spoke.assign(make.section("app", digest))
    await spoke.until(lambda: spoke.status("app").applied == digest)
    spoke.cluster.fail("delete", "/ConfigMap:default/a", Denied("not yours"), times=2)
    spoke.assign()
    await spoke.until(lambda: "not yours" in spoke.status("app").message)
    for _ in range(5):
        await spoke.clock.advance(300)
        await spoke.idle()
    assert spoke.cluster.objects("ConfigMap") == {}
    assert "app" not in spoke.core.board.statuses

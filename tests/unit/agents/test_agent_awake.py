"""What waits is woken, by an event or in its time, and nothing turns in circles meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.errors import BadInput, Denied, Transient
from fleet.kube.errors import OutcomeUnknown
from fleet.model.assignment import Operation, RetryPolicy
from fleet.model.report import Phase

COMPLETE = {"conditions": [{"type": "Complete", "status": "True"}]}


def job(name: str, hook: str, **annotations: str) -> Any:
    marks = {"argocd.argoproj.io/hook": hook, **annotations}
    containers = [{"name": "main", "image": "app:1"}]
    spec = {"template": {"spec": {"containers": containers, "restartPolicy": "Never"}}}
    metadata = {"name": name, "annotations": marks}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


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


@pytest.mark.parametrize("was_made", [False, True])
async def test_a_hook_whose_creation_was_not_answered_does_not_hold_up_another_artifact(
    spoke: Any, make: Any, was_made: bool
) -> None:
    one = await spoke.artifact(job("before", "PreSync"), make.config_map("a", x="1"))
    error = OutcomeUnknown("no answer")

    def unseen(write: Any) -> None:
        if write.verb == "create" and was_made:
            # The agent is not to learn of it before there is another artifact.
            lost = Transient("no answer")
            spoke.cluster.fail("get", "batch/Job:default/before", lost, times=3)

    spoke.cluster.before_write = unseen
    spoke.cluster.fail("create", "batch/Job:default/before", error, after=was_made)
    spoke.assign(make.section("app", one))
    await spoke.until(lambda: "no answer" in spoke.status("app").message)
    two = await spoke.artifact(make.config_map("a", x="2"))
    spoke.assign(make.section("app", two))
    if was_made:
        for _ in range(5):
            await spoke.clock.advance(31)
            await spoke.idle()
        assert spoke.status("app").applied == ""
        spoke.cluster.put_status("Job", "default", "before", COMPLETE)
    await spoke.until(lambda: spoke.status("app").applied == two)
    await spoke.idle()
    assert list(spoke.cluster.objects("Job")) == ["default/before"] * was_made


async def test_terminate_ends_a_hook_that_another_artifact_waits_for(spoke: Any, make: Any) -> None:
    one = await spoke.artifact(job("before", "PreSync"), make.config_map("a", x="1"))
    asked = Operation(id="op1", target="app", kind="sync")
    section = make.section("app", one, automated=False)
    spoke.assign(section, operations=(asked,))
    await spoke.until(lambda: "default/before" in spoke.cluster.objects("Job"))
    await spoke.idle()
    two = await spoke.artifact(make.config_map("a", x="2"))
    section = make.section("app", two, automated=False)
    spoke.assign(section, operations=(asked,))
    await spoke.until(lambda: "of the sync before" in spoke.status("app").message)
    end = Operation(id="op2", target="app", kind="terminate")
    spoke.assign(section, operations=(asked, end))
    await spoke.until(lambda: spoke.cluster.objects("Job") == {})
    await spoke.idle()
    spoke.assign(section, operations=(asked,))
    await spoke.until(lambda: spoke.status("app").operation.phase == "Failed")
    assert spoke.status("app").operation.message == "terminated"


async def test_what_failed_once_and_is_healed_too_often_says_nothing_of_the_failure(
    spoke: Any, make: Any
) -> None:
    digest = await spoke.artifact(make.config_map("a", x="1"))
    spoke.cluster.fail("apply", "/ConfigMap:default/a", BadInput("no"))
    spoke.assign(make.section("app", digest))
    for _ in range(10):
        await spoke.clock.advance(10)
        await spoke.idle()
    assert spoke.status("app").applied == digest
    for _ in range(2):
        spoke.cluster.edit("ConfigMap", "default", "a", {"data": {"x": "mine"}})
        await spoke.idle()
    assert spoke.cluster.objects("ConfigMap")["default/a"]["data"]["x"] == "mine", "it has to wait"
    assert (spoke.status("app").phase, spoke.status("app").message) == (Phase.IDLE, "")


async def test_no_answer_is_too_long_for_the_record(spoke: Any, make: Any) -> None:
    names = [f"a{number}" for number in range(60)]
    digest = await spoke.artifact(*(make.config_map(name) for name in names))
    spoke.cluster.fail("apply", "*", BadInput("no" * 50_000), times=10_000)
    spoke.assign(make.section("app", digest, retry=RetryPolicy(limit=0)))
    await spoke.until(lambda: spoke.status("app").operation is not None)
    await spoke.idle()
    await spoke.clock.advance(5)
    assert spoke.status("app").operation.phase == "Failed"
    assert len(spoke.records.kept["inventory.app"]) < 100_000


async def test_terminate_ends_although_a_hook_may_not_be_deleted(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(job("before", "PreSync"), make.config_map("a"))
    section = make.section("app", digest)
    spoke.assign(section)
    await spoke.until(lambda: "default/before" in spoke.cluster.objects("Job"))
    await spoke.idle()
    spoke.cluster.fail("delete", "batch/Job:default/before", Denied("not yours"), times=99)
    stop = Operation(id="stop", target="app", kind="terminate")
    spoke.assign(section, operations=(stop,))
    await spoke.idle()
    spoke.assign(section)
    await spoke.idle()
    ended = spoke.status("app").operation
    assert (ended.phase, ended.message) == ("Failed", "terminated")
    (hook,) = ended.resources
    assert hook.message == "terminated, but its object could not be deleted: not yours"

"""Full comparisons: what counts as a difference, whom it is asked of, and how seldom."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from fleet.codec.jsontypes import JsonObject
from fleet.kube.errors import Forbidden, Invalid
from fleet.model.assignment import IgnoreRule, Operation
from fleet.model.report import Sync
from fleet.testing.cluster import Write

WEB = "apps/Deployment:default/web"
RULES = {
    "json-pointer": IgnoreRule(group="apps", kind="Deployment", json_pointers=("/spec/replicas",)),
    "jq": IgnoreRule(group="*", kind="Deploy*", jq_expressions=(".spec.replicas",)),
    "managers": IgnoreRule(group="apps", kind="Deployment", managers=("kubectl-edit",)),
}
RESPECT = ("RespectIgnoreDifferences=true",)


async def until(holds: Callable[[], bool]) -> None:
    """Wait in real time: a jq expression is evaluated by another process."""
    for _ in range(4000):
        if holds():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come to hold")


async def settled(spoke: Any) -> None:
    """Wait until the agent and its child process have nothing to do."""
    quiet = 0
    while quiet < 5:
        before = (len(spoke.cluster.writes), sum(spoke.cluster.reads.values()))
        await asyncio.sleep(0.03)
        after = (len(spoke.cluster.writes), sum(spoke.cluster.reads.values()))
        quiet = quiet + 1 if before == after else 0


def replicas(spoke: Any) -> int:
    count: int = spoke.cluster.objects("Deployment")["default/web"]["spec"]["replicas"]
    return count


def is_synced(spoke: Any, artifact: str) -> Callable[[], bool]:
    return lambda: (
        spoke.status("app").sync is Sync.SYNCED and spoke.status("app").applied == artifact
    )


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
async def test_a_scaled_deployment_is_no_drift(spoke: Any, make: Any, rule: IgnoreRule) -> None:
    artifact = await spoke.artifact(make.deployment("web"))
    spoke.assign(make.section("app", artifact, ignore=(rule,)))
    await until(is_synced(spoke, artifact))
    spoke.cluster.edit("Deployment", "default", "web", {"spec": {"replicas": 5}})
    await settled(spoke)
    assert replicas(spoke) == 5
    assert spoke.status("app").sync is Sync.SYNCED
    assert spoke.writes() == [WEB]
    # The record of ownership is known now: another scaling asks nobody anything.
    asked = spoke.cluster.reads.copy()
    spoke.cluster.edit("Deployment", "default", "web", {"spec": {"replicas": 7}})
    await settled(spoke)
    assert (replicas(spoke), spoke.cluster.reads) == (7, asked)


async def test_a_status_that_moves_on_meanwhile_does_not_spoil_a_comparison(
    spoke: Any, make: Any
) -> None:
    artifact = await spoke.artifact(make.deployment("web"))
    spoke.assign(make.section("app", artifact, ignore=(RULES["json-pointer"],)))
    await spoke.until(is_synced(spoke, artifact))
    apply = spoke.cluster.apply

    async def applied(*arguments: Any, **more: Any) -> JsonObject:
        answer: JsonObject = await apply(*arguments, **more)
        status = {**make.available, "replicas": 5}
        spoke.cluster.put_status("Deployment", "default", "web", status)
        for _ in range(20):
            await asyncio.sleep(0)  # the watch tells
        return answer

    spoke.cluster.apply = applied
    spoke.cluster.edit("Deployment", "default", "web", {"spec": {"replicas": 5}})
    await spoke.until(lambda: spoke.cluster.reads["dry-run"] == 1)
    await spoke.idle()
    assert (replicas(spoke), spoke.writes()) == (5, [WEB])


async def test_without_a_rule_it_is_drift(spoke: Any, make: Any) -> None:
    artifact = await spoke.artifact(make.deployment("web"))
    spoke.assign(make.section("app", artifact))
    await spoke.until(is_synced(spoke, artifact))
    spoke.cluster.edit("Deployment", "default", "web", {"spec": {"replicas": 5}})
    await spoke.until(lambda: replicas(spoke) == 1)
    assert spoke.cluster.reads["dry-run"] == 0


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
@pytest.mark.parametrize(
    ("options", "expected"), [(RESPECT, 5), ((), 1)], ids=["respected", "not respected"]
)
async def test_the_next_change_of_git(
    spoke: Any, make: Any, rule: IgnoreRule, options: tuple[str, ...], expected: int
) -> None:
    first = await spoke.artifact(make.deployment("web"))
    spoke.assign(make.section("app", first, ignore=(rule,), sync_options=options))
    await until(is_synced(spoke, first))
    spoke.cluster.edit("Deployment", "default", "web", {"spec": {"replicas": 5}})
    second = await spoke.artifact(make.deployment("web", image="app:2"))
    spoke.assign(make.section("app", second, ignore=(rule,), sync_options=options))
    await until(is_synced(spoke, second))
    assert replicas(spoke) == expected
    live = spoke.cluster.objects("Deployment")["default/web"]
    assert live["spec"]["template"]["spec"]["containers"][0]["image"] == "app:2"


async def test_values_are_respected_that_change_while_they_are_read(spoke: Any, make: Any) -> None:
    rule = RULES["json-pointer"]
    first = await spoke.artifact(make.deployment("web"))
    spoke.assign(make.section("app", first, ignore=(rule,), sync_options=RESPECT))
    await spoke.until(is_synced(spoke, first))

    def scale(write: Write) -> None:
        if write.verb == "apply" and write.where == WEB:
            spoke.cluster.before_write = None
            spoke.cluster.edit("Deployment", "default", "web", {"spec": {"replicas": 9}})

    spoke.cluster.before_write = scale
    second = await spoke.artifact(make.deployment("web", image="app:2"))
    spoke.assign(make.section("app", second, ignore=(rule,), sync_options=RESPECT))
    await spoke.until(is_synced(spoke, second))
    assert replicas(spoke) == 9


async def test_a_change_of_ignored_fields_alone_is_no_change(spoke: Any, make: Any) -> None:
    def web(count: int) -> JsonObject:
        body = make.deployment("web")
        return {**body, "spec": {**body["spec"], "replicas": count}}

    first, second = await spoke.artifact(web(1)), await spoke.artifact(web(2))
    rule = RULES["jq"]
    spoke.assign(make.section("app", first, ignore=(rule,)))
    await until(is_synced(spoke, first))
    spoke.assign(make.section("app", second, ignore=(rule,)))
    await until(is_synced(spoke, second))
    assert spoke.writes() == [WEB]


@pytest.mark.parametrize(
    ("expression", "said"),
    [(".spec[", "syntax"), (".", "not one path"), ("last(range(infinite))", "longer than 1 s")],
    ids=["syntax", "no path", "endless"],
)
async def test_an_expression_that_cannot_be_used_is_named(
    spoke: Any, make: Any, expression: str, said: str
) -> None:
    artifact = await spoke.artifact(make.deployment("web"))
    other = await spoke.artifact(make.config_map("data", a="b"))
    rule = IgnoreRule(group="apps", kind="Deployment", jq_expressions=(expression,))
    spoke.assign(make.section("app", artifact, ignore=(rule,)), make.section("other", other))
    await until(lambda: bool(spoke.status("app").message))
    status = spoke.status("app")
    assert status.sync is not Sync.SYNCED
    assert status.reason == "InvalidSpec"
    assert repr(expression) in status.message
    assert said in status.message
    await until(lambda: spoke.status("other").sync is Sync.SYNCED)
    spoke.assign(make.section("app", artifact, ignore=(RULES["jq"],)))
    await until(is_synced(spoke, artifact))


async def test_the_idle_loop_asks_nothing(spoke: Any, make: Any) -> None:
    artifact = await spoke.artifact(make.deployment("web"), make.config_map("data", a="b"))
    spoke.assign(make.section("app", artifact))
    await spoke.until(is_synced(spoke, artifact))
    spoke.cluster.put_status("Deployment", "default", "web", make.available)
    await spoke.idle()
    spoke.core.engine.enqueue(["app"])
    await spoke.idle()
    assert spoke.cluster.reads["dry-run"] == 0
    # Not even the slow comparison of everything, where the record and the structure agree.
    spoke.core.engine._sync.compare.add("app")
    spoke.core.engine.enqueue(["app"])
    await spoke.idle()
    assert (spoke.cluster.reads["dry-run"], len(spoke.writes())) == (0, 2)


def refresh(number: int) -> Operation:
    return Operation(id=f"refresh-{number}", target="app", kind="refresh")


async def test_a_refresh_asks_the_server_and_writes_nothing(spoke: Any, make: Any) -> None:
    artifact = await spoke.artifact(make.deployment("web"), make.config_map("data", a="b"))
    section = make.section("app", artifact)
    spoke.assign(section)
    await spoke.until(is_synced(spoke, artifact))
    for number in (1, 2):
        spoke.assign(section, operations=(refresh(number),))
        await spoke.until(lambda: spoke.cluster.reads["dry-run"] == 2 * number)  # noqa: B023
        await spoke.idle()
    assert len(spoke.writes()) == 2
    assert spoke.status("app").sync is Sync.SYNCED


async def test_what_differs_is_not_asked_again_with_every_status(spoke: Any, make: Any) -> None:
    artifact = await spoke.artifact(make.deployment("web"))
    rule = RULES["json-pointer"]
    spoke.assign(make.section("app", artifact, ignore=(rule,), self_heal=False))
    await spoke.until(is_synced(spoke, artifact))
    wrong = {"spec": {"paused": True, "selector": {"matchLabels": {"app": "evil"}}}}
    spoke.cluster.edit("Deployment", "default", "web", wrong)
    await spoke.until(lambda: spoke.status("app").sync is Sync.OUT_OF_SYNC)
    assert spoke.cluster.reads["dry-run"] == 1
    for count in range(3):
        status = {**make.available, "replicas": count}
        spoke.cluster.put_status("Deployment", "default", "web", status)
        await spoke.idle()
        assert spoke.status("app").sync is Sync.OUT_OF_SYNC
    assert spoke.cluster.reads["dry-run"] == 1
    right = {"spec": {"selector": {"matchLabels": {"app": "web"}}}}
    spoke.cluster.edit("Deployment", "default", "web", right)
    await spoke.until(lambda: spoke.status("app").sync is Sync.SYNCED)
    assert spoke.writes() == [WEB]


async def test_a_refresh_without_the_server(spoke: Any, make: Any) -> None:
    artifact = await spoke.artifact(make.deployment("web"))
    section = make.section("app", artifact, compare_options=("ServerSideDiff=false",))
    spoke.assign(section)
    await spoke.until(is_synced(spoke, artifact))
    spoke.assign(section, operations=(refresh(1),))
    await spoke.until(lambda: spoke.cluster.reads["get"] > 0)
    await spoke.idle()
    assert (spoke.cluster.reads["dry-run"], spoke.status("app").sync) == (0, Sync.SYNCED)


@pytest.mark.parametrize(
    "refusal",
    [
        Invalid('admission webhook "w" does not support dry run'),
        Forbidden("deployments.apps is forbidden"),
    ],
    ids=["webhook with side effects", "no permission"],
)
async def test_where_a_dry_run_is_refused_the_structure_decides(
    spoke: Any, make: Any, refusal: Invalid | Forbidden
) -> None:
    artifact = await spoke.artifact(make.deployment("web"))
    section = make.section("app", artifact, self_heal=False)
    spoke.assign(section)
    await spoke.until(is_synced(spoke, artifact))
    spoke.cluster.fail("dry-run", WEB, refusal, times=2)
    spoke.assign(section, operations=(refresh(1),))
    await spoke.until(lambda: spoke.cluster.reads["dry-run"] == 1)
    await spoke.idle()
    assert spoke.status("app").sync is Sync.SYNCED
    spoke.cluster.edit("Deployment", "default", "web", {"spec": {"replicas": 3}})
    spoke.assign(section, operations=(refresh(2),))
    await spoke.until(lambda: spoke.cluster.reads["dry-run"] == 2)
    await spoke.until(lambda: spoke.status("app").sync is Sync.OUT_OF_SYNC)


async def test_what_an_apply_would_remove_is_a_difference_after_the_record_was_lost(
    spoke: Any, make: Any
) -> None:
    """The structure has all that is desired; only the server knows that one field of ours is too much."""
    first = await spoke.artifact(make.config_map("data", a="1", b="2"))
    spoke.assign(make.section("app", first))
    await spoke.until(is_synced(spoke, first))
    await spoke.stop()
    spoke.records.kept.clear()
    await spoke.start()
    second = await spoke.artifact(make.config_map("data", a="1"))
    spoke.assign(make.section("app", second))
    await spoke.until(is_synced(spoke, second))
    assert spoke.cluster.objects("ConfigMap")["default/data"]["data"] == {"a": "1"}


async def test_a_lost_record_of_an_unchanged_artifact_writes_nothing(spoke: Any, make: Any) -> None:
    artifact = await spoke.artifact(make.deployment("web"), make.config_map("data", a="b"))
    spoke.assign(make.section("app", artifact))
    await spoke.until(is_synced(spoke, artifact))
    await spoke.stop()
    spoke.records.kept.clear()
    await spoke.start()
    spoke.assign(make.section("app", artifact))
    await spoke.until(is_synced(spoke, artifact))
    await spoke.idle()
    assert len(spoke.writes()) == 2
    assert spoke.cluster.reads["dry-run"] == 2

"""The users' rules at work: what they see and give, and that nothing they do can hurt."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput
from fleet.health.result import HealthResult
from fleet.judge import cel, lua
from fleet.judge.custom import CustomHealth, Limits
from fleet.model.healthrules import HealthRule, HealthRules, Language
from fleet.model.report import Health
from fleet.runtime.clock import SystemClock

WIDGET: JsonObject = {
    "apiVersion": "example.com/v1",
    "kind": "Widget",
    "metadata": {"name": "w", "uid": "u", "resourceVersion": "1"},
    "spec": {"replicas": 3, "names": ["a", "b"], "nothing": None},
    "status": {"state": "up", "conditions": [{"type": "Ready", "status": "True"}]},
}


@pytest.fixture
async def judge() -> AsyncIterator[CustomHealth]:
    found = CustomHealth(SystemClock(), Limits(seconds=0.3))
    yield found
    await found.close()


def rules(text: str, language: Language = Language.LUA, kind: str = "Widget") -> HealthRules:
    rule = HealthRule(group="example.com", kind=kind, language=language, text=text, source="key")
    return HealthRules(rules=(rule,))


async def rated(judge: CustomHealth, text: str, language: Language = Language.LUA) -> HealthResult:
    (found,) = await judge.judge(rules(text, language), [WIDGET])
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        pytest.param('return {status = "Healthy"}', ("Healthy", ""), id="status"),
        pytest.param('hs = {} hs.status = "Degraded" hs.message = obj.status.state return hs', ("Degraded", "up"), id="message"),
        pytest.param('return {status = "Healthy", message = tostring(obj.spec.replicas)}', ("Healthy", "3"), id="whole-number"),
        pytest.param('return {status = "Healthy", message = table.concat(obj.spec.names, ",")}', ("Healthy", "a,b"), id="list"),
        pytest.param('if obj.spec.nothing == nil then return {status = "Healthy"} end', ("Healthy", ""), id="null-is-nil"),
        pytest.param('for _, c in ipairs(obj.status.conditions) do return {status = "Healthy", message = c.type} end', ("Healthy", "Ready"), id="conditions"),
        pytest.param('for i, c in ipairs({1, 2}) do if c == 1 then goto continue end ::continue:: end return {status = "Healthy"}', ("Healthy", ""), id="goto"),
        pytest.param('return {status = "Healthy", message = table.getn(obj.spec.names) .. unpack({"x"})}', ("Healthy", "2x"), id="lua-5.1"),
        pytest.param('return {status = "Healthy", message = os.date("!%Y", 0)}', ("Healthy", "1970"), id="date"),
        pytest.param('print("noise") return {status = "Healthy"}', ("Healthy", ""), id="print"),
        pytest.param("return {}", ("", ""), id="no-status"),
        pytest.param("local x = 1", None, id="nothing"),
    ],
)  # fmt: skip
def test_lua(script: str, expected: tuple[str, str] | None) -> None:
    assert lua.evaluate(script, WIDGET) == expected


@pytest.mark.parametrize(
    ("script", "message"),
    [
        pytest.param("return {", "line 1: unexpected symbol", id="syntax"),
        pytest.param("\n return obj.no.thing", "line 2: attempt to index field 'no'", id="nil"),
        pytest.param("return 3", "must give a table", id="number"),
        pytest.param("\x1bLua", "is bytecode", id="bytecode"),
        pytest.param('local s = "x" while true do s = s .. s end', "needs more than 64 MiB", id="memory"),
        pytest.param('return {status = "\\255"}', "no UTF-8", id="bytes"),
        *(
            pytest.param(f"return {name}.x", "attempt to index", id=f"no-{name}")
            for name in ("io", "python", "package", "debug", "require", "load", "dofile", "collectgarbage")
        ),
        pytest.param("return os.execute('true')", "attempt to call field 'execute'", id="os"),
        pytest.param("return os.getenv('PATH')", "attempt to call field 'getenv'", id="environment"),
        pytest.param("return string.dump(function() end)", "attempt to call field 'dump'", id="dump"),
    ],
)  # fmt: skip
def test_lua_cannot(script: str, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        lua.evaluate(script, WIDGET)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_run_leaves_nothing_for_the_next() -> None:
    lua.evaluate("secret = obj string.len = nil", WIDGET)
    found = lua.evaluate(
        'return {status = tostring(secret), message = tostring(string.len("xy"))}', WIDGET
    )
    assert found == ("nil", "2")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        pytest.param("obj.status.state == 'up' ? 'Healthy' : 'Degraded'", ("Healthy", ""), id="status"),
        pytest.param("{'status': 'Degraded', 'message': obj.metadata.name}", ("Degraded", "w"), id="map"),
        pytest.param("obj.status.conditions.exists(c, c.type == 'Ready') ? 'Healthy' : 'Progressing'", ("Healthy", ""), id="conditions"),
        pytest.param("has(obj.spec.gone) ? 'Healthy' : null", None, id="null"),
    ],
)  # fmt: skip
def test_cel(expression: str, expected: tuple[str, str] | None) -> None:
    assert cel.evaluate(expression, WIDGET) == expected


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        pytest.param("obj.status ==", "is not valid CEL", id="syntax"),
        pytest.param("obj.gone.x == 1 ? 'Healthy' : 'Degraded'", "no such key: 'gone'", id="key"),
        pytest.param("app.x", "app", id="name"),
        pytest.param("3", "must give a status", id="number"),
        pytest.param("{'message': 'x'}", "must give a status", id="no-status"),
    ],
)
def test_cel_that_cannot_be_used(expression: str, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        cel.evaluate(expression, WIDGET)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "language", "message"),
    [
        pytest.param("return {", Language.LUA, "line 1: unexpected symbol", id="lua"),
        pytest.param("obj.status ==", Language.CEL, "is not valid CEL", id="cel"),
        pytest.param("object.x == 1 ? 'Healthy' : ''", Language.CEL, "unknown names: object", id="name"),
    ],
)  # fmt: skip
async def test_the_form_of_rules_is_checked_without_an_object(
    judge: CustomHealth, text: str, language: Language, message: str
) -> None:
    (problem,) = await judge.check(rules(text, language))
    assert message in str(problem)
    assert "the health rule key cannot be used" in str(problem)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        pytest.param("while true do end", Language.LUA, id="lua-is-not-run"),
        pytest.param("obj.a.exists(c, c.b == 1) ? 'Healthy' : null", Language.CEL, id="cel"),
    ],
)
async def test_rules_of_good_form_pass(judge: CustomHealth, text: str, language: Language) -> None:
    assert await judge.check(rules(text, language)) == ()


async def test_kinds_with_a_rule_by_it_and_others_as_ever(judge: CustomHealth) -> None:
    pod: JsonObject = {"apiVersion": "v1", "kind": "Pod", "status": {"phase": "Failed"}}
    config: JsonObject = {"apiVersion": "v1", "kind": "ConfigMap"}
    found = await judge.judge(
        rules('return {status = "Suspended", message = "mine"}'), [pod, WIDGET, config]
    )
    assert [result and (result.status, result.message) for result in found] == [
        (Health.DEGRADED, ""),
        (Health.SUSPENDED, "mine"),
        None,
    ]


async def test_deletion_comes_before_every_rule(judge: CustomHealth) -> None:
    going: JsonObject = {**WIDGET, "metadata": {"name": "w", "deletionTimestamp": "now"}}
    (found,) = await judge.judge(rules('return {status = "Healthy"}'), [going])
    assert found is not None
    assert found.status is Health.PROGRESSING


async def test_cel_in_the_child(judge: CustomHealth) -> None:
    assert await rated(judge, "'Degraded'", Language.CEL) == HealthResult(Health.DEGRADED, "")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        pytest.param("return {", "unexpected symbol", id="syntax"),
        pytest.param('return {status = "Fine"}', "gives 'Fine', which is no health status", id="word"),
        pytest.param("while true do end", "takes longer than 0.3 s", id="endless"),
        pytest.param("while true do pcall(function() while true do end end) end", "takes longer", id="protected"),
        pytest.param('string.find(("a"):rep(64), ("a-"):rep(64) .. "b")', "takes longer", id="pattern"),
    ],
)  # fmt: skip
async def test_a_rule_that_cannot_be_used_makes_unknown_and_says_why(
    judge: CustomHealth, script: str, message: str
) -> None:
    found = await rated(judge, script)
    assert found.status is Health.UNKNOWN
    assert found.message.startswith("the health rule key cannot be used: ")
    assert message in found.message
    assert (await rated(judge, 'return {status = "Healthy"}')).status is Health.HEALTHY


@pytest.mark.parametrize(
    ("script", "message"),
    [
        pytest.param("error({})", "an error that is no text", id="error-table"),
        pytest.param("error()", "an error that is no text", id="error-nothing"),
        pytest.param("return {status = string.rep('x', 1e7)}", "no health status", id="long-status"),
    ],
)  # fmt: skip
async def test_a_rule_that_fails_without_a_word_is_no_rule_that_says_nothing(
    judge: CustomHealth, script: str, message: str
) -> None:
    found = await rated(judge, script)
    assert found.status is Health.UNKNOWN
    assert message in found.message
    assert len(found.message) < 1000


async def test_a_message_of_megabytes_is_cut_and_hurts_nobody(judge: CustomHealth) -> None:
    found = await rated(judge, "return {status = 'Healthy', message = string.rep('\\1', 2e7)}")
    assert found.status is Health.HEALTHY
    assert len(found.message) <= 1024


def _nested(depth: int) -> JsonObject:
    found: JsonObject = {}
    for _ in range(depth):
        found = {"a": found}
    return found


@pytest.mark.parametrize("depth", [600, 1500], ids=["for-lua", "for-the-question"])
async def test_an_object_that_the_process_cannot_take_is_unknown_and_holds_up_no_other(
    judge: CustomHealth, depth: int
) -> None:
    poison: JsonObject = {**WIDGET, "metadata": {"name": "deep"}, "spec": _nested(depth)}
    found = await judge.judge(rules('return {status = "Healthy"}'), [poison, WIDGET])
    assert [result.status for result in found if result] == [Health.UNKNOWN, Health.HEALTHY]


async def test_a_process_that_does_not_live_is_no_wait_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    found = await rated(CustomHealth(SystemClock()), 'return {status = "Healthy"}')
    assert found.status is Health.UNKNOWN
    assert "its process ended with status 1" in found.message


SECRET: JsonObject = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {
        "name": "s",
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "aHVudGVyMg=="},
    },
    "data": {"password": "aHVudGVyMg=="},
}


@pytest.mark.parametrize(
    ("text", "language"),
    [
        pytest.param('return {status = "Degraded", message = obj.data.password}', Language.LUA, id="message"),
        pytest.param("error(obj.data.password)", Language.LUA, id="error"),
        pytest.param("return {status = obj.data.password}", Language.LUA, id="status"),
        pytest.param("for _, v in pairs(obj.metadata.annotations) do error(v) end", Language.LUA, id="annotation"),
        pytest.param("{'a': 'Healthy'}[obj.data.password]", Language.CEL, id="key"),
        pytest.param("obj.data.password", Language.CEL, id="cel-status"),
    ],
)  # fmt: skip
async def test_no_rule_can_say_what_is_in_a_secret(
    judge: CustomHealth, text: str, language: Language
) -> None:
    rule = HealthRule(group="*", kind="*", language=language, text=text, source="key")
    (found,) = await judge.judge(HealthRules(rules=(rule,)), [SECRET])
    assert found is not None
    assert found.status in (Health.DEGRADED, Health.UNKNOWN)
    assert "aHVudGVyMg" not in found.message


async def test_a_rule_sees_that_a_secret_has_a_key(judge: CustomHealth) -> None:
    rule = HealthRule(
        group="", kind="Secret", language=Language.CEL, source="key",
        text="has(obj.data.password) && !has(obj.data.other) ? 'Healthy' : 'Degraded'",
    )  # fmt: skip
    (found,) = await judge.judge(HealthRules(rules=(rule,)), [SECRET])
    assert found == HealthResult(Health.HEALTHY, "")


async def test_a_rule_that_was_killed_costs_its_time_once_in_a_call(judge: CustomHealth) -> None:
    others = [
        {**WIDGET, "metadata": {"name": str(n), "uid": str(n), "resourceVersion": "1"}}
        for n in range(40)
    ]
    before = os.times().children_user
    found = await judge.judge(rules("while true do end"), [WIDGET, *others])
    await judge.close()
    assert {result.status for result in found if result} == {Health.UNKNOWN}
    assert os.times().children_user - before < 3


async def test_an_answer_is_kept_while_rule_and_object_stay() -> None:
    judge = CustomHealth(SystemClock(), Limits(seconds=5))
    script = 'return {status = "Healthy", message = tostring(obj.x)}'
    changed: JsonObject = {**WIDGET, "x": "changed"}
    newer: JsonObject = {**changed, "metadata": {"uid": "u", "resourceVersion": "2"}}
    try:
        found = [
            (await judge.judge(rules(text), [item]))[0]
            for text, item in (
                (script, WIDGET),
                (script, changed),  # the same version: not asked again
                (script, newer),
                (script + " ", changed),
            )
        ]
    finally:
        await judge.close()
    assert [result.message for result in found if result] == ["nil", "nil", "changed", "changed"]


def test_the_agent_s_modules_do_not_load_the_libraries() -> None:
    code = (
        "import sys, fleet.judge.custom, fleet.health.customrules;"
        "print(sorted(m for m in sys.modules if m.split('.')[0] in ('cel', 'lupa', 'rich', 'typer', 'aiohttp')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""Deleting jq paths: as Argo CD does it, within limits, and without a child when there is nothing to do."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput
from fleet.jq.paths import MAX_LENGTH, Batch, JqPaths, Limits
from fleet.jq.worker import without
from fleet.runtime.clock import SystemClock

DEPLOYMENT = {
    "kind": "Deployment",
    "spec": {
        "replicas": 3,
        "containers": [
            {"name": "app", "image": "app:1", "env": []},
            {"name": "proxy", "image": "proxy:1"},
        ],
    },
}


@pytest.fixture
async def paths() -> AsyncIterator[JqPaths]:
    jq = JqPaths(SystemClock(), Limits(seconds=0.3, memory=256 * 1024 * 1024))
    yield jq
    await jq.close()


async def deleted(paths: JqPaths, document: JsonObject, *expressions: str) -> JsonObject:
    ((result,),) = await paths.delete((Batch(expressions=expressions, documents=(document,)),))
    return result


@pytest.mark.parametrize(
    ("expressions", "left"),
    [
        pytest.param([".spec.replicas, .spec.containers"], {"kind": "Deployment", "spec": {}}, id="two"),
        pytest.param([".spec.replicas", ".spec.containers"], {"kind": "Deployment", "spec": {}}, id="one-by-one"),
        pytest.param(
            ['.spec | (.replicas, (.containers[] | select(.name == "proxy")), .containers[0].env)'],
            {"kind": "Deployment", "spec": {"containers": [{"name": "app", "image": "app:1"}]}},
            id="selected",
        ),
        pytest.param([".spec.containers[0:]", ".spec"], {"kind": "Deployment"}, id="slice-then-all"),
        pytest.param([".absent[].image", ".also.absent"], DEPLOYMENT, id="nothing-there"),
        pytest.param(['.kind | error("no")', ".spec"], {"kind": "Deployment"}, id="failing-deletes-nothing"),
        pytest.param([".spec # )"], {"kind": "Deployment"}, id="comment"),
    ],
)  # fmt: skip
async def test_deletes_what_is_selected(
    paths: JqPaths, expressions: Sequence[str], left: JsonObject
) -> None:
    assert await deleted(paths, DEPLOYMENT, *expressions) == left


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        pytest.param(".a[", "syntax error", id="syntax"),
        pytest.param("$nothing", "not defined", id="unknown-name"),
        pytest.param('import "a" as a; .a', "syntax error", id="modules-are-files"),
        pytest.param(".a), (.b", "not one path expression", id="two-programs"),
        pytest.param(".a) | 1 | (.", "not one path expression", id="no-document"),
        pytest.param(".a) | halt | (.", "not one path expression", id="no-answer"),
        pytest.param("[range(1e12)] | .a", "longer than 0.3 s", id="endless"),
        pytest.param("def f: f | f; f", "MiB of memory|longer than", id="recursion"),
        pytest.param('("x" * 4e8) as $x | .a', "256 MiB of memory", id="memory"),
        pytest.param("." * (MAX_LENGTH + 1), "longer than 4096 characters", id="length"),
    ],
)
async def test_bad_expression_is_named_and_the_next_question_answered(
    paths: JqPaths, expression: str, reason: str
) -> None:
    with pytest.raises(BadInput, match=reason) as caught:
        await deleted(paths, {"a": 1}, ".b", expression)
    assert expression[:60] in caught.value.message
    assert await deleted(paths, {"a": 1, "b": 2}, ".b") == {"a": 1}


async def test_check_refuses_what_is_no_path_expression(paths: JqPaths) -> None:
    await paths.check([".a", ".b[] | select(.c)"])
    with pytest.raises(BadInput, match=r"'\.a\['"):
        await paths.check([".b", ".a["])


async def test_answers_belong_to_their_documents(paths: JqPaths) -> None:
    documents = tuple({"a": number, "b": number} for number in range(50))
    batches = [Batch(expressions=(".a",), documents=documents), Batch(expressions=(), documents=documents)]  # fmt: skip
    without_a, untouched = await paths.delete(batches)
    assert without_a == tuple({"b": number} for number in range(50))
    assert untouched == documents


async def test_an_expression_sees_no_environment(
    paths: JqPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLEET_TEST_SECRET", "a")
    assert await deleted(paths, {"a": 1}, ".[$ENV.FLEET_TEST_SECRET // env.FLEET_TEST_SECRET]") == {
        "a": 1
    }
    assert os.environ["FLEET_TEST_SECRET"] == "a"


async def test_no_child_without_expressions(
    paths: JqPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", "/nonexistent")
    assert await paths.delete((Batch(expressions=(), documents=({"a": 1},)),)) == [({"a": 1},)]
    await paths.check([])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_what_is_not_selected_stays_as_it_was_written(document: JsonObject) -> None:
    text = json.dumps(document)
    after = without(text, '."\\u0000nothing"')
    assert _typed(json.loads(after)) == _typed(document)


def _typed(value: object) -> object:
    """Tell true from 1, which Python holds for equal; 1.2e16 and 12000000000000000 are one number to JSON."""
    if isinstance(value, dict):
        return {key: _typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_typed(item) for item in value]
    return isinstance(value, bool), value

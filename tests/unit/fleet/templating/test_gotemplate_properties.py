"""Whatever text and parameters come, the engines answer with a text or a TemplateError, and change nothing."""

from __future__ import annotations

import contextlib
import copy
import threading
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.codec.jsontypes import JsonObject
from fleet.templating.fasttemplate import render_fast
from fleet.templating.gotemplate import MissingKey, TemplateError, compile_template
from fleet.templating.table import FUNCTIONS, UNSTABLE

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.text(alphabet="\ud800\udcff\x00{}\n\"'é", max_size=4),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from("abcxyz"), inner, max_size=4)
    ),
    max_leaves=12,
)
PARAMS = st.fixed_dictionaries({"a": VALUES, "b": VALUES, "c": VALUES})
FRAGMENTS = [
    *("{{", "}}", "{{-", "-}}", " ", "|", "(", ")", ".", ".a", ".b.x", "$", "$x", ":=", "=", ","),
    *("if", "else", "end", "range", "with", "define", "template", "block", "break", "continue"),
    *('"s"', "`r`", "'c'", "1", "-1", "1.5", "0x", "1i", "nil", "true", "text", "\n", "/*", "*/"),
    *('"%d"', "printf", "index", "len", "eq", "and", "print", "upper", "default", "toJson", "\\"),
]
TOKENS = st.lists(st.sampled_from(FRAGMENTS), max_size=25).map("".join)
ARGUMENTS = st.sampled_from(
    [
        *(
            ".a",
            ".b",
            ".c",
            "$",
            "nil",
            "1",
            "-1",
            "2.5",
            "99999",
            "true",
            '"a"',
            '"1.2"',
            '"%v%d"',
        ),
        *('"[a-z]+"', '"\\xff"', '"2006-01-02"', "(list .a .b)", "(dict .a .b)", "(list)"),
        *("(until 3)", '(split "," "a,b")'),
    ]
)
EXAMPLES = settings.default.max_examples if settings.default else 100
"""Of the profile: a hundred, or many with ``FLEET_HYPOTHESIS=thorough``."""
WRAPPINGS = [
    "{{{{{0}}}}}",
    "{{{{range $i, $e := until 300}}}}{{{{{0}}}}}{{{{end}}}}",
    "{{{{range (until 60)}}}}{{{{range (until 60)}}}}{{{{{1}}}}}{{{{end}}}}{{{{end}}}}",
    '{{{{$x := "ab"}}}}{{{{range until 64}}}}{{{{$x = print $x $x ({1})}}}}{{{{end}}}}{{{{$x}}}}',
    "{{{{$x := list .a}}}}{{{{range until 64}}}}{{{{$x = concat $x $x}}}}{{{{end}}}}{{{{$x | toJson}}}}",
    '{{{{define "t"}}}}{{{{{1}}}}}{{{{template "t" .}}}}{{{{end}}}}{{{{template "t" .}}}}',
    '{{{{$x := repeat 99999 "ab"}}}}{{{{range until 40}}}}{{{{$x = {1} | print $x}}}}{{{{end}}}}',
]
MAX_SECONDS = 20.0
"""Of processor time, watched by tracemalloc on a busy machine: far more than the limit of steps allows."""
MAX_BYTES = 256 * 1024 * 1024
STABLE = sorted(set(FUNCTIONS) - UNSTABLE - {"derivePassword"})


@st.composite
def calls(draw: st.DrawFn) -> str:
    """Draw a call of any function with about the right number of arguments."""
    name = draw(st.sampled_from(STABLE))
    count = len(FUNCTIONS[name].fixed) + (draw(st.integers(0, 2)) if FUNCTIONS[name].rest else 0)
    arguments = draw(st.lists(ARGUMENTS, min_size=count, max_size=count))
    return " ".join([name, *arguments])


def outcome(template: str, params: JsonObject, mode: MissingKey = MissingKey.DEFAULT) -> str:
    try:
        text = compile_template(template, missing_key=mode).render(params)
    except TemplateError as error:
        return f"error: {error}"
    text.encode()  # nothing that JSON could not hold comes out
    return text


@given(template=TOKENS, params=PARAMS, mode=st.sampled_from(MissingKey))
def test_any_text_ends_in_text_or_template_error(
    template: str, params: JsonObject, mode: MissingKey
) -> None:
    outcome(template, params, mode)


@given(call=calls(), params=PARAMS)
@settings(max_examples=max(300, EXAMPLES))
def test_any_call_ends_in_text_or_template_error(call: str, params: JsonObject) -> None:
    before = copy.deepcopy(params)
    first = outcome(f"{{{{{call}}}}}", params)
    assert first == outcome(f"{{{{{call}}}}}", params), "not deterministic"
    assert repr(params) == repr(before), "parameters were changed"


@given(
    call=calls(),
    inner=calls(),
    wrapping=st.sampled_from(WRAPPINGS),
    params=PARAMS,
)
@settings(max_examples=EXAMPLES // 10)
def test_nothing_runs_away_or_takes_more_than_its_memory(
    call: str, inner: str, wrapping: str, params: JsonObject
) -> None:
    template = wrapping.format(f"{call} | {inner}", inner)
    tracemalloc.start()
    try:
        begun = time.thread_time()
        outcome(template, params)
        seconds = time.thread_time() - begun
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert seconds < MAX_SECONDS
    assert peak < MAX_BYTES


@given(text=st.text(alphabet="{}ab \n", max_size=30), value=st.text(max_size=5))
def test_fast_templates_end_in_text_or_template_error(text: str, value: str) -> None:
    with contextlib.suppress(TemplateError):
        assert isinstance(render_fast(text, {"a": value, "b": 1}), str)


def test_threads_share_a_template() -> None:
    template = compile_template("{{$x := .i}}{{range until 50}}{{$x = add $x 1}}{{end}}{{$x}}")
    wrong: list[int] = []

    def work(offset: int) -> None:
        numbers = range(offset, offset + 40)
        wrong.extend(i for i in numbers if template.render({"i": i}) != str(i + 50))

    threads = [threading.Thread(target=work, args=(n * 1000,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400, -(10**400)])
def test_odd_numbers(value: float) -> None:
    for call in (
        "toJson .a",
        "int .a",
        "addf .a 1",
        'printf "%d %f %v" .a .a .a',
        "round .a 2",
        "toYaml .a",
    ):
        outcome(f"{{{{{call}}}}}", {"a": value})

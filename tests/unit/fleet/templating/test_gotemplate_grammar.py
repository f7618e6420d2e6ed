"""Templates made by the grammar, with every function, arguments of any type and size: text or TemplateError, and soon.

A few hundred in an ordinary run, twenty thousand with ``FLEET_HYPOTHESIS=thorough``. A failure prints the number that
makes the same template again.
"""

from __future__ import annotations

import random
import time
from typing import Final

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from fleet.codec.jsontypes import JsonObject
from fleet.templating.functions import Function
from fleet.templating.gotemplate import MissingKey, TemplateError, compile_template
from fleet.templating.table import FUNCTIONS

PARAMS: JsonObject = {
    "s": "Hello, wörld",
    "e": "",
    "n": 1000000,
    "f": 1.5e300,
    "i": float("inf"),
    "z": -0.0,
    "b": True,
    "nil": None,
    "l": ["c", 1, None, [], {"a": "b"}],
    "m": {"a": {"b": {"c": "d"}}, "k": [1, 2.5], "": "empty", "é": "\u202e"},
    "odd": "\x00\u2028\u202e\ufeff\U0001f600\ud800",
    "y": "a: &a [1]\nb: *a\n<<: {c: 0x1f}\nd: 2001-01-01\ne: !!binary AA==\nf: .nan\n",
}
WORDS: Final = [
    *('""', '"a"', '"a,b"', '"%v%d"', '"\\x00"', '"\\xff"', '"\\u202e"', "`raw\n`", '"é"', '"1.2.3"', '"UTC"', '"5m"'),
    *('"%[3]*.[2]*[1]f|%!|%-+# 0100d|%z%"', '"%1000000d"', '"%*d%.*f"', '"% x%#v%T%U%q%c%b%e%08.3g"', '"%[9]d%[x]d"'),
    *('"[a-z]+"', '"(a?){100}(b|.*)*$"', '"[[:alpha:]"', '"(?P<n>.)\\\\pL"', '"("', '"$1${n}$$"', '"a|b"', '"\\\\C"'),
    *('"2006-01-02T15:04:05.999999999Z07:00"', '"Mon Jan _2 3:04PM MST 06"', '">=1.2, <2 || ~3"', '"*"', '"Europe/Berlin"'),
    *('"a: &a [*a]"', '"{a: {b: [1, x]}}"', '"- !!int x"', '`[[1],{},"a"]`', '"http://u:p@h:1/p?q#f"', '"2020-01-01"', '"long"'),
    *('(repeat 1000000 "a")', '(repeat 200000 "é\\n")', '(repeat 90000 "[],")', '(repeat 5000 "a b ")', "(print .m)"),
]  # fmt: skip
NUMBERS: Final = [
    *("0", "1", "-1", "2", "7", "'x'", "0x1F", "0b11", "0o7", "1_000", "1e3", "1.5", "-0.0", "1e308", "5e-324", "1i", "2+3i"),
    *("65", "1000", "100000", "1000001", "9223372036854775807", "-9223372036854775808", "18446744073709551615", "4294967296"),
    *("(len .l)", "(int .n)", "(int64 .s)", "(float64 .f)", "(mul 3000000000 3000000000)", "(atoi .s)"),
]  # fmt: skip
OTHERS: Final = [
    *(".", "$", "nil", "true", "false", ".s", ".e", ".n", ".f", ".i", ".z", ".b", ".nil", ".l", ".m", ".odd", ".y", ".no"),
    *(".m.a.b.c", ".m.a.x.y", ".no.x", "$.m.k", "(index .l 4).a", "(index .m `é`)", ".s.x", "$v", "$w.a", "($v)", "(.m).a"),
    *("(list)", "(list 1 .s nil)", "(dict)", "(dict `a` .l `b`)", "(until 50)", "(until 20000)", "(splitList `l` .s)", "(split `l` .s)"),
    *("(semver `1.2.3-a+b`)", "(toDate `2006` `2020`)", "(chunk 2 .l)", "(tuple .m .m)", "(fromYaml .y)", "(set (dict) `a` .m)"),
    *("(semver `1.2.3`).Major", "(toDate `2006` `2020`).Year", "(fromJson `[1]`)", "(without .l nil)"),
]  # fmt: skip
SLOW: Final = {"derivePassword"}
NAMES: Final = sorted(set(FUNCTIONS) - SLOW)
MAX_SECONDS = 30.0
"""Of processor time for one template on a busy machine; the slowest takes a few seconds."""


class Maker:
    """Makes a template from random numbers."""

    def __init__(self, seed: int) -> None:
        self.choose = random.Random(seed)
        self.budget = 60

    def template(self) -> str:
        head = "{{$v := .l}}{{$w := .m}}"
        definitions = "".join(
            f'{{{{define "{name}"}}}}{self.statements(3, variables=False)}{{{{end}}}}'
            for name in "tu"
        )
        return head + definitions + self.statements(0)

    def statements(self, depth: int, *, variables: bool = True, loop: bool = False) -> str:
        count = self.choose.choice([1, 1, 2, 3])
        return "".join(self.statement(depth, variables=variables, loop=loop) for _ in range(count))

    def statement(self, depth: int, *, variables: bool, loop: bool) -> str:
        choose = self.choose
        self.budget -= 1
        if depth > 4 or self.budget < 0 or choose.random() < 0.5:
            return self.open() + self.pipe(variables) + self.close()
        inner = {"depth": depth + 1, "variables": variables, "loop": loop}
        body, other = self.statements(**inner), self.statements(**inner)  # type: ignore[arg-type]  # a dict of both types
        pipe = self.pipe(variables)
        match choose.randrange(11):
            case 0:
                return f"{{{{if {pipe}}}}}{body}{{{{else if {self.pipe(variables)}}}}}{other}{{{{end}}}}"
            case 1:
                return f"{{{{with {pipe}}}}}{body}{{{{else}}}}{other}{{{{end}}}}"
            case 2 | 3:
                names = choose.choice(["", "$i := ", "$i, $e := "])
                body = self.statements(depth + 1, variables=variables, loop=True)
                return f"{{{{range {names}{pipe}}}}}{body}{{{{else}}}}{other}{{{{end}}}}"
            case 4:
                return f'{{{{template "{choose.choice("tub")}" {pipe}}}}}'
            case 5:
                name = f"b{choose.randrange(10**9)}"
                return f'{{{{block "{name}" {pipe}}}}}{self.statements(depth + 1, variables=False)}{{{{end}}}}'
            case 6 if variables:
                return f"{{{{$v {choose.choice([':=', '='])} {pipe}}}}}"
            case 7 if loop:
                return choose.choice(["{{break}}", "{{continue}}"])
            case 8 if variables:  # grows with every turn
                grow = choose.choice(
                    [
                        "print $v $v",
                        "list $v $v",
                        "concat (list $v) (list $v)",
                        "dict `a` $v `b` $v",
                        "toJson (list $v $v)",
                    ]
                )
                return f"{{{{range until 40}}}}{{{{$v = {grow}}}}}{{{{end}}}}{{{{{self.call(1, variables)}}}}}"
            case 9:
                return choose.choice(["{{/* c */}}", "text {{- 1 -}} text", "{{", "}}", "{{end}}", '{{"\\q"}}', "{{.a..b}}", "{{$x}}", "{{0x}}", "{{nope 1}}"])  # fmt: skip
            case _:
                return body + other

    def open(self) -> str:
        return self.choose.choice(["{{", "{{", "{{- "])

    def close(self) -> str:
        return self.choose.choice(["}}", "}}", " -}}"])

    def pipe(self, variables: bool) -> str:
        stages = [
            self.call(0, variables) if self.choose.random() < 0.8 else self.operand(variables)
        ]
        while self.choose.random() < 0.3:
            stages.append(self.call(0, variables, piped=1))
        return " | ".join(stages)

    def call(self, depth: int, variables: bool, piped: int = 0) -> str:
        name = self.choose.choice(NAMES)
        function = FUNCTIONS[name]
        count = len(function.fixed) - piped + (self.choose.randrange(3) if function.rest else 0)
        if self.choose.random() < 0.03:
            count += self.choose.choice([-1, 1])
        return " ".join(
            [name, *(self.argument(function, n, depth, variables) for n in range(max(count, 0)))]
        )

    def argument(self, function: Function, position: int, depth: int, variables: bool) -> str:
        choose = self.choose
        if depth < 3 and choose.random() < 0.15:
            return f"({self.call(depth + 1, variables)})"
        wanted = ""
        if position < len(function.fixed) or function.rest:
            wanted = function.parameter(position).name
        if choose.random() < 0.85:  # else one of a wrong type
            if wanted == "string":
                return choose.choice(WORDS)
            if wanted.startswith(("int", "uint", "float")) and not wanted.startswith("interface"):
                return choose.choice(NUMBERS)
            if wanted.startswith("map"):
                return choose.choice(
                    [".m", "(dict `a` 1)", "(fromYaml .y)", ".m.a", "(dict `a` .m)"]
                )
        return self.operand(variables)

    def operand(self, variables: bool) -> str:
        found = self.choose.choice(self.choose.choice([WORDS, NUMBERS, OTHERS, OTHERS]))
        return found if variables or ("$v" not in found and "$w" not in found) else "."


def outcome(template: str, mode: MissingKey) -> str:
    try:
        text = compile_template.__wrapped__(template, missing_key=mode).render(PARAMS)
    except TemplateError as error:
        return f"error: {error}"
    text.encode()
    return text


@given(seed=st.integers(0, 2**48))
@settings(phases=[Phase.generate])
def test_any_template_of_the_grammar_ends_in_text_or_template_error(seed: int) -> None:
    maker = Maker(seed)
    template = maker.template()
    before = repr(PARAMS)
    begun = time.thread_time()
    outcome(template, maker.choose.choice(list(MissingKey)))
    assert time.thread_time() - begun < MAX_SECONDS
    assert repr(PARAMS) == before, "parameters were changed"


def test_most_of_the_grammar_is_executed() -> None:
    """Else the test above would look at parse errors only."""
    found = [outcome(Maker(seed).template(), MissingKey.DEFAULT) for seed in range(150)]
    texts = sum(not text.startswith("error: ") for text in found)
    executed = sum("failed to execute" in text for text in found)
    assert texts + executed > 100, (texts, executed)
    assert texts > 15, texts

"""The language of text/template: each row is a template, and what Go prints for it."""

from __future__ import annotations

import pytest

from fleet.codec.jsontypes import JsonObject
from fleet.templating.gotemplate import MissingKey, compile_template

PARAMS: JsonObject = {
    "name": "a",
    "n": 3,
    "f": 2.5,
    "big": 1000000,
    "t": True,
    "no": False,
    "e": "",
    "nil": None,
    "l": ["c", "a", "b"],
    "mixed": [3, 2.5, None, "x", True],
    "m": {"b": "2", "a": 1, "c": {"d": {"e": "deep"}}},
    "lm": [{"k": "v1"}, {"k": "v2"}],
    "a.b/c": "dotted",
}

TEXT = [
    ("no actions at all", "no actions at all"),
    ("", ""),
    ("{{.name}}", "a"),
    ("x {{- .name -}}  y", "xay"),
    ("x \n{{- 1 }} {{ 2 -}} \t\n y", "x1 2y"),
    ("{{-3}}|{{- -3 -}}|", "-3|-3|"),
    ("a{{/* c */}}b{{- /* c */ -}}  c", "abc"),
    ("{{.m}}", "map[a:1 b:2 c:map[d:map[e:deep]]]"),
    ("{{.mixed}}", "[3 2.5 <nil> x true]"),
    ("{{.big}} {{.f}} {{.t}} {{.n}}", "1e+06 2.5 true 3"),
    ("{{.nil}}|{{print .nil}}|{{.nope}}|{{print .nope}}", "<no value>|<nil>|<no value>|<nil>"),
    ("{{.nope.deeper.still}}", "<no value>"),
    ("{{.m.c.d.e}} {{(.m.c).d.e}} {{$.name}} {{$.m.c.d.e}}", "deep deep a deep"),
    ('{{index . "a.b/c"}} {{index .l 1}} {{index .m "c" "d" "e"}}', "dotted a deep"),
]
LITERALS = [
    ("{{1}} {{1.0}} {{1.5}} {{1e3}} {{.5}} {{5.}}", "1 1 1.5 1000 0.5 5"),
    ("{{0x1F}} {{0b11}} {{0o17}} {{017}} {{1_000}} {{+3}}", "31 3 15 15 1000 3"),
    ("{{'a'}} {{'\\n'}} {{'é'}} {{'\\x41'}}", "97 10 233 65"),
    (
        "{{1e10}} {{1e21}} {{1.0e-7}} {{100000.0}} {{123456789.0}}",
        "1e+10 1e+21 1e-07 100000 1.23456789e+08",
    ),
    ("{{1i}} {{1+2i}}", "(0+1i) (1+2i)"),
    ('{{"a\\tb\\"c\\u00e9\\x41\\101"}}{{`raw\\n`}}', 'a\tb"céAAraw\\n'),
    ("{{true}} {{false}} {{print nil}}", "true false <nil>"),
]
CONTROL = [
    ("{{if .nope}}a{{else if .e}}b{{else if .n}}c{{else}}d{{end}}", "c"),
    ("{{if .no}}x{{end}}{{if .t}}y{{end}}{{if .l}}z{{end}}{{if .m}}w{{end}}", "yzw"),
    ("{{with .m.c}}{{.d.e}}{{$.name}}{{end}}", "deepa"),
    ("{{with .nope}}a{{else with .name}}b{{.}}{{else}}c{{end}}", "ba"),
    ("{{with $x := .name}}{{$x}}{{.}}{{end}}", "aa"),
    ("{{range .l}}{{.}};{{end}}", "c;a;b;"),
    ("{{range $i, $e := .l}}{{$i}}={{$e}},{{end}}", "0=c,1=a,2=b,"),
    ("{{range $k, $v := .m}}{{$k}},{{end}}", "a,b,c,"),
    ("{{range .nope}}x{{else}}none{{end}}{{range .nil}}x{{else}}none{{end}}", "nonenone"),
    ("{{range 3}}{{.}}{{end}}{{range $i := 2}}{{$i}}{{end}}", "01201"),
    ('{{range .l}}{{if eq . "a"}}{{continue}}{{end}}{{.}}{{end}}', "cb"),
    ('{{range .l}}{{if eq . "a"}}{{break}}{{end}}{{.}}{{end}}', "c"),
    ("{{range until 3}}{{range until 3}}{{if eq . 1}}{{break}}{{end}}{{.}}{{end}}{{end}}", "000"),
    ("{{range .lm}}{{.k}}{{$.name}} {{end}}", "v1a v2a "),
    ('{{range $i := .l}}{{$i = "x"}}{{$i}}{{end}}', "xxx"),
    ("{{$e := 0}}{{range $e = .l}}{{end}}{{$e}}", "b"),
]
VARIABLES = [
    ("{{$x := 1}}{{$x}}{{$x = 2}}{{$x}}", "12"),
    ("{{$x := 1}}{{if true}}{{$x := 2}}{{$x}}{{end}}{{$x}}", "21"),
    ("{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}", "2"),
    ("{{$y := 5}}{{if .nope}}{{$y := 1}}{{else}}{{$y}}{{end}}", "5"),
    ("{{$s := 0}}{{range until 5}}{{$s = add $s .}}{{end}}{{$s}}", "10"),
    ("{{$m := .m}}{{$m.c.d.e}}", "deep"),
    ("{{print ($x := 3) $x}}", "3 3"),
]
TEMPLATES = [
    ('{{define "t"}}[{{.}}]{{end}}{{template "t" .name}}{{template "t"}}', "[a][<no value>]"),
    ('{{block "b" .name}}<{{.}}>{{end}}', "<a>"),
    ('{{define "t"}}{{$}}{{end}}{{range .l}}{{template "t" .}}{{end}}', "cab"),
    (
        '{{define "r"}}{{if gt . 0}}{{.}}{{template "r" (int (sub . 1))}}{{end}}{{end}}{{template "r" 3}}',
        "321",
    ),
    ('{{define "x"}} {{end}}{{define "x"}}2{{end}}{{template "x"}}', "2"),
]
PIPELINES = [
    ('{{.name | upper | printf "%s-%s" "x"}}', "x-A"),
    ("{{(print 1 2) | len}}", "3"),
    ('{{and 1 0 2}} {{or 0 "" "x" 3}} {{and 1 2}} {{not .nope}}', "0 x 2 true"),
    ('{{and 0 (fail "x")}}{{or 1 (fail "x")}}', "01"),
    ("{{1 | and 0}} {{1 | and 2}} {{0 | or 5}}", "0 1 5"),
    ('{{eq .n 3.0}} {{eq 1 1}} {{ne .name "x"}} {{eq .name "x" "a"}}', "true true true true"),
    ('{{lt 1 2}} {{le 2 2}} {{gt 2.5 1.5}} {{ge "b" "a"}}', "true true true true"),
    ("{{eq .nil nil}} {{eq .nope nil}} {{eq .name nil}}", "true true false"),
    ('{{len .name}} {{len "é"}} {{len .l}} {{len .m}}', "1 2 3 3"),
]


@pytest.mark.parametrize(
    ("template", "expected"),
    TEXT + LITERALS + CONTROL + VARIABLES + TEMPLATES + PIPELINES,
    ids=lambda value: value[:50],
)
def test_prints_what_go_prints(template: str, expected: str) -> None:
    assert compile_template(template).render(PARAMS) == expected


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        ('"%s-%03d" "x" 7', "x-007"),
        ('"%v %q" 2.5 "x"', '2.5 "x"'),
        ('"%d" .n', "%!d(float64=3)"),
        ('"%5s|%-5s|%05d" "x" "y" 42', "    x|y    |00042"),
        ('"%x %X %x" "hi" 255 255', "6869 FF ff"),
        ('"%.2f %8.2f %e %g" 2.5 2.5 2.5 1e6', "2.50     2.50 2.500000e+00 1e+06"),
        ('"%t %v %T %T" true false 1 .n', "true false int float64"),
        ('"%v %s %q" .l .l .l', '[c a b] [c a b] ["c" "a" "b"]'),
        ('"%d %d" 1', "1 %!d(MISSING)"),
        ('"%d%" 1', "1%!(NOVERB)"),
        ('"x" 1 nil', "x%!(EXTRA int=1, <nil>)"),
        ('"%z %!" 1', "%!z(int=1) %!!(MISSING)"),
        ('"%[2]d %[1]d" 1 2', "2 1"),
        ('"%*d|%.*f" 5 42 2 3.14159', "   42|3.14"),
        ('"%c%U%#x%+d% d" 65 65 255 5 5', "AU+00410xff+5 5"),
        ('"%#v %#v %#v" .l .name .n', '[]interface {}{"c", "a", "b"} "a" 3'),
        ('"%6.2f%%" 12.3456', " 12.35%"),
    ],
)
def test_printf(layout: str, expected: str) -> None:
    assert compile_template(f"{{{{printf {layout}}}}}").render(PARAMS) == expected


@pytest.mark.parametrize(
    ("mode", "template", "expected"),
    [
        (MissingKey.DEFAULT, "{{.nope}}", "<no value>"),
        (MissingKey.INVALID, "{{.nope}}", "<no value>"),
        (MissingKey.ZERO, "{{.nope}}", "<no value>"),
        (MissingKey.ZERO, '{{(split "," "a").zz}}|', "|"),
        (MissingKey.DEFAULT, '{{(split "," "a").zz}}|', "<no value>|"),
        (
            MissingKey.ERROR,
            '{{hasKey . "nope"}}{{get . "nope"}}{{index . "nope"}}',
            "false<no value>",
        ),
        (MissingKey.ERROR, '{{dig "nope" "d" .}}', "d"),
    ],
)
def test_missing_keys(mode: MissingKey, template: str, expected: str) -> None:
    assert compile_template(template, missing_key=mode).render(PARAMS) == expected


def test_parameters_stay_as_they_are() -> None:
    params: JsonObject = {"m": {"a": 1, "sub": {"x": 1}}}
    template = compile_template(
        '{{$_ := set .m "b" 2}}{{$_ := unset .m "a"}}{{$_ := mergeOverwrite .m (dict "sub" (dict "x" 2))}}{{.m}}'
    )
    assert template.render(params) == "map[b:2 sub:map[x:2]]"
    assert params == {"m": {"a": 1, "sub": {"x": 1}}}


def test_compiled_once() -> None:
    assert compile_template("{{.a}}") is compile_template("{{.a}}")


def test_knows_whether_it_is_stable() -> None:
    assert compile_template("{{.a | upper}} now").is_stable
    assert not compile_template("{{randAlpha 5}}").is_stable
    assert not compile_template("{{now}}").is_stable

"""What cannot be parsed or executed: the place, the action, and Go's words for it."""

from __future__ import annotations

import pytest

from fleet.errors import BadInput
from fleet.templating.gotemplate import (
    MissingKey,
    TemplateError,
    compile_template,
    parse_options,
)

PARAMS = {"name": "a", "n": 3, "nil": None, "l": ["x"], "m": {"a": 1}}


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ .name ", "unclosed action"),
        ("{{nosuch .name}}", 'function "nosuch" not defined'),
        ('{{env "HOME"}}', 'function "env" not defined'),
        ("{{$x}}", 'undefined variable "$x"'),
        ("{{if true}}{{$x := 1}}{{end}}{{$x}}", 'undefined variable "$x"'),
        ("{{if true}}", "unexpected EOF"),
        ("{{end}}", "unexpected {{end}}"),
        ("{{else}}", "unexpected {{else}}"),
        ("{{if true}}{{else}}{{else}}{{end}}", "expected end; found {{else}}"),
        ("{{}}", "missing value for command"),
        ("{{if}}{{end}}", "missing value for if"),
        ("{{break}}", "{{break}} outside {{range}}"),
        ("{{1 | 2}}", "non executable command in pipeline stage 2"),
        ("{{(.name}}", "unclosed left paren"),
        ("{{.name)}}", "unexpected right paren"),
        ('{{"abc}}', "unterminated quoted string"),
        ('{{"\\q"}}', "invalid syntax"),
        ("{{/* x", "unclosed comment"),
        ("{{@}}", 'unexpected "@" in command'),
        ("{{true.x}}", 'unexpected . after term "true"'),
        ("{{99999999999999999999}}", 'integer overflow: "99999999999999999999"'),
        ("{{range $a, $b, $c := .l}}{{end}}", "too many declarations in range"),
        ("{{if $a, $b := .l}}{{end}}", "too many declarations in if"),
        (
            '{{define "x"}}1{{end}}{{define "x"}}2{{end}}',
            'template: multiple definition of template "x"',
        ),
        ("a\nb\n{{nosuch}}", 'function "nosuch" not defined'),
    ],
    ids=lambda value: value[:40],
)
def test_parse_errors(template: str, reason: str) -> None:
    with pytest.raises(TemplateError) as caught:
        compile_template(template)
    error = caught.value
    assert error.detail == reason
    assert error.line == template.count("\n") + 1
    assert str(error) == (
        f"failed to parse template {template}: template: base:{error.line}: {reason}"
    )


@pytest.mark.parametrize(
    ("template", "line", "column", "action", "reason"),
    [
        ("{{.nil.x}}", 1, 6, ".nil.x", "nil pointer evaluating interface {}.x"),
        ("{{.name.x}}", 1, 7, ".name.x", "can't evaluate field x in type interface {}"),
        ('{{.name "x"}}', 1, 2, ".name", "name is not a method but has arguments"),
        ("{{upper .n}}", 1, 8, ".n", "wrong type for value; expected string; got float64"),
        ("{{upper .nope}}", 1, 8, ".nope", "invalid value; expected string"),
        ("{{upper}}", 1, 2, "upper", "wrong number of args for upper: want 1 got 0"),
        ("{{until .n}}", 1, 8, ".n", "wrong type for value; expected int; got float64"),
        ('{{until "3"}}', 1, 8, '"3"', 'expected integer; found "3"'),
        ("{{index .l 7}}", 1, 2, "index .l 7", "error calling index: index out of range: 7"),
        (
            "{{eq .n 3}}",
            1,
            2,
            "eq .n 3",
            "error calling eq: incompatible types for comparison: float64 and int",
        ),
        ('{{fail "boom"}}', 1, 2, 'fail "boom"', "error calling fail: boom"),
        (
            "{{div 1 0}}",
            1,
            2,
            "div 1 0",
            "error calling div: runtime error: integer divide by zero",
        ),
        ('{{template "t"}}', 1, 11, '{{template "t"}}', 'template "t" not defined'),
        ("{{range .name}}{{end}}", 1, 8, ".name", "range can't iterate over a"),
        ("é\n é{{.nil.x}}", 2, 9, ".nil.x", "nil pointer evaluating interface {}.x"),
        ("{{nil}}", 1, 2, "nil", "nil is not a command"),
        (
            '{{regexFind "[" "x"}}',
            *(1, 2, 'regexFind "[" "x"'),
            "error calling regexFind: regexp: Compile(`[`): error parsing regexp: missing closing ]: `[`",
        ),
        (
            '{{genCA "x" 365}}',
            *(1, 2, 'genCA "x" 365'),
            "error calling genCA: genCA is not available: templates cannot make keys or encrypt",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_execution_errors(template: str, line: int, column: int, action: str, reason: str) -> None:
    with pytest.raises(TemplateError) as caught:
        compile_template(template).render(PARAMS)
    error = caught.value
    assert (error.line, error.column, error.action, error.detail) == (line, column, action, reason)
    assert str(error) == (
        f"failed to execute go template {template}: template: base:{line}:{column}: "
        f'executing "base" at <{action}>: {reason}'
    )


def test_error_names_the_running_definition() -> None:
    template = compile_template(
        '{{define "t"}}{{.nope.x}}{{end}}{{template "t" .}}', missing_key=MissingKey.ERROR
    )
    with pytest.raises(
        TemplateError, match=r'executing "t" at <\.nope\.x>: map has no entry for key "nope"'
    ):
        template.render(PARAMS)


@pytest.mark.parametrize(
    "template",
    ["{{.nope}}", "{{.nope.x}}", '{{.nope | default "d"}}', "{{with .m}}{{.nope}}{{end}}"],
)
def test_missing_key_as_error(template: str) -> None:
    with pytest.raises(TemplateError, match='map has no entry for key "nope"'):
        compile_template(template, missing_key=MissingKey.ERROR).render(PARAMS)


def test_long_templates_are_cut_in_messages() -> None:
    with pytest.raises(TemplateError) as caught:
        compile_template("x" * 10_000 + "{{nosuch}}")
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], MissingKey.DEFAULT),
        (["missingkey=error"], MissingKey.ERROR),
        (["missingkey=error", "missingkey=zero"], MissingKey.ZERO),
        (["missingkey=invalid"], MissingKey.INVALID),
    ],
)
def test_options(options: list[str], expected: MissingKey) -> None:
    assert parse_options(options) is expected


@pytest.mark.parametrize("option", ["missingkey=nope", "missingkey", "other=error", ""])
def test_unknown_options(option: str) -> None:
    with pytest.raises(BadInput, match="unrecognized option"):
        parse_options([option])

"""Templates that want too much end in TemplateError, soon, whatever they try."""

from __future__ import annotations

import pytest

from fleet.templating.gotemplate import MAX_TEMPLATE, TemplateError, compile_template

DOUBLING = "{{$x := list 1}}{{range until 60}}{{$x = list $x $x}}{{end}}"
CYCLE = '{{$d := dict}}{{$_ := set $d "a" $d}}'

HOSTILE = {
    "repeat": '{{repeat 1000000000 "x"}}',
    "doubling text": '{{$x := "ab"}}{{range until 40}}{{$x = print $x $x}}{{end}}',
    "doubling list printed": DOUBLING + "{{$x}}",
    "doubling list as json": DOUBLING + "{{toJson $x}}",
    "doubling list as yaml": DOUBLING + "{{toYaml $x}}",
    "doubling list copied": DOUBLING + "{{deepCopy $x | len}}",
    "cycle printed": CYCLE + "{{$d}}",
    "cycle as json": CYCLE + "{{toJson $d}}",
    "cycle as yaml": CYCLE + "{{toYaml $d}}",
    "cycle merged": CYCLE + "{{merge $d $d}}",
    "cycle compared": CYCLE + "{{deepEqual $d $d}}",
    "cycle formatted": CYCLE + '{{printf "%s" $d}}',
    "long list": "{{until 1000000000000}}",
    "long loop": "{{range 1000000000}}{{end}}",
    "nested loops": "{{range until 999}}{{range until 999}}{{range until 999}}{{end}}{{end}}{{end}}",
    "recursion": '{{define "a"}}{{template "a" .}}{{end}}{{template "a" .}}',
    "parentheses": "{{" + "(" * 5000 + "1" + ")" * 5000 + "}}",
    "blocks": "{{if true}}" * 3000 + "{{end}}" * 3000,
    "else if": "{{if false}}" + "{{else if false}}" * 3000 + "{{end}}",
    "width": '{{printf "%*d" 1000000000 1}}',
    "replace": '{{$x := repeat 1000000 "a"}}{{replace "a" $x $x}}',
    "join": '{{join (repeat 100000 "x") (until 100000)}}',
    "indent": '{{indent 1000000 (repeat 1000000 "\\n")}}',
    "regex": '{{regexReplaceAll "a" (repeat 1000000 "a") (repeat 100000 "x")}}',
    "hashes": '{{$x := repeat 1000000 "a"}}{{range until 100000}}{{$y := sha256sum $x}}{{end}}',
    "memory": '{{$l := list}}{{range until 9999}}{{$l = append $l (repeat 1000000 "x")}}{{end}}',
    "deep yaml": '{{fromYaml (print "a: " (repeat 100000 "["))}}',
    "output": "{{range until 50000}}" + "a" * 40 + "{{end}}",
    "random": "{{randAlpha 1000000000}}",
    "text": "x" * MAX_TEMPLATE + "{{.}}",
    "numbers": "{{" + "9" * 10_000 + "}}",
}


@pytest.mark.parametrize("template", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_template_is_refused(template: str) -> None:
    with pytest.raises(TemplateError):
        compile_template.__wrapped__(template).render({})


def test_recursion_has_a_depth_of_its_own() -> None:
    """It must not depend on how deep the caller is."""
    template = '{{define "a"}}{{template "a" .}}{{end}}{{template "a" .}}'
    with pytest.raises(TemplateError, match="exceeded maximum template depth"):
        compile_template(template).render({})


def test_catastrophic_pattern_takes_no_time() -> None:
    template = '{{regexMatch "(a*)*(a*)*(a*)*b" (repeat 500000 "a")}}'
    assert compile_template(template).render({}) == "false"


def test_reasonable_work_is_allowed() -> None:
    template = (
        "{{range $i, $c := .clusters}}{{range until 100}}{{$c | upper | trunc 5}}{{end}}{{end}}"
    )
    text = compile_template(template).render({"clusters": ["cluster"] * 100})
    assert len(text) == 100 * 100 * 5

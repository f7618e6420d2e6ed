"""Templates that want too much end in TemplateError, soon, whatever they try."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from fleet.templating.gotemplate import MAX_TEMPLATE, TemplateError, compile_template

DOUBLING = "{{$x := list 1}}{{range until 60}}{{$x = list $x $x}}{{end}}"
CYCLE = '{{$d := dict}}{{$_ := set $d "a" $d}}'

MAX_BYTES = 256 * 1024 * 1024
"""Of a rendering, whatever it tries."""

LONG = '{{$x := list (repeat 1000000 "a")}}{{range until 11}}{{$x = concat $x $x}}{{end}}'
LONG_KEY = (
    '{{$x := list (dict (repeat 1000000 "a") 1)}}{{range until 11}}{{$x = concat $x $x}}{{end}}'
)

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
    "lists from yaml": '{{fromYamlArray (print "[" (repeat 300000 "[],") "1]")}}',
    "aliases": '{{fromYaml (print "a: &a [1,1,1,1,1,1,1,1]\\nb: [" (repeat 100000 "*a,") "1]")}}',
    "merges": "{{fromYaml `a0: &a0 {}\n"
    + "".join(f"a{i}: &a{i} {{<<: [{','.join([f'*a{i - 1}'] * 9)}]}}\n" for i in range(1, 9))
    + "`}}",
    "large pattern": '{{regexMatch "(a?){500}(a){500}b" (repeat 100000 "a")}}',
    "many patterns": "{{range until 100000}}{{$_ := regexMatch (printf `%d\\\\pL{900}` .) `b`}}{{end}}",
    "texts of numbers": "{{$l := until 250000}}{{$k := list}}{{range until 30}}{{$k = append $k (toStrings $l)}}{{end}}",
    "long layout": '{{$x := repeat 500000 "1"}}{{range until 99}}{{$_ := date $x 0}}{{end}}',
    "long layout to read": '{{range until 99}}{{$_ := toDate (repeat 500000 "1") "1"}}{{end}}',
    "digits in a row": '{{mustToDate (repeat 60 "1") (print (repeat 90 "1") "x")}}',
    "complex number as yaml": "{{toYaml (list 1i)}}",
    "base64 with a fault": '{{$x := repeat 1000000 "é"}}{{range until 99}}{{$_ := b64dec $x}}{{end}}',
    "text": "x" * MAX_TEMPLATE + "{{.}}",
    "numbers": "{{" + "9" * 10_000 + "}}",
}

LARGE = {
    "one long text sorted often": LONG + "{{sortAlpha $x}}",
    "width of each item": '{{printf "%1000000d" (until 100000)}}',
    "width of each key": '{{printf "%1000000v" (dict 1 2 3 4 (until 50) 5 (until 90) 6)}}' * 40,
    "one long text often": LONG + "{{$x}}",
    "one long text often as json": LONG + "{{toJson $x}}",
    "one long text often as yaml": LONG + "{{toYaml $x}}",
    "one long text often in cat": LONG + "{{cat $x}}",
    "one long key often": LONG_KEY + "{{$x}}",
    "one long key often as json": LONG_KEY + "{{toJson $x}}",
    "lines indented": '{{$x := list (repeat 300000 "a\\n")}}{{range until 50}}{{$x = list $x}}{{end}}'
    "{{toYaml (list $x $x $x $x $x $x $x $x)}}",
    "lists from json": '{{$j := print "[" (repeat 300000 "[],") "1]"}}{{$k := list}}'
    "{{range until 30}}{{$k = append $k (fromJson $j)}}{{end}}",
    "chunks": "{{$x := list 1}}{{range until 20}}{{$x = concat $x $x}}{{end}}{{chunk 1 $x | len}}",
}


@pytest.mark.parametrize("template", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_template_is_refused(template: str) -> None:
    with pytest.raises(TemplateError):
        compile_template.__wrapped__(template).render({})


@pytest.mark.parametrize("template", LARGE.values(), ids=LARGE.keys())
def test_a_template_that_wants_memory_is_refused_before_it_has_it(template: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(TemplateError):
            compile_template.__wrapped__(template).render({})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MAX_BYTES


def test_a_long_set_of_characters_to_trim_takes_no_time() -> None:
    template = (
        '{{$c := print (repeat 999999 "a") "b"}}{{$t := print (repeat 999999 "b") "c"}}'
        "{{range until 5}}{{$_ := trimAll $c $t}}{{end}}{{trimAll $c $t}}"
    )
    begun = time.thread_time()
    assert compile_template(template).render({}) == "c"
    assert time.thread_time() - begun < 20  # it was minutes


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ('{{regexReplaceAll "[^a-z]+" (repeat 2000 "ab 12 ") "-" | len}}', "6000"),
        ('{{regexFindAll "[a-z]" (repeat 3000 "ab") -1 | len}}', "6000"),
        ('{{fromYaml (repeat 500 "a: 1\\n") | toYaml}}', "a: 1"),
        ("{{toYaml (until 5000) | len}}", "33889"),
        ("{{fromJson (toJson (until 20000)) | len}}", "20000"),
        ('{{b64dec (b64enc (repeat 700000 "a")) | len}}', "700000"),
    ],
)
def test_large_documents_are_allowed(template: str, expected: str) -> None:
    assert compile_template(template).render({}) == expected


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

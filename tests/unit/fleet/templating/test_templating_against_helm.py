"""Helm renders with Go's text/template and sprig: both engines must print the same for what both know.

One ``helm template`` run renders many templates with ``tpl``. Parameters hold no numbers (Helm reads them as texts), and
no key is missing (Helm removes ``<no value>``).
"""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fleet.codec import yamldoc
from fleet.codec.jsontypes import JsonObject
from fleet.templating.funcs_encode import REFUSED
from fleet.templating.gotemplate import TemplateError, compile_template
from fleet.templating.table import FUNCTIONS, UNSTABLE
from fleet.testing.tools import Tools

PARAMS: JsonObject = {
    "name": "a",
    "s": "Hello World",
    "u": "héllo wörld",
    "e": "",
    "t": True,
    "no": False,
    "l": ["c", "a", "b", "a"],
    "ll": [["x", "y"], ["z"]],
    "m": {"b": "2", "a": "1", "c": {"d": "deep"}},
    "lm": [{"k": "v1"}, {"k": "v2"}],
    "v": "v1.24.3",
    "multi": "l1\nl2\n  l3",
}
FIXED = [
    "{{range $k, $v := .m}}{{$k}}={{$v}};{{end}}",
    '{{with .m.c}}{{.d | upper | printf "%-8s|"}}{{end}}',
    '{{define "r"}}{{if .}}{{first .}}{{template "r" (rest .)}}{{end}}{{end}}{{template "r" .l}}',
    "{{- range $i, $e := .l }}\n- {{ $i }}: {{ $e }}\n{{- end }}",
    '{{ .s | lower | replace " " "-" | trunc 63 | trimSuffix "-" }}',
    '{{printf "%05.1f|%-6d|%x|%q|%+v|%T" 3.14159 42 "hi" .u .m .l}}',
    '{{.l | uniq | sortAlpha | join "," | quote}}',
    '{{$m := merge (dict "a" "mine") .m}}{{$m}}',
    "{{toPrettyJson .m}}{{toJson .lm}}",
    '{{semverCompare ">=1.20, <2" .v}}{{(semver .v).Minor}}',
    '{{regexReplaceAll "(l+)" .u "<$1>"}}{{regexSplit "o" .s -1}}',
    '{{dateInZone "2006-01-02 15:04 Mon" 1700000000 "UTC"}}{{b64enc .u}}{{sha256sum .s}}',
    "{{toYaml (list 1234567.5 123456.5 1e21 0.00001 1e6 -0.0 100000000.5 -2.5e-7)}}",
    '{{rest (list) | printf "%#v"}}{{regexFindAll "q" "x" -1 | printf "%#v"}}{{list | printf "%#v"}}',
    "{{nindent 4 .multi}}|{{wrap 4 .s}}|{{snakecase .s}}|{{camelcase .s}}",
]
STRINGS = [
    ".name",
    ".s",
    ".u",
    ".e",
    ".v",
    ".multi",
    '"a,b"',
    '"x"',
    '"%s"',
    "(index .l 0)",
    '"[a-o]+"',
]
LISTS = [".l", ".ll", ".lm", "(list 1 2.5 nil)", "(until 3)", "(list)", '(splitList "l" .s)']
MAPS = [".m", "(dict)", '(dict "k" "v" "z" (list 1))']
WHOLES = ["0", "1", "2", "5", "-1", "(len .l)"]
ANYTHING = [*STRINGS, *LISTS, *MAPS, *WHOLES, ".t", ".no", "1.5", "true", "nil"]
SIGNATURES = {
    "string": (
        STRINGS,
        """upper lower title trim untitle swapcase nospace initials snakecase kebabcase camelcase
        sha1sum adler32sum b64enc b64dec b32enc base dir ext clean isAbs regexQuoteMeta len""",
    ),
    "string string": (
        STRINGS,
        """trimAll trimSuffix trimPrefix contains hasPrefix hasSuffix splitList regexMatch regexFind
        eq ne lt ge""",
    ),
    "string string string": (STRINGS, "replace regexReplaceAllLiteral"),
    "any": (
        ANYTHING,
        """print println toString quote squote empty typeOf kindOf toJson toPrettyJson not html js
        urlquery int int64 float64 floor ceil add1 cat list""",
    ),
    "any any": (
        ANYTHING,
        "print and or default coalesce add sub max min deepEqual any all list",
    ),
    "list": (LISTS, "first last rest initial reverse uniq compact sortAlpha toStrings len"),
}


BY_TYPE = {
    "string": [
        *STRINGS,
        *('"  pad  "', '"Ünï-Cödé_x.Y"', '"a.b/c?d=e#f"', '"1,2;3"', '"12"', '"-7.50"', '"1e3"', '"0x1F"', '"FirstName"'),
        *('"http://u:p@h:80/p?q=1#f"', '"1.2.3-rc.1+b"', '">=1.0.0"', '"^1.2 || ~2"', '"YWJj"', '"MFRGG==="', '"1h30m"'),
        *('"2020-02-29"', '"2006-01-02"', '"x y\\tz\\n"', '"a\\"b\\\\c<&>"', '"%5.2f|%-4d|%q"', '"(a|b)+"', '"[^a-z]"', '"$1"'),
    ],
    "int": ["0", "1", "2", "5", "-1", "3", "10", "100", "-7", "(len .l)"],
    "float64": ["0.5", "1.5", "0.1"],
    "bool": ["true", ".t", ".no"],
    "map[string]interface {}": [*MAPS, '(dict "b" 1 "a" (list nil true 2.5))', '(dict "a" "z" "n" nil)'],
    "interface {}": [
        *ANYTHING,
        *("1e21", "0.000001", "1234567.5", "-0.5", '(semver "1.2.3")', "(int64 5)", '(float64 "2.50")', "(list 3 1 2)"),
        *('(list "b" "a" nil)', "(until 12)", '(dict "b" 1 "a" (list nil true 2.5))', "(rest (list))"),
    ],
}  # fmt: skip
BY_TYPE["int64"] = BY_TYPE["uint32"] = BY_TYPE["int"]
ENDS = [
    *("print", "quote", "squote", "toJson", "toPrettyJson", "toYaml", "len", "kindOf", "typeOf", "html", "js", 'join "-"'),
    *('printf "%v"', 'printf "%+v"', 'printf "%#v"', 'printf "%T"'),
]  # fmt: skip
DIFFERENT = {"normalize", "slugify", "fromJson", "fromYaml", "fromYamlArray", "values", "keys"}
"""Helm has none, another one, or one with a random order."""
SHARED = sorted(
    set(FUNCTIONS) - UNSTABLE - set(REFUSED) - DIFFERENT - {"derivePassword", "call", "and", "or"}
    - {name for name in FUNCTIONS if name.startswith("must_")}
)  # fmt: skip


def any_call(choose: random.Random, name: str) -> str:
    """Make a call of a function with arguments of its types."""
    function = FUNCTIONS[name]
    count = len(function.fixed) + (choose.randrange(3) if function.rest else 0)
    arguments = [
        choose.choice(BY_TYPE.get(function.parameter(i).name, [".v"])) for i in range(count)
    ]
    end = f" | {choose.choice(ENDS)}" if choose.random() < 0.35 else ""
    return f"{{{{{' '.join([name, *arguments])}{end}}}}}"


def call(choose: random.Random) -> str:
    """Make one call of a function that both engines know."""
    kind = choose.choice(list(SIGNATURES))
    values, names = SIGNATURES[kind]
    arguments = [choose.choice(values) for _ in kind.split()]
    text = " ".join([choose.choice(names.split()), *arguments])
    if choose.random() < 0.3:
        text += " | " + choose.choice(["print", "quote", "toJson", 'default "d"', 'printf "%v"'])
    return text


def rendered_by_helm(helm: Path, folder: Path, templates: Sequence[str]) -> list[str] | None:
    """Render all templates in one run; None if Helm refuses one of them."""
    (folder / "templates").mkdir(exist_ok=True)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: oracle\nversion: 1.0.0\n")
    (folder / "values.json").write_text(json.dumps({"cases": list(templates), "params": PARAMS}))
    (folder / "templates" / "out.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: out}\ndata:\n"
        "{{- range $i, $c := .Values.cases }}\n"
        "  r{{ $i }}: {{ tpl $c (deepCopy $.Values.params) | toJson }}\n{{- end }}\n"
    )
    run = subprocess.run(
        [helm, "template", "x", folder, "-f", folder / "values.json"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    if run.returncode:
        return None
    data = yamldoc.load_one(run.stdout)["data"]
    return [data[f"r{index}"] for index in range(len(templates))]


def ours(template: str) -> str | None:
    try:
        return compile_template(template).render(PARAMS)
    except TemplateError:
        return None


def check(tools: Tools, folder: Path, templates: Sequence[str]) -> None:
    """Compare both engines; what we refuse must be refused by Helm, too."""
    accepted = [text for text in templates if "<no value>" not in (ours(text) or "<no value>")]
    found = rendered_by_helm(tools.helm, folder, accepted)
    if found is None:
        refused = [
            text for text in accepted if rendered_by_helm(tools.helm, folder, [text]) is None
        ]
        pytest.fail(f"helm refuses: {refused}")
    different = [
        f"{template}\n  helm {theirs!r}\n  ours {ours(template)!r}"
        for template, theirs in zip(accepted, found, strict=True)
        if theirs != ours(template)
    ]
    assert not different, "\n".join(different)


def test_fixed_corpus(tools: Tools, tmp_path: Path) -> None:
    assert all(ours(template) is not None for template in FIXED)
    check(tools, tmp_path, FIXED)


@settings(
    max_examples=4,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(0, 2**32))
def test_generated_corpus(tools: Tools, tmp_path: Path, seed: int) -> None:
    choose = random.Random(seed)
    check(tools, tmp_path, [f"{{{{{call(choose)}}}}}" for _ in range(150)])


@settings(
    max_examples=max(1, (settings.default.max_examples if settings.default else 100) // 100),
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(0, 2**32))
def test_every_shared_function(tools: Tools, tmp_path: Path, seed: int) -> None:
    choose = random.Random(seed)
    check(tools, tmp_path, [any_call(choose, name) for name in SHARED])


def test_what_we_refuse_helm_refuses(tools: Tools, tmp_path: Path) -> None:
    refused = [
        "{{upper .l}}",
        "{{index .l 9}}",
        "{{.name.x}}",
        '{{fail "x"}}',
        "{{until 1.5}}",
        "{{range .s}}{{end}}",
    ]
    assert [ours(template) for template in refused] == [None] * len(refused)
    accepted = [t for t in refused if rendered_by_helm(tools.helm, tmp_path, [t]) is not None]
    assert not accepted

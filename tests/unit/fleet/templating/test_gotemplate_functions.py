"""Functions of sprig and Argo CD: each row is a call, and what Argo CD prints for it."""

from __future__ import annotations

import pytest

from fleet.codec.jsontypes import JsonObject
from fleet.templating.gotemplate import compile_template
from fleet.templating.table import FUNCTIONS

PARAMS: JsonObject = {
    "name": "a",
    "n": 7,
    "neg": -7,
    "big": 1000000,
    "s": "Hello World",
    "u": "héllo",
    "multi": "l1\nl2",
    "e": "",
    "nil": None,
    "l": ["c", "a", "b", "a"],
    "mixed": [3, 2.5, None, "x", True],
    "m": {"a": 1, "c": {"d": "deep"}},
    "el": [],
    "em": {},
    "lm": [{"k": "v1"}, {"k": "v2"}],
    "url": "https://u:p@h.example:8443/p/a%20th?q=1#f",
}

STRINGS = [
    ('trim " x "', "x"),
    ('trimAll "-x" "-xax-"', "a"),
    ('trimSuffix ".git" "x.git"', "x"),
    ('trimPrefix "v" "v1"', "1"),
    ("upper .u", "HÉLLO"),
    ('upper "ß"', "ß"),
    ('title "two-words here"', "Two-Words Here"),
    ('untitle "Ab Cd"', "ab cd"),
    ('swapcase "aB cD"', "Ab Cd"),
    ('repeat 3 "ab"', "ababab"),
    ("substr 0 5 .s", "Hello"),
    ("substr 2 -1 .s", "llo World"),
    ("substr 1 3 .u", "é"),
    ("trunc 3 .s", "Hel"),
    ("trunc -3 .s", "rld"),
    ("trunc 2 .u", "h�"),
    ('nospace " a b "', "ab"),
    ('initials "First Try"', "FT"),
    ('abbrev 6 "abcdefghij"', "abc..."),
    ('abbrevboth 5 10 "1234 5678 9123 4567"', "...5678..."),
    ('snakecase "FirstName HTTPServer2xx"', "first_name_http_server_2xx"),
    ('kebabcase "NoHTTPS a_b"', "no-https-a-b"),
    ('camelcase "http_server foo-bar"', "HttpServerFooBar"),
    ('wrap 5 "aa bb cc dd"', "aa bb\ncc dd"),
    ('wrapWith 3 "|" "aaaaaa bb"', "aaa|aaa|bb"),
    ('contains "l" .s', "true"),
    ('hasPrefix "He" .s', "true"),
    ('hasSuffix "ld" .s', "true"),
    ('quote .s 1 .nil "a\\"b"', '"Hello World" "1" "a\\"b"'),
    ("squote .s 1 .nil", "'Hello World' '1'"),
    ('cat "a" 1 .nil "b"', "a 1 b"),
    ("indent 2 .multi", "  l1\n  l2"),
    ("nindent 2 .multi", "\n  l1\n  l2"),
    ('replace "l" "L" .s', "HeLLo WorLd"),
    ('plural "one" "many" 2', "many"),
    ("toString .big", "1e+06"),
    ('splitList "," "a,b"', "[a b]"),
    ('(split "," "a,b")._1', "b"),
    ('splitn "," 2 "a,b,c"', "map[_0:a _1:b,c]"),
    ('join "," .mixed', "3,2.5,x,true"),
    ("sortAlpha .l", "[a a b c]"),
    ("toStrings .mixed", "[3 2.5 x true]"),
]
LISTS = [
    ("first .l", "c"),
    ("last .l", "a"),
    ("rest .l", "[a b a]"),
    ("initial .l", "[c a b]"),
    ("first .el", "<no value>"),
    ("append .l 1", "[c a b a 1]"),
    ("prepend .l 1", "[1 c a b a]"),
    ("concat .l (list 1)", "[c a b a 1]"),
    ("reverse .l", "[a b a c]"),
    ("uniq .l", "[c a b]"),
    ('without .l "a"', "[c b]"),
    ('has "a" .l', "true"),
    ("has 3.0 .mixed", "true"),
    ("has 3 .mixed", "false"),
    ("slice .l 1 3", "[a b]"),
    ('compact (list 0 1 "" nil)', "[1]"),
    ("chunk 2 .l", "[[c a] [b a]]"),
    ("until 3", "[0 1 2]"),
    ("untilStep 10 0 -3", "[10 7 4 1]"),
    ("seq 0 2 6", "0 2 4 6"),
    ("tuple 1 2", "[1 2]"),
]
DICTS = [
    ('dict "a" 1 "b"', "map[a:1 b:]"),
    ('get .m "a"', "1"),
    ('get .m "zz"', ""),
    ('hasKey .m "a"', "true"),
    ('hasKey .nope "a"', "false"),
    ("keys .m", "[a c]"),
    ('values (dict "k" "v")', "[v]"),
    ('pluck "k" (dict "k" 1) (dict "x" 2)', "[1]"),
    ('pick .m "a"', "map[a:1]"),
    ('omit .m "c"', "map[a:1]"),
    ('dig "c" "d" "def" .m', "deep"),
    ('dig "c" "x" "def" .m', "def"),
    ('merge (dict "a" "mine" "c" (dict "x" 1)) .m', "map[a:mine c:map[d:deep x:1]]"),
    ('mergeOverwrite (dict "a" "mine") .m', "map[a:1 c:map[d:deep]]"),
    ('merge (dict "a" 0) (dict "a" 5)', "map[a:5]"),
    ('mergeOverwrite (dict "a" "x") (dict "a" "")', "map[a:]"),
    ('unset (deepCopy .m) "c"', "map[a:1]"),
    ("deepEqual .m .m", "true"),
    ("deepEqual .n 7", "false"),
    ("typeOf .n", "float64"),
    ("typeOf (add 1 2)", "int64"),
    ("typeOf .m", "map[string]interface {}"),
    ("kindOf .l", "slice"),
    ('kindIs "map" .m', "true"),
    ('typeIsLike "semver.Version" (semver "1.2.3")', "true"),
]
DEFAULTS = [
    ('default "d" .e', "d"),
    ('default "d" .nope', "d"),
    ('.s | default "d"', "Hello World"),
    ("empty .el", "true"),
    ('coalesce .nil .e "x"', "x"),
    ('ternary "y" "n" true', "y"),
    ('all 1 "x"', "true"),
    ('any 0 ""', "false"),
]
MATH = [
    ("add 1 .n", "8"),
    ("sub .n 2", "5"),
    ("mul 2 3 4", "24"),
    ("div .neg 2", "-3"),
    ("mod .neg 3", "-1"),
    ("add 9223372036854775807 1", "-9223372036854775808"),
    ("max 1 .n 3", "7"),
    ("min 4 2", "2"),
    ("maxf 1.5 2", "2"),
    ("addf 0.1 0.2", "0.3"),
    ("divf 1 3", "0.3333333333333333"),
    ("subf 7.5 2 3", "2.5"),
    ("mulf 1.5 2 2", "6"),
    ("floor -1.2", "-2"),
    ("ceil 1.2", "2"),
    ("round 1.2345 2", "1.23"),
    ("round 2.5 0", "3"),
    ('int "0x1f"', "31"),
    ('int "1.0"', "1"),
    ('int "x"', "0"),
    ('int64 "12"', "12"),
    ('float64 "1.5"', "1.5"),
    ('atoi "12"', "12"),
    ('toDecimal "0777"', "511"),
]
ENCODINGS = [
    ("b64enc .u", "aMOpbGxv"),
    ('b64dec "aGk="', "hi"),
    ('b64dec "a!k="', "illegal base64 data at input byte 1"),
    ('b32enc "hi"', "NBUQ===="),
    ('b32dec "NBUQ===="', "hi"),
    ('sha1sum "a"', "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"),
    ('sha256sum ""', "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ('adler32sum "abc"', "38600999"),
    ('derivePassword 1 "long" "password" "user" "example.com"', "ZedaFaxcZaso9*"),
    ("toJson .m", '{"a":1,"c":{"d":"deep"}}'),
    ('toJson "a<b>&"', '"a\\u003cb\\u003e\\u0026"'),
    ('toRawJson "a<b>&"', '"a<b>&"'),
    ("toJson .big", "1000000"),
    ("toJson (rest .el)", "null"),
    ('toPrettyJson (dict "a" (list 1) "b" (dict))', '{\n  "a": [\n    1\n  ],\n  "b": {}\n}'),
    ('(fromJson "{\\"q\\": [7]}").q', "[7]"),
    ('fromJson "x"', "<no value>"),
    ("html \"<a href='x'>\"", "&lt;a href=&#39;x&#39;&gt;"),
    ('js "it\'s <b>"', "it\\'s \\u003Cb\\u003E"),
    ('urlquery "a b/c?d=é"', "a+b%2Fc%3Fd%3D%C3%A9"),
]
REGEX = [
    ('regexMatch "^a.c$" "abc"', "true"),
    ('regexMatch "[" "x"', "false"),
    ('regexFind "[0-9]+" "a12b3"', "12"),
    ('regexFindAll "a*" "baac" -1', "[ aa ]"),
    ('regexFindAll "a." "abacad" 2', "[ab ac]"),
    ('regexReplaceAll "a(x*)b" "-ab-axxb-" "${1}W"', "-W-xxW-"),
    ('regexReplaceAll "a(x*)b" "-ab-axxb-" "$1W"', "---"),
    ('regexReplaceAll "a*" "baac" "X"', "XbXcX"),
    ('regexReplaceAllLiteral "a" "ba" "$1"', "b$1"),
    ('regexSplit "z+" "pizza" -1', "[pi a]"),
    ('regexQuoteMeta "a.b"', "a\\.b"),
    ('regexFind "a|ab" "ab"', "a"),
]
DATES = [
    ('date "2006-01-02T15:04:05Z07:00" 0', "1970-01-01T00:00:00Z"),
    ('date "Mon Jan _2 03:04PM 06 002" 1700000000', "Tue Nov 14 10:13PM 23 318"),
    ('dateInZone "15:04 MST -07:00" 1700000000 "Asia/Tokyo"', "07:13 JST +09:00"),
    ("htmlDate 0", "1970-01-01"),
    ('unixEpoch (toDate "2006-01-02" "2024-02-29")', "1709164800"),
    ('toDate "2006-01-02" "x"', "0001-01-01 00:00:00 +0000 UTC"),
    ('toDate "2006-01-02" "2024-02-29" | dateModify "-24h" | date "2006-01-02"', "2024-02-28"),
    ('(toDate "Jan 2 2006" "Mar 5 2024").Weekday', "Tuesday"),
    ('duration "95"', "1m35s"),
    ('durationRound "400h"', "16d"),
]
VERSIONS = [
    ('semverCompare ">=1.20.0" "v1.24.3+k3s1"', "true"),
    ('semverCompare "~1.23" "1.24.0"', "false"),
    ('semverCompare "^1.24-0" "1.25.0-rc1"', "true"),
    ('semverCompare ">=1.2" "1.3.0-rc1"', "false"),
    ('(semver "v1.24.3+k3s1").Minor', "24"),
    ('(semver "v1.24.3+k3s1").Metadata', "k3s1"),
    ('(semver "1.2.3").Compare (semver "1.2.4")', "-1"),
    ('(semver "1.2.3-rc.1").IncPatch', "1.2.3"),
]
URLS = [
    ("(urlParse .url).host", "h.example:8443"),
    ("(urlParse .url).hostname", "h.example"),
    ("(urlParse .url).path", "/p/a th"),
    ("(urlParse .url).userinfo", "u:p"),
    ("urlJoin (urlParse .url)", "https://u:p@h.example:8443/p/a%20th?q=1#f"),
    ('urlJoin (dict "scheme" "http" "host" "h" "path" "/a b")', "http://h/a%20b"),
    ('base "/a/b.c"', "b.c"),
    ('dir "/a/b/"', "/a/b"),
    ('ext "x.tar.gz"', ".gz"),
    ('clean "/a/../b//c/."', "/b/c"),
    ('isAbs "a"', "false"),
]
ARGO = [
    ('normalize "Feature/ABC_12 x."', "feature-abc-12-x"),
    ('normalize "___"', ""),
    ('repeat 300 "A" | normalize | len', "253"),
    ('slugify "feat/a_really+awesome_feature_to_test"', "feat-a-really-awesome-feature-to-test"),
    ('slugify 23 "feat/a_really+awesome_feature_to_test"', "feat-a-really-awesome"),
    ('slugify 12 false "feat/a_really+awesome_feature_to_test"', "feat-a-reall"),
    ("toYaml .m", "a: 1\nc:\n  d: deep"),
    ('toYaml (dict "big" 1000000.0 "y" "yes")', 'big: 1000000\n"y": "yes"'),
    ('(fromYaml "x: {port: 5}").x.port', "5"),
    ('fromYaml "y: n"', "map[true:false]"),
    ('fromYaml ""', "map[]"),
    ('index (fromYamlArray "[p, q]") 1', "q"),
]


@pytest.mark.parametrize(
    ("call", "expected"),
    STRINGS + LISTS + DICTS + DEFAULTS + MATH + ENCODINGS + REGEX + DATES + VERSIONS + URLS + ARGO,
    ids=lambda value: value[:40],
)
def test_function(call: str, expected: str) -> None:
    assert compile_template(f"{{{{{call}}}}}").render(PARAMS) == expected


@pytest.mark.parametrize(
    ("call", "alphabet", "size"),
    [
        ("randAlpha 8", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", 8),
        ("randNumeric 8", "0123456789", 8),
        ("uuidv4", "0123456789abcdef-", 36),
        ('shuffle "abc"', "abc", 3),
        ("randInt 5 6", "5", 1),
        ("randBytes 3 | b64dec | len", "3", 1),
    ],
)
def test_random_functions(call: str, alphabet: str, size: int) -> None:
    text = compile_template(f"{{{{{call}}}}}").render(PARAMS)
    assert len(text) == size
    assert set(text) <= set(alphabet)


def test_what_reaches_outside_is_not_there() -> None:
    assert not {"env", "expandenv", "getHostByName", "include", "tpl", "lookup", "readFile"} & set(
        FUNCTIONS
    )

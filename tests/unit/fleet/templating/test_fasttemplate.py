"""Argo CD's simple templates."""

from __future__ import annotations

import pytest

from fleet.codec.jsontypes import JsonValue
from fleet.templating.errors import TemplateError
from fleet.templating.fasttemplate import render_fast

PARAMS: dict[str, JsonValue] = {
    "name": "a",
    "x": "1",
    "metadata.labels.env/tier": "prod",
    "path[0]": "apps",
    "number": 5,
    "object": {"a": "b"},
    "tag": "{{name}}",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("{{name}}", "a"),
        ("{{ name }}-{{x}}{{x}}", "a-11"),
        ("{{\tname\n}} {{name}}", "a a"),
        ("{{metadata.labels.env/tier}} {{path[0]}}", "prod apps"),
        ("{{nope}} {{ nope }} {{Name}}", "{{nope}} {{ nope }} {{Name}}"),
        ("x{{nope}}y{{name}}z", "x{{nope}}yaz"),
        ("{{number}} {{object}}", "{{number}} {{object}}"),
        ("{{}}{{ }}", "{{}}{{ }}"),
        ("{{{name}}}", "{{{name}}}"),
        ("{{{{name}}}}", "{{{{name}}}}"),
        ("{ {name} }", "{ {name} }"),
        ("{{name", "{{name"),
        ("name}}", "name}}"),
        ("}}{{", "}}{{"),
        ("{{na\nme}}", "{{na\nme}}"),
        ("{{tag}}", "{{name}}"),
    ],
)
def test_tags(text: str, expected: str) -> None:
    assert render_fast(text, PARAMS) == expected


def test_tag_without_an_end() -> None:
    with pytest.raises(TemplateError) as caught:
        render_fast("x\n{{name}} {{name", PARAMS)
    error = caught.value
    assert (error.line, error.column, error.action) == (2, 9, "{{name")
    assert str(error) == (
        'invalid template: Cannot find end tag="}}" in the template="x\\n{{name}} {{name" starting from "name"'
    )

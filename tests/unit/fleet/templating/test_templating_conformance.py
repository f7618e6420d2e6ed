"""The recorded answers of a real Argo CD, as far as templates alone decide them: annotations made from one element."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.codec import yamldoc
from fleet.codec.jsontypes import JsonObject
from fleet.templating.errors import TemplateError
from fleet.templating.fasttemplate import render_fast
from fleet.templating.gotemplate import compile_template, parse_options


def rendered(spec: JsonObject) -> dict[str, str]:
    """Render the annotations of a case's template with its only element."""
    params = spec["generators"][0]["list"]["elements"][0]
    missing = parse_options(spec.get("goTemplateOptions", []))

    def render(text: str) -> str:
        if spec.get("goTemplate"):
            return compile_template(text, missing_key=missing).render(params)
        return render_fast(text, params)

    given: dict[str, str] = spec["template"]["metadata"].get("annotations", {})
    return {render(key): render(text) for key, text in given.items()}


@pytest.mark.parametrize("topic", ["gofunc", "fast"])
def test_recorded_answers(shared_dir: Path, topic: str) -> None:
    paths = sorted((shared_dir / "conformance" / "applicationset" / topic).glob("*.yaml"))
    assert paths, "no cases"
    wrong = [message for path in paths for message in differences(path)]
    assert not wrong, "\n".join(wrong)


def differences(path: Path) -> list[str]:
    """Say what is different from the recorded answer of one case."""
    case = yamldoc.load_one(path.read_text())
    expected = case["expected"]
    try:
        found = rendered(case["applicationset"]["spec"])
    except TemplateError as error:
        wanted = expected.get("messageContains")
        is_right = bool(wanted) and wanted in str(error)
        return [] if is_right else [f"{path.stem}: unexpected {error}"]
    if expected["errorOccurred"]:
        return [f"{path.stem}: no error"]
    wanted = expected["applications"][0]["metadata"].get("annotations", {})
    return [
        f"{path.stem}: {key}: {found.get(key)!r} instead of {text!r}"
        for key, text in wanted.items()
        if found.get(key) != text
    ]

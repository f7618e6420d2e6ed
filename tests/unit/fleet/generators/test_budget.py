"""What all rows of a set together may take: rows, steps, text. A set that wants more fails, and nothing of it changes."""

from __future__ import annotations

import pytest

from fleet.generators import Failed, evaluate_set
from fleet.generators.budget import MAX_ROWS, Budget
from fleet.generators.engine import Engine
from fleet.generators.params import GeneratorError, combine_fast, flatten
from fleet.model.world import World
from fleet.templating.errors import TemplateError
from tests.unit.fleet.generators.conftest import make_set


def elements(name: str, count: int) -> str:
    return "{list: {elements: [" + ",".join(f"{{{name}: a{i}}}" for i in range(count)) + "]}}"


def failure(generators: str) -> str:
    result = evaluate_set(make_set(generators), World())
    assert isinstance(result, Failed)
    return result.errors[0].message


def test_combinations_of_combinations_end() -> None:
    """A hundred elements four times are a hundred million rows."""
    inner = f"{{matrix: {{generators: [{elements('a', 100)}, {elements('b', 100)}]}}}}"
    outer = f"{{matrix: {{generators: [{elements('c', 100)}, {elements('d', 100)}]}}}}"
    message = failure(f"- matrix: {{generators: [{inner}, {outer}]}}")
    assert f"more than {MAX_ROWS} rows" in message


def test_a_budget_is_shared_by_all_renderings() -> None:
    engine = Engine(go=True, budget=Budget(steps=1000))
    assert engine.render("{{len (until 700)}}", {}) == "700"
    with pytest.raises(TemplateError, match="takes too many steps"):
        engine.strict.render("{{len (until 700)}}", {})
    with pytest.raises(TemplateError, match="steps together"):
        engine.render("{{upper `a`}}", {})


@pytest.mark.parametrize("go", [True, False])
def test_all_texts_together_have_a_limit(go: bool) -> None:
    engine = Engine(go=go, budget=Budget(text=100))
    text = "{{.a}}" if go else "{{a}}"
    assert engine.render(text, {"a": "x" * 60})
    with pytest.raises(TemplateError, match="characters together"):
        engine.render(text, {"a": "x" * 60})


def test_what_is_no_template_costs_nothing() -> None:
    assert Engine(go=True, budget=Budget(steps=0, text=0)).render("text", {}) == "text"


def test_a_value_that_is_too_deep_to_print_fails_the_generator() -> None:
    deep: object = "x"
    for _ in range(70):
        deep = [deep]
    with pytest.raises(GeneratorError, match="nested deeper"):
        combine_fast({"a": deep}, {"b": "c"})


def test_names_that_grow_with_every_level_are_limited() -> None:
    value: dict[str, object] = {f"k{i}": "v" for i in range(1000)}
    for _ in range(20):
        value = {"n" * 1000: value}
    with pytest.raises(GeneratorError, match="names of a parameter set"):
        flatten(value)

"""The list generator: elements written in the set, and a YAML text that becomes elements."""

from __future__ import annotations

from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.codec.yamldoc import load_one
from fleet.errors import BadInput
from fleet.generators.context import Context
from fleet.generators.params import GeneratorError, ParamSet


def generate(config: JsonObject, context: Context) -> list[ParamSet]:
    """Return one set per element; in fast mode elements are flat texts, but those of the YAML text are not judged."""
    elements = config.get("elements") or []
    values = [_element(item, go=context.engine.go) for item in elements]
    if config.get("elementsYaml"):
        context.engine.budget.read(len(config["elementsYaml"]))
        values += _parsed(config["elementsYaml"])
    return [ParamSet(item, f"list[{position}]") for position, item in enumerate(values)]


def _element(element: JsonValue, *, go: bool) -> JsonObject:
    if element is None:
        return {}
    if not isinstance(element, dict):
        raise GeneratorError(f"error unmarshling list element: {element!r} is not an object")
    return element if go else _flat(element)


def _flat(element: JsonObject) -> JsonObject:
    flat: JsonObject = {}
    for key, value in element.items():
        if key == "values":
            if not isinstance(value, dict):
                raise GeneratorError("error parsing values map: values must be an object")
            for name, text in value.items():
                flat[f"values.{name}"] = _text(f"values.{name}", text)
        else:
            flat[key] = _text(key, value)
    return flat


def _text(key: str, value: JsonValue) -> str:
    if not isinstance(value, str):
        raise GeneratorError(
            f"error parsing value as string: {key} is {value!r}",
            hint="without goTemplate: true every value of an element must be a string",
        )
    return value


def _parsed(text: str) -> list[JsonObject]:
    try:
        value = load_one(text)
    except BadInput as error:
        raise GeneratorError(f"error unmarshling decoded ElementsYaml: {error}") from error
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict | None) for item in value):
        raise GeneratorError("error unmarshling decoded ElementsYaml: it must be a list of objects")
    return [item or {} for item in value]

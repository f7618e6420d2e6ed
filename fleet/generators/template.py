"""An Application template, split once into what never changes and what each row fills.

The static parts of the documents are shared between all rows and must not be changed by anybody. Empty texts
that a row makes vanish as they do on the API server, so that a filled document is in normal form.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from fleet.argo.application import API_VERSION
from fleet.argo.fields import TEMPLATE
from fleet.argo.normalize import finish_spec, normalize
from fleet.argo.shapes import Anything, Items, Record, Shape, Table, Text
from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.generators.engine import Engine
from fleet.model.application import RESOURCES_FINALIZER

Filler: TypeAlias = Callable[[JsonObject], JsonValue]


class _Fixed:
    """A part that is the same in every row."""

    __slots__ = ("value",)

    def __init__(self, value: JsonValue) -> None:
        self.value = value


_Part: TypeAlias = _Fixed | Filler


class ApplicationTemplate:
    """The template of one generator: ``spec.template`` under the generator's own."""

    def __init__(
        self,
        template: JsonObject,
        engine: Engine,
        *,
        namespace: str,
        keep_resources: bool,
        chooses_namespace: bool = False,
    ) -> None:
        """Compile a template that has the right shape; raises TemplateError.

        Applications are in ``namespace``, unless the template may choose and does.
        """
        self.template = normalize(template, TEMPLATE)
        self._namespace = namespace
        self._chooses_namespace = chooses_namespace
        self._finalizers = [] if keep_resources else [RESOURCES_FINALIZER]
        self._metadata = _compile(self.template["metadata"], _METADATA, engine)
        self._spec = _compile(self.template["spec"], _SPEC, engine)

    def fill(self, params: JsonObject) -> JsonObject:
        """Return the Application document of a row; raises TemplateError.

        An empty row leaves the template as it is, without the default finalizer.
        """
        if not params:
            metadata = dict(self.template["metadata"])
            spec = dict(self.template["spec"])
        else:
            metadata = dict(_filled(self._metadata, params))
            spec = dict(_filled(self._spec, params))
            if self._finalizers and not metadata.get("finalizers"):
                metadata["finalizers"] = self._finalizers
        if not (self._chooses_namespace and metadata.get("namespace")):
            metadata["namespace"] = self._namespace
        return {
            "apiVersion": API_VERSION,
            "kind": "Application",
            "metadata": metadata,
            "spec": finish_spec(spec),
        }


_METADATA = TEMPLATE.fields["metadata"].shape
_SPEC = TEMPLATE.fields["spec"].shape


def merge_templates(over: JsonObject, base: JsonObject) -> JsonObject:
    """Lay a generator's own template over the set's: its non-empty fields win, maps are united, lists are not."""
    merged: JsonObject = _laid_over(normalize(over, TEMPLATE), normalize(base, TEMPLATE), TEMPLATE)
    return merged


def _laid_over(over: JsonValue, base: JsonValue, shape: Shape) -> JsonValue:
    match shape:
        case Record(fields):
            merged = dict(base)
            for name, item in over.items():
                merged[name] = (
                    _laid_over(item, base[name], fields[name].shape) if name in base else item
                )
            return merged
        case Table():
            return {
                **base,
                **{key: item for key, item in over.items() if item or not base.get(key)},
            }
        case _:
            return over or base


def _filled(part: _Part, params: JsonObject) -> JsonValue:
    return part.value if isinstance(part, _Fixed) else part(params)


def _compile(value: JsonValue, shape: Shape, engine: Engine) -> _Part:
    match shape:
        case Record(fields):
            parts = {
                name: _compile(item, fields[name].shape, engine) for name, item in value.items()
            }
            optional = frozenset(
                name
                for name in value
                if not fields[name].keep and isinstance(fields[name].shape, Text)
            )
            return _record(parts, optional)
        case Items(item):
            return _list([_compile(member, item, engine) for member in value])
        case Table():
            return _map(value, engine)
        case Anything():
            return _free(value, engine)
        case _:
            return _text(value, engine) if isinstance(value, str) else _Fixed(value)


def _text(text: str, engine: Engine) -> _Part:
    fill = engine.compile(text)
    return _Fixed(text) if fill is None else fill


def _record(parts: dict[str, _Part], optional: frozenset[str]) -> _Part:
    fixed = {name: part.value for name, part in parts.items() if isinstance(part, _Fixed)}
    moving = [
        (name, part, name in optional)
        for name, part in parts.items()
        if not isinstance(part, _Fixed)
    ]
    if not moving:
        return _Fixed(fixed)

    def fill(params: JsonObject) -> JsonValue:
        result = dict(fixed)
        for name, part, vanishes in moving:
            value = part(params)
            if value or not vanishes:
                result[name] = value
        return result

    return fill


def _list(parts: list[_Part]) -> _Part:
    if all(isinstance(part, _Fixed) for part in parts):
        return _Fixed([_filled(part, {}) for part in parts])
    return lambda params: [_filled(part, params) for part in parts]


def _map(value: JsonObject, engine: Engine) -> _Part:
    """A map with free names: keys are templates too."""
    parts = [
        (_text(key, engine), _free(item, engine)) for key, item in value.items() if item is not None
    ]
    if all(isinstance(key, _Fixed) and isinstance(item, _Fixed) for key, item in parts):
        return _Fixed({key: item for key, item in value.items() if item is not None})
    return lambda params: {_filled(key, params): _filled(item, params) for key, item in parts}


def _free(value: JsonValue, engine: Engine) -> _Part:
    """Free JSON: every text and key is a template, nulls in maps vanish."""
    if isinstance(value, str):
        return _text(value, engine)
    if isinstance(value, list):
        return _list([_free(item, engine) for item in value])
    if isinstance(value, dict):
        return _map(value, engine)
    return _Fixed(value)
